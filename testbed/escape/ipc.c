/* Family: what could be left for the next run, or be seen by another cell: keys, shared memory,
 * queues, locks, notifications. */
#include <mqueue.h>
#include <sys/eventfd.h>
#include <sys/fanotify.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <time.h>

#include "family.h"

static int key(void)
{
	return TRY(syscall(SYS_add_key, "user", "escape", "x", 1, -3 /* session */));
}

static int user_key(void)
{
	return TRY(syscall(SYS_add_key, "user", "escape", "x", 1, -4 /* of the user */));
}

static int ask_key(void)
{
	int error = TRY(syscall(SYS_request_key, "user", "no such", NULL, 0));

	return error == ENOKEY ? 0 : error;
}

static int keyring(void)
{
	return TRY(syscall(SYS_keyctl, 0, -4, 1));
}

static int shm(void)
{
	int id = shmget(0x7e57, 4096, IPC_CREAT | 0600);

	return id < 0 ? errno : TRY(shmctl(id, IPC_RMID, NULL));
}

static int sem(void)
{
	int id = semget(0x7e57, 1, IPC_CREAT | 0600);

	return id < 0 ? errno : TRY(semctl(id, 0, IPC_RMID));
}

static int msg(void)
{
	int id = msgget(0x7e57, IPC_CREAT | 0600);

	return id < 0 ? errno : TRY(msgctl(id, IPC_RMID, NULL));
}

static int posix_queue(void)
{
	return TRY(mq_open("/escape", O_RDWR | O_CREAT, 0600, NULL));
}

/* On the one file that all cells of an image have: the program. */
static int own(void)
{
	return open("/bin/app", O_RDONLY);
}

static int lock_whole(void)
{
	return TRY(flock(own(), LOCK_EX | LOCK_NB));
}

static int lock_range(void)
{
	struct flock l = { .l_type = F_RDLCK };

	return TRY(fcntl(own(), F_SETLK, &l));
}

static int lock_open(void)
{
	struct flock l = { .l_type = F_RDLCK };

	return TRY(fcntl(own(), F_OFD_SETLK, &l));
}

static int look_for_lock(void)
{
	struct flock l = { .l_type = F_WRLCK };

	return TRY(fcntl(own(), F_GETLK, &l));
}

static int lock_device(void)
{
	return TRY(flock(open("/dev/null", O_RDONLY), LOCK_EX | LOCK_NB));
}

static int lease(void)
{
	return TRY(fcntl(own(), F_SETLEASE, F_RDLCK));
}

static int hint(void)
{
	unsigned long long v = 2;

	return TRY(fcntl(own(), 1036 /* F_SET_RW_HINT */, &v));
}

static int watch(void)
{
	int fd = inotify_init1(IN_CLOEXEC);

	return fd < 0 ? errno : TRY(inotify_add_watch(fd, "/bin/app", IN_OPEN));
}

static int watch_device(void)
{
	int fd = inotify_init1(IN_CLOEXEC);

	return fd < 0 ? errno : TRY(inotify_add_watch(fd, "/dev/null", IN_ALL_EVENTS));
}

static int watch_all(void)
{
	return TRY(fanotify_init(FAN_CLASS_NOTIF, O_RDONLY));
}

static int directory_signal(void)
{
	return TRY(fcntl(open("/", O_RDONLY), F_NOTIFY, DN_ACCESS));
}

static int times_of_device(void)
{
	return TRY(utimensat(AT_FDCWD, "/dev/null", NULL, 0));
}

static int attribute(void)
{
	return TRY(syscall(SYS_setxattr, "/bin/app", "user.escape", "x", 1, 0));
}

static int timer(void)
{
	return TRY(timerfd_create(CLOCK_REALTIME_ALARM, 0));
}

static int pipe_size(void)
{
	int ends[2];

	return pipe(ends) ? errno : TRY(fcntl(ends[0], F_SETPIPE_SZ, 1 << 20));
}

static int notify_pipe(void)
{
	int ends[2];

	return TRY(syscall(SYS_pipe2, ends, O_EXCL /* O_NOTIFICATION_PIPE */));
}

static const struct attempt attempts[] = {
	{ "add_key, session", key, EPERM, PASSES, IF_THERE },
	{ "add_key, user", user_key, EPERM, PASSES, IF_THERE },
	{ "request_key", ask_key, EPERM, REFUSED | MAY_PASS, IF_THERE },
	{ "keyctl", keyring, EPERM, PASSES, IF_THERE },
	/* In a namespace of the cell's own: another cell sees none of it, the next run would. */
	{ "System V shared memory", shm, EPERM, PASSES, IF_THERE },
	{ "System V semaphores", sem, EPERM, PASSES, IF_THERE },
	{ "System V messages", msg, EPERM, PASSES, IF_THERE },
	{ "POSIX queue", posix_queue, EPERM, REFUSED, IF_THERE },
	{ "flock", lock_whole, EPERM, PASSES, PASSES },
	{ "record lock", lock_range, EPERM, PASSES, PASSES },
	{ "open file lock", lock_open, EPERM, PASSES, PASSES },
	{ "look for a lock", look_for_lock, EPERM, PASSES, PASSES },
	{ "flock of a device", lock_device, EPERM, PASSES, PASSES },
	{ "lease", lease, EPERM, EACCES | MAY_PASS, PASSES },
	{ "write hint", hint, EPERM, EPERM | MAY_PASS, PASSES },
	{ "inotify", watch, EPERM, PASSES, IF_THERE },
	{ "inotify of a device", watch_device, EPERM, PASSES, IF_THERE },
	{ "fanotify", watch_all, EPERM, REFUSED, IF_THERE },
	{ "dnotify", directory_signal, EPERM, REFUSED | MAY_PASS, IF_THERE },
	{ "times of a device", times_of_device, EPERM, OR(EROFS, EPERM), PASSES },
	{ "attribute of a file", attribute, EPERM, OR(EROFS, EACCES), IF_THERE },
	{ "timer that wakes the machine", timer, EPERM, EPERM, IF_THERE },
	{ "size of a pipe", pipe_size, EPERM, REFUSED | MAY_PASS, PASSES },
	{ "notification pipe", notify_pipe, REFUSED | MAY_PASS, REFUSED | MAY_PASS, IF_THERE },
};
FAMILY(attempts)

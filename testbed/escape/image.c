/* Family: writing to the image, from every side, and leaving it. Outside, the image is a directory
 * that the program has as its root, writable. */
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/time.h>

#include "family.h"

#define APP "/bin/app"
#define OTHER "/bin/other" /* a file that nobody executes */

static int open_to_write(void)
{
	return TRY(open(OTHER, O_WRONLY));
}

static int open_program(void)
{
	int error = TRY(open(APP, O_RDWR));

	return error == ETXTBSY ? 0 : error; /* it runs, so nobody may: that is the only reason */
}

static int empty(void)
{
	return TRY(open(OTHER, O_WRONLY | O_TRUNC));
}

static int cut(void)
{
	return TRY(truncate(OTHER, 0));
}

static int create(void)
{
	return TRY(open("/bin/new", O_WRONLY | O_CREAT, 0600));
}

static int create_at_root(void)
{
	return TRY(open("/new", O_WRONLY | O_CREAT, 0600));
}

static int create_in_dev(void)
{
	return TRY(open("/dev/new", O_WRONLY | O_CREAT, 0600));
}

static int nameless(void)
{
	return TRY(open("/bin", O_TMPFILE | O_RDWR, 0600));
}

static int map_shared(void)
{
	int fd = open(OTHER, O_RDWR);
	char *p = fd < 0 ? MAP_FAILED : mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	return p == MAP_FAILED ? errno : 0;
}

/* Read-only at first: it must not become writable. */
static int map_then_protect(void)
{
	int fd = open(OTHER, O_RDWR);
	char *p;

	if (fd < 0)
		fd = open(OTHER, O_RDONLY);
	p = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);
	return p == MAP_FAILED ? errno : TRY(mprotect(p, 4096, PROT_READ | PROT_WRITE));
}

static int move(void)
{
	return TRY(rename(OTHER, "/bin/moved")) ? errno : TRY(rename("/bin/moved", OTHER));
}

static int exchange(void)
{
	return TRY(syscall(SYS_renameat2, AT_FDCWD, OTHER, AT_FDCWD, "/bin/third", 2));
}

static int replace(void)
{
	return TRY(rename("/bin/third", "/bin/fourth"));
}

static int hard_link(void)
{
	return TRY(link(OTHER, "/bin/link"));
}

static int soft_link(void)
{
	return TRY(symlink("/proc/self/exe", "/bin/soft"));
}

static int erase(void)
{
	return TRY(unlink("/bin/fourth")) && TRY(unlink(OTHER)) ? errno : 0;
}

static int make_directory(void)
{
	return TRY(mkdir("/bin/dir", 0700));
}

static int make_device(void)
{
	return TRY(mknod("/bin/mem", S_IFCHR | 0600, 0x101));
}

static int make_pipe(void)
{
	return TRY(mknod("/bin/pipe", S_IFIFO | 0600, 0));
}

static int set_user_id(void)
{
	return TRY(chmod(APP, 04755));
}

static int set_user_id_by_descriptor(void)
{
	return TRY(fchmod(open(APP, O_RDONLY), 06755));
}

static int change_owner(void)
{
	return TRY(chown(APP, 0, 0));
}

static int change_times(void)
{
	return TRY(utimensat(AT_FDCWD, APP, NULL, 0));
}

static int append_only(void)
{
	int fd = open(APP, O_RDONLY), flags = FS_NOATIME_FL;

	return TRY(ioctl(fd, FS_IOC_SETFLAGS, &flags));
}

static int punch(void)
{
	int fd = open(OTHER, O_RDWR);

	if (fd < 0)
		fd = open(OTHER, O_RDONLY);
	return TRY(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 1));
}

static int copy_range(void)
{
	int from = open(APP, O_RDONLY), to = open(OTHER, O_RDWR);

	if (to < 0)
		to = open(OTHER, O_RDONLY);
	return TRY(copy_file_range(from, NULL, to, NULL, 16, 0));
}

static int by_splice(void)
{
	int ends[2], to = open(OTHER, O_RDWR);

	if (to < 0)
		to = open(OTHER, O_RDONLY);
	if (pipe(ends) || write(ends[1], "x", 1) != 1)
		return errno;
	return TRY(splice(ends[0], NULL, to, NULL, 1, 0));
}

static int by_handle(void)
{
	struct {
		struct file_handle head;
		char room[64];
	} h = { .head = { .handle_bytes = 64 } };
	int mount;

	if (name_to_handle_at(AT_FDCWD, "/bin", &h.head, &mount, 0))
		return errno;
	return TRY(open_by_handle_at(open("/", O_RDONLY), &h.head, O_RDONLY));
}

static int write_device(const char *path)
{
	return TRY(chmod(path, 0600));
}

static int mode_of_device(void)
{
	return write_device("/dev/null");
}

/* Places outside. */
static int present(const char *path)
{
	struct stat s;

	return TRY(stat(path, &s));
}

static int above(void)
{
	struct stat root, up;

	if (stat("/", &root) || stat("/../../..", &up))
		return errno;
	return root.st_ino == up.st_ino && root.st_dev == up.st_dev ? ENOENT : 0;
}

static int proc(void)
{
	return present("/proc/self/root") && present("/proc/1/root") ? errno : 0;
}

static int magic_link(void)
{
	return TRY(open("/proc/self/exe", O_RDONLY));
}

static int cwd_of_another(void)
{
	return TRY(open("/proc/1/cwd/etc/passwd", O_RDONLY));
}

static int passwords(void)
{
	return TRY(open("/bin/../../../../etc/passwd", O_RDONLY));
}

static int memory_device(void)
{
	return present("/dev/mem");
}

static int resolve_beyond(void)
{
	struct {
		unsigned long long flags, mode, resolve;
	} how = { O_RDONLY, 0, 0 };
	int fd = (int)syscall(SYS_openat2, AT_FDCWD, "/../../proc/self/status", &how, sizeof how);

	return TRY(fd);
}

/* What loads another program than the measured one. */
static int run_elsewhere(const char *path)
{
	static char *const argv[] = { "app", "nothing", NULL };
	static char *const env[] = { "LD_PRELOAD=/proc/self/exe", "LD_LIBRARY_PATH=/proc/self/cwd",
				     "LD_AUDIT=/tmp/x.so", NULL };

	execve(path, argv, env);
	return errno;
}

static int run_by_magic(void)
{
	return run_elsewhere("/proc/self/exe");
}

static int run_shell(void)
{
	return run_elsewhere("/bin/sh");
}

static int run_device(void)
{
	return run_elsewhere("/dev/null") == EACCES ? EACCES : errno;
}

/* Its own program again, with every variable of the loader: measured code, so it may. */
static int run_self(void)
{
	return run_elsewhere(APP);
}

/* A script in the image whose interpreter lies outside it. */
static int run_script(void)
{
	return run_elsewhere("/bin/script");
}

#define WRITES EPERM, OR(EROFS, EACCES), PASSES
static const struct attempt attempts[] = {
	{ "open to write", open_to_write, OR(EROFS, EACCES), OR(EROFS, EACCES), PASSES },
	{ "open the program to write", open_program, OR(EROFS, EACCES), OR(EROFS, EACCES), PASSES },
	{ "open and truncate", empty, OR(EROFS, EACCES), OR(EROFS, EACCES), PASSES },
	{ "truncate", cut, WRITES },
	{ "create", create, OR(EROFS, EACCES), OR(EROFS, EACCES), PASSES },
	{ "create at the root", create_at_root, OR(EROFS, EACCES), OR(EROFS, EACCES), PASSES },
	{ "create in /dev", create_in_dev, OR(EROFS, EACCES), OR(EROFS, EACCES), PASSES },
	{ "a file without a name", nameless, OR(EROFS, EACCES), OR(EROFS, EACCES), IF_THERE },
	{ "map shared", map_shared, OR(EROFS, EACCES), OR(EROFS, EACCES), PASSES },
	{ "map, then writable", map_then_protect, EACCES, EACCES, PASSES },
	{ "rename", move, WRITES },
	{ "exchange", exchange, EPERM, OR(EROFS, EACCES), PASSES },
	{ "rename another", replace, WRITES },
	{ "link", hard_link, WRITES },
	{ "symlink", soft_link, WRITES },
	{ "unlink", erase, WRITES },
	{ "mkdir", make_directory, WRITES },
	{ "mknod of memory", make_device, EPERM, OR(EROFS, EPERM), PASSES },
	{ "mknod of a pipe", make_pipe, WRITES },
	{ "set-user-id", set_user_id, EPERM, OR(EROFS, EPERM), PASSES },
	{ "set-user-id by descriptor", set_user_id_by_descriptor, EPERM, OR(EROFS, EPERM), PASSES },
	{ "chown", change_owner, EPERM, OR(EROFS, EPERM), PASSES },
	{ "times", change_times, EPERM, OR(EROFS, EACCES), PASSES },
	{ "flags", append_only, EPERM, REFUSED, IF_THERE },
	{ "fallocate", punch, EPERM, OR(EBADF, EROFS), IF_THERE },
	{ "copy_file_range", copy_range, EPERM, EBADF, PASSES },
	{ "splice", by_splice, EPERM, EBADF, PASSES },
	{ "open by handle", by_handle, EPERM, OR(EPERM, EOPNOTSUPP), PASSES },
	{ "mode of a device", mode_of_device, EPERM, OR(EROFS, EPERM), PASSES },
	{ "..", above, ENOENT, ENOENT, NOT_TRIED }, /* nor outside: a root has nothing above it */
	{ "/proc", proc, ENOENT, ENOENT, PASSES },
	{ "/proc/self/exe", magic_link, ENOENT, ENOENT, PASSES },
	{ "/proc/1/cwd", cwd_of_another, ENOENT, ENOENT, NOT_TRIED },
	{ "/etc/passwd", passwords, ENOENT, ENOENT, PASSES },
	{ "/dev/mem", memory_device, ENOENT, ENOENT, PASSES },
	{ "openat2", resolve_beyond, EPERM, ENOENT, PASSES },
	{ "execute /proc/self/exe", run_by_magic, ENOENT, ENOENT, PASSES },
	{ "execute a shell", run_shell, ENOENT, ENOENT, NOT_TRIED },
	{ "execute a device", run_device, EACCES, EACCES, NOT_TRIED },
	{ "execute itself, loader's variables", run_self, PASSES, PASSES, PASSES },
	{ "execute a script", run_script, ENOENT, ENOENT, PASSES },
};

int main(int argc, char **argv)
{
	if (argc > 1 && strcmp(argv[1], "nothing") == 0)
		return 0;
	return family(argc, argv, attempts, sizeof attempts / sizeof *attempts);
}

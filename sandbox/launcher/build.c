/* build.c - the first process of a new cell: it confines itself step by step (steps.def), then
 * executes init, which takes the last ones. Whatever fails is said on the control socket. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/close_range.h>
#include <linux/mount.h>
#include <linux/securebits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "sandbox/filter.h"
#include "sandbox/init/init.h"
#include "sandbox/launcher/launcher.h"

_Static_assert(INIT_FD_FIRST == (int)INIT_FD_CONTROL, "the filter guards init's descriptors");

#define SCRATCH_FILES 4096
#define CAP(name) (1ull << CAP_##name)

/* What the steps pass on. */
static struct {
	const struct launcher *launcher;
	const struct image *image;
	uint32_t image_id;
	int control;
	int last_pid;
	int noexec; /* vm.memfd_noexec, or -1 */
	int init;   /* the program */
} now;

static int write_number(int fd, const char *text)
{
	return fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text) ? 0 : -1;
}

/* Never attached anywhere, so nothing can be reached through it later. Opened while this process is
 * still the host's root, to whom some of the files belong, and while a whole procfs is visible. */
static int step_procfs(void)
{
	int context = (int)syscall(SYS_fsopen, "proc", FSOPEN_CLOEXEC);

	if (context < 0 || syscall(SYS_fsconfig, context, FSCONFIG_CMD_CREATE, NULL, NULL, 0))
		return -1;
	int proc = (int)syscall(SYS_fsmount, context, FSMOUNT_CLOEXEC,
				MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC);
	if (proc < 0)
		return -1;
	int users = openat(proc, "sys/user/max_user_namespaces", O_WRONLY | O_CLOEXEC);
	now.last_pid = openat(proc, "sys/kernel/ns_last_pid", O_WRONLY | O_CLOEXEC);
	now.noexec = openat(proc, "sys/vm/memfd_noexec", O_WRONLY | O_CLOEXEC);
	if (now.last_pid < 0 || write_number(users, "0"))
		return -1;
	return close(users) || close(proc) || close(context);
}

static int step_memfd_noexec(void)
{
	if (!now.launcher->have.memfd_noexec)
		return 0;
	return write_number(now.noexec, "2") || close(now.noexec);
}

static int step_identity(void)
{
	unsigned id = now.launcher->privileged ? CELL_INIT_ID : CELL_APP_ID;

	return syscall(SYS_setresgid, id, id, id) || syscall(SYS_setresuid, id, id, id);
}

static int step_session(void)
{
	return setsid() < 0;
}

static int step_keyring(void)
{
	if (!now.launcher->have.keyring)
		return 0;
	return syscall(SYS_keyctl, 1 /* join session keyring */, NULL) < 0;
}

/* All actions are the standard ones, as the launcher's are. */
static int step_signals(void)
{
	sigset_t none;

	umask(077);
	sigemptyset(&none);
	return sigprocmask(SIG_SETMASK, &none, NULL);
}

static int step_mounts_private(void)
{
	return mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL);
}

static int lend(const char *from, const char *to, uint64_t attributes)
{
	int tree = mount_copy(from, 0, attributes);

	return tree < 0 ? -1 : mount_put(tree, to);
}

static const struct limits *limits(void)
{
	return &now.image->manifest.limits;
}

/* Of this cell alone, which serves one run. What is in it counts as its memory. */
static int add_scratch(void)
{
	char options[96];

	snprintf(options, sizeof options, "mode=0700,uid=%d,gid=%d,size=%" PRIu64 ",nr_inodes=%d",
		 CELL_APP_ID, CELL_APP_ID, limits()->scratch_bytes, SCRATCH_FILES);
	return mount("scratch", PATH_CELL PATH_SCRATCH, "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC,
		     options);
}

static int step_root(void)
{
	char from[32];

	now.init = open(PATH_INIT, O_RDONLY | O_CLOEXEC);
	if (now.init < 0)
		return -1;
	snprintf(from, sizeof from, PATH_IMAGES "/%" PRIu32, now.image_id);
	if (lend(from, PATH_CELL, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV))
		return -1;
	return limits()->scratch_bytes ? add_scratch() : 0;
}

static int step_devices(void)
{
	const uint64_t flags = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC;

	return lend("/dev/null", PATH_CELL "/dev/null", flags) ||
	       lend("/dev/zero", PATH_CELL "/dev/zero", flags) ||
	       lend("/dev/full", PATH_CELL "/dev/full", flags);
}

static int step_pivot(void)
{
	return chdir(PATH_CELL) || syscall(SYS_pivot_root, ".", ".") || umount2(".", MNT_DETACH) ||
	       chdir("/");
}

static int step_hostname(void)
{
	return sethostname("cell", 4) || setdomainname("", 0);
}

static int step_rlimits(void)
{
	const struct {
		int resource;
		rlim_t value;
	} list[] = {
		{ RLIMIT_CORE, 1 }, /* 0 is ignored by core patterns that are pipes */
		{ RLIMIT_MEMLOCK, 0 },
		{ RLIMIT_MSGQUEUE, 0 },
		{ RLIMIT_FSIZE, limits()->scratch_bytes },
		{ RLIMIT_SIGPENDING, 64 },
		{ RLIMIT_NICE, 0 },
		{ RLIMIT_RTPRIO, 0 },
		{ RLIMIT_STACK, 8 << 20 },
	};

	for (size_t i = 0; i < sizeof list / sizeof *list; i++) {
		__rlimit_resource_t resource = (__rlimit_resource_t)list[i].resource;
		struct rlimit r;

		if (getrlimit(resource, &r))
			return -1;
		if (list[i].value < r.rlim_max)
			r.rlim_max = list[i].value;
		r.rlim_cur = r.rlim_max;
		if (setrlimit(resource, &r))
			return -1;
	}
	return 0;
}

static int move_fd(int from, int to)
{
	return dup3(from, to, 0) < 0 ? -1 : 0;
}

static int step_descriptors(void)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (null < 0 || move_fd(null, 0) || move_fd(null, 1) || move_fd(null, 2) ||
	    move_fd(now.control, INIT_FD_CONTROL) || move_fd(now.last_pid, INIT_FD_LAST_PID) ||
	    dup3(now.init, INIT_FD_END, O_CLOEXEC) < 0)
		return -1;
	now.control = INIT_FD_CONTROL;
	return syscall(SYS_close_range, 3, INIT_FD_CONTROL - 1, 0) ||
	       syscall(SYS_close_range, INIT_FD_END + 1, ~0u, 0);
}

static int step_capabilities(void)
{
	if (drop_bounding(INIT_CAPABILITIES))
		return -1;
	/* Before the capabilities go, since it takes one; ambient ones are raised before that is
	 * locked. They carry the four over to init, which is no set-user-id program. */
	if (set_capabilities(INIT_CAPABILITIES | CAP(SETPCAP), INIT_CAPABILITIES))
		return -1;
	for (int i = 0; i < 64; i++)
		if (INIT_CAPABILITIES >> i & 1 &&
		    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, i, 0, 0))
			return -1;
	if (prctl(PR_SET_SECUREBITS,
		  SECBIT_NOROOT | SECBIT_NOROOT_LOCKED | SECBIT_NO_CAP_AMBIENT_RAISE |
			  SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED | SECBIT_KEEP_CAPS_LOCKED |
			  SECBIT_NO_SETUID_FIXUP_LOCKED,
		  0, 0, 0))
		return -1;
	return set_capabilities(INIT_CAPABILITIES, INIT_CAPABILITIES);
}

static int step_no_new_privs(void)
{
	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
}

static const struct step {
	const char *name;
	int (*take)(void);
} steps[] = {
#define STEP(name, place, need, why) STEP_##place(name)
#define STEP_LAUNCHER(name)
#define STEP_PARENT(name)
#define STEP_INIT(name)
#define STEP_PART(name)
#define STEP_CHILD(name) { #name, step_##name },
#include "sandbox/steps.def"
#undef STEP
};

static int take(const struct step *step)
{
	if (step_enter(now.launcher, step->name))
		return (errno = EIO, -1);
	return step_taken(now.launcher, step->name) ? step->take() : 0;
}

static void __attribute__((noreturn)) fail(const char *step)
{
	char text[128];
	int n = snprintf(text, sizeof text, "%c%s: %s", INIT_FAILED, step, strerror(errno));

	/* A socket that is closed with its setup unread resets the other end, and the reason is lost. */
	char unread;
	recv(now.control, &unread, 1, MSG_DONTWAIT);
	send(now.control, text, (size_t)n, MSG_NOSIGNAL);
	_exit(1);
}

void build_cell(const struct launcher *launcher, const struct cell *cell, int control)
{
	static char *const argv[] = { "init", NULL }, *const env[] = { NULL };
	char byte;

	now.launcher = launcher;
	now.image = &launcher->images[cell->image];
	now.image_id = cell->image;
	now.control = control;
	/* The setup, which is for init, is there when the id maps are written. */
	if (recv(control, &byte, 1, MSG_PEEK) != 1)
		_exit(1);
	if (cgroup_join(&launcher->groups, &cell->groups))
		fail("cgroups");
	for (size_t i = 0; i < sizeof steps / sizeof *steps; i++)
		if (take(&steps[i]))
			fail(steps[i].name);
	syscall(SYS_execveat, INIT_FD_END, "", argv, env, AT_EMPTY_PATH);
	fail("init");
}

/* Family: namespaces, mounts, other roots. */
#include <linux/mount.h>
#include <linux/sched.h>
#include <sched.h>
#include <sys/mount.h>

#include "family.h"

#define UNSHARE(name)                                 \
	static int unshare_##name(void)               \
	{                                             \
		return TRY(unshare(CLONE_NEW##name)); \
	}
UNSHARE(USER)
UNSHARE(NS)
UNSHARE(PID)
UNSHARE(NET)
UNSHARE(IPC)
UNSHARE(UTS)
UNSHARE(CGROUP)
UNSHARE(TIME)

static int clone_user(void)
{
	long pid = syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0);

	if (pid == 0)
		_exit(0);
	return TRY(pid);
}

static int clone_mounts(void)
{
	long pid = syscall(SYS_clone, CLONE_NEWNS | SIGCHLD, 0, 0, 0, 0);

	if (pid == 0)
		_exit(0);
	return TRY(pid);
}

static int clone3_user(void)
{
	struct clone_args args = { .flags = CLONE_NEWUSER, .exit_signal = SIGCHLD };
	long pid = syscall(SYS_clone3, &args, sizeof args);

	if (pid == 0)
		_exit(0);
	return TRY(pid);
}

static int enter_init(void)
{
	int fd = (int)syscall(SYS_pidfd_open, 1, 0);

	return fd < 0 ? errno : TRY(setns(fd, CLONE_NEWUTS));
}

static int mount_tmpfs(void)
{
	return TRY(mount("none", "/dev", "tmpfs", 0, NULL));
}

static int mount_proc(void)
{
	return TRY(mount("none", "/dev", "proc", 0, NULL));
}

static int bind(void)
{
	return TRY(mount("/dev", "/dev", NULL, MS_BIND, NULL));
}

static int remount(void)
{
	return TRY(mount(NULL, "/", NULL, MS_REMOUNT | MS_BIND, NULL));
}

static int unmount(void)
{
	return TRY(umount2("/dev", MNT_DETACH));
}

static int other_root(void)
{
	return TRY(chroot("/dev"));
}

/* With "." twice a cell's root would be left for what lies below it. */
static int pivot(void)
{
	int error = chdir("/") ? errno : TRY(syscall(SYS_pivot_root, ".", "."));

	return error == EBUSY ? 0 : error; /* it was allowed, but this root is in use */
}

static int tree(void)
{
	return TRY(syscall(SYS_open_tree, AT_FDCWD, "/", OPEN_TREE_CLONE));
}

static int context(void)
{
	return TRY(syscall(SYS_fsopen, "tmpfs", 0));
}

static int pick(void)
{
	return TRY(syscall(SYS_fspick, AT_FDCWD, "/", 0));
}

static int attributes(void)
{
	struct mount_attr attr = { .attr_clr = MOUNT_ATTR_RDONLY };

	return TRY(syscall(SYS_mount_setattr, AT_FDCWD, "/", 0, &attr, sizeof attr));
}

static int host_name(void)
{
	return TRY(sethostname("other", 5));
}

static const struct attempt attempts[] = {
	/* The namespace's own limit of user namespaces is 0; all else takes capabilities. */
	{ "unshare user", unshare_USER, EPERM, ENOSPC, PASSES },
	{ "unshare mounts", unshare_NS, EPERM, EPERM, PASSES },
	{ "unshare pid", unshare_PID, EPERM, EPERM, PASSES },
	{ "unshare net", unshare_NET, EPERM, EPERM, PASSES },
	{ "unshare ipc", unshare_IPC, EPERM, EPERM, PASSES },
	{ "unshare uts", unshare_UTS, EPERM, EPERM, PASSES },
	{ "unshare cgroup", unshare_CGROUP, EPERM, EPERM, PASSES },
	{ "unshare time", unshare_TIME, EPERM, EPERM, IF_THERE },
	{ "clone user", clone_user, EPERM, ENOSPC, PASSES },
	{ "clone mounts", clone_mounts, EPERM, EPERM, PASSES },
	{ "clone3 user", clone3_user, ENOSYS, ENOSPC, PASSES },
	{ "setns to init's", enter_init, EPERM, EPERM, PASSES },
	{ "mount tmpfs", mount_tmpfs, EPERM, EPERM, PASSES },
	{ "mount proc", mount_proc, EPERM, EPERM, PASSES },
	{ "bind", bind, EPERM, EPERM, PASSES },
	{ "remount writable", remount, EPERM, EPERM, PASSES },
	{ "unmount /dev", unmount, EPERM, EPERM, PASSES },
	{ "chroot", other_root, EPERM, EPERM, PASSES },
	{ "pivot_root", pivot, EPERM, EPERM, PASSES },
	{ "open_tree", tree, EPERM, EPERM, PASSES },
	{ "fsopen", context, EPERM, EPERM, PASSES },
	{ "fspick", pick, EPERM, EPERM, PASSES },
	{ "mount_setattr", attributes, EPERM, EPERM, PASSES },
	{ "sethostname", host_name, EPERM, EPERM, PASSES },
};
FAMILY(attempts)

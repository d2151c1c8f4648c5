/* No mounts, no namespaces, no other root. */
#include <linux/mount.h>
#include <linux/sched.h>
#include <sched.h>
#include <sys/mount.h>

#include "attempt.h"

int main(void)
{
	static const unsigned long namespaces[] = { CLONE_NEWUSER, CLONE_NEWNS,     CLONE_NEWPID,
						    CLONE_NEWNET,  CLONE_NEWIPC,    CLONE_NEWUTS,
						    CLONE_NEWTIME, CLONE_NEWCGROUP, 0 };
	struct clone_args args = { .exit_signal = 17 };

	for (size_t i = 0; i < sizeof namespaces / sizeof *namespaces; i++)
		DENIED(unshare((int)namespaces[i]));
	for (size_t i = 0; namespaces[i]; i++)
		DENIED(syscall(SYS_clone, namespaces[i] | 17, 0, 0, 0, 0));
	DENIED(syscall(SYS_clone, 1ul << 33 | 17, 0, 0, 0, 0));
	/* What libraries ask before they fall back to clone. */
	FAILS(syscall(SYS_clone3, &args, sizeof args), ENOSYS, ENOSYS);
	DENIED(setns(0, 0));
	DENIED(mount("none", "/", "tmpfs", 0, NULL));
	DENIED(mount(NULL, "/", NULL, MS_REMOUNT | MS_BIND, NULL));
	DENIED(umount2("/", MNT_DETACH));
	DENIED(umount2("/dev/null", MNT_DETACH));
	DENIED(syscall(SYS_pivot_root, "/", "/"));
	DENIED(chroot("/"));
	DENIED(syscall(SYS_open_tree, AT_FDCWD, "/", 1));
	DENIED(syscall(SYS_move_mount, 0, "", AT_FDCWD, "/", 4));
	DENIED(syscall(SYS_fsopen, "tmpfs", 0));
	DENIED(syscall(SYS_fsmount, 0, 0, 0));
	DENIED(syscall(SYS_fspick, AT_FDCWD, "/", 0));
	DENIED(syscall(SYS_fsconfig, 0, 0, 0, 0, 0));
	DENIED(syscall(SYS_mount_setattr, AT_FDCWD, "/", 0, 0, 0));
	DENIED(sethostname("other", 5));
	DENIED(syscall(SYS_swapon, "/", 0));
	DENIED(syscall(SYS_quotactl, 0, "/", 0, 0));
	return attempts_through;
}

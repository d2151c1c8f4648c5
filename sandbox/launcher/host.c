#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/mount.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "config/base/io.h"
#include "sandbox/launcher/launcher.h"

#define PR_GET_MDWE_ 66
#define LANDLOCK_ABI_LEAST 1
#define UIDS_FILE "/run/assay-uids"

/* Notes a step that this machine lacks, or that a test leaves out. */
static bool has(struct launcher *launcher, const char *step, bool there)
{
	size_t n = strlen(launcher->absent);

	if (there && step_taken(launcher, step))
		return true;
	snprintf(launcher->absent + n, sizeof launcher->absent - n, "%s%s", n ? " " : "", step);
	return false;
}

bool has_word(const char *list, const char *word)
{
	size_t n = strlen(word);

	while (*list) {
		size_t length = strcspn(list, " ,\n");

		if (length == n && memcmp(list, word, n) == 0)
			return true;
		list += length + (list[length] != '\0');
	}
	return false;
}

static enum err probe_controllers(struct launcher *launcher)
{
	for (int i = 0; i < CONTROLLERS_ASKED; i++) {
		char step[32];

		snprintf(step, sizeof step, "cgroup_%s", controller_names[i]);
		if (has(launcher, step, cgroups_have(&launcher->groups, (enum controller)i)))
			continue;
		cgroups_forget(&launcher->groups, (enum controller)i);
		if (!has_word(launcher->allow_missing, controller_names[i]))
			return failed(ERR_UNSUPPORTED,
				      "no cgroup controller \"%s\" can be used here; "
				      "sandbox.allow_missing does not name it",
				      controller_names[i]);
	}
	return OK;
}

enum err host_probe(struct launcher *launcher)
{
	struct have *have = &launcher->have;
	bool root = launcher->privileged;
	long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, 1 /* version */);

	if (abi < LANDLOCK_ABI_LEAST)
		return failed(ERR_UNSUPPORTED, "the kernel has no Landlock: %m");
	(void)has(launcher, "launcher_groups", root);
	have->time_namespace =
		has(launcher, "time_namespace", access("/proc/self/ns/time", F_OK) == 0);
	(void)has(launcher, "host_uids", root);
	/* The file belongs to the host's root, whom an unprivileged launcher's cells are not. */
	have->memfd_noexec = has(launcher, "memfd_noexec",
				 root && access("/proc/sys/vm/memfd_noexec", F_OK) == 0);
	have->keyring = has(launcher, "keyring",
			    syscall(SYS_keyctl, 0 /* get id */, -3 /* session */, 0) >= 0 ||
				    errno != ENOSYS);
	have->mdwe = has(launcher, "mdwe", prctl(PR_GET_MDWE_, 0, 0, 0, 0) >= 0);
	if (!has(launcher, "landlock_net", abi >= 4) && abi > 3)
		abi = 3;
	if (!has(launcher, "landlock_scope", abi >= 6) && abi > 5)
		abi = 5;
	have->landlock_abi = (uint32_t)abi;
	return probe_controllers(launcher);
}

enum err write_text(int dir, const char *name, const char *text)
{
	CLEANUP(fd) int fd = openat(dir, name, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		return failed(ERR_IO, "%s: %m", name);
	return OK;
}

/* All launchers lock, in one file, the bytes whose numbers are their ids. */
enum err host_claim_uids(struct launcher *launcher)
{
	struct flock ids = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = UIDS };
	CLEANUP(fd) int fd = open(UIDS_FILE, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

	for (int i = 0; fd >= 0 && i < UIDS_LAUNCHERS; i++) {
		ids.l_start = (off_t)launcher->uid_base + i * UIDS;
		if (fcntl(fd, F_OFD_SETLK, &ids) == 0) {
			launcher->uid_base = (uint32_t)ids.l_start;
			fd = -1; /* stays open to the end */
			return OK;
		}
		if (errno != EAGAIN && errno != EACCES)
			break;
	}
	return fd < 0 || (errno != EAGAIN && errno != EACCES)
		       ? failed(ERR_IO, "host_uids: %s: %m", UIDS_FILE)
		       : failed(ERR_LIMIT, "host_uids: other launchers have all ids from %u on",
				launcher->uid_base);
}

int mount_copy(const char *path, unsigned flags, uint64_t attributes)
{
	struct mount_attr set = { .attr_set = attributes };
	int tree = (int)syscall(SYS_open_tree, AT_FDCWD, path,
				OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | flags);

	if (tree >= 0 &&
	    syscall(SYS_mount_setattr, tree, "", AT_EMPTY_PATH | flags, &set, sizeof set))
		fd_cleanup(&tree);
	return tree;
}

int mount_put(int tree, const char *path)
{
	int r = (int)syscall(SYS_move_mount, tree, "", AT_FDCWD, path, MOVE_MOUNT_F_EMPTY_PATH);

	return close(tree) || r ? -1 : 0;
}

/* An ordinary user becomes root of a user namespace of its own, in which it may mount. */
static enum err own_namespaces(const struct launcher *launcher)
{
	uid_t uid = geteuid();
	gid_t gid = getegid();
	char map[64];
	enum err e;

	if (launcher->privileged) {
		if (setgroups(0, NULL))
			return failed(ERR_IO, "launcher_groups: %m");
		return unshare(CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWNET)
			       ? failed(ERR_UNSUPPORTED, "launcher_root: namespaces: %m")
			       : OK;
	}
	if (unshare(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWNET))
		return failed(ERR_UNSUPPORTED, "launcher_root: user namespaces: %m");
	snprintf(map, sizeof map, "0 %u 1", uid);
	if ((e = write_text(AT_FDCWD, "/proc/self/setgroups", "deny")) ||
	    (e = write_text(AT_FDCWD, "/proc/self/uid_map", map)))
		return e;
	snprintf(map, sizeof map, "0 %u 1", gid);
	return write_text(AT_FDCWD, "/proc/self/gid_map", map);
}

static const struct {
	const char *path;
	unsigned flags, attributes;
} borrowed[] = {
	{ "/proc", AT_RECURSIVE, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC },
	{ "/dev/null", 0, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC },
	{ "/dev/zero", 0, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC },
	{ "/dev/full", 0, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC },
};

#define BORROWED (sizeof borrowed / sizeof *borrowed)

static enum err lend(size_t i, int *tree)
{
	const char *path = borrowed[i].path;
	bool directory = borrowed[i].flags == AT_RECURSIVE;

	if (directory ? mkdir(path + 1, 0755) : mknod(path + 1, S_IFREG | 0444, 0))
		return failed(ERR_IO, "launcher_root: making %s: %m", path);
	if (mount_put(fd_steal(tree), path + 1))
		return failed(ERR_IO, "launcher_root: mounting %s: %m", path);
	return OK;
}

static enum err put_init(struct slice init)
{
	CLEANUP(fd) int fd = open("." PATH_INIT, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0555);

	if (fd < 0)
		return failed(ERR_IO, "launcher_root: init: %m");
	return io_write_all(fd, init);
}

static enum err make_root(int trees[BORROWED], struct slice init)
{
	enum err e;

	/* Any directory would do for a moment; this one is everywhere. */
	if (mount("launcher", "/proc", "tmpfs", MS_NOSUID | MS_NODEV, "mode=0755,size=16m") ||
	    chdir("/proc") || mkdir("dev", 0755) || mkdir("." PATH_IMAGES, 0755) ||
	    mkdir("." PATH_CELL, 0755))
		return failed(ERR_IO, "launcher_root: %m");
	for (size_t i = 0; i < BORROWED; i++)
		if ((e = lend(i, &trees[i])))
			return e;
	if ((e = put_init(init)))
		return e;
	if (syscall(SYS_pivot_root, ".", ".") || umount2(".", MNT_DETACH) || chdir("/"))
		return failed(ERR_IO, "launcher_root: pivot_root: %m");
	return OK;
}

enum err host_leave(struct launcher *launcher, struct slice init)
{
	int trees[BORROWED] = { -1, -1, -1, -1 };
	enum err e;

	umask(0);
	if ((e = step_enter(launcher, "launcher_groups")) ||
	    (e = step_enter(launcher, "launcher_root")) || (e = own_namespaces(launcher)))
		return e;
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL))
		return failed(ERR_IO, "launcher_root: private mounts: %m");
	for (size_t i = 0; i < BORROWED && !e; i++) {
		trees[i] = mount_copy(borrowed[i].path, borrowed[i].flags, borrowed[i].attributes);
		if (trees[i] < 0)
			e = failed(ERR_IO, "launcher_root: %s: %m", borrowed[i].path);
	}
	if (!e)
		e = make_root(trees, init);
	for (size_t i = 0; i < BORROWED; i++)
		fd_cleanup(&trees[i]);
	return e;
}

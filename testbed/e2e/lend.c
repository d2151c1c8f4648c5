/* lend - shows a directory at a second place, where one user's files look like another's.
 *
 *   lend DIRECTORY PLACE OWNER_UID OWNER_GID SEEN_UID SEEN_GID      (umount PLACE ends it)
 *
 * SoftHSM makes every file of a token with mode 0600, whatever the umask, the groups or the
 * directory's ACL say, so only one user can use a token. An HSM knows no such thing: who has the
 * PIN, or reads what is public, may be any user of the machine. An id-mapped mount (Linux 5.12)
 * gives the daemon's user the view of the partitions' tokens that an HSM would give it.
 */
#include <fcntl.h>
#include <linux/mount.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* Not in Debian 12's sys/mount.h together with linux/mount.h. */
#define EMPTY_PATH 0x1000

static _Noreturn void die(const char *what)
{
	perror(what);
	exit(1);
}

static void write_map(pid_t pid, const char *file, const char *inside, const char *outside)
{
	char path[64], map[64];
	int n = snprintf(map, sizeof map, "%s %s 1\n", inside, outside);

	snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, file);
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, map, (size_t)n) != n)
		die(path);
	close(fd);
}

/* A user namespace whose only purpose is its id map. */
static int map_namespace(char **argv)
{
	char path[64];
	int ready[2];

	if (pipe2(ready, O_CLOEXEC))
		die("pipe");
	pid_t pid = fork();
	if (pid < 0)
		die("fork");
	if (!pid) {
		if (unshare(CLONE_NEWUSER) || write(ready[1], "r", 1) != 1)
			die("a user namespace");
		for (;;)
			pause();
	}
	close(ready[1]);
	if (read(ready[0], path, 1) != 1)
		exit(1);
	close(ready[0]);
	write_map(pid, "uid_map", argv[3], argv[5]);
	write_map(pid, "gid_map", argv[4], argv[6]);
	snprintf(path, sizeof path, "/proc/%d/ns/user", (int)pid);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		die(path);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	return fd;
}

int main(int argc, char **argv)
{
	if (argc != 7) {
		fputs("usage: lend DIRECTORY PLACE OWNER_UID OWNER_GID SEEN_UID SEEN_GID\n",
		      stderr);
		return 64;
	}
	struct mount_attr map = { .attr_set = MOUNT_ATTR_IDMAP | MOUNT_ATTR_NODEV |
					      MOUNT_ATTR_NOEXEC | MOUNT_ATTR_NOSUID };
	int tree =
		(int)syscall(SYS_open_tree, AT_FDCWD, argv[1], OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	if (tree < 0)
		die(argv[1]);
	map.userns_fd = (uint64_t)map_namespace(argv);
	if (syscall(SYS_mount_setattr, tree, "", EMPTY_PATH, &map, sizeof map))
		die("id-mapped mount (needs Linux 5.12 and a file system that knows it)");
	if (syscall(SYS_move_mount, tree, "", AT_FDCWD, argv[2], MOVE_MOUNT_F_EMPTY_PATH))
		die(argv[2]);
	return 0;
}

#include "config/base/landlock.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "config/base/io.h"

/* Every right that the first version knows; later ones add none that reads or writes. */
#define ALL_RIGHTS ((1u << 13) - 1)

static enum err allow(int set, const struct landlock_path *path)
{
	CLEANUP(fd) int fd = open(path->path, O_PATH | O_CLOEXEC);
	struct stat status;

	if (fd < 0 || fstat(fd, &status))
		return OK;
	struct landlock_path_beneath_attr rule = { .allowed_access = LANDLOCK_ACCESS_FS_READ_FILE,
						   .parent_fd = fd };
	if (path->write)
		rule.allowed_access |= LANDLOCK_ACCESS_FS_WRITE_FILE;
	if (S_ISDIR(status.st_mode))
		rule.allowed_access |= LANDLOCK_ACCESS_FS_READ_DIR;
	return syscall(SYS_landlock_add_rule, set, LANDLOCK_RULE_PATH_BENEATH, &rule, 0)
		       ? failed(ERR_UNSUPPORTED, "Landlock, %s: %m", path->path)
		       : OK;
}

enum err landlock_files(const struct landlock_path *paths, size_t n)
{
	const struct landlock_ruleset_attr all = { .handled_access_fs = ALL_RIGHTS };
	CLEANUP(fd) int set = (int)syscall(SYS_landlock_create_ruleset, &all, sizeof all, 0);
	enum err e = set < 0 ? failed(ERR_UNSUPPORTED, "Landlock: %m") : OK;

	for (size_t i = 0; i < n && !e; i++)
		e = allow(set, &paths[i]);
	if (e)
		return e;
	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || syscall(SYS_landlock_restrict_self, set, 0)
		       ? failed(ERR_UNSUPPORTED, "Landlock: %m")
		       : OK;
}

/* A tree's folder is removed: first its name, in one step, then what was in it. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "audit/public.h"
#include "config/base/dir.h"
#include "config/base/io.h"

#define REMOVED ".pruned-" /* readers pass over names with a dot */
#define DEPTH_MAX 12

static enum err remove_below(int folder, const char *name, unsigned depth);

static enum err empty(int folder, unsigned depth)
{
	CLEANUP(dir) DIR *list = dir_list(folder);
	enum err e = OK;

	if (!list)
		return failed(ERR_IO, "%m");
	if (depth >= DEPTH_MAX)
		return failed(ERR_FORMAT, "folders in folders in folders");
	for (const char *name; !e && (name = dir_next(list));)
		e = remove_below(folder, name, depth);
	return e;
}

static enum err remove_below(int folder, const char *name, unsigned depth)
{
	CLEANUP(fd) int fd = -1;
	enum err e;

	if (!unlinkat(folder, name, 0) || errno == ENOENT)
		return OK;
	if (errno != EISDIR && errno != EPERM)
		return failed(ERR_IO, "%s: %m", name);
	fd = openat(folder, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return failed(ERR_IO, "%s: %m", name);
	if ((e = empty(fd, depth + 1)))
		return e;
	return unlinkat(folder, name, AT_REMOVEDIR) ? failed(ERR_IO, "%s: %m", name) : OK;
}

enum err public_remove(int trees, const char *origin)
{
	char name[PUBLIC_NAME], gone[sizeof REMOVED + PUBLIC_NAME];

	public_name(origin, name);
	snprintf(gone, sizeof gone, REMOVED "%s", name);
	if (renameat(trees, name, trees, gone))
		return errno == ENOENT ? OK : failed(ERR_IO, "trees/%s: %m", name);
	return io_sync_dir(trees);
}

enum err public_sweep(int trees)
{
	CLEANUP(dir) DIR *list = dir_list(trees);
	enum err e = OK;

	if (!list)
		return failed(ERR_IO, "trees: %m");
	for (const char *name; !e && (name = dir_next(list));)
		if (!strncmp(name, REMOVED, sizeof REMOVED - 1))
			e = remove_below(trees, name, 0);
	return e;
}

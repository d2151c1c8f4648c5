#include "config/guard.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define DEPTH_MAX 64

struct guard {
	const char *path;
	struct stat above[DEPTH_MAX]; /* the directories on the way, the root first */
	size_t depth;
};

static enum err denied(const struct guard *guard, const char *what)
{
	return failed(ERR_DENIED, "%s:1: %s", guard->path, what);
}

enum err guard_absolute(const char *path, char out[PATH_MAX])
{
	char here[PATH_MAX] = "";
	bool relative = path[0] != '/';

	if (relative && !getcwd(here, sizeof here))
		return failed(ERR_IO, "%s: working directory: %m", path);
	int n = snprintf(out, PATH_MAX, "%s%s%s", here, relative ? "/" : "", path);
	return n > 0 && n < PATH_MAX ? OK : failed(ERR_RANGE, "%s: path too long", path);
}

static enum err enter(struct guard *guard, int *dir, const char *name)
{
	int fd = openat(*dir, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0 && (errno == ELOOP || errno == ENOTDIR))
		return denied(guard, "a path without symbolic links expected");
	if (fd < 0)
		return failed(errno == ENOENT ? ERR_NOT_FOUND : ERR_IO, "%s: %m", guard->path);
	fd_cleanup(dir);
	*dir = fd;
	if (guard->depth == DEPTH_MAX)
		return failed(ERR_RANGE, "%s: more than %d directories deep", guard->path,
			      DEPTH_MAX);
	if (fstat(fd, &guard->above[guard->depth++]))
		return failed(ERR_IO, "%s: %m", guard->path);
	return OK;
}

static enum err open_file(struct guard *guard, int dir, const char *name, int *out)
{
	/* Non-blocking: a named pipe in its place must not hold us up. */
	int fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);

	if (fd < 0 && errno == ELOOP)
		return denied(guard, "a path without symbolic links expected");
	if (fd < 0)
		return failed(errno == ENOENT ? ERR_NOT_FOUND : ERR_IO, "%s: %m", guard->path);
	*out = fd;
	return OK;
}

static enum err check_owners(const struct guard *guard, int fd)
{
	struct stat file;

	if (fstat(fd, &file))
		return failed(ERR_IO, "%s: %m", guard->path);
	if (!S_ISREG(file.st_mode))
		return denied(guard, "a regular file expected");
	if (file.st_mode & (S_IWGRP | S_IWOTH))
		return denied(guard, "a file that only its owner may write expected (chmod go-w)");
	for (size_t i = 0; i < guard->depth; i++) {
		const struct stat *dir = &guard->above[i];
		bool ours = file.st_uid == 0 || file.st_uid == geteuid();

		if (dir->st_uid != 0 && dir->st_uid != file.st_uid)
			return denied(guard, "directories above it that belong to root or the "
					     "file's owner expected");
		if (dir->st_mode & (S_IWGRP | S_IWOTH) && !(dir->st_mode & S_ISVTX && ours))
			return denied(guard, "directories above it that only their owner may "
					     "write expected");
	}
	return OK;
}

static enum err walk(struct guard *guard, char *path, int *out)
{
	CLEANUP(fd) int dir = AT_FDCWD;
	CLEANUP(fd) int fd = -1;
	char *rest = path, *name, *next;
	enum err e = enter(guard, &dir, "/");

	name = strtok_r(NULL, "/", &rest);
	while (!e && name) {
		next = strtok_r(NULL, "/", &rest);
		e = next ? enter(guard, &dir, name) : open_file(guard, dir, name, &fd);
		name = next;
	}
	if (e || (fd < 0 && (e = denied(guard, "a regular file expected"))) ||
	    (e = check_owners(guard, fd)))
		return e;
	*out = fd_steal(&fd);
	return OK;
}

enum err guard_open(const char *path, int *out)
{
	struct guard guard = { .path = path };
	char whole[PATH_MAX];
	enum err e = guard_absolute(path, whole);

	return e ? e : walk(&guard, whole, out);
}

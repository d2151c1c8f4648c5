#include "plugin/cli/audit_copy.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "config/base/dir.h"
#include "config/base/io.h"

#define DEPTH_MAX 12
#define AT_ONCE ((size_t)1 << 20)
#define RESERVE ((uint64_t)128 << 20)

/* The files that say how far the log is; then all others; then what took the place of those that went
 * meanwhile. */
enum pass { CHECKPOINTS, OTHERS, LATER };

/* The former; and files that are of no use in a copy. */
static bool is_checkpoint(const char *name)
{
	return !strcmp(name, "checkpoint");
}

static bool is_skipped(const char *name)
{
	size_t n = strlen(name);

	return !strcmp(name, "lock") || (n > 4 && !strcmp(name + n - 4, ".tmp"));
}

/* A hole of terabytes costs whoever made it nothing; its copy must not fill the disk. */
MUST static enum err check_room(int to)
{
	struct statvfs disk;

	if (fstatvfs(to, &disk))
		return failed(ERR_IO, "%m");
	return (uint64_t)disk.f_bavail * disk.f_frsize >= RESERVE
		       ? OK
		       : failed(ERR_LIMIT, "the disk would have less than %llu MiB left",
				(unsigned long long)(RESERVE >> 20));
}

MUST static enum err copy_bytes(int from, int to, const char *name)
{
	char *buffer = malloc(AT_ONCE);
	enum err e = buffer ? OK : failed(ERR_MEMORY, "a copy");
	ssize_t n = 0;

	while (!e && (n = read(from, buffer, AT_ONCE)) != 0) {
		if (n > 0 && !(e = check_room(to)))
			e = io_write_all(to, slice_of(buffer, (size_t)n));
		else if (n < 0 && errno != EINTR)
			e = failed(ERR_IO, "%m");
	}
	free(buffer);
	return e ? failed(e, "%s: %s", name, err_reason()) : OK;
}

MUST static enum err copy_file(int from, int folder, const char *name, enum pass pass)
{
	CLEANUP(fd)
	int to = openat(folder, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0400);

	if (to < 0)
		return pass == LATER && errno == EEXIST ? OK : failed(ERR_IO, "%s: %m", name);
	enum err e = copy_bytes(from, to, name);
	return e || !fchmod(to, 0444) ? e : failed(ERR_IO, "%s: %m", name);
}

MUST static enum err copy_folder(int from, int to, enum pass pass, unsigned depth);

MUST static enum err copy_below(int from, int folder, const char *name, enum pass pass,
				unsigned depth)
{
	CLEANUP(fd) int to = -1;
	enum err e = io_open_dir(folder, name, true, &to);

	if (!e)
		e = copy_folder(from, to, pass, depth + 1);
	return e ? failed(e, "%s/%s", name, err_reason()) : OK;
}

MUST static enum err copy_one(int folder, int to, const char *name, enum pass pass, unsigned depth)
{
	CLEANUP(fd)
	int from = openat(folder, name, IO_READ);
	struct stat st;

	if (from < 0 && errno == ENOENT) /* taken away since it was listed */
		return OK;
	if (from < 0 || fstat(from, &st))
		return failed(ERR_IO, "%s: %m", name);
	if (S_ISDIR(st.st_mode))
		return copy_below(from, to, name, pass, depth);
	if (!S_ISREG(st.st_mode))
		return failed(ERR_FORMAT, "%s: neither a file nor a directory", name);
	return is_checkpoint(name) == (pass == CHECKPOINTS) ? copy_file(from, to, name, pass) : OK;
}

static enum err copy_folder(int from, int to, enum pass pass, unsigned depth)
{
	CLEANUP(dir) DIR *list = dir_list(from);
	enum err e = OK;

	if (!list)
		return failed(ERR_IO, "%m");
	if (depth > DEPTH_MAX)
		return failed(ERR_FORMAT, "folders in folders in folders");
	for (const char *name; !e && (name = dir_next(list));)
		if (!is_skipped(name))
			e = copy_one(from, to, name, pass, depth);
	return e || pass != LATER || !fchmod(to, 0555) ? e : failed(ERR_IO, "%m");
}

enum err copy_log(const char *from, int folder, const char *name)
{
	CLEANUP(fd) int source = open(from, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	CLEANUP(fd) int to = -1;
	enum err e;

	if (source < 0)
		return failed(errno == ENOENT ? ERR_NOT_FOUND : ERR_IO, "%s: %m", from);
	if (mkdirat(folder, name, 0700))
		return failed(ERR_IO, "%s: %m", name);
	if ((e = io_open_dir(folder, name, false, &to)))
		return e;
	if ((e = copy_folder(source, to, CHECKPOINTS, 0)) ||
	    (e = copy_folder(source, to, OTHERS, 0)) || (e = copy_folder(source, to, LATER, 0)))
		return failed(e, "%s/%s", from, err_reason());
	return syncfs(to) ? failed(ERR_IO, "%s: %m", name) : OK;
}

static int unlock_one(const char *path, const struct stat *st, int type, struct FTW *f)
{
	(void)st;
	(void)f;
	return type == FTW_D && chmod(path, 0700);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *f)
{
	(void)st;
	(void)type;
	(void)f;
	return remove(path);
}

enum err copy_remove(const char *path)
{
	if (access(path, F_OK) && errno == ENOENT)
		return OK;
	if (nftw(path, unlock_one, 16, FTW_PHYS) ||
	    nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS))
		return failed(ERR_IO, "%s: %m", path);
	return OK;
}

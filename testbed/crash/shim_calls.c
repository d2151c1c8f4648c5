#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "testbed/crash/shim_inner.h"

#define SYNC_US 2000 /* of a disk, where it is spared: other threads get ahead meanwhile */

static const struct blow none; /* for files that are not watched */

static uint64_t size_of(int fd)
{
	struct stat st;

	return fstat(fd, &st) ? 0 : (uint64_t)st.st_size;
}

#define WRAP(type, name, ...)            \
	type __real_##name(__VA_ARGS__); \
	type __wrap_##name(__VA_ARGS__); \
	type __wrap_##name(__VA_ARGS__)

int __real_openat(int dir, const char *path, int flags, ...);
int __wrap_openat(int dir, const char *path, int flags, ...);

static int open_new(int dir, const char *path, int flags, mode_t mode)
{
	char name[DISK_NAME];
	struct stat st;
	size_t parent = shim_parent(dir, path, name);

	if (parent == SHIM_NONE)
		return __real_openat(dir, path, flags, mode);
	bool is_new = fstatat(dir, path, &st, AT_SYMLINK_NOFOLLOW) != 0;
	struct blow blow = is_new ? shim_blow(SHIM_OPEN) : none;
	if (blow.error) {
		errno = blow.error;
		return -1;
	}
	int fd = __real_openat(dir, path, flags, mode);
	if (fd >= 0 && is_new)
		shim_record_new(dir, path, parent, name);
	else if (fd >= 0 && (flags & O_TRUNC))
		shim_record((struct op){ .kind = OP_SIZE, .node = shim_node(&st) });
	shim_fall(blow);
	return fd;
}

int __wrap_openat(int dir, const char *path, int flags, ...)
{
	mode_t mode = 0;

	if (flags & (O_CREAT | O_TMPFILE)) {
		va_list list;

		va_start(list, flags);
		mode = va_arg(list, mode_t);
		va_end(list);
	}
	if (!(flags & (O_CREAT | O_TRUNC)))
		return __real_openat(dir, path, flags, mode);
	pthread_mutex_lock(&shim_lock);
	int fd = open_new(dir, path, flags, mode);
	pthread_mutex_unlock(&shim_lock);
	return fd;
}

ssize_t __real_pwrite(int fd, const void *p, size_t n, off_t at);
ssize_t __wrap_pwrite(int fd, const void *p, size_t n, off_t at);
ssize_t __real_write(int fd, const void *p, size_t n);
ssize_t __wrap_write(int fd, const void *p, size_t n);

/* @at is negative for write(). */
static ssize_t write_at(int fd, const void *p, size_t n, off_t at)
{
	size_t node = shim_node_of(fd);

	if (node == SHIM_NONE)
		return at < 0 ? __real_write(fd, p, n) : __real_pwrite(fd, p, n, at);
	struct blow blow = shim_blow_write(n);
	if (blow.error) {
		errno = blow.error;
		return -1;
	}
	uint64_t size = size_of(fd), start = (uint64_t)(at < 0 ? lseek(fd, 0, SEEK_CUR) : at);
	n = blow.half ? n / 16 + 1 : n;
	ssize_t done = at < 0 ? __real_write(fd, p, n) : __real_pwrite(fd, p, n, at);
	if (done > 0)
		shim_record_write(node, start, p, (size_t)done, size);
	shim_fall(blow);
	return done;
}

ssize_t __wrap_pwrite(int fd, const void *p, size_t n, off_t at)
{
	pthread_mutex_lock(&shim_lock);
	ssize_t done = write_at(fd, p, n, at);
	pthread_mutex_unlock(&shim_lock);
	return done;
}

ssize_t __wrap_write(int fd, const void *p, size_t n)
{
	pthread_mutex_lock(&shim_lock);
	ssize_t done = write_at(fd, p, n, -1);
	pthread_mutex_unlock(&shim_lock);
	return done;
}

WRAP(int, ftruncate, int fd, off_t size)
{
	pthread_mutex_lock(&shim_lock);
	size_t node = shim_node_of(fd);
	struct blow blow = node == SHIM_NONE ? none : shim_blow(SHIM_TRUNCATE);
	int result = blow.error ? -1 : __real_ftruncate(fd, size);
	if (!result && node != SHIM_NONE)
		shim_record((struct op){ .kind = OP_SIZE, .node = node, .at = (uint64_t)size });
	errno = blow.error ? blow.error : errno;
	shim_fall(blow);
	pthread_mutex_unlock(&shim_lock);
	return result;
}

/* The lock is not held during a sync: what others do meanwhile is not covered by it. */
static int sync_file(enum shim_call call, int fd, int (*real)(int))
{
	pthread_mutex_lock(&shim_lock);
	size_t node = shim_node_of(fd), began = shim_recorded();
	struct blow blow = node == SHIM_NONE ? none : shim_blow(call);
	bool skipped = node != SHIM_NONE && shim_ignores(call);
	pthread_mutex_unlock(&shim_lock);
	if (blow.error) {
		errno = blow.error;
		return -1;
	}
	int result = skipped || shim_spares() ? 0 : real(fd);
	if (shim_spares() && node != SHIM_NONE && call == SHIM_FDATASYNC)
		usleep(SYNC_US);
	pthread_mutex_lock(&shim_lock);
	if (!result && !skipped && node != SHIM_NONE)
		shim_record((struct op){ .kind = OP_SYNC, .node = node, .began = began });
	shim_fall(blow);
	pthread_mutex_unlock(&shim_lock);
	return result;
}

WRAP(int, fdatasync, int fd)
{
	return sync_file(SHIM_FDATASYNC, fd, __real_fdatasync);
}

WRAP(int, fsync, int fd)
{
	return sync_file(SHIM_FSYNC, fd, __real_fsync);
}

/* Looks up what is to be moved or linked, and where to, and strikes: false when it fails. */
static bool may_name(enum shim_call call, int dir, const char *path, struct op *op,
		     struct blow *blow)
{
	*blow = none;
	op->dir = shim_parent(dir, path, op->name);
	if (op->dir == SHIM_NONE)
		return true;
	*blow = shim_blow(call);
	errno = blow->error ? blow->error : errno;
	return !blow->error;
}

static bool find_old(int dir, const char *path, struct op *op)
{
	op->from_dir = shim_parent(dir, path, op->from);
	op->node = op->from_dir == SHIM_NONE ? SHIM_NONE : shim_named(op->from_dir, op->from);
	return op->node != SHIM_NONE;
}

WRAP(int, renameat, int from, const char *old, int to, const char *new)
{
	struct op op = { .kind = OP_RENAME };
	struct blow blow;

	pthread_mutex_lock(&shim_lock);
	bool found = find_old(from, old, &op);
	int result = may_name(SHIM_RENAME, to, new, &op, &blow)
			     ? __real_renameat(from, old, to, new)
			     : -1;
	if (!result && found && op.dir != SHIM_NONE)
		shim_record(op);
	shim_fall(blow);
	pthread_mutex_unlock(&shim_lock);
	return result;
}

WRAP(int, linkat, int from, const char *old, int to, const char *new, int flags)
{
	struct op op = { .kind = OP_LINK };
	struct blow blow;

	pthread_mutex_lock(&shim_lock);
	bool found = find_old(from, old, &op);
	int result = may_name(SHIM_LINK, to, new, &op, &blow)
			     ? __real_linkat(from, old, to, new, flags)
			     : -1;
	if (!result && found && op.dir != SHIM_NONE)
		shim_record(op);
	shim_fall(blow);
	pthread_mutex_unlock(&shim_lock);
	return result;
}

WRAP(int, unlinkat, int dir, const char *path, int flags)
{
	struct op op = { .kind = OP_UNLINK };
	struct blow blow;

	pthread_mutex_lock(&shim_lock);
	bool found = find_old(dir, path, &op);
	int result = !found || may_name(SHIM_UNLINK, dir, path, &op, &blow)
			     ? __real_unlinkat(dir, path, flags)
			     : -1;
	if (!result && found) {
		shim_record(op);
		shim_fall(blow);
	}
	pthread_mutex_unlock(&shim_lock);
	return result;
}

WRAP(int, mkdirat, int dir, const char *path, mode_t mode)
{
	struct op op = { .kind = OP_MAKE };
	struct blow blow;

	pthread_mutex_lock(&shim_lock);
	int result =
		may_name(SHIM_MKDIR, dir, path, &op, &blow) ? __real_mkdirat(dir, path, mode) : -1;
	if (!result && op.dir != SHIM_NONE)
		shim_record_new(dir, path, op.dir, op.name);
	shim_fall(blow);
	pthread_mutex_unlock(&shim_lock);
	return result;
}

WRAP(int, clock_gettime, clockid_t clock, struct timespec *out)
{
	int result = __real_clock_gettime(clock, out);

	if (!result && clock == CLOCK_REALTIME)
		out->tv_sec += shim_off();
	return result;
}

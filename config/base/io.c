#include "config/base/io.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

void fd_cleanup(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

int fd_steal(int *fd)
{
	int taken = *fd;

	*fd = -1;
	return taken;
}

enum err io_read_all(int fd, size_t max, struct buf *out)
{
	size_t total = 0;
	enum err e;

	for (;;) {
		size_t room = max - total < 65536 ? max - total + 1 : 65536;
		uint8_t *to = buf_add(out, room);

		if (!to)
			return (e = buf_check(out)) ? e : ERR_MEMORY;
		ssize_t n = read(fd, to, room);
		out->len -= room - (n > 0 ? (size_t)n : 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return failed(ERR_IO, "read: %m");
		if (n == 0)
			return OK;
		total += (size_t)n;
		if (total > max)
			return failed(ERR_RANGE, "more than %zu bytes", max);
	}
}

enum err io_read_file(const char *path, size_t max, struct buf *out)
{
	CLEANUP(fd) int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return failed(errno == ENOENT ? ERR_NOT_FOUND : ERR_IO, "%s: %m", path);
	enum err e = io_read_all(fd, max, out);
	return e == ERR_RANGE || e == ERR_IO ? failed(e, "%s: %s", path, err_reason()) : e;
}

enum err io_read_in(int dirfd, const char *name, size_t max, struct buf *out)
{
	CLEANUP(fd) int fd = openat(dirfd, name, IO_READ);

	if (fd < 0)
		return failed(errno == ENOENT ? ERR_NOT_FOUND : ERR_IO, "%s: %m", name);
	return io_read_all(fd, max, out);
}

enum err io_write_all(int fd, struct slice data)
{
	while (data.left) {
		ssize_t n = write(fd, data.p, data.left);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return failed(ERR_IO, "write: %m");
		data.p += n;
		data.left -= (size_t)n;
	}
	return OK;
}

enum err io_read_at(int fd, uint64_t offset, void *out, size_t n)
{
	uint8_t *to = out;

	while (n) {
		ssize_t got = pread(fd, to, n, (off_t)offset);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return failed(ERR_IO, "pread: %m");
		if (got == 0)
			return failed(ERR_FORMAT, "the file ends %zu bytes early", n);
		to += got;
		offset += (uint64_t)got;
		n -= (size_t)got;
	}
	return OK;
}

enum err io_write_at(int fd, uint64_t offset, struct slice data)
{
	while (data.left) {
		ssize_t n = pwrite(fd, data.p, data.left, (off_t)offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return failed(ERR_IO, "pwrite: %m");
		data.p += n;
		data.left -= (size_t)n;
		offset += (uint64_t)n;
	}
	return OK;
}

enum err io_sync_dir(int dirfd)
{
	return fsync(dirfd) ? failed(ERR_IO, "fsync of a directory: %m") : OK;
}

enum err io_replace_file(int dirfd, const char *name, mode_t mode, struct slice data)
{
	char temporary[NAME_MAX + 1];
	uint8_t tag[8];
	char hex[2 * sizeof tag + 1];
	enum err e = io_random(tag, sizeof tag);

	if (e)
		return e;
	hex_put(hex, tag, sizeof tag);
	if (snprintf(temporary, sizeof temporary, ".%s.%s", name, hex) >= (int)sizeof temporary)
		return failed(ERR_RANGE, "%s: name too long", name);
	CLEANUP(fd)
	int fd = openat(dirfd, temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW,
			mode);
	if (fd < 0)
		return failed(ERR_IO, "%s: %m", temporary);
	e = io_write_all(fd, data);
	if (!e && fsync(fd))
		e = failed(ERR_IO, "fsync of %s: %m", temporary);
	if (!e && renameat(dirfd, temporary, dirfd, name))
		e = failed(ERR_IO, "rename to %s: %m", name);
	if (e) {
		unlinkat(dirfd, temporary, 0);
		return e;
	}
	return io_sync_dir(dirfd);
}

enum err io_open_dir(int dirfd, const char *path, bool make, int *out)
{
	if (make && mkdirat(dirfd, path, 0700) && errno != EEXIST)
		return failed(ERR_IO, "mkdir %s: %m", path);
	int fd = openat(dirfd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return failed(errno == ENOENT ? ERR_NOT_FOUND : ERR_IO, "%s: %m", path);
	*out = fd;
	return OK;
}

enum err io_random(void *out, size_t n)
{
	uint8_t *to = out;

	while (n) {
		ssize_t got = getrandom(to, n, 0);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return failed(ERR_IO, "getrandom: %m");
		to += got;
		n -= (size_t)got;
	}
	return OK;
}

union control {
	char bytes[CMSG_SPACE(IO_FDS_MAX * sizeof(int))];
	struct cmsghdr align;
};

enum err io_send_message(int sock, struct slice message, const int *fds, size_t fds_n)
{
	struct iovec part = { (void *)message.p, message.left };
	union control control;
	struct msghdr header = { .msg_iov = &part, .msg_iovlen = 1 };

	if (fds_n > IO_FDS_MAX)
		return failed(ERR_RANGE, "%zu descriptors in a message", fds_n);
	if (fds_n) {
		memset(&control, 0, sizeof control);
		header.msg_control = control.bytes;
		header.msg_controllen = CMSG_SPACE(fds_n * sizeof(int));
		struct cmsghdr *rights = CMSG_FIRSTHDR(&header);
		rights->cmsg_level = SOL_SOCKET;
		rights->cmsg_type = SCM_RIGHTS;
		rights->cmsg_len = CMSG_LEN(fds_n * sizeof(int));
		memcpy(CMSG_DATA(rights), fds, fds_n * sizeof(int));
	}
	ssize_t n;
	do
		n = sendmsg(sock, &header, MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return failed(errno == EPIPE || errno == ECONNRESET || errno == ENOTCONN ? ERR_GONE
											 : ERR_IO,
			      "send: %m");
	return (size_t)n == message.left ? OK : failed(ERR_IO, "message sent in part");
}

/* Keeps the descriptors that fit, closes the others; says whether all fitted. */
static bool take_rights(struct msghdr *header, int *fds, size_t fds_max, size_t *fds_n)
{
	bool fitted = true;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(header); c; c = CMSG_NXTHDR(header, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < n; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(c) + i * sizeof fd, sizeof fd);
			if (*fds_n < fds_max) {
				fds[(*fds_n)++] = fd;
			} else {
				close(fd);
				fitted = false;
			}
		}
	}
	return fitted;
}

enum err io_recv_message(int sock, size_t max, struct buf *out, int *fds, size_t fds_max,
			 size_t *fds_n)
{
	union control control;
	size_t got_fds = 0;

	for (size_t i = 0; i < fds_max; i++)
		fds[i] = -1;
	if (fds_n)
		*fds_n = 0;
	buf_reset(out);
	uint8_t *to = buf_add(out, max);
	if (!to)
		return buf_check(out);
	struct iovec part = { to, max };
	struct msghdr header = { .msg_iov = &part,
				 .msg_iovlen = 1,
				 .msg_control = control.bytes,
				 .msg_controllen = sizeof control.bytes };
	ssize_t n;
	do
		n = recvmsg(sock, &header, MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	out->len = n > 0 ? (size_t)n : 0;
	if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
		return failed(ERR_TIMEOUT, "no answer in time");
	if (n < 0)
		return failed(errno == ECONNRESET ? ERR_GONE : ERR_IO, "receive: %m");
	bool fitted = take_rights(&header, fds, fds_max, &got_fds);
	if (n == 0 && got_fds == 0)
		return failed(ERR_GONE, "the other side closed the connection");
	if (!fitted || header.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) {
		for (size_t i = 0; i < got_fds; i++)
			fd_cleanup(&fds[i]);
		return failed(ERR_FORMAT, "a message over %zu bytes or %zu descriptors", max,
			      fds_max);
	}
	if (fds_n)
		*fds_n = got_fds;
	return OK;
}

#define SEALS_ALL (F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL)

enum err io_memfd_seal(int fd)
{
	if (fcntl(fd, F_ADD_SEALS, SEALS_ALL) || lseek(fd, 0, SEEK_SET))
		return failed(ERR_IO, "sealing a memory file: %m");
	return OK;
}

enum err io_memfd(const char *name, struct slice data, int *out)
{
	CLEANUP(fd) int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd < 0)
		return failed(ERR_IO, "memory file: %m");
	enum err e = io_write_all(fd, data);
	if (e || (e = io_memfd_seal(fd)))
		return e;
	*out = fd_steal(&fd);
	return OK;
}

enum err io_map_sealed(int fd, size_t max, struct slice *out)
{
	struct stat status;
	int seals = fcntl(fd, F_GET_SEALS);

	/* F_SEAL_EXEC and others may be set besides; these four are what matters. */
	if (seals < 0 || (seals & SEALS_ALL) != SEALS_ALL)
		return failed(ERR_FORMAT, "not a sealed memory file");
	if (fstat(fd, &status))
		return failed(ERR_IO, "fstat: %m");
	if (status.st_size < 0 || (uint64_t)status.st_size > max)
		return failed(ERR_RANGE, "%lld bytes, at most %zu allowed",
			      (long long)status.st_size, max);
	*out = slice_of(NULL, 0);
	if (status.st_size == 0)
		return OK;
	void *p = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED)
		return failed(ERR_MEMORY, "mmap: %m");
	*out = slice_of(p, (size_t)status.st_size);
	return OK;
}

void io_unmap(struct slice *mapped)
{
	if (mapped->p)
		munmap((void *)mapped->p, mapped->left);
	*mapped = slice_of(NULL, 0);
}

uint64_t io_monotonic_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

uint64_t io_monotonic_ms(void)
{
	return io_monotonic_us() / 1000;
}

uint64_t io_realtime_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

struct timespec io_timespec(uint64_t ms)
{
	return (struct timespec){ .tv_sec = (time_t)(ms / 1000),
				  .tv_nsec = (long)(ms % 1000) * 1000000 };
}

void io_pause(uint64_t ms)
{
	struct timespec span = io_timespec(ms);

	nanosleep(&span, NULL);
}

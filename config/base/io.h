/* io.h - files, sockets and memory files, whole or not at all.
 *
 * Every descriptor made here is close-on-exec. EINTR is retried. Paths in reasons are the caller's.
 */
#ifndef CONFIG_BASE_IO_H
#define CONFIG_BASE_IO_H

#include <sys/types.h>
#include <time.h>

#include "config/base/bytes.h"

/* How a file is opened that somebody else may have put there: a link is refused, and a FIFO is found to
 * be empty instead of being waited for. With <fcntl.h>. */
#define IO_READ (O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC)

/* For CLEANUP(fd): closes unless negative. */
void fd_cleanup(int *fd);
/* Takes a descriptor out of a variable that is cleaned up, and leaves -1 there. */
int fd_steal(int *fd);

/* Reads to the end of file; more than @max bytes is ERR_RANGE. */
MUST enum err io_read_all(int fd, size_t max, struct buf *out);
MUST enum err io_read_file(const char *path, size_t max, struct buf *out);
/* A file of a folder, opened as IO_READ says; ERR_NOT_FOUND. */
MUST enum err io_read_in(int dirfd, const char *name, size_t max, struct buf *out);
MUST enum err io_write_all(int fd, struct slice data);
/* pread and pwrite of exactly so many bytes; a short file is ERR_FORMAT. */
MUST enum err io_read_at(int fd, uint64_t offset, void *out, size_t n);
MUST enum err io_write_at(int fd, uint64_t offset, struct slice data);

/* Makes the file durable under its name, or leaves what was there: temporary file in the same
 * directory, fsync, rename, fsync of the directory. @name has no slash. */
MUST enum err io_replace_file(int dirfd, const char *name, mode_t mode, struct slice data);
MUST enum err io_sync_dir(int dirfd);
/* Opens a directory, made first (0700) if it is missing. */
MUST enum err io_open_dir(int dirfd, const char *path, bool make, int *out);

/* Cryptographically strong random bytes (getrandom, blocking until the pool is ready). */
MUST enum err io_random(void *out, size_t n);

/* One message of a SOCK_SEQPACKET socket with at most IO_FDS_MAX descriptors. send hands copies
 * over and closes none. recv: a message over @max, cut, or with more descriptors than @fds_max is
 * ERR_FORMAT, and the descriptors that came are closed; unused places of @fds are -1. An orderly
 * end or a reset by the peer is ERR_GONE; a receive time-out (SO_RCVTIMEO) ERR_TIMEOUT. */
#define IO_FDS_MAX 8
MUST enum err io_send_message(int sock, struct slice message, const int *fds, size_t fds_n);
MUST enum err io_recv_message(int sock, size_t max, struct buf *out, int *fds, size_t fds_max,
			      size_t *fds_n);

/* A memory file with these bytes, sealed against every change, positioned at 0. */
MUST enum err io_memfd(const char *name, struct slice data, int *fd);
/* Seals a memory file that was written to in parts. */
MUST enum err io_memfd_seal(int fd);
/* Checks that a descriptor is a memory file which nobody can change any more (all four seals) and
 * not over @max bytes, and maps it; unmap with io_unmap. An empty one gives an empty slice. */
MUST enum err io_map_sealed(int fd, size_t max, struct slice *out);
void io_unmap(struct slice *mapped);

/* Milliseconds of CLOCK_MONOTONIC, and microseconds of CLOCK_REALTIME since 1970. */
uint64_t io_monotonic_us(void);
uint64_t io_monotonic_ms(void);
uint64_t io_realtime_us(void);
/* Milliseconds as a time or a span, which pthread_cond_timedwait and the like want. */
struct timespec io_timespec(uint64_t ms);
/* Lets the thread sleep; a signal may end that early. */
void io_pause(uint64_t ms);

#endif

#include "config/base/secret.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config/base/io.h"

enum err secret_new(struct secret *s, size_t room)
{
	if (room == 0 || room > SECRET_MAX)
		return failed(ERR_RANGE, "a secret of %zu bytes", room);
	void *p =
		mmap(NULL, SECRET_MAX, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED)
		return failed(ERR_MEMORY, "memory for a secret: %m");
	/* RLIMIT_MEMLOCK may forbid the lock to an unprivileged user: dumps and forks are shut all
	 * the same, and machines that sign should have no swap. */
	(void)mlock(p, SECRET_MAX);
	if (madvise(p, SECRET_MAX, MADV_DONTDUMP) || madvise(p, SECRET_MAX, MADV_WIPEONFORK)) {
		munmap(p, SECRET_MAX);
		return failed(ERR_MEMORY, "memory for a secret: %m");
	}
	*s = (struct secret){ p, room, room };
	return OK;
}

enum err secret_read(struct secret *s, const char *path)
{
	CLEANUP(fd) int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat status;
	enum err e;

	if (fd < 0 || fstat(fd, &status))
		return failed(errno == ENOENT ? ERR_NOT_FOUND : ERR_IO, "%s: %m", path);
	if (status.st_mode & 077)
		return failed(ERR_DENIED, "%s: others may read it (mode 0600 wanted)", path);
	if ((e = secret_new(s, SECRET_MAX)))
		return e;
	ssize_t n = read(fd, s->p, SECRET_MAX);
	if (n <= 0) {
		secret_free(s);
		return failed(ERR_IO, "%s: %s", path, n ? strerror(errno) : "empty");
	}
	s->len = (size_t)n;
	return OK;
}

enum err secret_from_file(struct secret *s, const char *path)
{
	enum err e = secret_read(s, path);

	if (e)
		return e;
	uint8_t *end = memchr(s->p, '\n', s->len);
	if (end)
		s->len = (size_t)(end - s->p);
	return OK;
}

bool secret_equal(const void *a, const void *b, size_t n)
{
	const volatile uint8_t *x = a, *y = b;
	uint8_t differ = 0;

	for (size_t i = 0; i < n; i++)
		differ |= x[i] ^ y[i];
	return differ == 0;
}

void secret_wipe(void *p, size_t n)
{
	if (n)
		explicit_bzero(p, n);
}

void secret_free(struct secret *s)
{
	if (s->p) {
		secret_wipe(s->p, SECRET_MAX);
		munmap(s->p, SECRET_MAX);
	}
	*s = (struct secret){ 0 };
}

void secret_cleanup(struct secret *s)
{
	secret_free(s);
}

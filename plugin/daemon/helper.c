#include "plugin/daemon/helper.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "config/base/io.h"

static int set_up(posix_spawn_file_actions_t *files, posix_spawnattr_t *attributes, int in, int out)
{
	sigset_t none, all;
	int r;

	sigemptyset(&none);
	sigfillset(&all);
	(void)((r = posix_spawn_file_actions_adddup2(files, in, 0)) ||
	       (r = posix_spawn_file_actions_adddup2(files, out, 1)) ||
	       (r = posix_spawn_file_actions_addclosefrom_np(files, 3)) ||
	       (r = posix_spawnattr_setsigmask(attributes, &none)) ||
	       (r = posix_spawnattr_setsigdefault(attributes, &all)) ||
	       (r = posix_spawnattr_setflags(attributes,
					     POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF)));
	return r;
}

static enum err spawn(const struct helper *h, int in, int out, pid_t *pid)
{
	posix_spawn_file_actions_t files;
	posix_spawnattr_t attributes;
	int r;

	posix_spawn_file_actions_init(&files);
	posix_spawnattr_init(&attributes);
	r = set_up(&files, &attributes, in, out);
	if (!r)
		r = posix_spawn(pid, h->argv[0], &files, &attributes, h->argv, h->environment);
	posix_spawnattr_destroy(&attributes);
	posix_spawn_file_actions_destroy(&files);
	return r ? failed(ERR_IO, "starting %s: %s", h->argv[0], strerror(r)) : OK;
}

/* Reads to the end, but no longer than the time allows. */
static enum err read_answer(const struct helper *h, int fd, struct buf *answer)
{
	uint64_t until = io_monotonic_ms() + h->within_ms;
	size_t start = answer->len;
	uint8_t block[1024];

	for (;;) {
		struct pollfd p = { fd, POLLIN, 0 };
		uint64_t now = io_monotonic_ms();

		if (now >= until || poll(&p, 1, (int)(until - now)) == 0)
			return failed(ERR_TIMEOUT, "%s did not answer in time", h->name);
		ssize_t n = read(fd, block, sizeof block);
		if (n == 0)
			return buf_check(answer);
		if (n < 0 && errno != EINTR)
			return failed(ERR_IO, "%s: %m", h->name);
		if (n > 0)
			buf_put(answer, block, (size_t)n);
		if (answer->len - start > h->answer_max)
			return failed(ERR_FORMAT, "%s says too much", h->name);
	}
}

enum err helper_run(const struct helper *h, struct buf *answer, int *status)
{
	int ends_of_pipe[2];
	pid_t pid = 0;
	CLEANUP(fd) int from = -1;
	enum err e = io_memfd("helper", h->in, &from);

	if (e)
		return e;
	if (pipe2(ends_of_pipe, O_CLOEXEC))
		return failed(ERR_IO, "pipe: %m");
	CLEANUP(fd) int in = ends_of_pipe[0];
	CLEANUP(fd) int out = ends_of_pipe[1];
	if ((e = spawn(h, from, out, &pid)))
		return e;
	fd_cleanup(&out);
	if ((e = read_answer(h, in, answer)))
		kill(pid, SIGKILL);
	while (waitpid(pid, status, 0) < 0)
		if (errno != EINTR)
			return failed(ERR_IO, "waiting for %s: %m", h->name);
	return e;
}

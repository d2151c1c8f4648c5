#include "plugin/daemon/helper.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "config/base/io.h"
#include "config/base/log.h"

#define WORDS_MAX ((size_t)2048)
#define POLL_MAX_MS 60000

/* Pipes as poll() wants them, -1 once they ended; and the process itself. */
enum { ANSWER, WORDS, PROCESS, POLLED };

struct running {
	const struct helper *helper;
	pid_t pid;
	int process, answer, words;
	uint64_t until;
};

/* What was killed and has not ended. */
static struct {
	pthread_mutex_t lock; /* guards the rest */
	pid_t pids[HELPERS_STUCK_MAX];
	size_t n;
} stuck = { .lock = PTHREAD_MUTEX_INITIALIZER };

static int set_up(posix_spawn_file_actions_t *files, posix_spawnattr_t *attributes, int in, int out,
		  int words)
{
	sigset_t none, all;
	int r;

	sigemptyset(&none);
	sigfillset(&all);
	(void)((r = posix_spawn_file_actions_adddup2(files, in, 0)) ||
	       (r = posix_spawn_file_actions_adddup2(files, out, 1)) ||
	       (r = posix_spawn_file_actions_adddup2(files, words, 2)) ||
	       (r = posix_spawn_file_actions_addclosefrom_np(files, 3)) ||
	       (r = posix_spawnattr_setsigmask(attributes, &none)) ||
	       (r = posix_spawnattr_setsigdefault(attributes, &all)) ||
	       (r = posix_spawnattr_setflags(attributes,
					     POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF)));
	return r;
}

static enum err spawn(const struct helper *h, int in, int out, int words, pid_t *pid)
{
	posix_spawn_file_actions_t files;
	posix_spawnattr_t attributes;
	int r;

	posix_spawn_file_actions_init(&files);
	posix_spawnattr_init(&attributes);
	r = set_up(&files, &attributes, in, out, words);
	if (!r)
		r = posix_spawn(pid, h->argv[0], &files, &attributes, h->argv, h->environment);
	posix_spawnattr_destroy(&attributes);
	posix_spawn_file_actions_destroy(&files);
	return r ? failed(ERR_IO, "starting %s: %s", h->argv[0], strerror(r)) : OK;
}

/* ---- the ones that do not end ---- */

static bool reap(void)
{
	size_t n = 0;

	pthread_mutex_lock(&stuck.lock);
	for (size_t i = 0; i < stuck.n; i++)
		if (waitpid(stuck.pids[i], NULL, WNOHANG) == 0)
			stuck.pids[n++] = stuck.pids[i];
	stuck.n = n;
	pthread_mutex_unlock(&stuck.lock);
	return n < HELPERS_STUCK_MAX;
}

/* Several may have found room at once: then one is not waited for any more, and stays a zombie. */
static void leave(const struct running *r)
{
	log_error("%s does not end, though it was killed: process %d is left", r->helper->name,
		  (int)r->pid);
	pthread_mutex_lock(&stuck.lock);
	if (stuck.n < HELPERS_STUCK_MAX)
		stuck.pids[stuck.n++] = r->pid;
	pthread_mutex_unlock(&stuck.lock);
}

/* ---- what it says ---- */

/* All of a pipe's bytes count, and are kept as far as there is room. */
static enum err take(int *fd, struct buf *to, size_t room, size_t *n)
{
	uint8_t block[1024];
	ssize_t got = read(*fd, block, sizeof block);

	*n = got > 0 ? (size_t)got : 0;
	if (got < 0 && errno != EINTR)
		return failed(ERR_IO, "%m");
	if (got == 0)
		*fd = -1;
	buf_put(to, block, *n < room ? *n : room);
	return OK;
}

static enum err take_answer(struct running *r, struct buf *answer, size_t start)
{
	const struct helper *h = r->helper;
	size_t room = h->answer_max - (answer->len - start), n;
	enum err e = take(&r->answer, answer, room, &n);

	if (e)
		return failed(e, "%s: %s", h->name, err_reason());
	return n > room ? failed(ERR_FORMAT, "%s says too much", h->name) : OK;
}

static enum err wait_for(const struct running *r, struct pollfd polled[POLLED])
{
	uint64_t now = io_monotonic_ms(), left = now < r->until ? r->until - now : 0;

	polled[ANSWER] = (struct pollfd){ r->answer, POLLIN, 0 };
	polled[WORDS] = (struct pollfd){ r->words, POLLIN, 0 };
	polled[PROCESS] = (struct pollfd){ r->process, POLLIN, 0 };
	int n = left ? poll(polled, POLLED, (int)(left < POLL_MAX_MS ? left : POLL_MAX_MS)) : 0;
	if (n < 0 && errno != EINTR)
		return failed(ERR_IO, "%s: %m", r->helper->name);
	if (n < 0)
		for (size_t i = 0; i < POLLED; i++)
			polled[i].revents = 0;
	return left ? OK : failed(ERR_TIMEOUT, "%s did not answer in time", r->helper->name);
}

/* To the end of its answer and of itself. Something that it started may keep the third pipe open. */
static enum err listen_to(struct running *r, struct buf *answer, struct buf *words)
{
	size_t start = answer->len, n;
	struct pollfd polled[POLLED];
	enum err e;

	while (!(e = wait_for(r, polled))) {
		if (polled[ANSWER].revents && (e = take_answer(r, answer, start)))
			return e;
		if (polled[WORDS].revents &&
		    (e = take(&r->words, words, WORDS_MAX - words->len, &n)))
			return e;
		if (polled[PROCESS].revents && r->answer < 0 && !polled[WORDS].revents)
			return buf_check(answer);
	}
	return e;
}

static void log_words(const struct buf *words)
{
	for (size_t at = 0, end; at < words->len; at = end + 1) {
		char line[256];
		size_t n = 0;

		for (end = at; end < words->len && words->data[end] != '\n'; end++)
			if (n < sizeof line - 1)
				line[n++] = words->data[end] >= ' ' && words->data[end] <= '~'
						    ? (char)words->data[end]
						    : '?';
		line[n] = 0;
		if (n)
			log_warning("%s", line);
	}
}

/* ---- its life ---- */

/* True: it has ended. */
static bool end(const struct running *r, int *status)
{
	struct pollfd p = { r->process, POLLIN, 0 };
	uint64_t until = io_monotonic_ms() + HELPER_END_MS, now;

	while ((now = io_monotonic_ms()) < until && poll(&p, 1, (int)(until - now)) <= 0)
		;
	return waitpid(r->pid, status, WNOHANG) == r->pid;
}

static enum err run(struct running *r, struct buf *answer, int *status)
{
	CLEANUP(buf) struct buf words = BUF_INIT;
	CLEANUP(fd) int process = pidfd_open(r->pid, 0);
	enum err e = process < 0 ? failed(ERR_IO, "%s: pidfd: %m", r->helper->name) : OK;

	r->process = process;
	if (e || (e = listen_to(r, answer, &words)))
		kill(r->pid, SIGKILL);
	log_words(&words);
	if (!end(r, status))
		leave(r);
	return e;
}

static enum err make_pipe(int *from, int *to)
{
	int ends[2];

	if (pipe2(ends, O_CLOEXEC))
		return failed(ERR_IO, "pipe: %m");
	*from = ends[0];
	*to = ends[1];
	return OK;
}

enum err helper_run(const struct helper *h, struct buf *answer, int *status)
{
	CLEANUP(fd) int in = -1;
	CLEANUP(fd) int from = -1;
	CLEANUP(fd) int to = -1;
	CLEANUP(fd) int words_from = -1;
	CLEANUP(fd) int words_to = -1;
	struct running r = { .helper = h };
	enum err e;

	if (!reap())
		return failed(ERR_LIMIT, "%d helpers do not end: no more are started",
			      HELPERS_STUCK_MAX);
	if ((e = io_memfd("helper", h->in, &in)) || (e = make_pipe(&from, &to)) ||
	    (e = make_pipe(&words_from, &words_to)) || (e = spawn(h, in, to, words_to, &r.pid)))
		return e;
	fd_cleanup(&to);
	fd_cleanup(&words_to);
	r.answer = from;
	r.words = words_from;
	r.until = io_monotonic_ms() + h->within_ms;
	return run(&r, answer, status);
}

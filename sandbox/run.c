#include "sandbox/run.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "config/base/io.h"

#define PIPE_BYTES (1 << 20)
#define READ_STEP 65536

/* SIGPIPE would end a process that does not expect it: it is held back in this thread during the
 * run, and one that came is taken away. */
struct hold {
	sigset_t pipe, before;
	bool pending; /* one was waiting already: not ours to take */
};

static void hold_pipe(struct hold *h)
{
	sigset_t waiting;

	sigemptyset(&h->pipe);
	sigaddset(&h->pipe, SIGPIPE);
	sigpending(&waiting);
	h->pending = sigismember(&waiting, SIGPIPE) == 1;
	pthread_sigmask(SIG_BLOCK, &h->pipe, &h->before);
}

static void release_pipe(struct hold *h)
{
	const struct timespec now = { 0, 0 };

	if (!h->pending)
		while (sigtimedwait(&h->pipe, NULL, &now) < 0 && errno == EINTR)
			;
	pthread_sigmask(SIG_SETMASK, &h->before, NULL);
}

/* Writes what the pipe takes; a program that reads no further is its own affair. */
static void feed(struct exchange *x)
{
	while (x->input.left) {
		ssize_t n = write(x->in, x->input.p, x->input.left);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return;
		if (n < 0)
			break;
		x->input.p += n;
		x->input.left -= (size_t)n;
	}
	fd_cleanup(&x->in);
}

/* Reads what is there; false when it is more than the limit allows. */
static bool collect(int *fd, struct buf *to, uint64_t most)
{
	while (*fd >= 0) {
		uint8_t *room = buf_add(to, READ_STEP);

		if (!room)
			return false;
		ssize_t n = read(*fd, room, READ_STEP);
		int error = errno;
		to->len -= READ_STEP - (n > 0 ? (size_t)n : 0);
		if (n < 0 && error == EINTR)
			continue;
		if (n < 0 && error == EAGAIN)
			return true;
		if (n <= 0)
			fd_cleanup(fd);
		if (to->len > most) {
			to->len = most;
			return false;
		}
	}
	return true;
}

static bool collect_all(struct exchange *x)
{
	struct run *run = x->run;
	uint64_t most = x->limits->output_bytes;

	if (!collect(&x->out, &run->output, most))
		run->code = 1;
	else if (!collect(&x->messages, &run->messages, most))
		run->code = 2;
	else
		return true;
	return false;
}

static bool take_report(struct exchange *x)
{
	ssize_t n;

	do
		n = recv(x->control, &x->report, sizeof x->report, 0);
	while (n < 0 && errno == EINTR);
	return n == sizeof x->report;
}

static int wait_ms(uint64_t deadline)
{
	uint64_t now = io_monotonic_ms();

	return now >= deadline ? 0 : (int)(deadline - now);
}

static enum exchange_end pass(struct exchange *x, uint64_t deadline)
{
	for (;;) {
		struct pollfd p[] = { { x->control, POLLIN, 0 },
				      { x->in, POLLOUT, 0 },
				      { x->out, POLLIN, 0 },
				      { x->messages, POLLIN, 0 } };
		int n = poll(p, 4, wait_ms(deadline));

		if (n < 0 && errno != EINTR)
			return EXCHANGE_LOST;
		if (n <= 0) {
			if (io_monotonic_ms() >= deadline)
				return EXCHANGE_TIMEOUT;
			continue;
		}
		if (p[1].revents)
			feed(x);
		/* Output first: when the report is there as well, nothing more will come. */
		bool reported = p[0].revents && take_report(x);
		if ((reported || p[2].revents || p[3].revents) && !collect_all(x))
			return EXCHANGE_OUTPUT;
		if (reported)
			return EXCHANGE_REPORTED;
		if (p[0].revents)
			return EXCHANGE_LOST;
		if (io_monotonic_ms() >= deadline)
			return EXCHANGE_TIMEOUT;
	}
}

static enum err open_pipe(int ours, int *mine, int *other, bool large)
{
	int ends[2];

	if (pipe2(ends, O_CLOEXEC))
		return failed(ERR_IO, "pipe: %m");
	*mine = ends[ours];
	*other = ends[!ours];
	if (fcntl(*mine, F_SETFL, O_NONBLOCK))
		return failed(ERR_IO, "pipe: %m");
	/* Faster when it is much; refused to those who have many already, which is no harm. */
	if (large)
		(void)fcntl(*mine, F_SETPIPE_SZ, PIPE_BYTES);
	return OK;
}

static void close_ours(struct exchange *x)
{
	fd_cleanup(&x->in);
	fd_cleanup(&x->out);
	fd_cleanup(&x->messages);
}

static enum err start(struct exchange *x, const struct init_run *wanted)
{
	int theirs[3] = { -1, -1, -1 };
	enum err e;

	x->in = x->out = x->messages = -1;
	(void)((e = open_pipe(1, &x->in, &theirs[0], x->input.left > READ_STEP)) ||
	       (e = open_pipe(0, &x->out, &theirs[1], x->input.left > READ_STEP)) ||
	       (e = open_pipe(0, &x->messages, &theirs[2], false)));
	x->run->start_us = x->run->launched_us = io_realtime_us();
	if (!e)
		e = io_send_message(x->control, slice_of(wanted, sizeof *wanted), theirs, 3);
	for (int i = 0; i < 3; i++)
		fd_cleanup(&theirs[i]);
	if (e)
		close_ours(x);
	return e;
}

enum err exchange_run(struct exchange *x, const struct init_run *wanted)
{
	uint64_t deadline = io_monotonic_ms() + x->limits->wall_ms;
	struct hold hold;
	enum err e = start(x, wanted);

	if (e)
		return e;
	hold_pipe(&hold);
	feed(x);
	x->end = pass(x, deadline);
	release_pipe(&hold);
	x->run->end_us = io_realtime_us();
	return OK;
}

void exchange_finish(struct exchange *x)
{
	uint32_t code = x->run->code;

	if (x->end == EXCHANGE_TIMEOUT || x->end == EXCHANGE_LOST)
		(void)collect_all(x);
	x->run->code = code;
	close_ours(x);
}

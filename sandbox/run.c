#include "sandbox/run.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "config/base/io.h"

#define PIPE_BYTES (1 << 20)
#define READ_FIRST 4096
#define READ_STEP 65536
#define QUIET_MS 2
#define LOOK_MS 10 /* between looks at the CPU time, at least */

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

/* Writes what the pipe takes; a program that reads no further is its own affair. False when input
 * can't be passed on for another reason: then the program must not see its end. */
static bool feed(int *fd, struct slice *input)
{
	while (input->left) {
		ssize_t n = write(*fd, input->p, input->left);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return true;
		if (n < 0 && errno != EPIPE)
			return false;
		if (n < 0)
			break;
		input->p += n;
		input->left -= (size_t)n;
	}
	fd_cleanup(fd);
	return true;
}

/* Reads once what is there, and closes at the end. The number of bytes; -1 when they are more than
 * the limit allows; 0 when there was nothing. @full: no more may have fitted. */
static ssize_t collect(int *fd, struct buf *to, uint64_t most, bool *full)
{
	size_t room = to->cap - to->len;

	*full = false;
	if (*fd < 0)
		return 0;
	if (room == 0)
		room = to->cap ? READ_STEP : READ_FIRST;
	uint8_t *p = buf_add(to, room);
	if (!p)
		return -1;
	ssize_t n;
	do
		n = read(*fd, p, room);
	while (n < 0 && errno == EINTR);
	bool end = n == 0 || (n < 0 && errno != EAGAIN);
	to->len -= room - (n > 0 ? (size_t)n : 0);
	if (end)
		fd_cleanup(fd);
	*full = n == (ssize_t)room;
	if (to->len > most) {
		to->len = most;
		return -1;
	}
	return n > 0 ? n : 0;
}

static bool collect_output(struct exchange *x, bool *full)
{
	if (collect(&x->ends.out, &x->run->output, x->limits->output_bytes, full) >= 0)
		return true;
	x->run->code = 1;
	return false;
}

static bool collect_messages(struct exchange *x, bool *full)
{
	if (collect(&x->ends.messages, &x->run->messages, x->limits->output_bytes, full) >= 0)
		return true;
	x->run->code = 2;
	return false;
}

/* What is left in the pipes, when nobody writes any more: then no read waits. */
static bool drain(struct exchange *x)
{
	bool full = true;

	while (full)
		if (!collect_output(x, &full))
			return false;
	for (full = true; full;)
		if (!collect_messages(x, &full))
			return false;
	return true;
}

static bool take_report(struct exchange *x)
{
	ssize_t n;

	do
		n = recv(x->control, &x->report, sizeof x->report, 0);
	while (n < 0 && errno == EINTR);
	return n == sizeof x->report;
}

/* Someone may still hold the other ends. */
static void wait_for_nothing(const struct exchange *x)
{
	if (x->ends.out >= 0)
		(void)fcntl(x->ends.out, F_SETFL, O_NONBLOCK);
	if (x->ends.messages >= 0)
		(void)fcntl(x->ends.messages, F_SETFL, O_NONBLOCK);
}

static int wait_ms(uint64_t deadline)
{
	uint64_t now = io_monotonic_ms();

	return now >= deadline ? 0 : (int)(deadline - now);
}

/* When a program may have used so much more CPU time at the earliest: on all processors at once. */
static uint64_t earliest(const struct exchange *x, uint64_t now, uint64_t more_ms)
{
	uint64_t least = more_ms / x->processors;

	return now + (least > LOOK_MS ? least : LOOK_MS);
}

/* All processes together. A run that is far from its limit is not looked at. */
static bool used_up(struct exchange *x)
{
	const uint64_t now = io_monotonic_ms(), most = (uint64_t)x->limits->cpu_ms * 1000;

	if (now < x->look_ms)
		return false;
	uint64_t used = usage_cpu_us(x->usage) - x->cpu_before_us;
	if (used >= most)
		return true;
	x->look_ms = earliest(x, now, (most - used) / 1000);
	return false;
}

static int watch_ms(const struct exchange *x, uint64_t deadline)
{
	int left = wait_ms(deadline < x->look_ms ? deadline : x->look_ms);

	return x->watch && left > SANDBOX_WATCH_MS ? SANDBOX_WATCH_MS : left;
}

static bool cancelled(const struct exchange *x, uint64_t *asked_ms)
{
	uint64_t now = io_monotonic_ms();

	if (!x->watch || now - *asked_ms < SANDBOX_WATCH_MS)
		return false;
	*asked_ms = now;
	return x->watch->check(x->watch->context, true) != OK;
}

/* Most programs are done before their output fills a pipe: waiting for the report alone at first
 * saves waking up for each piece. */
static bool wait_quietly(struct exchange *x, uint64_t deadline)
{
	struct pollfd report = { x->control, POLLIN, 0 };
	int most = wait_ms(deadline);

	return x->ends.in < 0 && poll(&report, 1, most < QUIET_MS ? most : QUIET_MS) > 0;
}

/* The report is there, so no process of the cell is: what is in the pipes is all. */
static enum exchange_end finish(struct exchange *x)
{
	if (!take_report(x))
		return EXCHANGE_LOST;
	if (!x->report.clean)
		wait_for_nothing(x);
	if (used_up(x))
		return EXCHANGE_CPU;
	return drain(x) ? EXCHANGE_REPORTED : EXCHANGE_OUTPUT;
}

static enum exchange_end pass(struct exchange *x, uint64_t deadline)
{
	uint64_t asked_ms = 0;

	if (wait_quietly(x, deadline))
		return finish(x);
	for (;;) {
		struct pollfd p[] = { { x->control, POLLIN, 0 },
				      { x->ends.in, POLLOUT, 0 },
				      { x->ends.out, POLLIN, 0 },
				      { x->ends.messages, POLLIN, 0 } };
		int n = poll(p, 4, watch_ms(x, deadline));
		bool full;

		if (n < 0 && errno != EINTR)
			return EXCHANGE_LOST;
		if (n > 0 && p[0].revents)
			return finish(x);
		if (n > 0 && p[1].revents && !feed(&x->ends.in, &x->input))
			return EXCHANGE_LOST;
		if (n > 0 && ((p[2].revents && !collect_output(x, &full)) ||
			      (p[3].revents && !collect_messages(x, &full))))
			return EXCHANGE_OUTPUT;
		if (cancelled(x, &asked_ms))
			return EXCHANGE_CANCELLED;
		if (used_up(x))
			return EXCHANGE_CPU;
		if (io_monotonic_ms() >= deadline)
			return EXCHANGE_TIMEOUT;
	}
}

void exchange_close(struct exchange_ends *ends)
{
	fd_cleanup(&ends->in);
	fd_cleanup(&ends->out);
	fd_cleanup(&ends->messages);
	fd_cleanup(&ends->reader);
}

static enum err open_pipe(int ours, int *mine, int *other)
{
	int ends[2];

	if (pipe2(ends, O_CLOEXEC))
		return failed(ERR_IO, "pipe: %m");
	*mine = ends[ours];
	*other = ends[!ours];
	return OK;
}

static const struct exchange_ends no_ends = { -1, -1, -1, -1 };

enum err exchange_prepare(struct exchange_pipes *p)
{
	enum err e;

	if (p->made)
		return OK;
	*p = (struct exchange_pipes){ true, no_ends, { -1, -1, -1 } };
	if ((e = open_pipe(1, &p->ends.in, &p->theirs[0])) ||
	    (e = open_pipe(0, &p->ends.out, &p->theirs[1])) ||
	    (e = open_pipe(0, &p->ends.messages, &p->theirs[2])))
		exchange_discard(p);
	return e;
}

void exchange_discard(struct exchange_pipes *p)
{
	if (!p->made)
		return;
	exchange_close(&p->ends);
	for (int i = 0; i < 3; i++)
		fd_cleanup(&p->theirs[i]);
	p->made = false;
}

/* While the program's end of the pipe is open here, so there is no SIGPIPE. A page fits into the
 * smallest pipe that there is; for more the pipe must not block. */
static enum err feed_ahead(int *in, struct slice *input)
{
	if (input->left > PIPE_BUF && fcntl(*in, F_SETFL, O_NONBLOCK))
		return failed(ERR_IO, "pipe: %m");
	/* Faster when it is much; refused to those who have many already, which is no harm. */
	if (input->left > READ_STEP)
		(void)fcntl(*in, F_SETPIPE_SZ, PIPE_BYTES);
	return feed(in, input) ? OK : failed(ERR_IO, "pipe: %m");
}

enum err exchange_start(int control, const struct init_run *wanted, struct slice *input,
			struct exchange_pipes *pipes, struct exchange_ends *ends)
{
	bool large = input && input->left > READ_STEP;
	enum err e;

	*ends = no_ends;
	(void)((e = exchange_prepare(pipes)) ||
	       (input && (e = feed_ahead(&pipes->ends.in, input))) ||
	       (e = io_send_message(control, slice_of(wanted, sizeof *wanted), pipes->theirs, 3)));
	if (!e) {
		*ends = pipes->ends;
		pipes->ends = no_ends;
		if (large)
			(void)fcntl(ends->out, F_SETPIPE_SZ, PIPE_BYTES);
		if (!input)
			ends->reader = fd_steal(&pipes->theirs[0]);
	}
	exchange_discard(pipes);
	return e;
}

bool exchange_waits(int control, const struct exchange_ends *ends)
{
	struct pollfd p[] = { { control, POLLIN, 0 },
			      { ends->out, POLLIN, 0 },
			      { ends->messages, POLLIN, 0 } };

	return poll(p, 3, 0) == 0;
}

/* Of a program that waited; nothing of it was there before. */
static bool hand_over(struct exchange *x)
{
	bool good = feed_ahead(&x->ends.in, &x->input) == OK;

	fd_cleanup(&x->ends.reader);
	return good;
}

void exchange_pass(struct exchange *x)
{
	uint64_t now = io_monotonic_ms(), deadline = now + x->limits->wall_ms;

	x->look_ms = earliest(x, now, x->limits->cpu_ms);
	if (exchange_prepare(x->next))
		x->next->made = false; /* the next run will say why */
	if (x->ends.reader >= 0 && !hand_over(x)) {
		x->end = EXCHANGE_LOST;
	} else if (x->ends.in >= 0) {
		struct hold hold;

		hold_pipe(&hold);
		x->end = pass(x, deadline);
		release_pipe(&hold);
	} else {
		x->end = pass(x, deadline);
	}
	x->run->end_us = io_realtime_us();
}

void exchange_finish(struct exchange *x)
{
	uint32_t code = x->run->code;

	if (x->end == EXCHANGE_TIMEOUT || x->end == EXCHANGE_CPU || x->end == EXCHANGE_CANCELLED ||
	    x->end == EXCHANGE_LOST) {
		wait_for_nothing(x);
		(void)drain(x);
	}
	x->run->code = code;
	exchange_close(&x->ends);
}

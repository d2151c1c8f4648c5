#include "plugin/lanes.h"

#include <poll.h>
#include <sys/socket.h>

#include "config/base/io.h"

#define FULL_MS 1000 /* how long a daemon that wants no more lanes is taken at its word */

static void init_condition(pthread_cond_t *condition)
{
	pthread_condattr_t attributes;

	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(condition, &attributes);
	pthread_condattr_destroy(&attributes);
}

void lanes_init(struct lanes *lanes)
{
	lanes->most = LANES_MAX;
	for (size_t i = 0; i < LANES_MAX; i++)
		lanes->lanes[i].fd = -1;
	pthread_mutex_init(&lanes->lock, NULL);
	init_condition(&lanes->freed);
}

/* --- taking one --- */

/* A connected lane that is free, else a place for one more, else NULL. */
static struct lane *free_lane_locked(struct lanes *lanes, bool run)
{
	struct lane *place = NULL;
	size_t used = run;

	for (size_t i = run; i < LANES_MAX; i++) {
		struct lane *lane = &lanes->lanes[i];

		if (lane->fd >= 0 && !lane->busy)
			return lane;
		if (lane->fd >= 0 || lane->busy)
			used++;
		else if (!place)
			place = lane;
	}
	return used < lanes->most ? place : NULL;
}

/* Until a lane is given back, or another one may be asked for, or @until. */
static void await_lane_locked(struct lanes *lanes, uint64_t until)
{
	if (lanes->most < LANES_MAX && lanes->full_until_ms < until)
		until = lanes->full_until_ms;
	struct timespec at = io_timespec(until);
	pthread_cond_timedwait(&lanes->freed, &lanes->lock, &at);
}

static enum err take_locked(struct lanes *lanes, bool run, uint64_t until, struct lane **out)
{
	while (!lanes->dead) {
		uint64_t now = io_monotonic_ms();

		if (now >= lanes->full_until_ms)
			lanes->most = LANES_MAX;
		if ((*out = free_lane_locked(lanes, run))) {
			(*out)->busy = true;
			return OK;
		}
		if (now >= until)
			return failed(ERR_LIMIT, "the daemon has no lane free");
		await_lane_locked(lanes, until);
	}
	return failed(ERR_GONE, "the daemon has ended");
}

enum err lanes_take(struct lanes *lanes, bool run, uint64_t until_ms, struct lane **out)
{
	pthread_mutex_lock(&lanes->lock);
	enum err e = take_locked(lanes, run, until_ms, out);
	pthread_mutex_unlock(&lanes->lock);
	return e;
}

/* Others count the lanes meanwhile. */
void lanes_connected(struct lanes *lanes, struct lane *lane, int fd)
{
	pthread_mutex_lock(&lanes->lock);
	lane->fd = fd;
	pthread_mutex_unlock(&lanes->lock);
}

/* --- and what becomes of it --- */

void lanes_give_back(struct lanes *lanes, struct lane *lane)
{
	pthread_mutex_lock(&lanes->lock);
	lane->busy = false;
	pthread_cond_broadcast(&lanes->freed);
	pthread_mutex_unlock(&lanes->lock);
}

/* Lane 0 may be in another thread's use meanwhile. */
bool lanes_alive(const struct lanes *lanes)
{
	struct pollfd p = { .fd = lanes->lanes[0].fd, .events = POLLRDHUP };

	return p.fd >= 0 && poll(&p, 1, 0) >= 0 && !(p.revents & (POLLHUP | POLLRDHUP | POLLERR));
}

static void break_locked(struct lanes *lanes, struct lane *lane)
{
	fd_cleanup(&lane->fd);
	lane->busy = false;
	lanes->dead |= !lanes_alive(lanes);
	pthread_cond_broadcast(&lanes->freed);
}

void lanes_break(struct lanes *lanes, struct lane *lane)
{
	pthread_mutex_lock(&lanes->lock);
	break_locked(lanes, lane);
	pthread_mutex_unlock(&lanes->lock);
}

void lanes_full(struct lanes *lanes, struct lane *lane)
{
	size_t used = 0;

	pthread_mutex_lock(&lanes->lock);
	break_locked(lanes, lane);
	for (size_t i = 0; i < LANES_MAX; i++)
		used += lanes->lanes[i].fd >= 0;
	lanes->most = used;
	lanes->full_until_ms = io_monotonic_ms() + FULL_MS;
	pthread_mutex_unlock(&lanes->lock);
}

/* --- the end --- */

/* A child that another thread made meanwhile may have descriptors of ours, which closing leaves. */
static void hang_up(struct lanes *lanes)
{
	for (size_t i = 0; i < LANES_MAX; i++)
		if (lanes->lanes[i].fd >= 0)
			(void)shutdown(lanes->lanes[i].fd, SHUT_RDWR);
}

void lanes_end(struct lanes *lanes)
{
	pthread_mutex_lock(&lanes->lock);
	lanes->dead = true;
	hang_up(lanes);
	pthread_cond_broadcast(&lanes->freed);
	pthread_mutex_unlock(&lanes->lock);
}

void lanes_abandon(struct lanes *lanes)
{
	for (size_t i = 0; i < LANES_MAX; i++)
		fd_cleanup(&lanes->lanes[i].fd);
}

void lanes_close(struct lanes *lanes)
{
	hang_up(lanes);
	lanes_abandon(lanes);
	pthread_cond_destroy(&lanes->freed);
	pthread_mutex_destroy(&lanes->lock);
}

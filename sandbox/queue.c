#include "sandbox/queue.h"

#include "config/base/io.h"

/* A newcomer comes after whoever was served last, and after the last of its own that waits. */
static uint64_t next_turn(const struct queue *q, const void *group, size_t *same)
{
	uint64_t last = q->turn;

	*same = 0;
	for (const struct waiter *w = q->first; w; w = w->next) {
		if (w->group != group)
			continue;
		last = w->turn;
		++*same;
	}
	return last + 1;
}

enum err queue_enter(struct queue *q, const void *group, size_t most, struct waiter *me)
{
	struct waiter **at = &q->first;
	pthread_condattr_t attributes;
	size_t same;

	*me = (struct waiter){ .group = group, .turn = next_turn(q, group, &same) };
	if (same >= most)
		return failed(ERR_LIMIT, "%zu runs wait for a cell already", same);
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&me->wake, &attributes);
	pthread_condattr_destroy(&attributes);
	while (*at)
		at = &(*at)->next;
	*at = me;
	return OK;
}

void queue_leave(struct queue *q, struct waiter *me, bool served)
{
	struct waiter **at = &q->first;

	while (*at != me)
		at = &(*at)->next;
	*at = me->next;
	if (served)
		q->turn = me->turn;
	pthread_cond_destroy(&me->wake);
	queue_wake(q);
}

struct waiter *queue_next(const struct queue *q)
{
	struct waiter *next = NULL;

	for (struct waiter *w = q->first; w; w = w->next)
		if ((!next || w->turn < next->turn) && q->may(q->context, w->group))
			next = w;
	return next;
}

void queue_wake(const struct queue *q)
{
	struct waiter *next = queue_next(q);

	if (next)
		pthread_cond_signal(&next->wake);
}

void queue_wait(struct waiter *me, pthread_mutex_t *lock, uint64_t ms)
{
	struct timespec until = io_timespec(io_monotonic_ms() + ms);

	pthread_cond_timedwait(&me->wake, lock, &until);
}

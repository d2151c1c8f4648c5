/* queue.h - who waits for a cell, and whose turn it is.
 *
 * Groups (partitions) take turns, however many one group sends: a group's own turns follow each
 * other, those of several groups interleave. Whether a group may be served at all at the moment is
 * its owner's knowledge: who may not is passed over. All calls are made under one lock, the owner's.
 */
#ifndef SANDBOX_QUEUE_H
#define SANDBOX_QUEUE_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "config/base/error.h"

/* Lives on its thread's stack. */
struct waiter {
	struct waiter *next;
	const void *group;
	uint64_t turn;
	pthread_cond_t wake;
};

struct queue {
	struct waiter *first; /* in the order of arrival */
	uint64_t turn;        /* of whoever was served last */
	bool (*may)(const void *context, const void *group);
	const void *context;
};

/* ERR_LIMIT: @most of this group wait already. */
MUST enum err queue_enter(struct queue *q, const void *group, size_t most, struct waiter *me);
void queue_leave(struct queue *q, struct waiter *me, bool served);
/* NULL: nobody waits who may be served. */
struct waiter *queue_next(const struct queue *q);
/* Something changed: whoever is next looks again. */
void queue_wake(const struct queue *q);
/* Until then, or for so long; lets go of the lock meanwhile. */
void queue_wait(struct waiter *me, pthread_mutex_t *lock, uint64_t ms);

#endif

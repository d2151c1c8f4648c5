/* What becomes of batches: released in their order, when they are durable and their heads are signed; or,
 * after the first failure, in doubt. */
#include <stdio.h>

#include "audit/state.h"
#include "config/base/io.h"
#include "config/base/log.h"

void release_queue_locked(struct audit *audit, struct batch *batch)
{
	*audit->flight_last = batch;
	audit->flight_last = &batch->next;
	audit->flight_n++;
	audit->to_sign += batch->heads_n;
}

/* The newest head of a tree is the one that goes into the log: one of before would be of leaves that the
 * next segment's snapshot has behind it. */
static void release_tree_locked(struct audit *audit, struct head *head)
{
	struct audit_tree *tree = head->tree;

	tree->wants_head = false;
	tree->released = head->signed_head.size;
	head_drop(tree->head);
	tree->head = head_hold(head);
	if (!audit->pending)
		audit->pending_due_ms = io_monotonic_ms() + HEADS_WITHIN_MS;
	if (!tree->unwritten) {
		*audit->pending_last = tree;
		audit->pending_last = &tree->next_unwritten;
		tree->next_unwritten = NULL;
		audit->pending_n++;
	}
	head_drop(tree->unwritten);
	tree->unwritten = head; /* with the batch's own reference */
}

/* The places of those who wait. */
static uint32_t settle_locked(const struct batch *batch, enum ticket_state state)
{
	uint32_t places = 0;

	for (struct audit_ticket *t = batch->first; t; t = t->next) {
		places |= 1u << t->place;
		atomic_store(&t->state, state);
	}
	return places;
}

static uint32_t release_locked(struct audit *audit, struct batch *batch)
{
	for (size_t i = 0; i < batch->heads_n; i++)
		release_tree_locked(audit, batch->heads[i]);
	batch->heads_n = 0;
	for (const struct audit_ticket *t = batch->first; t; t = t->next)
		if (t->has_leaf && !t->head)
			t->tree->released = t->index + 1;
	audit->released_sequence = batch->sequence;
	audit->segment = batch->segment;
	audit->reserved -= batch->cost;
	audit->counts.records += batch->leaves;
	audit->counts.batches += batch->leaves > 0;
	if (batch->leaves)
		atomic_store(&audit->alone, batch->leaves == 1);
	return settle_locked(batch, TICKET_RELEASED);
}

static bool is_ready(const struct batch *batch)
{
	return batch->durable && batch->signed_n == batch->heads_n;
}

static struct batch *take_first_locked(struct audit *audit)
{
	struct batch *batch = audit->flight;

	audit->flight = batch->next;
	audit->flight_n--;
	if (!audit->flight)
		audit->flight_last = &audit->flight;
	return batch;
}

static void free_all(struct batch *batch)
{
	for (struct batch *next; batch; batch = next) {
		next = batch->next;
		batch_free(batch);
	}
}

void release_ready_locked(struct audit *audit)
{
	struct batch *done = NULL, **last = &done;
	uint32_t places = 0;

	while (!audit->poisoned && audit->flight && is_ready(audit->flight)) {
		struct batch *batch = take_first_locked(audit);

		places |= release_locked(audit, batch);
		batch->next = NULL;
		*last = batch;
		last = &batch->next;
	}
	if (!done)
		return;
	pthread_cond_broadcast(&audit->room);
	pthread_mutex_unlock(&audit->lock);
	gate_open(&audit->gate, places);
	free_all(done);
	pthread_mutex_lock(&audit->lock);
}

static void doubt_queue_locked(struct audit *audit)
{
	for (struct audit_ticket *t; (t = audit->first);) {
		audit->first = t->next;
		atomic_store(&t->state, TICKET_IN_DOUBT);
		ticket_drop(t);
	}
	audit->last = &audit->first;
	audit->queued = 0;
}

void release_stop_locked(struct audit *audit, struct batch *batch)
{
	if (!audit->poisoned) {
		log_error("audit: the log stops: %s", err_reason());
		snprintf(audit->why, sizeof audit->why, "%s", err_reason());
	}
	audit->poisoned = true;
	for (const struct batch *b = audit->flight; b; b = b->next)
		(void)settle_locked(b, TICKET_IN_DOUBT);
	if (batch) {
		(void)settle_locked(batch, TICKET_IN_DOUBT);
		batch_free(batch);
	}
	doubt_queue_locked(audit);
	audit->to_sign = 0;
	pthread_cond_broadcast(&audit->room);
	pthread_cond_broadcast(&audit->work);
	gate_open(&audit->gate, UINT32_MAX);
}

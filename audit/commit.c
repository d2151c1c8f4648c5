/* The order of a commit: append the batch to the write-ahead log; update the trees; make the batch
 * durable and, at the same time, have the heads signed; when both have succeeded, in order of batches,
 * release. The signed heads go into the next batch, or are written alone soon after.
 *
 * One thread at a time has the turn: it gathers what is queued, writes and syncs it. Meanwhile others sign,
 * and the next batch gathers. Where a signature takes longer than a sync, the next one is written while heads
 * of those before are being signed, as long as a signer would be idle otherwise: else it is better to gather,
 * for fewer signatures and syncs. */
#include <errno.h>
#include <stdio.h>

#include "audit/state.h"
#include "config/base/io.h"

static bool heads_due(const struct audit *audit)
{
	return audit->pending && (audit->closing || io_monotonic_ms() >= audit->pending_due_ms);
}

static bool commit_due(const struct audit *audit)
{
	if (audit->committing || audit->poisoned || audit->to_sign ||
	    audit->signing >= audit->signers || audit->flight_n >= audit->signers)
		return false;
	if (audit->flight && audit->sign_us <= audit->sync_us)
		return false;
	return audit->first || audit->wants_heads || heads_due(audit);
}

void commit_share_locked(struct audit *audit)
{
	if (signing_due(audit) || commit_due(audit))
		pthread_cond_signal(&audit->work);
}

/* Nobody waits for it, neither we for readers: what can't be trimmed now is after a later batch. */
static bool trim_tree(struct audit_tree *tree, uint64_t tiled)
{
	if (tiled < tree->book->tree.base + TRIM_EVERY)
		return true;
	if (pthread_rwlock_trywrlock(&tree->trimming))
		return false;
	enum err e = tree_trim(&tree->book->tree, tiled);
	pthread_rwlock_unlock(&tree->trimming);
	return e == OK;
}

/* Lets go of hashes of leaves that can be had from tiles. */
static void trim(struct audit *audit)
{
	unsigned long round = atomic_load(&audit->rounds);
	bool all = true;

	if (audit->trimmed == round)
		return;
	for (size_t i = 0;; i++) {
		struct audit_tree *tree = NULL;
		uint64_t tiled = 0;

		pthread_mutex_lock(&audit->lock);
		if (i < audit->trees_n) {
			tree = audit->trees[i];
			tiled = tree->tiled < tree->released ? tree->tiled : tree->released;
		}
		pthread_mutex_unlock(&audit->lock);
		if (!tree)
			break;
		all &= trim_tree(tree, tiled);
	}
	if (all)
		audit->trimmed = round;
}

/* Durable, and in a log that is where it was. */
static enum err make_durable(struct audit *audit, const struct batch *batch)
{
	enum err e = batch->entries ? wal_sync(audit->wal) : OK;

	return e ? e : open_in_place(audit);
}

static void fly_locked(struct audit *audit, struct batch *batch)
{
	release_queue_locked(audit, batch);
	commit_share_locked(audit);
	pthread_mutex_unlock(&audit->lock);
	uint64_t began = io_monotonic_us();
	enum err e = make_durable(audit, batch);
	uint64_t took = io_monotonic_us() - began;
	trim(audit);
	pthread_mutex_lock(&audit->lock);
	if (e) {
		release_stop_locked(audit, NULL);
		return;
	}
	if (batch->entries)
		signing_note_time(&audit->sync_us, took);
	audit->counts.syncs += batch->entries > 0;
	batch->durable = true;
}

static void commit_locked(struct audit *audit)
{
	audit->committing = true;
	pthread_mutex_unlock(&audit->lock);
	struct batch *batch = batch_new();
	enum err e = batch ? batch_write(audit, batch) : failed(ERR_MEMORY, "a batch");
	pthread_mutex_lock(&audit->lock);
	if (e)
		release_stop_locked(audit, batch);
	else
		fly_locked(audit, batch);
	release_ready_locked(
		audit); /* with the turn still ours: who is woken needs nobody else to come */
	audit->committing = false;
}

void commit_lead(struct audit_ticket *ticket)
{
	struct audit *audit = ticket->audit;

	if (!atomic_load(&audit->alone) || atomic_load(&ticket->state))
		return;
	pthread_mutex_lock(&audit->lock);
	if (!audit->flight && commit_due(audit)) {
		commit_locked(audit);
		if (!atomic_load(&ticket->state) && signing_due(audit))
			signing_next_locked(audit);
		commit_share_locked(audit);
	}
	pthread_mutex_unlock(&audit->lock);
}

/* While anything is under way or due, one of those who wait looks again in a while. */
static void wait_locked(struct audit *audit)
{
	bool active = !audit->poisoned && (audit->first || audit->committing || audit->flight ||
					   audit->pending || audit->wants_heads);

	if (!active || audit->timed) {
		pthread_cond_wait(&audit->work, &audit->lock);
		return;
	}
	uint64_t now = io_monotonic_ms(), due = now + HEADS_WITHIN_MS;
	if (audit->pending && audit->pending_due_ms > now)
		due = audit->pending_due_ms;
	struct timespec until = io_timespec(due);
	audit->timed = true;
	(void)pthread_cond_timedwait(&audit->work, &audit->lock, &until);
	audit->timed = false;
}

static bool is_over(const struct audit *audit)
{
	bool left = audit->first || audit->wants_heads || audit->committing || audit->flight ||
		    audit->pending;

	return audit->closing && (audit->poisoned ? !audit->committing : !left);
}

void *commit_thread(void *argument)
{
	struct audit *audit = argument;

	pthread_mutex_lock(&audit->lock);
	while (!is_over(audit)) {
		if (signing_due(audit))
			signing_next_locked(audit);
		else if (commit_due(audit))
			commit_locked(audit);
		else
			wait_locked(audit);
	}
	pthread_cond_broadcast(&audit->work);
	pthread_mutex_unlock(&audit->lock);
	return NULL;
}

/* The order of a commit: append the batch to the write-ahead log; update the trees; make the batch
 * durable and, at the same time, have the heads signed; when both have succeeded, release. The
 * signed heads go into the next batch, or are written alone soon after. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "audit/state.h"
#include "config/base/io.h"
#include "config/base/log.h"

#define RETRY_FIRST_MS 10
#define RETRY_LAST_MS 1000

/* The committer's own. */
struct batch {
	struct audit_ticket *first, **last;
	size_t n;
	uint64_t cost;
	uint32_t entries, leaves;
	struct head *carried; /* heads of earlier batches that are in this frame */
	struct head **heads;  /* this batch's, one per touched tree */
	size_t heads_n;
};

/* --- signing --- */

static enum err sign_once(struct audit *audit, struct head *head)
{
	CLEANUP(buf) struct buf signature = BUF_INIT;
	enum err e;

	if ((e = audit->signer.sign(audit->signer.context, head->key->key.handle, head->digest,
				    &signature)) ||
	    (e = buf_check(&signature)))
		return e;
	return receipt_head_sign(&head->signed_head, buf_slice(&signature));
}

static bool give_up(struct audit *audit)
{
	pthread_mutex_lock(&audit->lock);
	bool over = (audit->closing || audit->ending) &&
		    io_monotonic_ms() > audit->closing_ms + CLOSE_SIGN_MS;
	pthread_mutex_unlock(&audit->lock);
	return over;
}

/* The same root again and again: two roots of one size must never be signed. */
static enum err sign_head(struct audit *audit, struct head *head)
{
	uint64_t pause = RETRY_FIRST_MS;
	enum err e;

	while ((e = sign_once(audit, head))) {
		if (pause == RETRY_FIRST_MS)
			log_warning("audit: signing a head of %s failed, trying again: %s",
				    head->tree->book->origin, err_reason());
		if (give_up(audit))
			return failed(ERR_CRYPTO, "a head could not be signed");
		io_pause(pause);
		pause = pause * 2 < RETRY_LAST_MS ? pause * 2 : RETRY_LAST_MS;
	}
	return OK;
}

/* Signs heads as long as there are any that nobody else took. */
static void sign_some_locked(struct audit *audit)
{
	while (audit->taken < audit->to_sign_n) {
		struct head *head = audit->to_sign[audit->taken++];

		pthread_mutex_unlock(&audit->lock);
		enum err e = sign_head(audit, head);
		pthread_mutex_lock(&audit->lock);
		audit->sign_failed |= e != OK;
		audit->counts.signatures += e == OK;
		if (++audit->signed_n == audit->to_sign_n)
			pthread_cond_broadcast(&audit->signed_all);
	}
}

void *sign_thread(void *argument)
{
	struct audit *audit = argument;

	pthread_mutex_lock(&audit->lock);
	while (!audit->stop) {
		sign_some_locked(audit);
		if (!audit->stop)
			pthread_cond_wait(&audit->sign, &audit->lock);
	}
	pthread_mutex_unlock(&audit->lock);
	return NULL;
}

static void sign_start(struct audit *audit, const struct batch *batch)
{
	pthread_mutex_lock(&audit->lock);
	audit->to_sign = batch->heads;
	audit->to_sign_n = batch->heads_n;
	audit->taken = audit->signed_n = 0;
	audit->sign_failed = false;
	pthread_cond_signal(&audit->sign);
	pthread_mutex_unlock(&audit->lock);
}

static enum err sign_finish(struct audit *audit)
{
	pthread_mutex_lock(&audit->lock);
	sign_some_locked(audit);
	while (audit->signed_n < audit->to_sign_n)
		pthread_cond_wait(&audit->signed_all, &audit->lock);
	bool bad = audit->sign_failed;
	audit->to_sign = NULL;
	audit->to_sign_n = audit->taken = audit->signed_n = 0;
	pthread_mutex_unlock(&audit->lock);
	return bad ? failed(ERR_CRYPTO, "a head could not be signed") : OK;
}

/* --- one frame --- */

static enum err put_head(struct buf *out, const struct head *head)
{
	const struct receipt_head *h = &head->signed_head;
	struct entry entry = { .kind = ENTRY_HEAD,
			       .tree = head->tree->book->number,
			       .size = head->signed_head.size,
			       .root = SLICE(head->signed_head.root),
			       .protected = buf_slice(&head->signed_head.protected),
			       .signature = buf_slice(&head->signed_head.signature) };

	entry_put(out, &entry);
	return ledger_head(head->tree->book, h->size, h->root, entry.protected, entry.signature);
}

/* Heads first: they were signed under the keys of before this batch. */
static enum err carry_heads(struct audit *audit, struct batch *batch, size_t room)
{
	struct head **carried = &batch->carried;
	enum err e = OK;

	while (!e && audit->pending && audit->raw.len - FRAME_HEADER + ENTRY_HEAD_MAX <= room) {
		struct head *head = audit->pending;

		e = put_head(&audit->raw, head);
		audit->pending = head->next;
		head->next = NULL;
		*carried = head;
		carried = &head->next;
		batch->entries++;
		atomic_fetch_sub(&audit->pending_n, 1);
	}
	if (!audit->pending)
		audit->pending_last = &audit->pending;
	return e;
}

static void take_tickets(struct audit *audit, struct batch *batch, size_t room)
{
	size_t used = audit->raw.len - FRAME_HEADER;

	pthread_mutex_lock(&audit->lock);
	for (struct audit_ticket *t; (t = audit->first); batch->n++) {
		if (used + ticket_bytes(t) > room)
			break;
		used += ticket_bytes(t);
		audit->first = t->next;
		t->next = NULL;
		*batch->last = t;
		batch->last = &t->next;
		batch->cost += t->cost;
	}
	if (!audit->first)
		audit->last = &audit->first;
	audit->queued -= batch->n;
	pthread_mutex_unlock(&audit->lock);
}

/* The book's certificates are read by the committer alone, but the list of books is not its own. */
static enum err put_tree(struct audit *audit, struct audit_ticket *ticket)
{
	const struct key *key = ticket->new_key;
	struct audit_tree *tree = ticket->tree;
	struct entry entry = { .kind = ENTRY_TREE,
			       .tree = tree->book->number,
			       .origin = slice_text(tree->book->origin),
			       .certificate = buf_slice(&key->certificate),
			       .ca = buf_slice(&key->chain) };
	struct ledger_tree *book;
	enum err e = OK;

	entry_put(&audit->raw, &entry);
	pthread_mutex_lock(&audit->lock);
	if (tree->in_log)
		e = ledger_tree(&audit->ledger, &entry, &book);
	tree->in_log = true;
	key_drop(tree->key);
	tree->key = key_hold(ticket->new_key);
	pthread_mutex_unlock(&audit->lock);
	return e;
}

static enum err put_mark(struct audit *audit, struct audit_ticket *ticket)
{
	struct entry entry = { .kind = ticket->mark, .tree = ticket->tree->book->number };

	entry_put(&audit->raw, &entry);
	pthread_mutex_lock(&audit->lock);
	enum err e = ledger_mark(ticket->tree->book, ticket->mark);
	pthread_mutex_unlock(&audit->lock);
	return e;
}

static enum err put_leaf(struct audit *audit, struct batch *batch, struct audit_ticket *ticket)
{
	tree_hash hash;
	leaf_hash(buf_slice(&ticket->leaf), hash);
	struct entry entry = { .kind = ENTRY_LEAF,
			       .tree = ticket->tree->book->number,
			       .index = ticket->index,
			       .leaf = buf_slice(&ticket->leaf) };
	entry_put(&audit->raw, &entry);
	batch->entries++;
	batch->leaves++;
	ticket->tree->touched = true;
	return tree_append(&ticket->tree->book->tree, hash);
}

static enum err put_ticket(struct audit *audit, struct batch *batch, struct audit_ticket *ticket)
{
	enum err e;

	if (ticket->new_key) {
		if ((e = put_tree(audit, ticket)))
			return e;
		batch->entries++;
	}
	if (ticket->has_leaf && (e = put_leaf(audit, batch, ticket)))
		return e;
	if (!ticket->mark)
		return OK;
	batch->entries++;
	return put_mark(audit, ticket);
}

/* No head is of before a leaf in it, nor of before the last one, whatever the system clock says. */
static int64_t head_time_locked(struct audit_tree *tree)
{
	int64_t now = (int64_t)(io_realtime_us() / 1000000);

	now = now < tree->newest ? tree->newest : now;
	return tree->headed = now < tree->headed ? tree->headed : now;
}

static enum err new_head_locked(struct audit *audit, struct audit_tree *tree, struct key *key,
				struct head **out)
{
	struct head *head = calloc(1, sizeof *head);
	uint64_t size = tree->book->tree.size;
	tree_hash root;
	enum err e;

	if (!head)
		return failed(ERR_MEMORY, "a head");
	atomic_init(&head->references, 1);
	head->tree = tree;
	head->key = key_hold(key);
	if ((e = tree_root(&tree->book->tree, size, root)) ||
	    (e = receipt_head_prepare(&head->signed_head, &key->key, audit->issuer,
				      tree->book->origin, size, root, head_time_locked(tree),
				      head->digest))) {
		head_drop(head);
		return e;
	}
	*out = head;
	return OK;
}

/* A head for every tree that the batch touched, and for those that still want one since the log
 * was opened. */
static enum err make_heads(struct audit *audit, struct batch *batch)
{
	pthread_mutex_lock(&audit->lock);
	size_t n = audit->trees_n;
	batch->heads = calloc(n ? n : 1, sizeof *batch->heads);
	enum err e = batch->heads ? OK : failed(ERR_MEMORY, "heads");
	for (size_t i = 0; !e && i < n; i++) {
		struct audit_tree *tree = audit->trees[i];
		bool wanted = tree->touched || (tree->wants_head && tree->key);

		/* RFC 9942 has no receipt for a tree of one leaf. */
		if (wanted && tree->book->tree.size >= 2)
			e = new_head_locked(audit, tree, tree->key, &batch->heads[batch->heads_n]);
		batch->heads_n += batch->heads[batch->heads_n] != NULL;
	}
	audit->wants_heads = false;
	pthread_mutex_unlock(&audit->lock);
	return e;
}

/* --- one batch --- */

static void release_tree_locked(struct audit *audit, struct head *head)
{
	struct audit_tree *tree = head->tree;

	tree->wants_head = false;
	tree->released = head->signed_head.size;
	head_drop(tree->head);
	tree->head = head_hold(head);
	if (!audit->pending)
		audit->pending_due_ms = io_monotonic_ms() + HEADS_WITHIN_MS;
	*audit->pending_last = head; /* with the batch's own reference */
	audit->pending_last = &head->next;
	atomic_fetch_add(&audit->pending_n, 1);
}

/* Wakes the tickets' owners; without the lock, which all of them will want next. */
static void settle(struct batch *batch, enum ticket_state state)
{
	for (struct audit_ticket *t = batch->first, *next; t; t = next) {
		next = t->next;
		t->state = state;
		sem_post(&t->settled);
		ticket_drop(t);
	}
	batch->first = NULL;
}

static void release(struct audit *audit, struct batch *batch)
{
	pthread_mutex_lock(&audit->lock);
	for (size_t i = 0; i < batch->heads_n; i++)
		release_tree_locked(audit, batch->heads[i]);
	batch->heads_n = 0;
	for (struct audit_ticket *t = batch->first; t; t = t->next) {
		if (t->has_leaf && t->tree->book->tree.size >= 2)
			t->head = head_hold(t->tree->head);
		else if (t->has_leaf)
			t->tree->released = t->tree->book->tree.size;
		t->tree->touched = false;
	}
	audit->released_sequence = wal_sequence(audit->wal);
	audit->segment = wal_segment(audit->wal);
	audit->reserved -= batch->cost;
	audit->counts.records += batch->leaves;
	audit->counts.batches += batch->leaves > 0;
	pthread_cond_broadcast(&audit->room);
	pthread_mutex_unlock(&audit->lock);
	settle(batch, TICKET_RELEASED);
}

/* Nothing is released from here on: what is queued or half done is in doubt. */
static void poison(struct audit *audit, struct batch *batch)
{
	log_error("audit: the log stops: %s", err_reason());
	pthread_mutex_lock(&audit->lock);
	snprintf(audit->why, sizeof audit->why, "%s", err_reason());
	audit->poisoned = true;
	*batch->last = audit->first;
	audit->first = NULL;
	audit->last = &audit->first;
	audit->queued = 0;
	pthread_cond_broadcast(&audit->room);
	pthread_mutex_unlock(&audit->lock);
	settle(batch, TICKET_IN_DOUBT);
}

static void batch_free(struct batch *batch)
{
	for (struct head *next; batch->carried; batch->carried = next) {
		next = batch->carried->next;
		head_drop(batch->carried);
	}
	for (size_t i = 0; i < batch->heads_n; i++)
		head_drop(batch->heads[i]);
	free(batch->heads);
}

static enum err start_frame(struct audit *audit)
{
	buf_reset(&audit->raw);
	return buf_add(&audit->raw, FRAME_HEADER) ? OK : buf_check(&audit->raw);
}

/* The first frame of a segment, durable before the next one is written: a crash leaves at most one
 * frame torn. */
static enum err put_snapshot(struct audit *audit)
{
	size_t n = 0;
	enum err e;

	if ((e = start_frame(audit)))
		return e;
	pthread_mutex_lock(&audit->lock);
	while (n < audit->trees_n && audit->trees[n]->in_log)
		n++;
	e = ledger_snapshot(&audit->ledger, n, &audit->raw);
	uint32_t entries = ledger_snapshot_entries(&audit->ledger, n);
	pthread_mutex_unlock(&audit->lock);
	if (e || (e = wal_write(audit->wal, &audit->raw, entries, 0)))
		return e;
	return wal_sync(audit->wal);
}

/* Room for a frame, of at least so many bytes; in a new segment, behind its snapshot. */
static enum err find_room(struct audit *audit, size_t least, size_t *room)
{
	bool fresh;
	enum err e = wal_room(audit->wal, least, room, &fresh);

	if (e || !fresh)
		return e;
	if ((e = put_snapshot(audit)) || (e = wal_room(audit->wal, least, room, &fresh)))
		return e;
	return fresh ? failed(ERR_RANGE, "a record larger than a segment") : OK;
}

static enum err fill(struct audit *audit, struct batch *batch)
{
	size_t least = audit->pending ? ENTRY_HEAD_MAX : 0, room;
	enum err e;

	pthread_mutex_lock(&audit->lock);
	if (audit->first && ticket_bytes(audit->first) > least)
		least = ticket_bytes(audit->first);
	pthread_mutex_unlock(&audit->lock);
	if (!least)
		return OK;
	if ((e = find_room(audit, least, &room)) || (e = start_frame(audit)) ||
	    (e = carry_heads(audit, batch, room)))
		return e;
	if (!audit->pending)
		take_tickets(audit, batch, room);
	for (struct audit_ticket *t = batch->first; t; t = t->next)
		if ((e = put_ticket(audit, batch, t)))
			return e;
	return buf_check(&audit->raw);
}

static enum err write_and_sync(struct audit *audit, struct batch *batch)
{
	enum err e, signing;

	if (batch->entries &&
	    (e = wal_write(audit->wal, &audit->raw, batch->entries, batch->leaves)))
		return e;
	if ((e = make_heads(audit, batch)))
		return e;
	sign_start(audit, batch);
	if (!(e = batch->entries ? wal_sync(audit->wal) : OK))
		e = open_in_place(audit);
	char why[ERR_REASON_MAX];
	snprintf(why, sizeof why, "%s", err_reason());
	signing = sign_finish(audit); /* the heads are in other hands until it returns */
	if (e)
		return failed(e, "%s", why);
	pthread_mutex_lock(&audit->lock);
	audit->counts.syncs += batch->entries > 0;
	pthread_mutex_unlock(&audit->lock);
	return signing;
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

static enum err commit(struct audit *audit)
{
	struct batch batch = { .last = &batch.first };
	enum err e;

	if ((e = fill(audit, &batch)) || (e = write_and_sync(audit, &batch)))
		poison(audit, &batch);
	else
		release(audit, &batch);
	batch_free(&batch);
	if (audit->trimmed != atomic_load(&audit->rounds))
		trim(audit);
	return e;
}

/* Waits for something to do; false when the log is closed and all is done. */
static bool await_work(struct audit *audit)
{
	bool more = true;

	pthread_mutex_lock(&audit->lock);
	for (;;) {
		if (audit->first || audit->wants_heads)
			break;
		if (audit->closing) {
			more = audit->pending != NULL;
			break;
		}
		if (!audit->pending) {
			pthread_cond_wait(&audit->work, &audit->lock);
			continue;
		}
		struct timespec due = io_timespec(audit->pending_due_ms);
		if (pthread_cond_timedwait(&audit->work, &audit->lock, &due) == ETIMEDOUT)
			break;
	}
	pthread_mutex_unlock(&audit->lock);
	return more;
}

void *commit_thread(void *argument)
{
	struct audit *audit = argument;

	while (await_work(audit))
		if (commit(audit))
			break;
	return NULL;
}

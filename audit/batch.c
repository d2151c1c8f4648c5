/* One batch and its frame: heads of before, then the records that were queued, and the heads of the trees
 * that they touch. All of it is for the thread that has the turn. */
#include <stdlib.h>

#include "audit/state.h"
#include "config/base/io.h"

struct batch *batch_new(void)
{
	struct batch *batch = calloc(1, sizeof *batch);

	if (batch)
		batch->last = &batch->first;
	return batch;
}

static void drop_heads(struct head **heads, size_t n)
{
	for (size_t i = 0; i < n; i++)
		head_drop(heads[i]);
	free(heads);
}

void batch_free(struct batch *batch)
{
	drop_heads(batch->carried, batch->carried_n);
	drop_heads(batch->heads, batch->heads_n);
	for (struct audit_ticket *t = batch->first, *next; t; t = next) {
		next = t->next;
		ticket_drop(t);
	}
	free(batch);
}

/* --- heads of before --- */

static enum err put_head(struct buf *out, const struct head *head)
{
	const struct receipt_head *h = &head->signed_head;
	struct entry entry = { .kind = ENTRY_HEAD,
			       .tree = head->tree->book->number,
			       .size = h->size,
			       .root = SLICE(h->root),
			       .protected = buf_slice(&h->protected),
			       .signature = buf_slice(&h->signature) };

	entry_put(out, &entry);
	return ledger_head(head->tree->book, h->size, h->root, entry.protected, entry.signature);
}

static struct head *take_pending_locked(struct audit *audit)
{
	struct audit_tree *tree = audit->pending;
	struct head *head = tree->unwritten;

	audit->pending = tree->next_unwritten;
	if (!audit->pending)
		audit->pending_last = &audit->pending;
	audit->pending_n--;
	tree->unwritten = NULL;
	return head;
}

static bool has_room(const struct audit *audit, size_t bytes, size_t room)
{
	return audit->raw.len - FRAME_HEADER + bytes <= room;
}

/* Heads first: they were signed under the keys of before this batch. */
static enum err carry_heads_locked(struct audit *audit, struct batch *batch, size_t room)
{
	enum err e = OK;

	if (!audit->pending_n)
		return OK;
	if (!(batch->carried = calloc(audit->pending_n, sizeof(struct head *))))
		return failed(ERR_MEMORY, "heads");
	while (!e && audit->pending && has_room(audit, ENTRY_HEAD_MAX, room)) {
		struct head *head = take_pending_locked(audit);

		batch->carried[batch->carried_n++] = head;
		batch->entries++;
		e = put_head(&audit->raw, head);
	}
	return e;
}

/* --- records --- */

/* A tree's new key waits for the heads of before to be in the log. */
static bool must_wait(const struct audit *audit, const struct audit_ticket *ticket)
{
	return ticket->new_key && ticket->tree->in_log && (audit->flight || audit->pending);
}

static void take_tickets_locked(struct audit *audit, struct batch *batch, size_t room)
{
	size_t used = audit->raw.len - FRAME_HEADER;

	for (struct audit_ticket *t; (t = audit->first);) {
		if (used + ticket_bytes(t) > room || must_wait(audit, t))
			break;
		used += ticket_bytes(t);
		audit->first = t->next;
		t->next = NULL;
		*batch->last = t;
		batch->last = &t->next;
		batch->cost += t->cost;
		audit->queued--;
	}
	if (!audit->first)
		audit->last = &audit->first;
	audit->gathering++;
}

/* The book's certificates are read by who has the turn alone, but the list of books is not its own. */
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
	struct audit_tree *tree = ticket->tree;
	tree_hash hash;
	leaf_hash(buf_slice(&ticket->leaf), hash);
	struct entry entry = { .kind = ENTRY_LEAF,
			       .tree = tree->book->number,
			       .index = ticket->index,
			       .leaf = buf_slice(&ticket->leaf) };
	entry_put(&audit->raw, &entry);
	batch->entries++;
	batch->leaves++;
	batch->touched += !tree->touched;
	tree->touched = true;
	return tree_append(&tree->book->tree, hash);
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

/* --- the frame --- */

static enum err start_frame(struct audit *audit)
{
	buf_reset(&audit->raw);
	return buf_add(&audit->raw, FRAME_HEADER) ? OK : buf_check(&audit->raw);
}

/* Until nothing is in flight. */
static enum err drain(struct audit *audit)
{
	pthread_mutex_lock(&audit->lock);
	while (audit->flight && !audit->poisoned)
		pthread_cond_wait(&audit->room, &audit->lock);
	enum err e = audit->poisoned ? failed(ERR_IO, "%s", audit->why) : OK;
	pthread_mutex_unlock(&audit->lock);
	return e;
}

/* The first frame of a segment, durable before the next one is written: a crash leaves at most one frame
 * torn. No head that comes after it may be of fewer leaves: so what is in flight comes first. */
static enum err put_snapshot(struct audit *audit)
{
	size_t n = 0;
	enum err e;

	if ((e = drain(audit)) || (e = start_frame(audit)))
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

static size_t least_bytes(struct audit *audit, bool *wait)
{
	pthread_mutex_lock(&audit->lock);
	size_t least = audit->pending ? ENTRY_HEAD_MAX : 0;
	size_t first = audit->first ? ticket_bytes(audit->first) : 0;
	*wait = audit->first && audit->flight && must_wait(audit, audit->first);
	pthread_mutex_unlock(&audit->lock);
	return first > least ? first : least;
}

static enum err gather(struct audit *audit, struct batch *batch, size_t room)
{
	enum err e;

	if ((e = start_frame(audit)))
		return e;
	pthread_mutex_lock(&audit->lock);
	e = carry_heads_locked(audit, batch, room);
	if (!e && !audit->pending)
		take_tickets_locked(audit, batch, room);
	pthread_mutex_unlock(&audit->lock);
	for (struct audit_ticket *t = batch->first; t && !e; t = t->next)
		e = put_ticket(audit, batch, t);
	return e ? e : buf_check(&audit->raw);
}

static enum err fill(struct audit *audit, struct batch *batch)
{
	bool wait;
	size_t least = least_bytes(audit, &wait), room;
	enum err e;

	if (!least)
		return OK;
	if ((wait && (e = drain(audit))) || (e = find_room(audit, least, &room)))
		return e;
	return gather(audit, batch, room);
}

/* --- this batch's heads --- */

/* No head is of before a leaf in it, nor of before the last one, whatever the system clock says. */
static int64_t head_time_locked(struct audit_tree *tree)
{
	int64_t now = (int64_t)(io_realtime_us() / 1000000);

	now = now < tree->newest ? tree->newest : now;
	return tree->headed = now < tree->headed ? tree->headed : now;
}

static enum err new_head_locked(struct audit *audit, struct audit_tree *tree, struct head **out)
{
	struct head *head = calloc(1, sizeof *head);
	uint64_t size = tree->book->tree.size;
	tree_hash root;
	enum err e;

	if (!head)
		return failed(ERR_MEMORY, "a head");
	atomic_init(&head->references, 1);
	head->tree = tree;
	head->key = key_hold(tree->key);
	if ((e = tree_root(&tree->book->tree, size, root)) ||
	    (e = receipt_head_prepare(&head->signed_head, &head->key->key, audit->issuer,
				      tree->book->origin, size, root, head_time_locked(tree),
				      head->digest))) {
		head_drop(head);
		return e;
	}
	*out = head;
	return OK;
}

/* RFC 9942 has no receipt for a tree of one leaf. */
static enum err add_head_locked(struct audit *audit, struct batch *batch, struct audit_tree *tree)
{
	enum err e;

	tree->touched = false;
	if (tree->book->tree.size < 2)
		return OK;
	if ((e = new_head_locked(audit, tree, &tree->fresh)))
		return e;
	batch->heads[batch->heads_n++] = tree->fresh;
	return OK;
}

/* Trees that still want a head since the log was opened. */
static size_t wanting_locked(const struct audit *audit)
{
	size_t n = 0;

	for (size_t i = 0; i < audit->trees_n && audit->wants_heads; i++)
		n += audit->trees[i]->wants_head;
	return n;
}

static enum err add_wanted_locked(struct audit *audit, struct batch *batch)
{
	enum err e = OK;

	for (size_t i = 0; i < audit->trees_n && !e && audit->wants_heads; i++) {
		struct audit_tree *tree = audit->trees[i];

		if (tree->wants_head && tree->key && !tree->fresh)
			e = add_head_locked(audit, batch, tree);
		tree->wants_head &= !tree->fresh;
	}
	audit->wants_heads = false;
	return e;
}

static enum err make_heads_locked(struct audit *audit, struct batch *batch)
{
	size_t most = batch->touched + wanting_locked(audit);
	enum err e = OK;

	if (most && !(batch->heads = calloc(most, sizeof(struct head *))))
		return failed(ERR_MEMORY, "heads");
	for (struct audit_ticket *t = batch->first; t && !e; t = t->next)
		if (t->tree->touched)
			e = add_head_locked(audit, batch, t->tree);
	if (e || (e = add_wanted_locked(audit, batch)))
		return e;
	for (struct audit_ticket *t = batch->first; t; t = t->next)
		t->head = t->has_leaf ? head_hold(t->tree->fresh) : NULL;
	for (size_t i = 0; i < batch->heads_n; i++)
		batch->heads[i]->tree->fresh = NULL;
	return OK;
}

enum err batch_write(struct audit *audit, struct batch *batch)
{
	enum err e;

	if ((e = fill(audit, batch)) ||
	    (batch->entries &&
	     (e = wal_write(audit->wal, &audit->raw, batch->entries, batch->leaves))))
		return e;
	batch->sequence = wal_sequence(audit->wal);
	batch->segment = wal_segment(audit->wal);
	pthread_mutex_lock(&audit->lock);
	e = make_heads_locked(audit, batch);
	pthread_mutex_unlock(&audit->lock);
	return e;
}

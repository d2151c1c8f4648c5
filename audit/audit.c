#include "audit/audit.h"

#include <stdlib.h>
#include <string.h>

#include "audit/compact.h"
#include "audit/state.h"
#include "audit/times.h"
#include "config/base/io.h"

#define ROOM_POLL_MS 10
/* Bytes that a record's index, and times that were held, may take beyond what was guessed. */
#define LATE_MORE 40

/* At worst: a frame of its own, and its tree's head in another. */
#define COST_OF(bytes) (FRAME_BYTES((bytes) + ENTRY_HEAD_MAX) + FRAME_BYTES(ENTRY_HEAD_MAX))

/* --- keys, heads, tickets --- */

/* A copy of its own for each slice of a key. */
static bool keep(struct buf *copy, struct slice *of)
{
	buf_put_slice(copy, *of);
	*of = buf_slice(copy);
	return !copy->failed;
}

struct key *key_new(const struct audit_key *given)
{
	struct key *key = calloc(1, sizeof *key);

	if (!key)
		return NULL;
	atomic_init(&key->references, 1);
	key->key = *given;
	if (keep(&key->certificate, &key->key.certificate) && keep(&key->chain, &key->key.chain) &&
	    keep(&key->ed25519, &key->key.ed25519.certificate) &&
	    keep(&key->former_ed25519, &key->key.former_ed25519.certificate))
		return key;
	key_drop(key);
	return NULL;
}

struct key *key_hold(struct key *key)
{
	atomic_fetch_add(&key->references, 1);
	return key;
}

void key_drop(struct key *key)
{
	if (!key || atomic_fetch_sub(&key->references, 1) != 1)
		return;
	buf_free(&key->certificate);
	buf_free(&key->chain);
	buf_free(&key->ed25519);
	buf_free(&key->former_ed25519);
	free(key);
}

struct head *head_hold(struct head *head)
{
	if (head)
		atomic_fetch_add(&head->references, 1);
	return head;
}

void head_drop(struct head *head)
{
	if (!head || atomic_fetch_sub(&head->references, 1) != 1)
		return;
	key_drop(head->key);
	receipt_head_free(&head->signed_head);
	free(head);
}

void ticket_drop(struct audit_ticket *ticket)
{
	if (!ticket || atomic_fetch_sub(&ticket->references, 1) != 1)
		return;
	buf_free(&ticket->leaf);
	key_drop(ticket->new_key);
	head_drop(ticket->head);
	free(ticket);
}

size_t ticket_bytes(const struct audit_ticket *ticket)
{
	size_t n = ticket->has_leaf ? ENTRY_LEAF_OVERHEAD + ticket->leaf.len : 0;

	if (ticket->mark)
		n += ENTRY_MARK;
	if (ticket->new_key)
		n += ENTRY_LEAF_OVERHEAD + strlen(ticket->tree->book->origin) +
		     ticket->new_key->certificate.len + ticket->new_key->chain.len;
	return n;
}

struct audit_ticket *ticket_new(struct audit_tree *tree)
{
	struct audit_ticket *ticket = calloc(1, sizeof *ticket);

	if (!ticket)
		return NULL;
	atomic_init(&ticket->references, 1);
	ticket->audit = tree->audit;
	ticket->tree = tree;
	return ticket;
}

/* --- queueing --- */

static void wait_for_room_locked(struct audit *audit)
{
	/* The next segment may become ready without a word to us. */
	struct timespec until = io_timespec(io_monotonic_ms() + ROOM_POLL_MS);

	pthread_cond_timedwait(&audit->room, &audit->lock, &until);
}

/* Without this a log that is written faster than it is published would grow until the disk is full. */
static bool is_behind_locked(struct audit *audit)
{
	if (audit->publishing_fails || audit->segment <= audit->tiled_segment + SEGMENTS_BEHIND)
		return false;
	if (io_monotonic_ms() - audit->told_ms >= BEHIND_EVERY_MS) {
		audit->publish_now = true;
		pthread_cond_signal(&audit->publish);
	}
	return true;
}

/* Waits until a record of @most bytes can surely be written. */
static enum err admit_locked(struct audit *audit, size_t most)
{
	for (;;) {
		uint64_t need = audit->reserved + COST_OF(most) +
				FRAME_BYTES(audit->pending_n * ENTRY_HEAD_MAX);
		char why[ERR_REASON_MAX];

		if (audit->poisoned)
			return failed(ERR_IO, "the log has stopped: %s", audit->why);
		if (audit->closing)
			return failed(ERR_STATE, "the log is being closed");
		bool fits = need <= wal_budget(audit->wal, why), behind = is_behind_locked(audit);
		if (fits && !behind && audit->queued < audit->queue_max)
			return OK;
		if (!fits && *why)
			return failed(ERR_IO, "the log can take no more: %s", why);
		wait_for_room_locked(audit);
	}
}

static void enqueue_locked(struct audit *audit, struct audit_ticket *ticket)
{
	atomic_fetch_add(&ticket->references, 1);
	ticket->cost = COST_OF(ticket_bytes(ticket));
	*audit->last = ticket;
	audit->last = &ticket->next;
	audit->queued++;
	audit->reserved += ticket->cost;
	ticket->place = audit->gathering % GATE_PLACES;
	if (audit->queued == 1)
		commit_share_locked(audit);
}

/* Without the lock, which all producers want: the index is likely to be this one or one near it. */
static enum err draft(struct audit_tree *tree, struct leaf *leaf, struct audit_ticket *ticket,
		      size_t *pos_at)
{
	leaf->pos = atomic_load(&tree->next);
	leaf->origin = slice_text(tree->book->origin);
	ticket->has_leaf = true;
	return leaf_draft(leaf, &ticket->leaf, pos_at);
}

/* Under the lock, so that the order of indices and times is the order of the queue. */
static enum err number_locked(struct audit_tree *tree, struct leaf *leaf,
			      struct audit_ticket *ticket, size_t pos_at)
{
	enum err e;

	leaf->pos = ticket->index = atomic_load(&tree->next);
	bool held = times_hold(leaf, &tree->newest);
	if (held || !leaf_renumber(&ticket->leaf, pos_at, leaf->pos)) {
		buf_reset(&ticket->leaf);
		if ((e = leaf_encode(leaf, &ticket->leaf)))
			return e;
	}
	atomic_store(&tree->next, leaf->pos + 1);
	return OK;
}

/* Which shard takes a record; waits while one is being closed. */
static enum err current_locked(struct audit *audit, struct audit_tree **tree)
{
	for (;;) {
		if (audit->poisoned)
			return failed(ERR_IO, "the log has stopped: %s", audit->why);
		if (audit->closing)
			return failed(ERR_STATE, "the log is being closed");
		if ((*tree)->successor)
			*tree = (*tree)->successor;
		else if ((*tree)->turning)
			wait_for_room_locked(audit);
		else
			break;
	}
	return (*tree)->ended ? failed(ERR_STATE, "%s is closed, and there is no next shard yet",
				       (*tree)->book->origin)
			      : OK;
}

/* ERR_EXISTS: the tree was closed meanwhile. */
static enum err queue_once(struct audit_ticket *ticket, struct leaf *leaf)
{
	struct audit_tree *tree = ticket->tree;
	struct audit *audit = tree->audit;
	size_t pos_at;
	enum err e;

	if (leaf && (e = draft(tree, leaf, ticket, &pos_at)))
		return e;
	pthread_mutex_lock(&audit->lock);
	e = admit_locked(audit, ticket_bytes(ticket) + LATE_MORE);
	if (!e && leaf && !ticket->mark && atomic_load(&tree->moved))
		e = ERR_EXISTS;
	if (!e && leaf)
		e = number_locked(tree, leaf, ticket, pos_at);
	if (!e)
		enqueue_locked(audit, ticket);
	pthread_mutex_unlock(&audit->lock);
	return e;
}

enum err ticket_submit(struct audit_ticket *ticket, struct leaf *leaf)
{
	struct audit *audit = ticket->audit;
	enum err e = OK;

	do {
		if (leaf && !ticket->mark && atomic_load(&ticket->tree->moved)) {
			pthread_mutex_lock(&audit->lock);
			e = current_locked(audit, &ticket->tree);
			pthread_mutex_unlock(&audit->lock);
		}
		if (e)
			return e;
		buf_reset(&ticket->leaf);
	} while ((e = queue_once(ticket, leaf)) == ERR_EXISTS);
	return e;
}

enum err audit_begin(struct audit_tree *tree, struct leaf *leaf, struct audit_ticket **out)
{
	struct audit_ticket *ticket = ticket_new(tree);
	enum err e;

	if (!ticket)
		return failed(ERR_MEMORY, "a record");
	if ((e = ticket_submit(ticket, leaf))) {
		ticket_drop(ticket);
		return e;
	}
	*out = ticket;
	return OK;
}

struct slice audit_ticket_leaf(const struct audit_ticket *ticket)
{
	return buf_slice(&ticket->leaf);
}

enum err ticket_await(struct audit_ticket *ticket)
{
	commit_lead(ticket);
	gate_wait(&ticket->audit->gate, &ticket->state, ticket->place);
	if (atomic_load(&ticket->state) == TICKET_RELEASED)
		return OK;
	return failed(ERR_IO, "the log has stopped, the record is in doubt: %s",
		      ticket->audit->why);
}

enum err audit_finish(struct audit_ticket *ticket, struct buf *receipt)
{
	const struct head *head;
	struct tree_path path;
	enum err e;

	if ((e = ticket_await(ticket)))
		return e;
	head = ticket->head;
	if (!head)
		return OK;
	if ((e = old_inclusion(ticket->tree, ticket->index, head->signed_head.size, &path)))
		return e;
	return receipt_write(&head->signed_head, &head->key->key, ticket->index,
			     (const uint8_t(*)[SHA256_SIZE])path.hash, path.n, receipt);
}

void audit_ticket_free(struct audit_ticket *ticket)
{
	ticket_drop(ticket);
}

void audit_ticket_cleanup(struct audit_ticket **ticket)
{
	ticket_drop(*ticket);
	*ticket = NULL;
}

enum err audit_record(struct audit_tree *tree, struct leaf *leaf)
{
	CLEANUP(audit_ticket) struct audit_ticket *ticket = NULL;
	enum err e = audit_begin(tree, leaf, &ticket);

	return e ? e : ticket_await(ticket);
}

enum err audit_compact(struct audit_tree *tree, struct slice leaf, struct buf *out)
{
	CLEANUP(compact_draft) struct compact_draft draft = COMPACT_DRAFT_INIT;
	CLEANUP(buf) struct buf signature = BUF_INIT;
	struct audit *audit = tree->audit;
	uint8_t digest[SHA256_SIZE];
	enum err e;

	pthread_mutex_lock(&audit->lock);
	struct key *key = key_hold(turn_last_locked(tree)->key);
	pthread_mutex_unlock(&audit->lock);
	if (!(e = compact_prepare(&draft, &key->key, leaf, digest)) &&
	    !(e = audit->signer.sign(audit->signer.context, key->key.handle, digest, &signature)) &&
	    !(e = buf_check(&signature)))
		e = compact_write(&draft, buf_slice(&signature), out);
	key_drop(key);
	return e;
}

/* --- trees --- */

struct audit_tree *tree_of_locked(const struct audit *audit, const char *origin)
{
	for (size_t i = 0; i < audit->trees_n; i++)
		if (!strcmp(audit->trees[i]->book->origin, origin))
			return audit->trees[i];
	return NULL;
}

void tree_sleep(struct audit_tree *tree)
{
	key_drop(tree->key);
	head_drop(tree->head);
	head_drop(tree->unwritten);
	pthread_rwlock_destroy(&tree->trimming);
	free(tree);
}

/* Makes the running side of a tree of the ledger. */
enum err tree_wake(struct audit *audit, struct ledger_tree *book, struct audit_tree **out)
{
	struct audit_tree *tree = calloc(1, sizeof *tree);

	if (!tree)
		return failed(ERR_MEMORY, "a tree");
	tree->audit = audit;
	tree->book = book;
	pthread_rwlock_init(&tree->trimming, NULL);
	tree->in_log = book->tree.size > 0;
	tree->tiled = book->tree.base;
	tree->ended = book->closed;
	atomic_store(&tree->moved, tree->ended);
	tree->next = tree->released = book->tree.size;
	tree->headed = times_head(buf_slice(&book->head.protected));
	tree->newest = book->newest > tree->headed ? book->newest : tree->headed;
	if (book->tree.size >= 2 && book->head.size < book->tree.size && !book->pruned) {
		tree->released = book->head.size;
		tree->wants_head = true;
	}
	pthread_mutex_lock(&audit->lock);
	struct audit_tree **more = reallocarray(audit->trees, audit->trees_n + 1, sizeof *more);
	if (more) {
		audit->trees = more;
		more[audit->trees_n++] = tree;
	}
	pthread_mutex_unlock(&audit->lock);
	if (!more) {
		tree_sleep(tree);
		return failed(ERR_MEMORY, "the list of trees");
	}
	*out = tree;
	return OK;
}

static void remove_last_tree(struct audit *audit)
{
	pthread_mutex_lock(&audit->lock);
	tree_sleep(audit->trees[--audit->trees_n]);
	ledger_undo(&audit->ledger);
	pthread_mutex_unlock(&audit->lock);
}

/* The entry that introduces a tree or its new key, and maybe a leaf, durably. */
static enum err introduce(struct audit_tree *tree, struct key *key, struct leaf *genesis,
			  bool *queued)
{
	CLEANUP(audit_ticket) struct audit_ticket *ticket = ticket_new(tree);
	enum err e;

	if (!ticket)
		return failed(ERR_MEMORY, "a tree");
	ticket->new_key = key_hold(key);
	if ((e = ticket_submit(ticket, genesis)))
		return e;
	*queued = true;
	return ticket_await(ticket);
}

static enum err make_tree(struct audit *audit, const char *origin, struct key *key,
			  struct leaf *genesis, struct audit_tree **out)
{
	struct entry entry = { .kind = ENTRY_TREE,
			       .tree = (uint32_t)audit->ledger.n,
			       .origin = slice_text(origin),
			       .certificate = buf_slice(&key->certificate),
			       .ca = buf_slice(&key->chain) };
	struct ledger_tree *book;
	bool queued = false;
	enum err e;

	if (!genesis)
		return failed(ERR_NOT_FOUND, "the log has no tree %s", origin);
	pthread_mutex_lock(&audit->lock);
	e = ledger_tree(&audit->ledger, &entry, &book);
	pthread_mutex_unlock(&audit->lock);
	if (e)
		return e;
	if ((e = wal_reserve(audit->wal, ledger_snapshot_max(&audit->ledger))) ||
	    (e = tree_wake(audit, book, out))) {
		pthread_mutex_lock(&audit->lock);
		ledger_undo(&audit->ledger);
		pthread_mutex_unlock(&audit->lock);
		return e;
	}
	if ((e = introduce(*out, key, genesis, &queued)) && !queued)
		remove_last_tree(audit);
	return e;
}

/* The key of a head of before: that of now, or, when a rollover was cut short, the former one. */
static struct key *head_key_locked(const struct audit_tree *tree)
{
	const struct ledger_tree *book = tree->book;
	struct audit_key former = tree->key->key;

	if (!book->former.len ||
	    !receipt_head_verify(&book->head, book->origin, former.certificate))
		return key_hold(tree->key);
	former.handle = former.former;
	former.overlap = false;
	former.certificate = buf_slice(&book->former);
	former.ed25519 = former.former_ed25519;
	former.former_ed25519 = (struct audit_ed25519){ 0 };
	return key_new(&former);
}

/* Heads of before the log was opened are published again, and wanted ones signed. */
static void adopt_head_locked(struct audit *audit, struct audit_tree *tree)
{
	const struct receipt_head *old = &tree->book->head;
	struct head *head;

	if (tree->wants_head) {
		audit->wants_heads = true;
		commit_share_locked(audit);
	}
	if (tree->head || !old->size || !(head = calloc(1, sizeof *head)))
		return;
	atomic_init(&head->references, 1);
	head->tree = tree;
	head->key = head_key_locked(tree);
	head->signed_head.size = old->size;
	memcpy(head->signed_head.root, old->root, SHA256_SIZE);
	buf_put_slice(&head->signed_head.protected, buf_slice(&old->protected));
	buf_put_slice(&head->signed_head.signature, buf_slice(&old->signature));
	if (!head->key || buf_check(&head->signed_head.protected) ||
	    buf_check(&head->signed_head.signature))
		head_drop(head); /* the next one will do */
	else
		tree->head = head;
}

static bool same_certificate(const struct audit_tree *tree, const struct key *key)
{
	return slice_equal(buf_slice(&tree->book->certificate), buf_slice(&key->certificate)) &&
	       slice_equal(buf_slice(&tree->book->ca), buf_slice(&key->chain));
}

/* Gives an existing tree the key of now. */
static enum err renew(struct audit *audit, struct audit_tree *tree, struct key *key)
{
	bool queued = false;
	enum err e;

	if (!same_certificate(tree, key)) {
		if (!(e = wal_reserve(audit->wal, ledger_snapshot_max(&audit->ledger) +
							  key->certificate.len + key->chain.len)))
			e = introduce(tree, key, NULL, &queued);
		return e;
	}
	pthread_mutex_lock(&audit->lock);
	key_drop(tree->key);
	tree->key = key_hold(key);
	pthread_mutex_unlock(&audit->lock);
	return OK;
}

static enum err make_ready(struct audit *audit, const char *origin, struct key *key,
			   struct leaf *genesis, struct audit_tree **out)
{
	struct audit_tree *tree = *out;
	enum err e;

	e = tree ? renew(audit, tree, key) : make_tree(audit, origin, key, genesis, &tree);
	const struct public_keys keys = { buf_slice(&key->certificate), buf_slice(&key->chain),
					  buf_slice(&key->ed25519) };
	if (e || (e = public_tree(audit->trees_dir, origin, &keys)))
		return e;
	pthread_mutex_lock(&audit->lock);
	tree->in_public = true;
	adopt_head_locked(audit, tree);
	pthread_mutex_unlock(&audit->lock);
	*out = tree;
	return OK;
}

/* A closed shard is signed no more: it keeps the certificate of the key that signed it last. */
static struct key *key_for_locked(const struct audit_tree *tree, struct key *key)
{
	struct audit_key kept = { .handle = key->key.handle, .alg = key->key.alg };

	if (!tree || !tree->successor || tree->wants_head)
		return key_hold(key);
	kept.certificate = buf_slice(&tree->book->certificate);
	kept.chain = buf_slice(&tree->book->ca);
	if (slice_equal(kept.certificate, key->key.certificate))
		kept.ed25519 = key->key.ed25519;
	return key_new(&kept);
}

enum err tree_ready(struct audit *audit, const char *origin, struct key *given,
		    struct leaf *genesis, struct audit_tree **out)
{
	struct audit_tree *tree;
	enum err e;

	pthread_mutex_lock(&audit->lock);
	tree = tree_of_locked(audit, origin);
	struct key *key = key_for_locked(tree, given);
	pthread_mutex_unlock(&audit->lock);
	*out = tree;
	if (!key)
		return failed(ERR_MEMORY, "a key's certificates");
	e = tree && tree->book->pruned ? OK : make_ready(audit, origin, key, genesis, out);
	key_drop(key);
	return e;
}

static struct audit_tree *next_shard(struct audit_tree *tree)
{
	pthread_mutex_lock(&tree->audit->lock);
	struct audit_tree *next = tree->successor;
	pthread_mutex_unlock(&tree->audit->lock);
	return next;
}

enum err audit_tree(struct audit *audit, const char *origin, const struct audit_key *given,
		    struct leaf *genesis, struct audit_tree **out)
{
	size_t length = strnlen(origin, AUDIT_ORIGIN_MAX + 1);
	enum err e;

	if (!length || length > AUDIT_ORIGIN_MAX)
		return failed(ERR_RANGE, "an origin of %zu bytes", length);
	if (given->certificate.left > FRAME_CERTIFICATE_MAX ||
	    given->chain.left > FRAME_CERTIFICATE_MAX ||
	    given->ed25519.certificate.left > FRAME_CERTIFICATE_MAX)
		return failed(ERR_RANGE, "a certificate over %d bytes", FRAME_CERTIFICATE_MAX);
	struct key *key = key_new(given);
	if (!key)
		return failed(ERR_MEMORY, "a key's certificates");
	pthread_mutex_lock(&audit->making);
	e = tree_ready(audit, origin, key, genesis, out);
	for (struct audit_tree *t = e ? NULL : next_shard(*out); t && !e; t = next_shard(t)) {
		struct audit_tree *same;

		e = tree_ready(audit, t->book->origin, key, NULL, &same);
	}
	pthread_mutex_unlock(&audit->making);
	key_drop(key);
	return e;
}

uint64_t audit_tree_size(struct audit_tree *tree)
{
	pthread_mutex_lock(&tree->audit->lock);
	uint64_t size = turn_last_locked(tree)->released;
	pthread_mutex_unlock(&tree->audit->lock);
	return size;
}

void audit_counts(struct audit *audit, struct audit_counts *out)
{
	pthread_mutex_lock(&audit->lock);
	*out = audit->counts;
	pthread_mutex_unlock(&audit->lock);
}

/* What everybody may see, off the path of release, about once a second: tiles, then the checkpoint.
 *
 * The publisher reads back what was released, from the write-ahead log itself, and so sees only what
 * is there for a reader after a crash too. A segment all of whose leaves are in durable tiles is
 * retired, unless it is the current one. After a failure everything begins anew with the first segment
 * that is left: tiles that are there already must come out the same. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "audit/note.h"
#include "audit/scan.h"
#include "audit/shelf.h"
#include "audit/state.h"
#include "audit/tiles.h"
#include "audit/vkey.h"
#include "config/base/io.h"
#include "config/base/log.h"

struct publisher {
	bool ready;
	struct scan scan;
	struct shelf **shelves; /* by tree number */
	size_t n;
	/* Released heads, as they were when it was decided how far to read, by tree number. */
	struct head **heads;
	size_t heads_n;
	uint64_t oldest;           /* segment; those before it are retired */
	char said[ERR_REASON_MAX]; /* the last failure, told once */
};

static void forget(struct publisher *p)
{
	for (size_t i = 0; i < p->n; i++)
		shelf_free(p->shelves[i]);
	free(p->shelves);
	p->shelves = NULL;
	p->n = 0;
	scan_end(&p->scan);
	p->ready = false;
}

static void drop_heads(struct publisher *p)
{
	for (size_t i = 0; i < p->heads_n; i++)
		head_drop(p->heads[i]);
	free(p->heads);
	p->heads = NULL;
	p->heads_n = 0;
}

void publish_free(struct publisher *p)
{
	if (!p)
		return;
	forget(p);
	drop_heads(p);
	free(p);
}

/* --- the trees --- */

static bool is_pruned(struct audit *audit, size_t number)
{
	pthread_mutex_lock(&audit->lock);
	bool pruned = number < audit->ledger.n && audit->ledger.trees[number]->pruned;
	pthread_mutex_unlock(&audit->lock);
	return pruned;
}

/* None for a tree that is pruned. */
static enum err add_shelf(struct audit *audit, const char *origin, uint64_t size,
			  const tree_hash root)
{
	struct publisher *p = audit->tiler;
	struct shelf **more = reallocarray(p->shelves, p->n + 1, sizeof *more);
	int folder;
	enum err e;

	if (!more)
		return failed(ERR_MEMORY, "the list of trees");
	p->shelves = more;
	if (is_pruned(audit, p->n)) {
		more[p->n++] = NULL;
		return OK;
	}
	e = public_folder(audit->trees_dir, origin, !size, &folder);
	if (!e)
		e = shelf_open(folder, size, root, &more[p->n]);
	/* It may be removed just now: the mark comes before. */
	if (e && is_pruned(audit, p->n)) {
		more[p->n] = NULL;
		e = OK;
	}
	if (e)
		return failed(e == ERR_NOT_FOUND ? ERR_MISMATCH : e, "%s: %s", origin,
			      err_reason());
	p->n++;
	return OK;
}

/* The trees with which the first segment begins: their leaves are in tiles, or records are missing. */
static enum err take_snapshot(struct audit *audit, const struct frame *frame)
{
	CLEANUP(ledger) struct ledger ledger = LEDGER_INIT;
	uint64_t leaves;
	enum err e = ledger_apply(&ledger, frame, NULL, NULL, &leaves);

	for (size_t i = 0; i < ledger.n && !e; i++) {
		const struct ledger_tree *tree = ledger.trees[i];
		tree_hash root;

		if (!(e = tree_root(&tree->tree, tree->tree.size, root)))
			e = add_shelf(audit, tree->origin, tree->tree.size, root);
	}
	return e;
}

static enum err take_entry(struct audit *audit, const struct entry *entry)
{
	struct publisher *p = audit->tiler;
	char origin[FRAME_ORIGIN_MAX + 1] = "";

	if (entry->kind == ENTRY_LEAF && entry->tree < p->n)
		return p->shelves[entry->tree] ? shelf_add(p->shelves[entry->tree], entry->leaf)
					       : OK;
	if (entry->kind == ENTRY_PRUNED && entry->tree < p->n) {
		shelf_free(p->shelves[entry->tree]);
		p->shelves[entry->tree] = NULL;
	}
	if (entry->kind != ENTRY_TREE || entry->tree != p->n)
		return OK; /* a head, a mark, or a tree's new key */
	memcpy(origin, entry->origin.p, entry->origin.left);
	return add_shelf(audit, origin, 0, NULL);
}

static enum err take_frame(struct audit *audit, const struct frame *frame, uint64_t *leaves)
{
	struct slice payload = frame->payload;

	*leaves = 0;
	while (payload.left) {
		struct entry entry;
		enum err e = entry_take(&payload, &entry);

		if (e || (e = take_entry(audit, &entry)))
			return e;
		*leaves += entry.kind == ENTRY_LEAF;
	}
	return OK;
}

/* Frames before @until are there, and won't change. */
static enum err read_until(struct audit *audit, uint64_t until)
{
	struct scan *scan = &audit->tiler->scan;

	while (!scan->begun || scan->sequence < until) {
		bool first = !scan->begun;
		struct frame frame;
		uint64_t leaves = 0;
		enum err e = scan_next(scan, &frame);

		if (e)
			return e == ERR_NOT_FOUND
				       ? failed(ERR_MISMATCH, "a released batch is not in the log")
				       : e;
		if (first)
			e = take_snapshot(audit, &frame);
		else if (!frame_is_snapshot(&frame))
			e = take_frame(audit, &frame, &leaves);
		if (e)
			return e;
		scan_advance(scan, &frame, leaves);
	}
	return OK;
}

static enum err begin(struct audit *audit)
{
	struct publisher *p = audit->tiler;
	enum err e = scan_start(&p->scan, audit->dir, NULL, NULL);

	if (e)
		return e;
	p->oldest = p->scan.first_segment;
	p->ready = true;
	return OK;
}

enum err publish_prepare(struct audit *audit)
{
	struct publisher *p = calloc(1, sizeof *p);
	enum err e;

	if (!p)
		return failed(ERR_MEMORY, "the publisher");
	p->scan.fd = -1;
	audit->tiler = p;
	if (!audit->ledger.n)
		return OK;
	/* Only the first frame: before it is known how the log goes on, that is enough. */
	e = begin(audit);
	if (!e)
		e = read_until(audit, 0);
	forget(p);
	return e;
}

/* --- one round --- */

static enum err settle_all(struct publisher *p)
{
	enum err e = OK;

	for (size_t i = 0; i < p->n && !e; i++)
		e = p->shelves[i] ? shelf_settle(p->shelves[i]) : OK;
	return e;
}

static void tell(struct audit *audit)
{
	struct publisher *p = audit->tiler;

	pthread_mutex_lock(&audit->lock);
	for (size_t i = 0; i < p->n && i < audit->trees_n; i++)
		if (p->shelves[i] && shelf_settled(p->shelves[i]) > audit->trees[i]->tiled)
			audit->trees[i]->tiled = shelf_settled(p->shelves[i]);
	audit->rounds++;
	audit->tiled_segment = p->scan.number;
	audit->told_ms = io_monotonic_ms();
	pthread_cond_broadcast(&audit->tiled);
	pthread_cond_broadcast(&audit->room);
	pthread_mutex_unlock(&audit->lock);
}

/* Oldest first, and each for good before the next, so that a crash in between leaves no gap. */
static enum err retire(struct audit *audit)
{
	struct publisher *p = audit->tiler;
	char name[24];
	enum err e;

	for (; p->oldest < p->scan.number; p->oldest++) {
		snprintf(name, sizeof name, SCAN_NAME, (unsigned long long)p->oldest);
		if (unlinkat(audit->dir, name, 0))
			return failed(ERR_IO, "segment %s: %m", name);
		if ((e = io_sync_dir(audit->dir)))
			return e;
	}
	return OK;
}

/* How far to read, and the heads of just that; while tiles are written, others are released. */
static enum err decide(struct audit *audit, uint64_t *until)
{
	struct publisher *p = audit->tiler;

	drop_heads(p);
	pthread_mutex_lock(&audit->lock);
	*until = audit->released_sequence;
	p->heads = calloc(audit->trees_n ? audit->trees_n : 1, sizeof *p->heads);
	for (; p->heads && p->heads_n < audit->trees_n; p->heads_n++)
		p->heads[p->heads_n] = head_hold(audit->trees[p->heads_n]->head);
	pthread_mutex_unlock(&audit->lock);
	return p->heads ? OK : failed(ERR_MEMORY, "the list of heads");
}

static enum err tiles_round(struct audit *audit)
{
	uint64_t until;
	enum err e;

	if ((e = decide(audit, &until)) || (!audit->tiler->ready && (e = begin(audit))) ||
	    (e = read_until(audit, until)) || (e = settle_all(audit->tiler)))
		return e;
	tell(audit);
	return OK;
}

/* --- checkpoints --- */

/* What is on disk must be what the head says. */
static enum err check_tiles(const struct shelf *shelf, const struct receipt_head *head)
{
	tree_hash root;
	enum err e = tiles_root(shelf_folder(shelf), head->size, root);

	if (e)
		return e;
	return memcmp(root, head->root, SHA256_SIZE)
		       ? failed(ERR_MISMATCH, "its tiles are not those of its last signed head")
		       : OK;
}

static enum err sign_note(struct audit *audit, unsigned long key, struct slice certificate,
			  const char *origin, const uint8_t digest[SHA256_SIZE], struct buf *note)
{
	CLEANUP(buf) struct buf signature = BUF_INIT;
	uint8_t id[NOTE_KEY_ID];
	enum err e;

	if ((e = note_key_id(certificate, id)) ||
	    (e = audit->signer.sign(audit->signer.context, key, digest, &signature)) ||
	    (e = buf_check(&signature)))
		return e;
	return note_put_signature(origin, id, buf_slice(&signature), note);
}

/* After a rollover, for who knows the former key alone: a line by that one too. */
static enum err sign_former(struct audit *audit, const struct head *head,
			    const uint8_t digest[SHA256_SIZE], struct buf *note)
{
	CLEANUP(buf) struct buf certificate = BUF_INIT;
	const struct ledger_tree *book = head->tree->book;
	const struct audit_key *key = &head->key->key;

	if (!key->overlap)
		return OK;
	pthread_mutex_lock(&audit->lock);
	buf_put_slice(&certificate, buf_slice(&book->former));
	pthread_mutex_unlock(&audit->lock);
	if (!certificate.len)
		return buf_check(&certificate);
	return sign_note(audit, key->former, buf_slice(&certificate), book->origin, digest, note);
}

/* A line that does not verify would be worse than none. */
static enum err sign_ed25519(struct audit *audit, const struct audit_ed25519 *key,
			     const char *origin, size_t text, struct buf *note)
{
	CLEANUP(buf) struct buf signature = BUF_INIT;
	struct slice message = slice_of(note->data, text);
	struct vkey vkey;
	enum err e;

	if (!key->certificate.left || !audit->signer.sign_ed25519)
		return OK;
	if ((e = vkey_of_certificate(key->certificate, origin, &vkey)) ||
	    (e = audit->signer.sign_ed25519(audit->signer.context, key->handle, message,
					    &signature)) ||
	    (e = vkey_check(&vkey, message, buf_slice(&signature))))
		return e;
	return note_put_line(slice_text(origin), vkey.id, buf_slice(&signature), note);
}

/* For others' tools alone, which most often know no ECDSA: no checkpoint waits for it. */
static enum err add_ed25519(struct audit *audit, const struct head *head, size_t text,
			    struct buf *note)
{
	const struct audit_key *key = &head->key->key;
	struct audit_tree *tree = head->tree;
	const char *origin = tree->book->origin;
	enum err e = sign_ed25519(audit, &key->ed25519, origin, text, note);

	if (!e && key->overlap)
		e = sign_ed25519(audit, &key->former_ed25519, origin, text, note);
	if (e && !tree->ed25519_fails)
		log_warning("audit: checkpoints of %s are without a line of Ed25519: %s", origin,
			    err_reason());
	tree->ed25519_fails = e != OK;
	return buf_check(note);
}

static enum err publish_head(struct audit *audit, const struct head *head, struct shelf *shelf)
{
	CLEANUP(buf) struct buf note = BUF_INIT;
	const char *origin = head->tree->book->origin;
	const struct audit_key *key = &head->key->key;
	uint8_t digest[SHA256_SIZE];
	enum err e =
		note_prepare(origin, head->signed_head.size, head->signed_head.root, &note, digest);

	size_t text = note.len;
	buf_put_text(&note, "\n");
	if (e || (e = sign_note(audit, key->handle, key->certificate, origin, digest, &note)) ||
	    (e = sign_former(audit, head, digest, &note)) ||
	    (e = add_ed25519(audit, head, text, &note)))
		return e;
	pthread_mutex_lock(&audit->publishing);
	if (!(e = shelf_published(shelf, head->signed_head.size, buf_slice(&note))))
		e = public_checkpoint(audit->trees_dir, origin, buf_slice(&note));
	pthread_mutex_unlock(&audit->publishing);
	return e;
}

static void publish_tree(struct audit *audit, const struct head *head, struct shelf *shelf)
{
	struct audit_tree *tree = head->tree;
	enum err e;

	pthread_mutex_lock(&audit->lock);
	bool due = tree->in_public && head->signed_head.size > tree->published;
	pthread_mutex_unlock(&audit->lock);
	if (!due)
		return;
	if ((e = check_tiles(shelf, &head->signed_head)) || (e = publish_head(audit, head, shelf)))
		log_warning("audit: no new checkpoint of %s: %s", tree->book->origin, err_reason());
	else
		tree->published = head->signed_head.size;
}

static void checkpoints(struct audit *audit)
{
	struct publisher *p = audit->tiler;

	for (size_t i = 0; i < p->n && i < p->heads_n; i++)
		if (p->heads[i] && p->shelves[i])
			publish_tree(audit, p->heads[i], p->shelves[i]);
}

/* --- the thread --- */

static void publish_all(struct audit *audit)
{
	struct publisher *p = audit->tiler;
	enum err e;

	pthread_mutex_lock(&audit->lock);
	bool over = audit->poisoned; /* what is left to do is done when the log is opened again */
	pthread_mutex_unlock(&audit->lock);
	if (over)
		return;
	if (!(e = tiles_round(audit))) {
		checkpoints(audit);
		e = retire(audit);
	}
	pthread_mutex_lock(&audit->lock);
	audit->publishing_fails = e != OK;
	pthread_mutex_unlock(&audit->lock);
	if (!e) {
		*p->said = 0;
		return;
	}
	if (strcmp(p->said, err_reason()))
		log_error("audit: nothing new is published: %s", err_reason());
	snprintf(p->said, sizeof p->said, "%s", err_reason());
	forget(p);
}

void *publish_thread(void *argument)
{
	struct audit *audit = argument;
	bool stop = false;

	while (!stop) {
		struct timespec until = io_timespec(io_monotonic_ms() + PUBLISH_EVERY_MS);

		pthread_mutex_lock(&audit->lock);
		while (!audit->stop && !audit->publish_now &&
		       !pthread_cond_timedwait(&audit->publish, &audit->lock, &until))
			;
		stop = audit->stop;
		audit->publish_now = false;
		pthread_mutex_unlock(&audit->lock);
		publish_all(audit);
	}
	return NULL;
}

#include "audit/ledger.h"

#include <stdlib.h>
#include <string.h>

#include "audit/leaf.h"

static unsigned long long ull(uint64_t v)
{
	return v;
}

struct ledger_tree *ledger_find(const struct ledger *ledger, const char *origin)
{
	for (size_t i = 0; i < ledger->n; i++)
		if (!strcmp(ledger->trees[i]->origin, origin))
			return ledger->trees[i];
	return NULL;
}

static void tree_drop(struct ledger_tree *tree)
{
	buf_free(&tree->certificate);
	buf_free(&tree->ca);
	buf_free(&tree->former);
	tree_free(&tree->tree);
	receipt_head_free(&tree->head);
	free(tree);
}

static enum err add(struct ledger *ledger, const struct entry *entry, struct ledger_tree **out)
{
	struct ledger_tree **more, *tree;

	if (!entry->origin.left || memchr(entry->origin.p, 0, entry->origin.left))
		return failed(ERR_FORMAT, "a tree without a proper origin");
	if (ledger->n >= LEDGER_TREES_MAX)
		return failed(ERR_RANGE, "too many trees");
	more = reallocarray(ledger->trees, ledger->n + 1, sizeof *more);
	if (!more)
		return failed(ERR_MEMORY, "the list of trees");
	ledger->trees = more;
	tree = calloc(1, sizeof *tree);
	if (!tree)
		return failed(ERR_MEMORY, "a tree");
	tree->number = entry->tree;
	memcpy(tree->origin, entry->origin.p, entry->origin.left);
	if (ledger_find(ledger, tree->origin)) {
		tree_drop(tree);
		return failed(ERR_MISMATCH, "two trees have one origin");
	}
	ledger->trees[ledger->n++] = tree;
	*out = tree;
	return OK;
}

enum err ledger_tree(struct ledger *ledger, const struct entry *entry, struct ledger_tree **out)
{
	enum err e;

	if (entry->tree > ledger->n)
		return failed(ERR_MISMATCH, "tree %u comes before tree %zu", entry->tree,
			      ledger->n);
	if (entry->tree == ledger->n) {
		if ((e = add(ledger, entry, out)))
			return e;
	} else {
		*out = ledger->trees[entry->tree];
		if (!slice_is(entry->origin, (*out)->origin))
			return failed(ERR_MISMATCH,
				      "a new certificate of tree %s names another tree",
				      (*out)->origin);
	}
	/* Only what is above it may be new, when the CA's own certificate was renewed. */
	if (!slice_equal(buf_slice(&(*out)->certificate), entry->certificate)) {
		buf_free(&(*out)->former);
		(*out)->former = (*out)->certificate;
		(*out)->certificate = BUF_INIT;
		buf_put_slice(&(*out)->certificate, entry->certificate);
	}
	buf_reset(&(*out)->ca);
	buf_put_slice(&(*out)->ca, entry->ca);
	if ((e = buf_check(&(*out)->certificate)))
		return e;
	return buf_check(&(*out)->ca);
}

static enum err apply_leaf(struct ledger_tree *tree, const struct entry *entry)
{
	tree_hash hash;

	if (tree->closed)
		return failed(ERR_MISMATCH, "%s: a record after the one that closed it",
			      tree->origin);
	if (entry->index != tree->tree.size)
		return failed(ERR_MISMATCH, "%s: record %llu in the place of %llu", tree->origin,
			      ull(entry->index), ull(tree->tree.size));
	leaf_hash(entry->leaf, hash);
	return tree_append(&tree->tree, hash);
}

enum err ledger_head(struct ledger_tree *tree, uint64_t size, const uint8_t *root,
		     struct slice protected, struct slice signature)
{
	struct receipt_head *head = &tree->head;
	enum err e;

	head->size = size;
	memcpy(head->root, root, SHA256_SIZE);
	buf_reset(&head->protected);
	buf_reset(&head->signature);
	buf_put_slice(&head->protected, protected);
	buf_put_slice(&head->signature, signature);
	if ((e = buf_check(&head->protected)))
		return e;
	return buf_check(&head->signature);
}

static enum err apply_head(struct ledger_tree *tree, const struct entry *entry)
{
	tree_hash root;
	enum err e;

	if (entry->size > tree->tree.size)
		return failed(ERR_MISMATCH, "%s: a signed head has %llu records, the log %llu",
			      tree->origin, ull(entry->size), ull(tree->tree.size));
	if (entry->size < 2 || entry->size <= tree->head.size)
		return failed(ERR_MISMATCH, "%s: a head of %llu records after one of %llu",
			      tree->origin, ull(entry->size), ull(tree->head.size));
	/* Of leaves before those that the ledger began with: as a snapshot's head, it has its signature to speak
	 * for it, and the tiles. */
	if (entry->size < tree->tree.base)
		return ledger_head(tree, entry->size, entry->root.p, entry->protected,
				   entry->signature);
	if ((e = tree_root(&tree->tree, entry->size, root)))
		return e;
	if (memcmp(root, entry->root.p, SHA256_SIZE))
		return failed(ERR_MISMATCH,
			      "%s: the first %llu records are not those whose root was signed",
			      tree->origin, ull(entry->size));
	return ledger_head(tree, entry->size, root, entry->protected, entry->signature);
}

/* Size, frontier and root of what is pruned stay: that is what later shards and people speak of. */
static void forget_keys(struct ledger_tree *tree)
{
	buf_free(&tree->certificate);
	buf_free(&tree->ca);
	buf_free(&tree->former);
	receipt_head_free(&tree->head);
	tree->head = (struct receipt_head){ 0 };
}

enum err ledger_mark(struct ledger_tree *tree, enum entry_kind kind)
{
	bool good = kind == ENTRY_CLOSED ? !tree->closed && tree->tree.size
					 : tree->closed && !tree->pruned;

	if (!good)
		return failed(ERR_MISMATCH, "%s: closed or pruned out of order", tree->origin);
	tree->closed = true;
	if (kind == ENTRY_PRUNED) {
		tree->pruned = true;
		forget_keys(tree);
	}
	return OK;
}

/* --- snapshots --- */

uint32_t ledger_snapshot_entries(const struct ledger *ledger, size_t trees)
{
	size_t n = 1 + trees;

	for (size_t i = 0; i < trees; i++)
		n += ledger->trees[i]->closed;
	return (uint32_t)n;
}

static enum err put_state(const struct ledger_tree *tree, struct buf *out)
{
	const struct receipt_head *head = &tree->head;
	struct tree_path frontier;
	enum err e = tree_frontier(&tree->tree, tree->tree.size, &frontier);

	if (e)
		return e;
	struct entry entry = { .kind = ENTRY_STATE,
			       .tree = tree->number,
			       .origin = slice_text(tree->origin),
			       .certificate = buf_slice(&tree->certificate),
			       .ca = buf_slice(&tree->ca),
			       .former = buf_slice(&tree->former),
			       .leaves = tree->tree.size,
			       .frontier = slice_of(frontier.hash, frontier.n * SHA256_SIZE),
			       .size = head->size,
			       .root = slice_of(head->root, head->size ? SHA256_SIZE : 0),
			       .protected = buf_slice(&head->protected),
			       .signature = buf_slice(&head->signature) };
	struct entry mark = { .kind = tree->pruned ? ENTRY_PRUNED : ENTRY_CLOSED,
			      .tree = tree->number };
	entry_put(out, &entry);
	if (tree->closed)
		entry_put(out, &mark);
	return buf_check(out);
}

enum err ledger_snapshot(const struct ledger *ledger, size_t trees, struct buf *out)
{
	struct entry entry = { .kind = ENTRY_SNAPSHOT, .tree = (uint32_t)trees };
	enum err e = OK;

	entry_put(out, &entry);
	for (size_t i = 0; i < trees && !e; i++)
		e = put_state(ledger->trees[i], out);
	return e ? e : buf_check(out);
}

size_t ledger_snapshot_max(const struct ledger *ledger)
{
	size_t n = ENTRY_STATE_MAX;

	/* The key of now may become the former one, and a new one take its place. */
	for (size_t i = 0; i < ledger->n; i++) {
		const struct ledger_tree *tree = ledger->trees[i];

		/* One that is pruned stays as it is. */
		if (tree->pruned)
			n += ENTRY_PRUNED_MAX +
			     SHA256_SIZE * (size_t)__builtin_popcountll(tree->tree.size);
		else
			n += ENTRY_STATE_MAX + strlen(tree->origin) + tree->certificate.len +
			     tree->ca.len + tree->former.len;
	}
	return n;
}

/* The trees must be what we hold already. */
static enum err compare(const struct ledger *ledger, struct slice snapshot)
{
	CLEANUP(buf) struct buf ours = BUF_INIT;
	enum err e = ledger_snapshot(ledger, ledger->n, &ours);

	if (e)
		return e;
	return slice_equal(buf_slice(&ours), snapshot)
		       ? OK
		       : failed(ERR_MISMATCH,
				"a segment begins with other trees than those before it add up to");
}

/* Behind its tree's state. */
static enum err load_mark(struct ledger *ledger, const struct entry *entry,
			  struct ledger_tree **out)
{
	struct ledger_tree *tree = ledger->n ? ledger->trees[ledger->n - 1] : NULL;

	if (!tree || entry->tree != tree->number || tree->closed)
		return failed(ERR_MISMATCH, "a snapshot with its trees out of order");
	*out = tree;
	tree->closed = true; /* what is pruned was closed */
	return entry->kind == ENTRY_PRUNED ? ledger_mark(tree, ENTRY_PRUNED) : OK;
}

static enum err load_state(struct ledger *ledger, const struct entry *entry,
			   struct ledger_tree **out)
{
	struct entry introduction = *entry;
	struct tree_path frontier;
	struct ledger_tree *tree;
	enum err e;

	introduction.kind = ENTRY_TREE;
	if (entry->kind == ENTRY_CLOSED || entry->kind == ENTRY_PRUNED)
		return load_mark(ledger, entry, out);
	if (entry->kind != ENTRY_STATE || entry->tree != ledger->n)
		return failed(ERR_MISMATCH, "a snapshot with its trees out of order");
	if ((e = ledger_tree(ledger, &introduction, out)))
		return e;
	tree = *out;
	buf_put_slice(&tree->former, entry->former);
	frontier.n = entry->frontier.left / SHA256_SIZE;
	memcpy(frontier.hash, entry->frontier.p, frontier.n * SHA256_SIZE);
	if ((e = buf_check(&tree->former)) ||
	    (e = tree_start(&tree->tree, entry->leaves, &frontier)))
		return e;
	ledger->leaves += entry->leaves;
	return entry->size ? ledger_head(tree, entry->size, entry->root.p, entry->protected,
					 entry->signature)
			   : OK;
}

static enum err load(struct ledger *ledger, const struct frame *frame, ledger_visit *visit,
		     void *context)
{
	struct slice payload = frame->payload;
	struct entry entry;
	uint32_t count = 1;
	enum err e;

	if ((e = entry_take(&payload, &entry)))
		return e;
	uint32_t trees = entry.tree;
	for (; payload.left; count++) {
		struct ledger_tree *tree;

		if ((e = entry_take(&payload, &entry)) || (e = load_state(ledger, &entry, &tree)) ||
		    (visit && (e = visit(context, tree, &entry))))
			return e;
	}
	if (count != frame->count || trees != ledger->n || ledger->leaves != frame->first)
		return failed(ERR_MISMATCH, "a snapshot that is not whole");
	return OK;
}

static enum err apply(struct ledger *ledger, const struct entry *entry, struct ledger_tree **tree)
{
	if (entry->kind == ENTRY_TREE)
		return ledger_tree(ledger, entry, tree);
	if (entry->kind == ENTRY_SNAPSHOT || entry->kind == ENTRY_STATE)
		return failed(ERR_MISMATCH, "a part of a snapshot outside of one");
	if (entry->tree >= ledger->n)
		return failed(ERR_MISMATCH, "an entry for tree %u, which does not exist",
			      entry->tree);
	*tree = ledger->trees[entry->tree];
	if (entry->kind == ENTRY_CLOSED || entry->kind == ENTRY_PRUNED)
		return ledger_mark(*tree, entry->kind);
	if (entry->kind == ENTRY_HEAD) {
		ledger->heads++;
		return apply_head(*tree, entry);
	}
	ledger->leaves++;
	return apply_leaf(*tree, entry);
}

enum err ledger_apply(struct ledger *ledger, const struct frame *frame, ledger_visit *visit,
		      void *context, uint64_t *leaves)
{
	struct slice payload = frame->payload;
	uint64_t before = ledger->leaves;
	uint32_t count = 0;
	enum err e;

	*leaves = 0;
	if (frame_is_snapshot(frame))
		return ledger->n ? compare(ledger, payload) : load(ledger, frame, visit, context);
	for (; payload.left; count++) {
		struct ledger_tree *tree;
		struct entry entry;

		if ((e = entry_take(&payload, &entry)) || (e = apply(ledger, &entry, &tree)) ||
		    (visit && (e = visit(context, tree, &entry))))
			return e;
	}
	if (count != frame->count)
		return failed(ERR_MISMATCH, "batch %llu has %u entries in place of %u",
			      ull(frame->sequence), count, frame->count);
	*leaves = ledger->leaves - before;
	return OK;
}

void ledger_undo(struct ledger *ledger)
{
	tree_drop(ledger->trees[--ledger->n]);
}

void ledger_free(struct ledger *ledger)
{
	for (size_t i = 0; i < ledger->n; i++)
		tree_drop(ledger->trees[i]);
	free(ledger->trees);
	*ledger = LEDGER_INIT;
}

void ledger_cleanup(struct ledger *ledger)
{
	ledger_free(ledger);
}

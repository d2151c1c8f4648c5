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
	buf_free(&(*out)->former);
	(*out)->former = (*out)->certificate;
	(*out)->certificate = BUF_INIT;
	buf_reset(&(*out)->ca);
	buf_put_slice(&(*out)->certificate, entry->certificate);
	buf_put_slice(&(*out)->ca, entry->ca);
	if ((e = buf_check(&(*out)->certificate)))
		return e;
	return buf_check(&(*out)->ca);
}

static enum err apply_leaf(struct ledger_tree *tree, const struct entry *entry)
{
	tree_hash hash;

	if (entry->index != tree->tree.size)
		return failed(ERR_MISMATCH, "%s: record %llu in the place of %llu", tree->origin,
			      ull(entry->index), ull(tree->tree.size));
	leaf_hash(entry->leaf, hash);
	return tree_append(&tree->tree, hash);
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
	if ((e = tree_root(&tree->tree, entry->size, root)))
		return e;
	if (memcmp(root, entry->root.p, SHA256_SIZE))
		return failed(ERR_MISMATCH,
			      "%s: the first %llu records are not those whose root was signed",
			      tree->origin, ull(entry->size));
	tree->head.size = entry->size;
	memcpy(tree->head.root, root, SHA256_SIZE);
	buf_reset(&tree->head.protected);
	buf_reset(&tree->head.signature);
	buf_put_slice(&tree->head.protected, entry->protected);
	buf_put_slice(&tree->head.signature, entry->signature);
	if ((e = buf_check(&tree->head.protected)))
		return e;
	return buf_check(&tree->head.signature);
}

static enum err apply(struct ledger *ledger, const struct entry *entry, struct ledger_tree **tree)
{
	if (entry->kind == ENTRY_TREE)
		return ledger_tree(ledger, entry, tree);
	if (entry->tree >= ledger->n)
		return failed(ERR_MISMATCH, "an entry for tree %u, which does not exist",
			      entry->tree);
	*tree = ledger->trees[entry->tree];
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

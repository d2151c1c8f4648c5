#include "audit/auditor_inner.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>

#include "audit/chain.h"
#include "audit/covered.h"
#include "audit/note.h"
#include "audit/past.h"
#include "audit/scan.h"
#include "audit/tiles.h"
#include "config/base/io.h"

#define CHAIN_AGAIN_S 3600 /* how far apart records lie for the certificate to be looked at anew */

static unsigned long long ull(uint64_t v)
{
	return v;
}

static enum err on_tree(struct walk *walk, const struct ledger_tree *tree)
{
	struct chain chain;
	size_t at;

	if (tree->number >= walk->seen_n) {
		struct seen *more = reallocarray(walk->seen, tree->number + 1, sizeof *more);

		if (!more)
			return failed(ERR_MEMORY, "the list of trees");
		walk->seen = more;
		memset(more + walk->seen_n, 0, (tree->number + 1 - walk->seen_n) * sizeof *more);
		walk->seen_n = tree->number + 1;
	}
	walk->seen[tree->number].chain_ok = false;
	if (tree->pruned || !tree->certificate.len) /* it is for walk_shards() to look into */
		return OK;
	if (chain_read(buf_slice(&tree->ca), &chain) || chain_find(&chain, walk->ca, &at))
		return failed(ERR_CRYPTO, "%s belongs to another appliance: its CA is not this one",
			      tree->origin);
	return OK;
}

enum err walk_chain(struct walk *walk, const struct ledger_tree *tree)
{
	struct seen *seen = &walk->seen[tree->number];
	struct chain chain;
	enum err e;

	if (seen->chain_ok && llabs(seen->newest - seen->checked) < CHAIN_AGAIN_S)
		return OK;
	if ((e = chain_read(buf_slice(&tree->ca), &chain)) ||
	    (e = chain_verify(buf_slice(&tree->certificate), &chain, walk->ca, tree->origin,
			      seen->newest)))
		return failed(e, "%s: its key's certificate: %s", tree->origin, err_reason());
	seen->checked = seen->newest;
	seen->chain_ok = true;
	return OK;
}

static enum err on_leaf(struct walk *walk, const struct ledger_tree *tree,
			const struct entry *entry)
{
	enum err e;

	if ((e = leaf_decode(entry->leaf, &walk->leaf)))
		return failed(e, "%s: record %llu: %s", tree->origin, ull(entry->index),
			      err_reason());
	if (walk->leaf.pos != entry->index || !slice_is(walk->leaf.origin, tree->origin))
		return failed(ERR_MISMATCH, "%s: record %llu says that it is another one",
			      tree->origin, ull(entry->index));
	if ((e = shard_note(&walk->notes, tree->origin, &walk->leaf)))
		return e;
	walk->seen[tree->number].newest = walk->leaf.time;
	/* A tree's first head comes later than its first record, and maybe never. */
	if (!walk->seen[tree->number].chain_ok && (e = walk_chain(walk, tree)))
		return e;
	if (!walk->visit)
		return OK;
	return walk->visit(walk->context, tree->origin, entry->index, entry->leaf, &walk->leaf);
}

/* What the ledger could not compare, since the log began when the tree was longer. */
static enum err check_old_head(const struct walk *walk, const struct ledger_tree *tree)
{
	const struct auditor_tree *found = walk_report(walk, tree->origin);
	tree_hash root;
	enum err e;

	if (tree->head.size >= tree->tree.base || (found && found->pruned))
		return OK;
	if ((e = past_root(walk->trees, tree, tree->head.size, root)))
		return e;
	return memcmp(root, tree->head.root, SHA256_SIZE)
		       ? failed(ERR_MISMATCH,
				"%s: the first %llu records are not those whose root was signed",
				tree->origin, ull(tree->head.size))
		       : OK;
}

static enum err on_head(struct walk *walk, const struct ledger_tree *tree)
{
	enum err e;

	if ((e = walk_chain(walk, tree)) || (e = check_old_head(walk, tree)))
		return e;
	/* Under the certificate of before or of now: the entry that brings a new one comes in
	 * between batches, and heads follow a batch later. */
	if ((e = receipt_head_verify(&tree->head, tree->origin, buf_slice(&tree->certificate))))
		return failed(e, "%s: the head of %llu records: %s", tree->origin,
			      ull(tree->head.size), err_reason());
	return OK;
}

static enum err on_entry(void *context, struct ledger_tree *tree, const struct entry *entry)
{
	switch (entry->kind) {
	case ENTRY_TREE:
	case ENTRY_STATE:
		return on_tree(context, tree);
	case ENTRY_LEAF:
		return on_leaf(context, tree, entry);
	case ENTRY_HEAD:
		return on_head(context, tree);
	case ENTRY_CLOSED:
	case ENTRY_PRUNED:
		return OK;
	case ENTRY_SNAPSHOT:
		break;
	}
	return failed(ERR_FORMAT, "an entry of an unknown kind");
}

/* Its first frame says where it begins; the tiles are checked up to there before it is read on. */
static enum err walk_log(struct walk *walk, struct scan *scan)
{
	struct frame frame;
	uint64_t leaves;
	bool begun = false;
	enum err e;

	while (!(e = scan_next(scan, &frame))) {
		if ((e = ledger_apply(&walk->ledger, &frame, on_entry, walk, &leaves)) ||
		    (!begun && (e = walk_tiles(walk))))
			return e;
		begun = true;
		scan_advance(scan, &frame, leaves);
		walk->batches += !frame_is_snapshot(&frame);
	}
	if (e == ERR_NOT_FOUND && !begun)
		return walk_tiles(walk);
	return e == ERR_NOT_FOUND ? OK : e;
}

/* No tree passes for having neither records nor heads. */
static enum err check_chains(struct walk *walk)
{
	for (size_t i = 0; i < walk->ledger.n; i++) {
		const struct ledger_tree *tree = walk->ledger.trees[i];
		enum err e;

		if (!tree->tree.size)
			return failed(ERR_MISMATCH, "%s: a tree without records", tree->origin);
		const struct auditor_tree *found = walk_report(walk, tree->origin);

		if (tree->pruned || (found && found->pruned))
			continue; /* for walk_shards() */
		if (!walk->seen[i].chain_ok && (e = walk_chain(walk, tree)))
			return e;
	}
	return OK;
}

static enum err fill_report(struct walk *walk, const struct scan *scan)
{
	struct auditor_report *report = walk->report;
	const struct ledger *ledger = &walk->ledger;
	enum err e;

	report->records = ledger->leaves;
	report->batches = walk->batches;
	report->heads = ledger->heads;
	report->torn_bytes = scan->torn_bytes;
	report->log_checked = true;
	/* In the log's own order; of the trees that are published, all are in it. */
	struct auditor_tree *trees = calloc(ledger->n ? ledger->n : 1, sizeof *trees);
	if (!trees)
		return failed(ERR_MEMORY, "the report");
	for (size_t i = 0; i < ledger->n; i++) {
		const struct ledger_tree *tree = ledger->trees[i];
		const struct auditor_tree *found = walk_report(walk, tree->origin);
		struct auditor_tree *to = &trees[i];

		if (found)
			*to = *found;
		snprintf(to->origin, sizeof to->origin, "%s", tree->origin);
		to->size = tree->tree.size;
		to->signed_size =
			to->checkpoint > tree->head.size ? to->checkpoint : tree->head.size;
		to->pruned |= tree->pruned;
		report->pruned += tree->pruned;
		if (tree->pruned)
			to->signed_size = to->size;
		if ((e = tree_root(&tree->tree, tree->tree.size, to->root))) {
			free(trees);
			return e;
		}
	}
	free(report->trees);
	report->trees = trees;
	report->trees_n = ledger->n;
	return OK;
}

static enum err open_log(const struct auditor_options *options, int *root, int *wal, int *trees)
{
	enum err e;

	if ((*root = open(options->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0)
		return failed(errno == ENOENT ? ERR_NOT_FOUND : ERR_IO, "%s: %m", options->path);
	if (!options->copy && (e = io_open_dir(*root, "wal", false, wal)))
		return e;
	return io_open_dir(*root, "trees", false, trees);
}

static enum err verify_log(struct walk *walk, int wal)
{
	CLEANUP(scan) struct scan scan = { .fd = -1 };
	enum err e;

	if ((e = scan_start(&scan, wal, NULL, NULL)) || (e = scan_to_present(&scan)) ||
	    (e = walk_log(walk, &scan)) || (e = check_chains(walk)) ||
	    (e = published_check(&walk->published, walk->trees, &walk->ledger)))
		return e;
	return fill_report(walk, &scan);
}

/* What a copy can prove by itself: its checkpoints. */
static enum err verify_copy(struct walk *walk)
{
	struct auditor_report *report = walk->report;
	enum err e = walk_tiles(walk);

	for (size_t i = 0; i < walk->published.n && !e; i++)
		e = published_verify(&walk->published.items[i], walk->trees, walk->ca);
	for (size_t i = 0; i < report->trees_n && !e; i++) {
		struct auditor_tree *tree = &report->trees[i];
		CLEANUP(fd) int folder = -1;

		tree->size = tree->signed_size = tree->checkpoint;
		report->records += tree->size;
		report->behind += tree->newest > 0;
		if (!(e = public_folder(walk->trees, tree->origin, false, &folder)))
			e = tiles_root(folder, tree->size, tree->root);
	}
	return e;
}

enum err walk_root(const struct walk *walk, const struct auditor_tree *tree, uint64_t size,
		   tree_hash root)
{
	const struct ledger_tree *book = ledger_find(&walk->ledger, tree->origin);
	CLEANUP(fd) int folder = -1;
	enum err e;

	if (book)
		return past_root(walk->trees, book, size, root);
	if ((e = public_folder(walk->trees, tree->origin, false, &folder)))
		return e;
	return tiles_root(folder, size, root);
}

/* All that is older was read and leads to the roots of now, so an equal root is consistency. */
static enum err check_against(struct walk *walk)
{
	const struct auditor_tree *tree;
	struct note note;
	char origin[AUDITOR_ORIGIN];
	tree_hash root;
	enum err e;

	if ((e = note_read(walk->options->against, &note)))
		return failed(e, "the checkpoint to compare with: %s", err_reason());
	snprintf(origin, sizeof origin, "%.*s", (int)note.origin.left, note.origin.p);
	if (!(tree = walk_report(walk, origin)))
		return failed(ERR_MISMATCH, "%s: there was such a tree, and the log has none",
			      origin);
	if (tree->pruned)
		return failed(ERR_MISMATCH,
			      "%s was pruned: compare that checkpoint with what was exported of it",
			      origin);
	if ((e = published_signed(&note, origin, walk->trees, ledger_find(&walk->ledger, origin),
				  walk->ca)))
		return e;
	if (note.size > tree->size)
		return failed(ERR_MISMATCH,
			      "%s: the log has %llu records, there were %llu: it was put back to "
			      "an earlier state, or cut",
			      origin, ull(tree->size), ull(note.size));
	if ((e = walk_root(walk, tree, note.size, root)))
		return e;
	if (memcmp(root, note.root, SHA256_SIZE))
		return failed(ERR_MISMATCH,
			      "%s: the first %llu records are not those of the checkpoint to "
			      "compare with: it is another log",
			      origin, ull(note.size));
	walk->report->against = true;
	return OK;
}

static enum err verify(struct walk *walk)
{
	CLEANUP(fd) int root = -1;
	CLEANUP(fd) int wal = -1;
	CLEANUP(fd) int trees = -1;
	bool live = false;
	enum err e;

	/* Checkpoints first: a live log may be ahead of them, never behind. */
	if ((e = open_log(walk->options, &root, &wal, &trees)) || (e = covered_live(root, &live)) ||
	    (e = published_read(trees, &walk->published)))
		return e;
	walk->trees = trees;
	if ((walk->options->copy && (e = covered_choose(root, trees, &walk->published))) ||
	    (e = past_read(walk)))
		return e;
	if ((e = walk->options->copy ? verify_copy(walk) : verify_log(walk, wal)) ||
	    (e = past_check(walk)) || (e = walk_shards(walk)) ||
	    (walk->options->against.left && (e = check_against(walk))))
		return e;
	if (!live && !walk->options->copy && (e = covered_live(root, &live)))
		return e;
	walk->report->live = live;
	return OK;
}

enum err auditor_run(const struct auditor_options *options, struct auditor_report *report)
{
	struct walk *walk = calloc(1, sizeof *walk);
	enum err e;

	*report = (struct auditor_report){ 0 };
	if (!walk)
		return failed(ERR_MEMORY, "the audit");
	walk->options = options;
	walk->ca = options->ca;
	walk->visit = options->visit;
	walk->context = options->context;
	walk->report = report;
	if ((e = verify(walk)))
		auditor_report_free(report);
	published_free(&walk->published);
	ledger_free(&walk->ledger);
	shard_notes_free(&walk->notes);
	free(walk->past);
	free(walk->seen);
	free(walk);
	return e;
}

enum err auditor_verify(const char *path, struct slice ca, auditor_visit *visit, void *context,
			struct auditor_report *report)
{
	struct auditor_options options = {
		.path = path, .ca = ca, .visit = visit, .context = context
	};

	return auditor_run(&options, report);
}

enum err auditor_settled(const struct auditor_report *report)
{
	for (size_t i = 0; i < report->trees_n && !report->live; i++) {
		const struct auditor_tree *tree = &report->trees[i];

		if (tree->size >= 2 && tree->signed_size < tree->size)
			return failed(
				ERR_CRYPTO,
				"%s: records %llu to %llu are UNSIGNED: added by somebody, or left "
				"by a crash, after which the daemon signs or refuses them when it "
				"starts",
				tree->origin, ull(tree->signed_size), ull(tree->size - 1));
	}
	return OK;
}

void auditor_report_free(struct auditor_report *report)
{
	free(report->trees);
	*report = (struct auditor_report){ 0 };
}

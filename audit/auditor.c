#include "audit/auditor.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>

#include "audit/certificate.h"
#include "audit/public.h"
#include "audit/scan.h"
#include "config/base/io.h"

#define CHAIN_AGAIN_S 3600 /* how far apart records lie for the certificate to be looked at anew */

/* What the auditor knows of a tree besides the ledger. */
struct seen {
	int64_t newest;  /* time of its newest record */
	int64_t checked; /* the certificate was valid then */
	bool chain_ok;
};

struct walk {
	struct slice ca;
	auditor_visit *visit;
	void *context;
	struct ledger ledger;
	struct seen *seen; /* by tree number */
	size_t seen_n;
	struct leaf leaf; /* too large for a stack */
	uint64_t batches;
};

static unsigned long long ull(uint64_t v)
{
	return v;
}

static enum err on_tree(struct walk *walk, const struct ledger_tree *tree)
{
	if (tree->number >= walk->seen_n) {
		struct seen *more = reallocarray(walk->seen, tree->number + 1, sizeof *more);

		if (!more)
			return failed(ERR_MEMORY, "the list of trees");
		walk->seen = more;
		memset(more + walk->seen_n, 0, (tree->number + 1 - walk->seen_n) * sizeof *more);
		walk->seen_n = tree->number + 1;
	}
	walk->seen[tree->number].chain_ok = false;
	if (!slice_equal(buf_slice(&tree->ca), walk->ca))
		return failed(ERR_CRYPTO, "%s belongs to another appliance: its CA is not this one",
			      tree->origin);
	return OK;
}

static enum err check_chain(struct walk *walk, const struct ledger_tree *tree)
{
	struct seen *seen = &walk->seen[tree->number];
	enum err e;

	if (seen->chain_ok && llabs(seen->newest - seen->checked) < CHAIN_AGAIN_S)
		return OK;
	if ((e = certificate_verify(buf_slice(&tree->certificate), walk->ca, tree->origin,
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
	walk->seen[tree->number].newest = walk->leaf.time;
	/* A tree's first head comes later than its first record, and maybe never. */
	if (!walk->seen[tree->number].chain_ok && (e = check_chain(walk, tree)))
		return e;
	if (!walk->visit)
		return OK;
	return walk->visit(walk->context, tree->origin, entry->index, entry->leaf, &walk->leaf);
}

static enum err on_head(struct walk *walk, const struct ledger_tree *tree)
{
	enum err e;

	if ((e = check_chain(walk, tree)))
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
		return on_tree(context, tree);
	case ENTRY_LEAF:
		return on_leaf(context, tree, entry);
	case ENTRY_HEAD:
		return on_head(context, tree);
	}
	return failed(ERR_FORMAT, "an entry of an unknown kind");
}

static enum err walk_log(struct walk *walk, struct scan *scan)
{
	struct frame frame;
	uint64_t leaves;
	enum err e;

	while (!(e = scan_next(scan, &frame))) {
		if ((e = ledger_apply(&walk->ledger, &frame, on_entry, walk, &leaves)))
			return e;
		scan_advance(scan, &frame, leaves);
		walk->batches++;
	}
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
		if (!walk->seen[i].chain_ok && (e = check_chain(walk, tree)))
			return e;
	}
	return OK;
}

static enum err fill_report(const struct walk *walk, const struct scan *scan,
			    struct auditor_report *report)
{
	const struct ledger *ledger = &walk->ledger;
	enum err e;

	*report = (struct auditor_report){ .records = ledger->leaves,
					   .batches = walk->batches,
					   .heads = ledger->heads,
					   .torn_bytes = scan->torn_bytes };
	report->trees = calloc(ledger->n ? ledger->n : 1, sizeof *report->trees);
	if (!report->trees)
		return failed(ERR_MEMORY, "the report");
	for (; report->trees_n < ledger->n; report->trees_n++) {
		const struct ledger_tree *tree = ledger->trees[report->trees_n];
		struct auditor_tree *to = &report->trees[report->trees_n];

		memcpy(to->origin, tree->origin, sizeof tree->origin);
		to->size = tree->tree.size;
		to->signed_size = tree->head.size;
		if ((e = tree_root(&tree->tree, to->size, to->root)))
			return e;
	}
	return OK;
}

static enum err open_log(const char *path, int *root, int *wal, int *trees)
{
	enum err e;

	if ((*root = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0)
		return failed(errno == ENOENT ? ERR_NOT_FOUND : ERR_IO, "%s: %m", path);
	if ((e = io_open_dir(*root, "wal", false, wal)))
		return e;
	return io_open_dir(*root, "trees", false, trees);
}

/* Held for a moment only; whoever opens the log then tries again. A copy may have no such file. */
static enum err note_live(int root, bool *live)
{
	CLEANUP(fd) int fd = openat(root, "lock", O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

	if (fd < 0)
		return errno == ENOENT ? OK : failed(ERR_IO, "lock: %m");
	if (!flock(fd, LOCK_SH | LOCK_NB))
		return OK;
	*live = true;
	return errno == EWOULDBLOCK ? OK : failed(ERR_IO, "lock: %m");
}

static enum err verify(struct walk *walk, const char *path, struct auditor_report *report)
{
	CLEANUP(public_list) struct public_list published = { 0 };
	CLEANUP(fd) int root = -1;
	CLEANUP(fd) int wal = -1;
	CLEANUP(fd) int trees = -1;
	CLEANUP(scan) struct scan scan = { .fd = -1 };
	bool live = false;
	enum err e;

	/* Checkpoints first: a live log may be ahead of them, never behind. */
	if ((e = open_log(path, &root, &wal, &trees)) || (e = note_live(root, &live)) ||
	    (e = public_read(trees, &published)))
		return e;
	scan_start(&scan, wal, NULL, NULL);
	if ((e = scan_to_present(&scan)) || (e = walk_log(walk, &scan)) ||
	    (e = check_chains(walk)) || (e = public_check(&published, &walk->ledger)) ||
	    (e = note_live(root, &live)) || (e = fill_report(walk, &scan, report)))
		return e;
	report->live = live;
	return OK;
}

enum err auditor_verify(const char *path, struct slice ca, auditor_visit *visit, void *context,
			struct auditor_report *report)
{
	struct walk *walk = calloc(1, sizeof *walk);
	enum err e;

	*report = (struct auditor_report){ 0 };
	if (!walk)
		return failed(ERR_MEMORY, "the audit");
	walk->ca = ca;
	walk->visit = visit;
	walk->context = context;
	if ((e = verify(walk, path, report)))
		auditor_report_free(report);
	ledger_free(&walk->ledger);
	free(walk->seen);
	free(walk);
	return e;
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

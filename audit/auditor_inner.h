/* auditor_inner.h - the inside of one audit, shared by auditor.c (the write-ahead log) and
 * auditor_tiles.c. Not for others.
 */
#ifndef AUDIT_AUDITOR_INNER_H
#define AUDIT_AUDITOR_INNER_H

#include "audit/auditor.h"
#include "audit/public.h"
#include "audit/published.h"
#include "audit/shard.h"

/* What the auditor knows of a tree besides the ledger. */
struct seen {
	int64_t newest;  /* time of its newest record */
	int64_t checked; /* the certificate was valid then */
	bool chain_ok;
};

/* A checkpoint of before. */
struct past {
	const char *origin;
	uint64_t size;
	uint8_t root[SHA256_SIZE];
};

struct walk {
	const struct auditor_options *options;
	struct slice ca;
	auditor_visit *visit;
	void *context;
	int trees; /* the folder */
	struct published published;
	struct past *past;
	size_t past_n;
	struct ledger ledger;
	struct seen *seen; /* by tree number */
	size_t seen_n;
	struct leaf leaf; /* too large for a stack */
	struct shard_notes notes;
	uint64_t batches;
	struct auditor_report *report;
};

/* auditor.c: the root of the first @size leaves of a tree that was checked. */
MUST enum err walk_root(const struct walk *walk, const struct auditor_tree *tree, uint64_t size,
			tree_hash root);
/* auditor_past.c: reads the checkpoints of before; to be done before the log is read, which only grows.
 * Once all was read: are they of these records? */
MUST enum err past_read(struct walk *walk);
MUST enum err past_check(const struct walk *walk);
/* auditor.c: is the certificate of a tree's key good for the time of its newest record? */
MUST enum err walk_chain(struct walk *walk, const struct ledger_tree *tree);

/* auditor_tiles.c: checks the tiles of all trees, as far as their checkpoints and to where the ledger
 * begins. */
MUST enum err walk_tiles(struct walk *walk);
/* auditor_shards.c: are shards linked to one another, and missing ones pruned? Once all was read. */
MUST enum err walk_shards(struct walk *walk);
/* A tree in the report; NULL: there is none such. */
struct auditor_tree *walk_report(const struct walk *walk, const char *origin);

#endif

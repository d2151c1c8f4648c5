/* tilecheck.h - reads all tiles of some trees and checks each against what it is made from: entries
 * against hashes, hashes against the tiles below them. Memory is constant; tiles are shared out to
 * threads. That the whole leads to a root that somebody signed is for the caller to check.
 */
#ifndef AUDIT_TILECHECK_H
#define AUDIT_TILECHECK_H

#include "audit/auditor.h"
#include "audit/shard.h"
#include "audit/tile.h"

struct tilecheck_tree {
	int folder; /* the caller's */
	const char *origin;
	uint64_t size;    /* so many leaves are looked at */
	uint64_t visited; /* and so many of these shown to the visitor */
	/* Found: */
	int64_t oldest, newest; /* times of records; nothing when size is 0 */
};

struct tilecheck_result {
	uint64_t tiles, leaves, bytes; /* bytes: of leaves */
};

/* @threads: at least 1, and one alone when there is a visitor. @notes takes what records say of shards. */
MUST enum err tilecheck_run(struct tilecheck_tree *trees, size_t n, unsigned threads,
			    auditor_visit *visit, void *context, auditor_progress *progress,
			    void *progress_context, struct shard_notes *notes,
			    struct tilecheck_result *result);

#endif

/* auditor.h - checks a log on disk from the outside: no HSM, no daemon, read-only.
 *
 * Of each tree, the tiles are checked first, entries against hashes and hashes against each other, as
 * far as the last checkpoint and the beginning of the write-ahead log. Then what is left of that is
 * read (frames, CRC, chain): it must begin where the tiles say and continue them. Every head in it and
 * every checkpoint is checked against the trees' certificates and the appliance's CA. Heads of before,
 * which are gone with their segments, are not: each was a root of a prefix of what is checked here,
 * and the last one stands for them.
 *
 * A tree's shards (shard.h) must be linked: each begins with the final size and root of the one before,
 * which ends with a record that names it. One whose folder is missing must have been pruned: a record
 * says so, or a shard in which it may have been was pruned later.
 *
 * The frames' HMAC needs the token and is not checked here, so whoever can write the files can add
 * records behind the last signed head: those are UNSIGNED. Works on a live log, to its last commit,
 * where a few records may wait for their head; a log that nobody writes has none such but after a
 * crash. Keeps nothing between calls: any thread, but a report belongs to one.
 */
#ifndef AUDIT_AUDITOR_H
#define AUDIT_AUDITOR_H

#include "audit/leaf.h"

#define AUDITOR_ORIGIN 256

struct auditor_tree {
	char origin[AUDITOR_ORIGIN];
	uint64_t size,
		signed_size;       /* leaves found; size of the largest signed head or checkpoint */
	uint8_t root[SHA256_SIZE]; /* of all leaves */
	uint64_t tiled;            /* leaves that were checked in tiles */
	uint64_t logged;           /* the first leaf that is in the write-ahead log too */
	uint64_t checkpoint;       /* size of the checkpoint; 0: none */
	/* Of a copy: size of one that it can't be checked to, or that the next shard goes on from; 0: none. */
	uint64_t newest;
	bool linked; /* closed, and the next shard, which is there, goes on from just this */
	bool pruned; /* its leaves are gone; the next shard vouches for size and root */
};

struct auditor_report {
	struct auditor_tree *trees;
	size_t trees_n;
	uint64_t records, batches, heads; /* batches and heads: of the write-ahead log */
	uint64_t tiles, tile_bytes;       /* tiles checked; bytes of the leaves in them */
	uint64_t torn_bytes;              /* after the last valid batch: a crash's tail, no error */
	bool live;                        /* somebody had the log open */
	bool log_checked;                 /* the write-ahead log was read: not so for a copy */
	size_t pruned;                    /* shards that were pruned, by records of the log */
	size_t elsewhere; /* shards that others of a copy go on from, and it has not */
	size_t behind; /* trees of a copy that were longer when it was made, as it shows itself */
	size_t turned; /* of these, shards that are behind the next one, and no more */
	bool against;  /* and it continues the checkpoint that was given */
};

/* Called for every record: those in tiles tree by tree, the others in order of commit; each tree's
 * in order of its indices. The leaf points into @raw. An error ends the walk. */
typedef enum err auditor_visit(void *context, const char *origin, uint64_t index, struct slice raw,
			       const struct leaf *leaf);
/* Called now and then, from one thread at a time, while tiles are read: @done of @all leaves. */
typedef void auditor_progress(void *context, uint64_t done, uint64_t all);

struct auditor_options {
	const char *path;
	struct slice ca; /* DER */
	/* May be NULL. With a visitor, tiles are read by one thread. */
	auditor_visit *visit;
	void *context;
	auditor_progress *progress;
	void *progress_context;
	unsigned threads; /* for tiles; 0: one for each processor */
	/* A checkpoint that somebody kept (a note's bytes, or nothing): the log must continue it. */
	struct slice against;
	/* A copy of a log that was live: checked to the last checkpoints whose tiles are all in it,
	 * and its write-ahead log, which may have been copied in the middle of a write, not at all. A
	 * log that somebody has open is no copy: its newest checkpoints are what counts. */
	bool copy;
};
/* ERR_MISMATCH or ERR_CRYPTO with the reason when anything was removed, changed, reordered, or signed
 * by a stranger. */
MUST enum err auditor_run(const struct auditor_options *options, struct auditor_report *report);
/* The same with nothing but a visitor, which may be NULL. */
MUST enum err auditor_verify(const char *path, struct slice ca, auditor_visit *visit, void *context,
			     struct auditor_report *report);
/* What only a live log may have: ERR_CRYPTO when records of a tree of two or more are UNSIGNED. */
MUST enum err auditor_settled(const struct auditor_report *report);
void auditor_report_free(struct auditor_report *report);

#endif

/* promised.h - for tests of the log: a log of a few trees, what it released to this process or to a
 * child of it, and whether a log on disk still holds all of that. One log at a time.
 */
#ifndef TESTBED_UNIT_PROMISED_H
#define TESTBED_UNIT_PROMISED_H

#include <sys/mman.h>

#include "testbed/unit/check.h"
#include "testbed/unit/found.h"
#include "testbed/unit/memory.h"
#include "testbed/unit/signer.h"

#include "audit/receipt.h"

#define PROMISED_TREES 2
#define PROMISED_HEADS 4 /* of shards too */
#define PROMISED_MAX 1024
#define PROMISED_SEGMENT ((uint64_t)256 << 10)

static const char *const promised_origins[PROMISED_TREES] = { "assay.example/promised/appliance/1",
							      "assay.example/promised/bank-a/1" };

struct promise {
	char origin[AUDITOR_ORIGIN]; /* the shard's */
	uint64_t index;
	uint8_t hash[SHA256_SIZE];
};

/* Shared with children, so that what was released to one that died is known. */
struct promised {
	struct promise records[PROMISED_MAX];
	size_t n;
	struct audit_head heads[PROMISED_HEADS];
	size_t heads_n;
};
static struct promised *promised;

static struct signer signer;
static struct audit_key promised_keys[PROMISED_TREES];
static struct audit *audit;
static struct audit_tree *trees[PROMISED_TREES];
static struct audit_recovery recovery;

static char promised_room[64]; /* where logs are made, again and again */

/* @name below it. */
static inline void promised_path(char path[100], const char *name)
{
	snprintf(path, 100, "%s/%s", promised_room, name);
}

static inline void promised_start(void)
{
	place_make_memory(promised_room, sizeof promised_room, "log");
	signer_start(&signer, NULL);
	for (size_t i = 0; i < PROMISED_TREES; i++)
		promised_keys[i] = signer_key(&signer, promised_origins[i]);
	promised = mmap(NULL, sizeof *promised, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
			-1, 0);
	ck_assert_ptr_ne(promised, MAP_FAILED);
}

static inline void promised_end(void)
{
	found_forget();
	signer_end(&signer);
	munmap(promised, sizeof *promised);
	place_remove_memory(promised_room);
}

/* @heads: what is remembered elsewhere. On failure nothing is open. */
static inline enum err promised_open_with(const char *path, const struct audit_head *heads,
					  size_t heads_n)
{
	struct audit_options options = { .path = path,
					 .signer = signer.signer,
					 .segment_bytes = PROMISED_SEGMENT,
					 .issuer = "assay:appliance:test",
					 .anchored = heads,
					 .anchored_n = heads_n };
	struct leaf *genesis = malloc(sizeof *genesis);
	enum err e = audit_open(&options, &recovery, &audit);

	for (size_t i = 0; !e && i < PROMISED_TREES; i++) {
		signer_leaf(genesis, "genesis");
		genesis->type = LEAF_OPEN;
		e = audit_tree(audit, promised_origins[i], &promised_keys[i], genesis, &trees[i]);
		if (e)
			audit_close(audit);
	}
	free(genesis);
	return e;
}

static inline enum err promised_open(const char *path)
{
	return promised_open_with(path, NULL, 0);
}

static inline enum err promised_heads(void)
{
	struct audit_head *heads;
	enum err e = audit_heads(audit, &heads, &promised->heads_n);

	if (e)
		return e;
	ck_assert_uint_le(promised->heads_n, PROMISED_HEADS);
	memcpy(promised->heads, heads, promised->heads_n * sizeof *heads);
	free(heads);
	return OK;
}

static inline enum err promised_finish(uint64_t index, struct audit_ticket *ticket)
{
	CLEANUP(buf) struct buf raw = BUF_INIT;
	struct promise *record = &promised->records[promised->n];
	struct receipt receipt;
	enum err e = audit_finish(ticket, &raw);

	if (e || (e = receipt_read(buf_slice(&raw), &receipt)))
		return e;
	ck_assert_uint_lt(promised->n, PROMISED_MAX);
	snprintf(record->origin, sizeof record->origin, "%.*s", (int)receipt.origin.left,
		 (const char *)receipt.origin.p);
	record->index = index;
	leaf_hash(audit_ticket_leaf(ticket), record->hash);
	promised->n++;
	return promised_heads();
}

/* A small record, or one of some 28 KB, of which eight fill a segment. */
static inline void promised_leaf(struct leaf *leaf, bool large)
{
	static const char name[] = "a component with a long name, so that the record is large";

	signer_leaf(leaf, "a promise");
	leaf->components_n = large ? LEAF_COMPONENTS_MAX : 0;
	for (size_t i = 0; i < leaf->components_n; i++)
		leaf->components[i] = (struct leaf_component){ .name = slice_text(name) };
}

/* One record for each of the first @n trees, released together. */
static inline enum err promised_write(size_t n, bool large)
{
	struct audit_ticket *tickets[PROMISED_TREES] = { NULL };
	uint64_t indices[PROMISED_TREES];
	struct leaf *leaf = malloc(sizeof *leaf);
	enum err e = OK;

	for (size_t i = 0; !e && i < n; i++) {
		promised_leaf(leaf, large);
		e = audit_begin(trees[i], leaf, &tickets[i]);
		indices[i] = leaf->pos;
	}
	free(leaf);
	for (size_t i = 0; i < n; i++) {
		if (tickets[i] && !e)
			e = promised_finish(indices[i], tickets[i]);
		audit_ticket_free(tickets[i]);
	}
	return e;
}

/* @n small records for the first tree, in as few batches as it takes. */
static inline void promised_bulk(size_t n)
{
	struct audit_ticket **tickets = calloc(n, sizeof *tickets);
	struct leaf *leaf = malloc(sizeof *leaf);

	for (size_t i = 0; i < n; i++) {
		promised_leaf(leaf, false);
		ck_assert_ok(audit_begin(trees[0], leaf, &tickets[i]));
	}
	for (size_t i = 0; i < n; i++) {
		ck_assert_ok(promised_finish(leaf->pos + 1 - n + i, tickets[i]));
		audit_ticket_free(tickets[i]);
	}
	free(leaf);
	free(tickets);
}

/* Does what found_read() found hold the first @n records, and these heads? */
static inline bool promised_hold(size_t n, const struct audit_head *heads, size_t heads_n)
{
	for (size_t i = 0; i < n; i++) {
		const struct promise *r = &promised->records[i];

		if (!found_holds(r->origin, r->index, r->hash))
			return false;
	}
	for (size_t i = 0; i < heads_n; i++)
		if (!found_extends(heads[i].origin, heads[i].size, heads[i].root))
			return false;
	return true;
}

/* Closes the tree's shard, with a record of either size, and begins the next one. */
static inline enum err promised_turn(size_t tree, bool large)
{
	struct leaf *leaves = calloc(2, sizeof *leaves);

	promised_leaf(&leaves[0], large);
	promised_leaf(&leaves[1], false);
	leaves[1].type = LEAF_OPEN;
	enum err e = audit_turn(trees[tree], &leaves[0], &leaves[1]);
	free(leaves);
	return e;
}

/* As whoever opens a log does: a turn that was begun is finished. */
static inline bool promised_resume(void)
{
	struct audit_shard shard;
	bool resumed = false;

	for (size_t i = 0; i < PROMISED_TREES; i++) {
		ck_assert_ok(audit_shard(trees[i], &shard));
		if (!shard.ended)
			continue;
		ck_assert_ok(promised_turn(i, false));
		resumed = true;
	}
	return resumed;
}

/* The log verifies, holds everything, opens, goes on, and is so still. Was there a turn to finish? */
static inline bool promised_check(const char *path)
{
	struct slice ca = buf_slice(&signer.ca);
	bool resumed = false;

	for (int i = 0; i < 2; i++) {
		if (promised->n) {
			ck_assert_ok(found_read(path, ca));
			ck_assert_msg(
				promised_hold(promised->n, promised->heads, promised->heads_n),
				"what was released is gone");
		}
		if (i)
			break;
		ck_assert_ok(promised_open_with(path, promised->heads, promised->heads_n));
		resumed = promised_resume();
		ck_assert_ok(promised_write(PROMISED_TREES, false));
		audit_close(audit);
	}
	return resumed;
}

#endif

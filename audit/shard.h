/* shard.h - a log in parts: the origins of a tree's shards, and what records say of them. Pure; any
 * thread.
 *
 * The first shard has the tree's own origin, the others "<origin>/s2", "<origin>/s3" and so on. A
 * shard ends with a record of type close, whose claim "shard" names the next one; that one's genesis
 * names the one before, with its final size and root. One key and one certificate, for the tree's own
 * origin, are those of all its shards.
 */
#ifndef AUDIT_SHARD_H
#define AUDIT_SHARD_H

#include "audit/leaf.h"

#define SHARD_ORIGIN_MAX 200
#define SHARD_NUMBER_MAX 999999
#define SHARD_NOTES_MAX 65536

/* Which shard this is, from 1; @base_n is how much of the text is the tree's own origin. */
uint32_t shard_number(struct slice origin, size_t *base_n);
/* Is it that tree, or one of its shards? */
bool shard_is_of(struct slice origin, struct slice tree);
/* The next one's, and the one's before; ERR_RANGE when there is none, or its name is too long. */
MUST enum err shard_next(const char *origin, char out[SHARD_ORIGIN_MAX + 1]);
MUST enum err shard_before(const char *origin, char out[SHARD_ORIGIN_MAX + 1]);

/* A record with the claim "shard". */
struct shard_note {
	char holder[SHARD_ORIGIN_MAX + 1]; /* the record's own tree */
	uint64_t index;
	enum leaf_type type;
	char origin[SHARD_ORIGIN_MAX + 1]; /* and the one that it speaks of */
	uint64_t size;
	uint8_t root[SHA256_SIZE];
};
struct shard_notes {
	struct shard_note *items;
	size_t n;
};
/* Keeps what a record says, if it has that claim. ERR_RANGE when there are too many. */
MUST enum err shard_note(struct shard_notes *notes, const char *holder, const struct leaf *leaf);
void shard_notes_free(struct shard_notes *notes);

#endif

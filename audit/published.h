/* published.h - the checkpoints that a log shows (public.h), as they were found, and their check.
 *
 * Read them first, then the log, and then compare: a log may grow meanwhile, but never shrink. One
 * thread. @trees is the folder's descriptor.
 */
#ifndef AUDIT_PUBLISHED_H
#define AUDIT_PUBLISHED_H

#include "audit/ledger.h"

struct note;

struct published_checkpoint {
	char origin[FRAME_ORIGIN_MAX + 1];
	struct buf note; /* empty: none was published yet */
	/* Of a copy (covered.h): a larger one than its tiles lead to; else empty. */
	struct buf newest;
};
struct published {
	struct published_checkpoint *items;
	size_t n;
};

/* Reads one of each folder that is a tree's. ERR_MISMATCH: a folder is not named after its origin. */
MUST enum err published_read(int trees, struct published *out);
void published_free(struct published *list);
void published_cleanup(struct published *list);

/* Every published checkpoint must be a prefix of its tree, and signed by the tree's key (published_signed).
 * ERR_MISMATCH, ERR_CRYPTO: it is not. */
MUST enum err published_check(const struct published *list, int trees, const struct ledger *ledger);
/* Is a checkpoint signed by the tree's key: that of @book, its former one, or where @ca is given, one
 * whose certificate is published, now or formerly, if the appliance's CA issued it? @book may be NULL.
 *
 * And is each line that is by an Ed25519 key of the tree really that key's? One that is absent is no
 * offence, since the token may have failed to sign it: what counts is the other line, which can't be
 * absent. A published Ed25519 key that the CA did not issue is one, since others' tools would believe it. */
MUST enum err published_signed(const struct note *note, const char *origin, int trees,
			       const struct ledger_tree *book, struct slice ca);
/* The same for a published one, if there is one, and the newest, without a log. */
MUST enum err published_verify(const struct published_checkpoint *found, int trees,
			       struct slice ca);

#endif

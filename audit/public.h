/* public.h - what a log shows to everybody: trees/<16 hex digits>/{origin,certificate.der,ca.der,
 * checkpoint,witnessed}, a folder for each tree, named after SHA-256 of its origin. Any thread; who writes for
 * one tree at a time is for the callers to order.
 */
#ifndef AUDIT_PUBLIC_H
#define AUDIT_PUBLIC_H

#include "audit/ledger.h"

/* Writes origin and certificates, where they are not there yet or not these. @trees is the
 * descriptor of the folder. */
MUST enum err public_tree(int trees, const char *origin, struct slice certificate, struct slice ca);
/* Replaces the checkpoint; a crash may undo that, but never tear it. */
MUST enum err public_checkpoint(int trees, const char *origin, struct slice note);

/* The checkpoint as it is, and the newest that enough witnesses cosigned; ERR_NOT_FOUND. */
MUST enum err public_newest(int trees, const char *origin, struct buf *note);
MUST enum err public_witnessed(int trees, const char *origin, struct buf *note);
/* Replaces the latter. */
MUST enum err public_put_witnessed(int trees, const char *origin, struct slice note);

/* A checkpoint as it was found, to be compared with the log once that is read. */
struct public_found {
	char origin[FRAME_ORIGIN_MAX + 1];
	struct buf note; /* empty: none was published yet */
};
struct public_list {
	struct public_found *items;
	size_t n;
};
/* Reads all of them. Do this before reading the log: it may grow meanwhile, but never shrink. */
MUST enum err public_read(int trees, struct public_list *out);
/* Every published checkpoint must be a prefix of its tree, and signed by the tree's key.
 * ERR_MISMATCH, ERR_CRYPTO: it is not. */
MUST enum err public_check(const struct public_list *list, const struct ledger *ledger);
void public_list_free(struct public_list *list);
void public_list_cleanup(struct public_list *list);

#endif

/* public.h - what a log shows to everybody: trees/<16 hex digits>/{origin,certificate.der,former.der,
 * ed25519.der,former-ed25519.der,ca.der,checkpoint,checkpoints/...,witnessed,tile/...}, a folder for each
 * tree, named after SHA-256 of its origin. Any thread; who writes for one tree at a time is for the
 * callers to order.
 */
#ifndef AUDIT_PUBLIC_H
#define AUDIT_PUBLIC_H

#include "audit/ledger.h"

#define PUBLIC_NAME 17
/* The name of a tree's folder. */
void public_name(const char *origin, char name[PUBLIC_NAME]);
/* Takes a tree's folder out of sight, durably, if it is there; and removes what was taken so. */
MUST enum err public_remove(int trees, const char *origin);
MUST enum err public_sweep(int trees);
/* Opens a tree's folder, made first if that is wanted; else ERR_NOT_FOUND when it is not there. */
MUST enum err public_folder(int trees, const char *origin, bool make, int *out);
/* The root of the first @size records: from the tree, or from its tiles when it is older than that. */
MUST enum err public_root(int trees, const struct ledger_tree *tree, uint64_t size, tree_hash root);
/* The path from a record to the root of the first @size, likewise. */
MUST enum err public_inclusion(int trees, const struct ledger_tree *tree, uint64_t index,
			       uint64_t size, struct tree_path *path);
/* Shows the leaves with which the ledger began: those that are in tiles, and not in what is left of
 * the write-ahead log. Each comes as the entry that it was. Not checked: that is the auditor's part. */
MUST enum err public_walk(int trees, const struct ledger *ledger, ledger_visit *visit,
			  void *context);
/* Certificates (DER): of the tree's key, those above it, and of its Ed25519 key or nothing. */
struct public_keys {
	struct slice certificate, ca, ed25519;
};
/* Writes origin and certificates, where they are not there yet or not these; a key's certificate that
 * was there before goes to former.der, or former-ed25519.der, which keep the last PUBLIC_FORMER. @trees
 * is the folder's descriptor. */
#define PUBLIC_FORMER 64
MUST enum err public_tree(int trees, const char *origin, const struct public_keys *keys);
/* The certificates of the tree's keys, newest first, one after another (chain_take): appended. */
MUST enum err public_certificates(int trees, const char *origin, struct buf *out);
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
	struct buf
		newest; /* of a copy (covered.h): a larger one than its tiles lead to; else empty */
};
struct public_list {
	struct public_found *items;
	size_t n;
};
/* Reads all of them. Do this before reading the log: it may grow meanwhile, but never shrink. */
MUST enum err public_read(int trees, struct public_list *out);
/* Every published checkpoint must be a prefix of its tree, and signed by the tree's key (public_signed).
 * ERR_MISMATCH, ERR_CRYPTO: it is not. */
MUST enum err public_check(const struct public_list *list, int trees, const struct ledger *ledger);
/* Is a checkpoint signed by the tree's key: that of @book, its former one, or where @ca is given, one
 * whose certificate is published, now or formerly, if the appliance's CA issued it? @book may be NULL.
 *
 * And is each line that is by an Ed25519 key of the tree really that key's? One that is absent is no
 * offence, since the token may have failed to sign it: what counts is the other line, which can't be
 * absent. A published Ed25519 key that the CA did not issue is one, since others' tools would believe it. */
struct note;
MUST enum err public_signed(const struct note *note, const char *origin, int trees,
			    const struct ledger_tree *book, struct slice ca);
/* The same for a published one, if there is one, and the newest, without a log. */
MUST enum err public_verify(const struct public_found *found, int trees, struct slice ca);
void public_list_free(struct public_list *list);
void public_list_cleanup(struct public_list *list);

#endif

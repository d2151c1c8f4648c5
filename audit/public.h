/* public.h - what a log shows to everybody: trees/<16 hex digits>/{origin,certificate.der,former.der,
 * ed25519.der,former-ed25519.der,ca.der,checkpoint,checkpoints/...,witnessed,tile/...}, a folder for each
 * tree, named after SHA-256 of its origin. Any thread; who writes for one tree at a time is for the
 * callers to order. Reading all of them, and checking them, is published.h's part.
 */
#ifndef AUDIT_PUBLIC_H
#define AUDIT_PUBLIC_H

#include "config/base/bytes.h"

#define PUBLIC_NAME 17
/* The name of a tree's folder. */
void public_name(const char *origin, char name[PUBLIC_NAME]);
/* Takes a tree's folder out of sight, durably, if it is there; and removes what was taken so. */
MUST enum err public_remove(int trees, const char *origin);
MUST enum err public_sweep(int trees);
/* Opens a tree's folder, made first if that is wanted; else ERR_NOT_FOUND when it is not there. */
MUST enum err public_folder(int trees, const char *origin, bool make, int *out);
/* Certificates (DER): of the tree's key, those above it, and of its Ed25519 key or nothing. */
struct public_keys {
	struct slice certificate, ca, ed25519;
};
/* Writes origin and certificates, where they are not there yet or not these; a key's certificate that
 * was there before goes to former.der, or former-ed25519.der, which keep the last PUBLIC_FORMER. @trees
 * is the folder's descriptor. */
#define PUBLIC_FORMER 64
MUST enum err public_tree(int trees, const char *origin, const struct public_keys *keys);
/* Appends the certificates of the tree's keys, newest first, one after another (chain_take). */
MUST enum err public_certificates(int trees, const char *origin, struct buf *out);
/* Appends those of one of these two files, or nothing where there is none; @folder is the tree's. */
MUST enum err public_former(int folder, const char *name, struct buf *out);
/* Replaces the checkpoint; a crash may undo that, but never tear it. */
MUST enum err public_checkpoint(int trees, const char *origin, struct slice note);

/* The checkpoint as it is, and the newest that enough witnesses cosigned; ERR_NOT_FOUND. */
MUST enum err public_newest(int trees, const char *origin, struct buf *note);
MUST enum err public_witnessed(int trees, const char *origin, struct buf *note);
/* Replaces the latter. */
MUST enum err public_put_witnessed(int trees, const char *origin, struct slice note);

#endif

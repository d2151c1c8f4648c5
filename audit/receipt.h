/* receipt.h - COSE Receipts (RFC 9942) for the RFC 9162 SHA-256 tree: a signed root and the path
 * from one leaf to it. Pure: no I/O; the signature itself comes from outside.
 *
 * One signature serves every leaf of a tree head: receipt_head_prepare() gives the digest to be
 * signed, receipt_head_sign() takes the signature, receipt_write() then makes any number of receipts
 * that differ in their path only. A signed head is read-only: any thread may write receipts from it.
 */
#ifndef AUDIT_RECEIPT_H
#define AUDIT_RECEIPT_H

#include "audit/chain.h"

#define RECEIPT_PATH_MAX 63
#define RECEIPT_MAX 65536

struct receipt_head {
	uint64_t size;
	uint8_t root[SHA256_SIZE];
	struct buf protected; /* the protected header's bytes; holds size, origin, time, key id */
	struct buf signature; /* raw r || s; empty until signed */
};
#define RECEIPT_HEAD_INIT ((struct receipt_head){ 0 })

/* What is to be signed for the root of a tree of @size leaves, at least 2 (RFC 9942 has no receipt
 * with an empty path). @time: seconds since 1970. ERR_UNSUPPORTED for an algorithm other than ES256. */
MUST enum err receipt_head_prepare(struct receipt_head *head, const struct audit_key *key,
				   const char *issuer, const char *origin, uint64_t size,
				   const uint8_t root[SHA256_SIZE], int64_t time,
				   uint8_t digest[SHA256_SIZE]);
MUST enum err receipt_head_sign(struct receipt_head *head, struct slice signature);
/* For heads that were read back from disk: is this a head of @origin with this size, and is the
 * signature over its root the certificate's? ERR_FORMAT, ERR_MISMATCH or ERR_CRYPTO. */
MUST enum err receipt_head_verify(const struct receipt_head *head, const char *origin,
				  struct slice certificate);
void receipt_head_free(struct receipt_head *head);
void receipt_head_cleanup(struct receipt_head *head);

/* Appends the tagged receipt of leaf @index; @path runs from the leaf's sibling upwards (RFC 9162
 * section 2.1.3.1). The certificates of @key travel along, unprotected, as x5chain. */
MUST enum err receipt_write(const struct receipt_head *head, const struct audit_key *key,
			    uint64_t index, const uint8_t (*path)[SHA256_SIZE], size_t path_n,
			    struct buf *out);

/* A receipt taken apart; points into its bytes. */
struct receipt {
	struct slice protected, signature;
	int64_t alg;
	struct slice kid, x5t; /* x5t: SHA-256 of the certificate */
	struct slice issuer, origin;
	int64_t time;
	uint64_t size, index; /* the protected size and the proof's own are the same: checked */
	struct slice path[RECEIPT_PATH_MAX];
	size_t path_n;
	struct slice certificate; /* x5chain: the key's certificate, and those above it */
	struct chain chain;
	/* x5bag: a certificate that the tree's key had before; mostly empty. A TPM's quote in the record may
	 * be for that one. */
	struct slice former;
	struct slice timestamp; /* a token of RFC 3161 over the signature; mostly empty */
};

/* Strict: anything that receipt_write would not write is ERR_FORMAT, also a certificate that is not
 * the one that x5t and kid name. */
MUST enum err receipt_read(struct slice raw, struct receipt *out);
/* The same receipt with a time stamp (timestamp.h), in place of any that it had. Appended. */
MUST enum err receipt_stamp(struct slice raw, struct slice token, struct buf *out);
/* The same receipt with a former certificate, likewise. */
MUST enum err receipt_carry(struct slice raw, struct slice former, struct buf *out);
/* The root that leads from a leaf's hash over the path; ERR_FORMAT when the path's length does not
 * fit size and index. */
MUST enum err receipt_root(const struct receipt *receipt, const uint8_t leaf_hash[SHA256_SIZE],
			   uint8_t root[SHA256_SIZE]);
/* What the signature is over: the root that the path leads to, under the protected header. */
MUST enum err receipt_digest(const struct receipt *receipt, const uint8_t leaf_hash[SHA256_SIZE],
			     uint8_t digest[SHA256_SIZE]);
/* Folds the path and checks the signature with the certificate in the receipt. Whether that
 * certificate may be trusted is another question: chain_verify(). ERR_CRYPTO: does not hold. */
MUST enum err receipt_verify(const struct receipt *receipt, const uint8_t leaf_hash[SHA256_SIZE]);

#endif

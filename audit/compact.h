/* compact.h - the compact proof: one COSE_Sign1 of at most COMPACT_MAX (512) bytes that a signing
 * call can return. It names the leaf (cti, pos, hash) and repeats the claims that matter most, first
 * of all what kind of record it is and whether the run could be debugged; the full proof is the leaf
 * and its receipt. Pure: no I/O.
 *
 * Protected {alg, kid}; payload: a map with the leaf's claims under their own keys, and -70020
 * (digest of component "image") and -70021 (leaf hash).
 */
#ifndef AUDIT_COMPACT_H
#define AUDIT_COMPACT_H

#include "audit/audit.h"
#include "audit/proof.h"

#define COMPACT_KEY_IMAGE (-70020)
#define COMPACT_KEY_LEAF (-70021)

/* Two steps around the signature: the draft, and what of it is to be signed. */
struct compact_draft {
	struct buf protected, payload;
};
#define COMPACT_DRAFT_INIT ((struct compact_draft){ 0 })

/* @leaf: the encoded leaf. ERR_UNSUPPORTED for an algorithm other than ES256. */
MUST enum err compact_prepare(struct compact_draft *draft, const struct audit_key *key,
			      struct slice leaf, uint8_t digest[SHA256_SIZE]);
/* Appends the proof; @signature is raw r || s. */
MUST enum err compact_write(const struct compact_draft *draft, struct slice signature,
			    struct buf *out);
void compact_draft_free(struct compact_draft *draft);
void compact_draft_cleanup(struct compact_draft *draft);

/* A compact proof taken apart; points into its bytes. */
struct compact {
	struct slice protected, payload, signature;
	struct slice kid;
	enum leaf_type type;
	enum leaf_dbgstat dbgstat;
	int64_t time;
	uint8_t cti[16];
	struct slice nonce; /* may be empty */
	uint64_t pos;
	bool has_input, has_output, has_status, has_tcb, has_epoch, has_image;
	uint8_t input[32], output[32], tcb[32], image[32];
	uint64_t status_kind, status_code, epoch;
	uint8_t leaf_hash[SHA256_SIZE];
};
MUST enum err compact_read(struct slice raw, struct compact *out);
/* Checks kid and signature against the certificate; its chain is chain_verify()'s. */
MUST enum err compact_verify(const struct compact *compact, struct slice certificate);

#endif

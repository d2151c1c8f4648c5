/* claims.h - claims.def as a table, for the files of this folder that walk over a leaf's claims. */
#ifndef AUDIT_CLAIMS_H
#define AUDIT_CLAIMS_H

#include "audit/leaf.h"
#include "config/base/cbor.h"

/* What the forms of single claims have in common for their writer and their reader. */
#define CLAIM_ALG_SHA256 1           /* Named Information registry */
#define CLAIM_MEASURED_COMPONENT 295 /* CoAP content format, RFC 10013 */
#define CLAIM_AUTHORITIES 3          /* of its map, the key; and an encoded SHA-256 */
#define CLAIM_AUTHORITY_SIZE (2 + SHA256_SIZE)
#define CLAIM_HSM_NAME "hsm" /* of the submodules */
#define CLAIM_TPM_NAME "tpm"

enum claim_kind {
	CLAIM_TEXT,
	CLAIM_REASON,
	CLAIM_BYTES,
	CLAIM_VERSION,
	CLAIM_UINT,
	CLAIM_TIME,
	CLAIM_ENUM,
	CLAIM_ID,
	CLAIM_DIGEST,
	CLAIM_MAC,
	CLAIM_HSM,
	CLAIM_COMPONENTS,
	CLAIM_STATUS,
	CLAIM_TIMES,
	CLAIM_CALLER,
	CLAIM_PARTITION,
	CLAIM_CONFINEMENT,
	CLAIM_SHARD
};

struct claim {
	int64_t key;
	const char *name;
	enum claim_kind kind;
	size_t field, flag; /* offsets in struct leaf; flag 0: none */
	bool always, compact;
	uint64_t least, most;
};

extern const struct claim claims[];
extern const size_t claims_n;

bool claim_present(const struct claim *claim, const struct leaf *leaf);
/* The claim's field, as its type. */
struct slice claim_slice(const struct claim *claim, const struct leaf *leaf);
uint64_t claim_uint(const struct claim *claim, const struct leaf *leaf); /* UINT, TIME, ENUM */
const uint8_t *claim_bytes(const struct claim *claim, const struct leaf *leaf);

/* Appends the pairs of a map: all claims, or those of the compact proof; their number. Returns where
 * the value of "pos" is in @out. */
size_t claims_count(const struct leaf *leaf, bool compact);
size_t claims_put(const struct leaf *leaf, bool compact, struct buf *out);
/* Takes @pairs pairs into @leaf, which is zeroed first but for components that it has not; @keys goes on to whatever follows. Refuses
 * unknown claims, values out of range, and a required one that is missing. */
MUST enum err claims_take(struct slice *in, size_t pairs, bool compact, struct cbor_keys *keys,
			  struct leaf *leaf);

#endif

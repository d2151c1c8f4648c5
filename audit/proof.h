/* proof.h - what a relying party holds, and how it is checked: offline, no HSM, no daemon.
 *
 * A proof file is deterministic CBOR: ["assay-proof-1", bstr leaf, bstr receipt, bstr TCB leaf or
 * empty, bstr TCB receipt or empty]. The keys file: ["assay-keys-1", bstr input key, bstr output
 * key, bstr stderr key], each 32 bytes or empty. The result of EXECUTE_FULL: ["assay-result-1",
 * bstr proof, bstr output, bstr stderr, bstr keys].
 *
 * Pure; a report belongs to one thread.
 */
#ifndef AUDIT_PROOF_H
#define AUDIT_PROOF_H

#include "audit/leaf.h"

#define PROOF_MAX (4 << 20)
#define COMPACT_MAX 512

struct proof_parts {
	struct slice leaf, receipt, tcb_leaf, tcb_receipt;
};
void proof_write(const struct proof_parts *parts, struct buf *out);
MUST enum err proof_read(struct slice raw, struct proof_parts *out);

struct proof_keys {
	uint8_t input[32], output[32], messages[32];
};
void proof_keys_write(const struct proof_keys *keys, struct buf *out);
/* One that is missing becomes all zeros, which no commitment was made with. */
MUST enum err proof_keys_read(struct slice raw, struct proof_keys *out);
bool proof_keys_has(const uint8_t key[32]);

void proof_result_write(struct slice proof, struct slice output, struct slice messages,
			struct slice keys, struct buf *out);
MUST enum err proof_result_read(struct slice raw, struct slice *proof, struct slice *output,
				struct slice *messages, struct slice *keys);

/* Commitment of claims -70003 to -70005: HMAC-SHA256(key, data). */
MUST enum err proof_commit(const uint8_t key[32], struct slice data, uint8_t out[32]);

/* What the verifier expects; NULL or has_ false: not checked, and the report says so. */
struct known; /* known.h */
struct trust; /* trust.h */
struct proof_expect {
	struct known *known; /* what was verified before; NULL: nothing is remembered */
	struct slice ca; /* DER certificate of the appliance's CA, or of one above it: required */
	struct slice chain; /* of a compact proof's certificate (chain.h); empty: @ca issued it */
	const uint8_t *measurement; /* 32 bytes: the application that must have run */
	const uint8_t *image;  /* 32 bytes: its image, which is all that a compact proof names */
	const char *origin;    /* the log, and so the partition and its generation */
	const char *partition; /* serial of the partition's token; not in a compact proof */
	struct slice nonce;    /* empty: none */
	struct slice crls;     /* what CAs revoked (revocation.h); empty: not asked */
	struct slice tsa;      /* DER certificate of a time-stamping authority, or of its issuer */
	const struct trust *witnesses; /* whose quorum must vouch for the log (vouch.h), by: */
	struct slice checkpoint;
	struct slice keys; /* the keys file; needed for the three below */
	bool has_input, has_output, has_messages;
	struct slice input, output, messages;
	bool allow_development;
	bool allow_failure; /* a run that failed is proved as well as any other */
	bool receipt;       /* the receipt of a load is wanted, and not an execution */
};

/* One line per check, in order; the first failed one ends it. */
struct proof_check {
	const char *name; /* "signature" */
	enum { PROOF_PASSED, PROOF_FAILED, PROOF_SKIPPED } verdict;
	char words[256];
};
#define PROOF_CHECKS_MAX 32
struct known_tcb;
struct proof_report {
	struct proof_check checks[PROOF_CHECKS_MAX];
	size_t n;
	/* Decoded, when they could be; they point into the proof; freed by _free. */
	struct leaf *leaf;
	const struct leaf *tcb; /* NULL when no TCB record came along */
	struct known_tcb *held; /* where tcb is */
};

/* OK: everything asked for holds. ERR_MISMATCH, ERR_CRYPTO or ERR_FORMAT: it does not, and
 * err_reason() says in one sentence what does not match. ERR_FAILED: it does, but what it proves is
 * that the application failed. */
MUST enum err proof_verify(struct slice proof, const struct proof_expect *expect,
			   struct proof_report *report);
void proof_report_free(struct proof_report *report);
void proof_report_cleanup(struct proof_report *report);

/* The compact proof of EXECUTE, or of LOAD, likewise: checked against the appliance's CA and the
 * key's certificate (DER). The report's leaf has the claims of the proof and no others. */
MUST enum err proof_verify_compact(struct slice compact, struct slice certificate,
				   const struct proof_expect *expect, struct proof_report *report);

/* The application measurement that an execution's leaf claims, from its components "image" and
 * "profile"; ERR_NOT_FOUND when it has none. */
MUST enum err proof_measurement(const struct leaf *leaf, uint8_t out[32]);

#endif

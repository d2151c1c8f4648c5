/* leaf.h - one record of the log: an unprotected CWT claims set (RFC 9781, tag 601) of EAT claims
 * (RFC 9711) in deterministic CBOR. Pure: no I/O. All slices are the caller's and must outlive the
 * call; a decoded leaf points into the bytes that it was decoded from.
 *
 * claims.def is the one list of claims. A claim that is not known is absent, never made up: an
 * empty slice or a false has_... leaves it out.
 */
#ifndef AUDIT_LEAF_H
#define AUDIT_LEAF_H

#include "config/base/bytes.h"
#include "config/base/sha256.h"

#define LEAF_MAX 65535
#define LEAF_COMPONENTS_MAX 256

/* eat_profile: one per algorithm suite and mode. */
#define LEAF_PROFILE_ES256 "tag:assay.dev,2026:es256/1"
#define LEAF_PROFILE_DEVELOPMENT "tag:assay.dev,2026:development/1"

/* Claim -70012. */
enum leaf_type {
	LEAF_EXECUTION = 1,
	LEAF_AUTHORIZATION = 2,
	LEAF_MANAGEMENT = 3,
	LEAF_CONFIGURATION = 4,
	LEAF_OPEN = 5,
	LEAF_CLOSE = 6,
	LEAF_ROLLOVER = 7,
	LEAF_SHRED = 8,
	LEAF_TIME = 9,
	LEAF_RECOVERY = 10,
	LEAF_REFUSAL = 11,
	LEAF_TCB = 12
};

/* Claim -70008 and -70017. */
enum leaf_role { LEAF_ROLE_NONE = 0, LEAF_ROLE_USER = 1, LEAF_ROLE_SO = 2, LEAF_ROLE_ADMIN = 3 };
enum leaf_roleproof {
	LEAF_PROOF_NONE = 0,
	LEAF_PROOF_ROLE_KEY = 1,
	LEAF_PROOF_TRUSTED_OBJECT = 2,
	LEAF_PROOF_ADMIN_KEY = 3
};

/* Claim -70006. */
enum leaf_outcome {
#define OUTCOME(number, name, word, words) LEAF_ENDED_##name = (number),
#include "audit/outcomes.def"
#undef OUTCOME
	LEAF_OUTCOMES_N
};

/* Claim 263, RFC 9711 section 4.2.9. */
enum leaf_dbgstat { LEAF_DEBUG_ENABLED = 0, LEAF_DEBUG_DISABLED = 1 };

/* One entry of claim 273: a measured component (RFC 10013). Its authorities, in these profiles: who
 * approved it as the partition's policy asks, each the SHA-256 of the SubjectPublicKeyInfo of the key that
 * signed the package; in ascending order, which means nothing more. */
struct leaf_component {
	struct slice name, version; /* version may be empty */
	uint8_t sha256[SHA256_SIZE];
	struct slice authorities; /* may be empty; in a row, each as it is encoded */
};
#define LEAF_AUTHORITIES_MAX 16
/* For writing: appends one; they are to come in order, and none twice. For reading: the next one is
 * taken off @authorities; NULL: there is no more. */
void leaf_put_authority(struct buf *authorities, const uint8_t signer[SHA256_SIZE]);
const uint8_t *leaf_next_authority(struct slice *authorities);

/* Claim 266: submodules. */
struct leaf_hsm {
	struct slice manufacturer, model, serial, firmware;
	uint64_t flags;
	struct slice tpm; /* empty, or a TPM's quote (quote.h), a submodule beside the HSM */
};
#define LEAF_TPM_MAX 4096

struct leaf {
	enum leaf_type type;
	struct slice issuer, subject; /* partition identity; application id */
	int64_t time;                 /* iat, seconds */
	uint8_t cti[16];
	struct slice nonce; /* empty, or 8 to 64 bytes */
	struct slice ueid;
	struct slice hwmodel, hwversion;
	bool has_uptime;
	uint64_t uptime;
	enum leaf_dbgstat dbgstat;
	struct slice profile; /* one of LEAF_PROFILE_... */
	bool has_hsm;
	struct leaf_hsm hsm;
	bool has_bootcount;
	uint64_t bootcount;
	struct slice bootseed;
	struct slice swname, swversion;
	struct leaf_component components[LEAF_COMPONENTS_MAX];
	size_t components_n;
	uint64_t pos;        /* set by audit_begin */
	struct slice origin; /* set by audit_begin */
	bool has_input, has_output, has_messages;
	uint8_t input[32], output[32], messages[32]; /* HMAC-SHA256 commitments */
	bool has_status;
	uint64_t status_kind, status_code;
	bool has_times;
	uint64_t start_us, end_us, time_source, time_error_us;
	bool has_caller;
	enum leaf_role role;
	struct slice pseudonym;
	bool has_tcb;
	uint8_t tcb[32];
	bool has_sealed;
	uint8_t sealed[32]; /* SHA-256 of the sealed payload: see seal.h */
	struct slice partition_serial, partition_label;
	bool has_policy;
	uint8_t policy[32];
	bool has_epoch;
	uint64_t epoch;
	struct slice request;
	bool has_confinement;
	uint64_t confinement_mode; /* 0 privileged launcher, 1 user namespaces only */
	struct slice absent_steps; /* one text, space-separated; may be empty */
	uint64_t start_kind, launched_us;
	bool has_roleproof;
	enum leaf_roleproof roleproof;
	bool has_frontend;
	uint8_t frontend[32];
	/* Claim -70019: why it was refused or failed, or what was done. Cut at 256 bytes, and made
	 * UTF-8, by leaf_encode. */
	struct slice reason;
	/* Claim -70022: another tree, as it was then. In a shard's genesis the one before it, in its
	 * last record the next one, of which there is nothing yet; and one that was pruned. */
	struct slice shard_origin;
	uint64_t shard_size;
	uint8_t shard_root[SHA256_SIZE];
};

/* ERR_RANGE when over LEAF_MAX or a claim is out of its range. */
MUST enum err leaf_encode(const struct leaf *leaf, struct buf *out);
/* The same for a leaf whose index is known last: its pos is a guess, which leaf_renumber puts right
 * where @pos_at says; false when the index takes another number of bytes. */
MUST enum err leaf_draft(const struct leaf *leaf, struct buf *out, size_t *pos_at);
MUST bool leaf_renumber(struct buf *raw, size_t pos_at, uint64_t pos);
/* Strict: anything that leaf_encode would not write is ERR_FORMAT; unknown claims too. */
MUST enum err leaf_decode(struct slice raw, struct leaf *out);
/* Claim -70009: SHA-256 of the encoding of claim 273 of a TCB record. */
MUST enum err leaf_components_digest(const struct leaf *leaf, uint8_t digest[SHA256_SIZE]);
/* The first component of this name; NULL when there is none. */
const struct leaf_component *leaf_component(const struct leaf *leaf, const char *name);
/* SHA-256(0x00 || raw), RFC 9162 section 2.1.1. */
void leaf_hash(struct slice raw, uint8_t hash[SHA256_SIZE]);

/* For CLEANUP(leaf): frees one that was allocated. A leaf is large: keep it off small stacks. */
/* The same into memory of its own, for leaf_cleanup(): a leaf is large for a stack. */
MUST enum err leaf_read(struct slice raw, struct leaf **out);
void leaf_cleanup(struct leaf **leaf);
const char *leaf_type_name(enum leaf_type type); /* "execution" */

#endif

/* assay-verify.h - checks Assay's evidence: offline, with no HSM, no daemon and no privilege.
 *
 * Link with -lassay-verify (pkg-config assay-verify), which needs OpenSSL's libcrypto and libyaml.
 * Nothing is global, and nothing is kept between calls but in a cache that the caller brings: any
 * thread, but an outcome, or a cache, belongs to one at a time. What is given is read during the call only. What is returned belongs to the outcome, texts
 * included, and lives as long as it does; texts are UTF-8 and may hold what a hostile record says.
 *
 * The symbols of this file keep their meaning within a major version. Structures that callers fill
 * start with their own size, so that a program built today goes on with a later library.
 */
#ifndef ASSAY_VERIFY_H
#define ASSAY_VERIFY_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

#define ASSAY_VERIFY_MAJOR 1

struct assay_bytes {
	const void *data; /* NULL: not given */
	size_t size;
};

enum {
	ASSAY_ALLOW_DEVELOPMENT = 1, /* evidence that the caller could have forged */
	ASSAY_ALLOW_FAILURE = 2,     /* a failed run is proved as well as any other */
	ASSAY_LOAD = 4               /* the receipt of a load is wanted, and not an execution */
};

/* What was verified before: certificates, signatures, and expectations that were read. It decides
 * nothing that a check would not decide the same way, and makes many proofs cheap: those of one batch
 * share one signature. It takes about 64 KiB. NULL: no memory. */
struct assay_cache;
struct assay_cache *assay_cache_new(void);
void assay_cache_free(struct assay_cache *cache); /* NULL is allowed */

/* What is known and expected. Zero all of it, set size and ca, and what else there is; what is not
 * given is not checked, and the outcome says so. */
struct assay_expect {
	size_t size;           /* sizeof(struct assay_expect) */
	struct assay_bytes ca; /* certificate of the appliance's CA, or of one above: required */
	/* The partition's certificate, with those above it where @ca is not its issuer: for a compact
	 * proof, which brings none along. */
	struct assay_bytes certificate;
	struct assay_bytes tsa; /* certificate of a time-stamping authority, or of its issuer */
	const unsigned char *measurement; /* 32 bytes: the application that must have run */
	const unsigned char *image;       /* 32 bytes: its image, all that a compact proof names */
	const char *origin;               /* the log, and so the partition and its generation */
	const char *partition;            /* serial of the partition's token */
	struct assay_bytes nonce;
	struct assay_bytes keys; /* the keys file; needed for the three below */
	struct assay_bytes input, output, messages;
	struct assay_bytes policy; /* appraisal policy, YAML */
	const char *policy_name;   /* stands for its file in reasons */
	int64_t now;               /* seconds since 1970; 0: this machine's clock */
	unsigned flags;
	struct assay_cache *cache; /* NULL: everything is checked anew */
	/* CRLs of CAs of the proof's chain, PEM one after another or one in DER: a certificate that was
	 * revoked before the proof was made is refused. */
	struct assay_bytes crl;
	/* The bytes that the application's profile is the SHA-256 of (assay measure --profile), for a
	 * policy's rules about limits. */
	struct assay_bytes profile;
	/* A quorum (C2SP tlog-policy) that must vouch for the log; and a cosigned checkpoint of the
	 * proof's tree, or a later one with the way there (assay witness request --proof), which a
	 * policy's rule about witnesses needs too. */
	struct assay_bytes witnesses, checkpoint;
};

enum assay_verdict {
	ASSAY_HOLDS = 0,
	ASSAY_FAILED_RUN = 1,    /* it holds, and proves that the application failed */
	ASSAY_REFUSED = 2,       /* it holds, and the policy refuses it */
	ASSAY_DOES_NOT_HOLD = 3, /* damaged, forged, or not what was expected */
	ASSAY_MISUSED = 4,       /* the expectations make no sense */
	ASSAY_NO_VERDICT = 5     /* out of memory, or the like */
};

struct assay_outcome;

/* Verifies a proof file, the result of EXECUTE_FULL (whose own output, messages and keys are
 * compared unless others are given), or with expect->certificate a compact proof. @out is set for
 * every verdict, to be freed; only when there is no memory at all it is NULL. */
enum assay_verdict assay_verify(const void *proof, size_t size, const struct assay_expect *expect,
				struct assay_outcome **out);
void assay_outcome_free(struct assay_outcome *outcome); /* NULL is allowed */

/* One sentence: what does not hold; "" when all does. */
const char *assay_outcome_reason(const struct assay_outcome *outcome);

enum assay_state { ASSAY_CHECK_PASSED = 0, ASSAY_CHECK_FAILED = 1, ASSAY_CHECK_SKIPPED = 2 };
struct assay_check {
	const char *name; /* "signature" */
	enum assay_state state;
	const char *words;
};
/* What was checked, in order; the first that failed is the last. */
size_t assay_outcome_checks(const struct assay_outcome *outcome);
struct assay_check assay_outcome_check(const struct assay_outcome *outcome, size_t index);

struct assay_rule {
	const char *key;   /* of the policy */
	const char *claim; /* AR4SI's trustworthiness claim that it is about; NULL: none */
	int met;
	const char *words;
};
/* The policy's rules: all of them, met or missed. */
size_t assay_outcome_rules(const struct assay_outcome *outcome);
struct assay_rule assay_outcome_rule(const struct assay_outcome *outcome, size_t index);

/* The claims of a proof that holds, as a JSON object, as lines "name: value", and as one line; ""
 * for one that does not hold, whose claims are nobody's. */
const char *assay_outcome_json(struct assay_outcome *outcome);
const char *assay_outcome_claims(struct assay_outcome *outcome);
const char *assay_outcome_line(struct assay_outcome *outcome);
/* A policy (YAML) that accepts proofs like this full one; "" where there is none to learn. */
const char *assay_outcome_policy(struct assay_outcome *outcome);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif

#endif

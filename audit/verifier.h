/* verifier.h - the inside of proof_verify() and proof_verify_compact(): a list of steps, run from top to
 * bottom until one fails, each of which says in words what it found. Not for other folders.
 */
#ifndef AUDIT_VERIFIER_H
#define AUDIT_VERIFIER_H

#include "audit/compact.h"
#include "audit/proof.h"
#include "audit/receipt.h"

struct verifier {
	struct slice proof;
	const struct proof_expect *expect;
	struct proof_report *report;
	struct proof_parts parts;
	struct slice certificate; /* given, for a compact proof */
	struct compact compact;
	struct leaf *leaf;      /* the report's */
	const struct leaf *tcb; /* likewise; NULL when no TCB record came along */
	struct receipt receipt;
	int64_t stamped; /* by a time-stamping authority that was asked for, then; 0: not */
	struct proof_keys keys;
	bool skipped; /* of the step that runs */
	char words[sizeof((struct proof_check *)NULL)->words];
};

struct verifier_step {
	const char *name;
	enum err (*run)(struct verifier *v);
};

MUST enum err verifier_run(struct verifier *v, const struct verifier_step *steps, size_t n,
			   struct proof_report *report);

/* What a step found, and that it had nothing to check. Both are OK. */
MUST enum err verifier_say(struct verifier *v, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
MUST enum err verifier_skip(struct verifier *v, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

MUST enum err verifier_refuse_development(void);
/* Steps of both. */
/* @chain NULL: the expected CA issued @certificate. */
MUST enum err verifier_revoked(struct verifier *v, struct slice certificate,
			       const struct chain *chain, int64_t at);
MUST enum err verifier_record(struct verifier *v);
MUST enum err verifier_nonce(struct verifier *v);
MUST enum err verifier_input(struct verifier *v);
MUST enum err verifier_output(struct verifier *v);
MUST enum err verifier_messages(struct verifier *v);
MUST enum err verifier_outcome(struct verifier *v);

#endif

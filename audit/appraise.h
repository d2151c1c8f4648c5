/* appraise.h - whether a proof that holds is one that a relying party accepts: its claims against
 * reference values (config/appraisal.h). Pure; a report belongs to one thread.
 *
 * proof_verify() comes first: what it refuses is not evidence, and nothing here makes it so. Every
 * setting that is set is a rule; each rule is told with the value that met or missed it, all of them,
 * since who mends a policy wants to know everything that it missed. Words for machines are those of
 * RFC 9334 and AR4SI: "affirming", "contraindicated", and which of its trustworthiness claims a rule is
 * about.
 */
#ifndef AUDIT_APPRAISE_H
#define AUDIT_APPRAISE_H

#include "audit/leaf.h"
#include "config/appraisal.h"

/* What is appraised. */
struct appraise_evidence {
	const struct leaf *leaf; /* verified */
	const struct leaf *tcb;  /* its TCB record, verified; NULL when none came along */
	int64_t now;             /* the verifier's clock, seconds since 1970 */
	bool nonce;              /* the verifier's own nonce was compared */
	struct slice profile;    /* the bytes that the leaf's profile is of (profile.h); or empty */
	struct slice proof;      /* the file, and a checkpoint (vouch.h) or nothing: both are for */
	struct slice checkpoint; /* witnesses alone */
};

struct appraise_rule {
	const char *key;   /* of appraisal.def */
	const char *claim; /* AR4SI's trustworthiness claim; NULL: none fits */
	bool met;
	char words[400];
};

struct appraise_report {
	struct appraise_rule *rules;
	size_t n, missed;
};

/* ERR_MISMATCH: a rule was missed; the reason names the first. ERR_USAGE: the policy's lines about
 * witnesses are none. */
MUST enum err appraise(const struct appraisal *policy, const struct appraise_evidence *evidence,
		       struct appraise_report *report);
void appraise_report_free(struct appraise_report *report);
void appraise_report_cleanup(struct appraise_report *report);

/* A policy that accepts this evidence, and what is like it: the same application, platform, HSM,
 * partition, and ways. Time and nonce are left open. */
MUST enum err appraise_learn(const struct appraise_evidence *evidence, struct appraisal **out);

#endif

/* A policy from a proof that one trusts. */
#include <stdio.h>

#include "audit/appraise.h"
#include "audit/leaf_text.h"
#include "audit/profile.h"
#include "audit/proof.h"

static enum err learn(struct appraisal *to, const char *key, struct slice value)
{
	CLEANUP(buf) struct buf copy = BUF_INIT;
	const char *text;

	if (!value.left)
		return OK;
	buf_put_slice(&copy, value);
	if (!(text = buf_text(&copy)))
		return failed(ERR_MEMORY, "%s", key);
	return appraisal_put(to, key, text);
}

static enum err learn_digest(struct appraisal *to, const char *key, const uint8_t *digest)
{
	char hex[2 * SHA256_SIZE + 1];

	hex_put(hex, digest, SHA256_SIZE);
	return appraisal_put(to, key, hex);
}

static enum err learn_parts(struct appraisal *to, const struct leaf *tcb)
{
	for (size_t i = 0; tcb && i < tcb->components_n; i++) {
		CLEANUP(buf) struct buf item = BUF_INIT;
		const struct leaf_component *part = &tcb->components[i];

		buf_put_slice(&item, part->name);
		buf_put_text(&item, "=");
		buf_put_hex(&item, SLICE(part->sha256));
		enum err e = learn(to, "platform.parts", buf_slice(&item));
		if (e)
			return e;
	}
	return OK;
}

static enum err learn_purity(struct appraisal *to, const struct leaf *leaf)
{
	const struct leaf_component *profile = leaf_component(leaf, "profile");
	struct slice words = profile ? profile->version : slice_of(NULL, 0);
	enum err e;

	if (!profile_take_pure(&words))
		return OK;
	e = appraisal_put(to, "application.purity", "pure");
	while (!e && words.left)
		e = learn(to, "application.may_need", profile_take_need(&words));
	return e;
}

static enum err learn_ways(struct appraisal *to, const struct leaf *leaf)
{
	const char *role = leaf_role_name(leaf->role);
	const char *proof = leaf_roleproof_name(leaf->roleproof);
	enum err e = OK;

	if ((leaf->has_caller && (e = appraisal_put(to, "caller.roles", role))) ||
	    (leaf->has_roleproof && (e = appraisal_put(to, "caller.proofs", proof))) ||
	    (leaf->has_policy && (e = learn_digest(to, "policies", leaf->policy))))
		return e;
	if (leaf->has_confinement && leaf->confinement_mode == 0)
		e = appraisal_put(to, "confinement.launcher", "privileged");
	if (!e && leaf->has_confinement && !leaf->absent_steps.left)
		e = appraisal_put(to, "confinement.steps", "all");
	if (!e && leaf->dbgstat == LEAF_DEBUG_DISABLED)
		e = appraisal_put(to, "debug", "never");
	return e;
}

static enum err learn_signers(struct appraisal *to, const struct leaf *leaf)
{
	const struct leaf_component *image = leaf_component(leaf, "image");
	struct slice left = image ? image->authorities : slice_of(NULL, 0);
	char count[16];
	unsigned n = 0;

	for (const uint8_t *signer; (signer = leaf_next_authority(&left)); n++) {
		enum err e = learn_digest(to, "application.signers", signer);
		if (e)
			return e;
	}
	snprintf(count, sizeof count, "%u", n);
	return n ? appraisal_put(to, "application.approvals", count) : OK;
}

enum err appraise_learn(const struct appraise_evidence *evidence, struct appraisal **out)
{
	CLEANUP(appraisal) struct appraisal *to = NULL;
	const struct leaf *leaf = evidence->leaf;
	uint8_t measurement[SHA256_SIZE];
	enum err e;

	if ((e = appraisal_new(&to)) || (e = proof_measurement(leaf, measurement)) ||
	    (e = learn(to, "origin", leaf->origin)) ||
	    (e = learn(to, "partition", leaf->partition_serial)) ||
	    (e = learn_digest(to, "application.measurements", measurement)) ||
	    (e = learn_signers(to, leaf)) || (e = learn_purity(to, leaf)) ||
	    (e = learn_parts(to, evidence->tcb)) ||
	    (e = learn(to, "hsm.manufacturers", leaf->hsm.manufacturer)) ||
	    (e = learn(to, "hsm.models", leaf->hsm.model)) ||
	    (e = learn(to, "hsm.firmware", leaf->hsm.firmware)) || (e = learn_ways(to, leaf)))
		return e;
	*out = STEAL(to);
	return OK;
}

/* A compact proof, with the partition's certificate beside it. */
#include <string.h>

#include "audit/chain.h"
#include "audit/known.h"
#include "audit/verifier.h"

/* The claims that it has, as those of a leaf. */
static void fill_leaf(const struct compact *c, struct leaf *leaf)
{
	*leaf = (struct leaf){ .type = c->type,
			       .dbgstat = c->dbgstat,
			       .time = c->time,
			       .nonce = c->nonce,
			       .pos = c->pos,
			       .has_input = c->has_input,
			       .has_output = c->has_output,
			       .has_status = c->has_status,
			       .status_kind = c->status_kind,
			       .status_code = c->status_code,
			       .has_tcb = c->has_tcb,
			       .has_epoch = c->has_epoch,
			       .epoch = c->epoch,
			       .components_n = c->has_image };
	memcpy(leaf->cti, c->cti, sizeof leaf->cti);
	memcpy(leaf->input, c->input, sizeof leaf->input);
	memcpy(leaf->output, c->output, sizeof leaf->output);
	memcpy(leaf->tcb, c->tcb, sizeof leaf->tcb);
	leaf->components[0].name = slice_text("image");
	memcpy(leaf->components[0].sha256, c->image, SHA256_SIZE);
}

static enum err check_compact_format(struct verifier *v)
{
	char hex[2 * SHA256_SIZE + 1];
	enum err e = compact_read(v->proof, &v->compact);

	if (e)
		return failed(e, "the proof is damaged or not a compact proof: %s", err_reason());
	fill_leaf(&v->compact, v->leaf);
	hex_put(hex, v->compact.leaf_hash, SHA256_SIZE);
	return verifier_say(v, "of record %llu, leaf hash %s", (unsigned long long)v->compact.pos,
			    hex);
}

static enum err check_compact_mode(struct verifier *v)
{
	if (v->compact.dbgstat == LEAF_DEBUG_DISABLED)
		return verifier_say(v, "no debugging");
	if (!v->expect->allow_development)
		return verifier_refuse_development();
	return verifier_say(v, "DEVELOPMENT evidence, allowed by the caller");
}

static enum err check_image(struct verifier *v)
{
	char found[2 * SHA256_SIZE + 1], wanted[2 * SHA256_SIZE + 1];

	hex_put(found, v->compact.image, SHA256_SIZE);
	if (!v->expect->image)
		return verifier_skip(v, "the proof names image %s; none was asked for",
				     v->compact.has_image ? found : "(none)");
	if (!v->compact.has_image)
		return failed(ERR_MISMATCH, "the application does not match: the proof names none");
	hex_put(wanted, v->expect->image, SHA256_SIZE);
	if (memcmp(v->compact.image, v->expect->image, SHA256_SIZE) != 0)
		return failed(ERR_MISMATCH,
			      "the application does not match: the proof names image %s, "
			      "expected %s",
			      found, wanted);
	return verifier_say(v, "image %s", found);
}

static enum err check_compact_signature(struct verifier *v)
{
	enum err e = compact_verify(&v->compact, v->certificate);

	return e ? e : verifier_say(v, "by the certificate's key");
}

static enum err check_compact_certificate(struct verifier *v)
{
	struct slice above = v->expect->chain;
	struct chain chain;
	enum err e = above.left ? chain_read(above, &chain) : OK;

	if (e || (e = known_chain(v->expect->known, v->certificate, above.left ? &chain : NULL,
				  v->expect->ca, v->expect->origin, v->compact.time)))
		return e;
	return verifier_say(v, "issued by the appliance's CA for %s, valid at the time of signing",
			    v->expect->origin ? v->expect->origin : "whichever log");
}

static enum err check_compact_revocation(struct verifier *v)
{
	struct slice above = v->expect->chain;
	struct chain chain;
	enum err e = above.left ? chain_read(above, &chain) : OK;

	return e ? e
		 : verifier_revoked(v, v->certificate, above.left ? &chain : NULL, v->compact.time);
}

static const struct verifier_step steps[] = {
	{ "format", check_compact_format },
	{ "record", verifier_record },
	{ "profile", check_compact_mode },
	{ "nonce", verifier_nonce },
	{ "application", check_image },
	{ "signature", check_compact_signature },
	{ "certificate", check_compact_certificate },
	{ "revocation", check_compact_revocation },
	{ "input", verifier_input },
	{ "output", verifier_output },
	{ "outcome", verifier_outcome },
};
_Static_assert(sizeof steps / sizeof *steps <= PROOF_CHECKS_MAX, "room for every check");

enum err proof_verify_compact(struct slice compact, struct slice certificate,
			      const struct proof_expect *expect, struct proof_report *report)
{
	struct verifier v = { .proof = compact, .certificate = certificate, .expect = expect };

	return verifier_run(&v, steps, sizeof steps / sizeof *steps, report);
}

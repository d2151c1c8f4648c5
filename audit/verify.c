#include "audit/proof.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "audit/certificate.h"
#include "audit/compact.h"
#include "audit/leaf_text.h"
#include "audit/receipt.h"

/* One verification: the steps below fill it from top to bottom. */
struct verifier {
	struct slice proof;
	const struct proof_expect *expect;
	struct proof_parts parts;
	struct slice certificate; /* given, for a compact proof */
	struct compact compact;
	struct leaf *leaf; /* owned by the report */
	struct leaf *tcb;  /* NULL when no TCB record came along */
	struct receipt receipt;
	struct proof_keys keys;
	bool skipped; /* of the step that runs */
	char words[sizeof((struct proof_check *)NULL)->words];
};

static void verifier_cleanup(struct verifier *v)
{
	free(v->tcb);
}

__attribute__((format(printf, 2, 3))) static enum err say(struct verifier *v, const char *format,
							  ...)
{
	va_list args;

	va_start(args, format);
	(void)vsnprintf(v->words, sizeof v->words, format, args);
	va_end(args);
	return OK;
}

__attribute__((format(printf, 2, 3))) static enum err skip(struct verifier *v, const char *format,
							   ...)
{
	va_list args;

	va_start(args, format);
	(void)vsnprintf(v->words, sizeof v->words, format, args);
	va_end(args);
	v->skipped = true;
	return OK;
}

/* ---- the steps ---- */

static enum err check_format(struct verifier *v)
{
	enum err e = proof_read(v->proof, &v->parts);

	if (e || (e = leaf_decode(v->parts.leaf, v->leaf)))
		return failed(e, "the proof is damaged or not a proof: %s", err_reason());
	if (v->parts.tcb_leaf.left) {
		if (!(v->tcb = malloc(sizeof *v->tcb)))
			return failed(ERR_MEMORY, "no memory for a leaf");
		if ((e = leaf_decode(v->parts.tcb_leaf, v->tcb)))
			return failed(e, "the TCB record is damaged: %s", err_reason());
	} else if (v->parts.tcb_receipt.left) {
		return failed(ERR_FORMAT, "the proof is damaged: a TCB receipt without its record");
	}
	return say(v, "deterministic encoding");
}

/* A load names an application as a run does, and neither must pass for the other. */
static enum err check_record(struct verifier *v)
{
	const char *name = leaf_type_name(v->leaf->type);

	if (v->expect->receipt)
		return v->leaf->type == LEAF_MANAGEMENT && v->leaf->components_n
			       ? say(v, "the receipt of a load")
			       : failed(ERR_MISMATCH,
					"this is no receipt of a load: the record is of type %s",
					name);
	return v->leaf->type == LEAF_EXECUTION
		       ? say(v, "an execution")
		       : failed(ERR_MISMATCH,
				"this proves no execution: nothing ran, the record is of type %s",
				name);
}

static enum err refuse_development(void)
{
	return failed(ERR_MISMATCH, "this is development evidence, which the caller could have "
				    "forged: it proves nothing unless development is allowed");
}

static enum err check_mode(const struct leaf *leaf, bool allow_development)
{
	if (slice_is(leaf->profile, LEAF_PROFILE_DEVELOPMENT)) {
		if (!allow_development)
			return refuse_development();
		return leaf->dbgstat == LEAF_DEBUG_ENABLED
			       ? OK
			       : failed(ERR_FORMAT,
					"development evidence that claims no debugging");
	}
	if (!slice_is(leaf->profile, LEAF_PROFILE_ES256))
		return failed(ERR_FORMAT, "the proof has the unknown profile \"%.*s\"",
			      (int)leaf->profile.left, (const char *)leaf->profile.p);
	return leaf->dbgstat == LEAF_DEBUG_DISABLED
		       ? OK
		       : failed(ERR_MISMATCH, "the proof is of a run that could be debugged");
}

static enum err check_profile(struct verifier *v)
{
	enum err e = check_mode(v->leaf, v->expect->allow_development);

	if (e || (v->tcb && (e = check_mode(v->tcb, v->expect->allow_development))))
		return e;
	return slice_is(v->leaf->profile, LEAF_PROFILE_DEVELOPMENT)
		       ? say(v, "DEVELOPMENT evidence, allowed by the caller")
		       : say(v, "%.*s", (int)v->leaf->profile.left,
			     (const char *)v->leaf->profile.p);
}

static enum err check_nonce(struct verifier *v)
{
	if (!v->expect->nonce.left)
		return skip(v, "no nonce was asked for");
	if (!slice_equal(v->expect->nonce, v->leaf->nonce))
		return failed(ERR_MISMATCH, "the nonce does not match: the proof holds %s",
			      v->leaf->nonce.left ? "another one" : "none");
	return say(v, "the caller's");
}

static enum err check_application(struct verifier *v)
{
	char found[2 * SHA256_SIZE + 1], wanted[2 * SHA256_SIZE + 1];
	uint8_t measurement[SHA256_SIZE];
	enum err e;

	if ((e = proof_measurement(v->leaf, measurement)))
		return failed(ERR_MISMATCH, "the application does not match: %s", err_reason());
	hex_put(found, measurement, sizeof measurement);
	if (!v->expect->measurement)
		return skip(v, "the proof names %s; no measurement was asked for", found);
	hex_put(wanted, v->expect->measurement, SHA256_SIZE);
	if (memcmp(measurement, v->expect->measurement, SHA256_SIZE) != 0)
		return failed(ERR_MISMATCH,
			      "the application does not match: the proof names measurement %s, "
			      "expected %s",
			      found, wanted);
	return say(v, "%s", found);
}

/* Where many partitions have one CA, somebody has to say which of them the proof is of. */
static enum err check_origin(struct verifier *v)
{
	const struct leaf *leaf = v->leaf;
	const char *origin = v->expect->origin, *partition = v->expect->partition;

	if (origin && !slice_is(leaf->origin, origin))
		return failed(ERR_MISMATCH,
			      "the log does not match: the proof is of \"%.*s\", expected \"%s\"",
			      (int)leaf->origin.left, (const char *)leaf->origin.p, origin);
	if (partition && !slice_is(leaf->partition_serial, partition))
		return failed(ERR_MISMATCH,
			      "the partition does not match: the proof is of token \"%.*s\", "
			      "expected \"%s\"",
			      (int)leaf->partition_serial.left,
			      (const char *)leaf->partition_serial.p, partition);
	return origin || partition
		       ? say(v, "the log or partition that was asked for")
		       : skip(v, "neither log nor partition was asked for; the proof is of %.*s",
			      (int)leaf->origin.left, (const char *)leaf->origin.p);
}

static enum err check_tcb(struct verifier *v)
{
	uint8_t digest[SHA256_SIZE];
	enum err e;

	if (!v->tcb)
		return skip(v, "no TCB record came with the proof");
	if (v->tcb->type != LEAF_TCB)
		return failed(ERR_FORMAT, "the TCB record is one of type %s",
			      leaf_type_name(v->tcb->type));
	if (!v->leaf->has_tcb)
		return failed(ERR_MISMATCH, "the TCB record does not match: the proof names none");
	if ((e = leaf_components_digest(v->tcb, digest)))
		return e;
	if (memcmp(digest, v->leaf->tcb, sizeof digest) != 0)
		return failed(ERR_MISMATCH,
			      "the TCB record does not match: its list of %zu parts "
			      "is not the one that claim tcb names",
			      v->tcb->components_n);
	return say(v, "%zu measured parts, the list that claim tcb names", v->tcb->components_n);
}

/* Position and size, as the leaf, the proof and the signed header have them. */
static enum err check_place(const struct leaf *leaf, const struct receipt *r)
{
	if (leaf->pos != r->index)
		return failed(
			ERR_MISMATCH,
			"the receipt does not match: it is for leaf %llu, the record says %llu",
			(unsigned long long)r->index, (unsigned long long)leaf->pos);
	if (!slice_equal(leaf->origin, r->origin))
		return failed(ERR_MISMATCH,
			      "the receipt does not match: it is for log \"%.*s\", "
			      "the record says \"%.*s\"",
			      (int)r->origin.left, (const char *)r->origin.p,
			      (int)leaf->origin.left, (const char *)leaf->origin.p);
	return OK;
}

static enum err check_log(struct verifier *v)
{
	enum err e = receipt_read(v->parts.receipt, &v->receipt);

	if (e)
		return failed(e, "the receipt is damaged: %s", err_reason());
	if ((e = check_place(v->leaf, &v->receipt)))
		return e;
	return say(v, "leaf %llu of %llu in log %.*s", (unsigned long long)v->receipt.index,
		   (unsigned long long)v->receipt.size, (int)v->receipt.origin.left,
		   (const char *)v->receipt.origin.p);
}

static enum err check_signature(struct verifier *v)
{
	uint8_t hash[SHA256_SIZE];
	enum err e;

	leaf_hash(v->parts.leaf, hash);
	if ((e = receipt_verify(&v->receipt, hash)))
		return failed(e, "the signature does not match the record: %s", err_reason());
	return say(v, "ES256 over the log's root, to which the record leads");
}

/* The chain in the receipt is not signed: only one that is the expected CA's, to the byte, passes. */
static enum err check_chain(const struct receipt *r, struct slice ca)
{
	char origin[AUDIT_ORIGIN_MAX + 1];

	if (!slice_equal(r->chain, ca))
		return failed(ERR_CRYPTO,
			      "the appliance does not match: the proof was signed under "
			      "another CA than the one given");
	(void)snprintf(origin, sizeof origin, "%.*s", (int)r->origin.left,
		       (const char *)r->origin.p);
	return certificate_verify(r->certificate, ca, origin, r->time);
}

static enum err check_certificate(struct verifier *v)
{
	enum err e = check_chain(&v->receipt, v->expect->ca);

	return e ? e
		 : say(v,
		       "issued by the appliance's CA for this log, valid at the time of signing");
}

static enum err check_tcb_receipt(struct verifier *v)
{
	struct receipt r;
	uint8_t hash[SHA256_SIZE];
	enum err e;

	if (!v->parts.tcb_receipt.left)
		return skip(v, "no receipt for the TCB record came with the proof");
	leaf_hash(v->parts.tcb_leaf, hash);
	if ((e = receipt_read(v->parts.tcb_receipt, &r)) || (e = check_place(v->tcb, &r)) ||
	    (e = receipt_verify(&r, hash)) || (e = check_chain(&r, v->expect->ca)))
		return failed(e, "the TCB record's receipt does not hold: %s", err_reason());
	return say(v, "leaf %llu of %llu in log %.*s", (unsigned long long)r.index,
		   (unsigned long long)r.size, (int)r.origin.left, (const char *)r.origin.p);
}

static enum err check_outcome(struct verifier *v)
{
	if (v->leaf->type != LEAF_EXECUTION)
		return skip(v, "the record is of no run");
	if (!v->leaf->has_status)
		return failed(ERR_MISMATCH,
			      "the record of the execution does not say how it ended");
	if (v->leaf->status_kind == LEAF_ENDED_EXIT && v->leaf->status_code == 0)
		return say(v, "the application succeeded");
	if (!v->expect->allow_failure)
		return failed(ERR_FAILED, "the application failed: %s %llu",
			      leaf_status_words(v->leaf->status_kind),
			      (unsigned long long)v->leaf->status_code);
	return say(v, "the application FAILED: %s %llu", leaf_status_words(v->leaf->status_kind),
		   (unsigned long long)v->leaf->status_code);
}

static bool is_zero(const uint8_t key[32])
{
	static const uint8_t zeros[32];

	return memcmp(key, zeros, 32) == 0;
}

static enum err check_payload(struct verifier *v, const char *name, bool asked, struct slice data,
			      bool claimed, const uint8_t claim[32], size_t key_offset)
{
	uint8_t mac[32];
	enum err e;

	if (!asked)
		return skip(v, "no %s was given to compare", name);
	if (!claimed)
		return failed(ERR_MISMATCH, "the %s does not match: the proof commits to none",
			      name);
	if ((e = proof_keys_read(v->expect->keys, &v->keys)))
		return failed(e, "the file of commitment keys is damaged or missing: %s",
			      err_reason());
	const uint8_t *key = (const uint8_t *)&v->keys + key_offset;
	if (is_zero(key))
		return failed(ERR_MISMATCH, "the file of commitment keys holds none for the %s",
			      name);
	if ((e = proof_commit(key, data, mac)))
		return e;
	if (memcmp(mac, claim, sizeof mac) != 0)
		return failed(ERR_MISMATCH,
			      "the %s does not match the proof: its HMAC differs from claim %s",
			      name, name);
	return say(v, "%zu bytes, as the proof commits to", data.left);
}

static enum err check_input(struct verifier *v)
{
	return check_payload(v, "input", v->expect->has_input, v->expect->input, v->leaf->has_input,
			     v->leaf->input, offsetof(struct proof_keys, input));
}

static enum err check_output(struct verifier *v)
{
	return check_payload(v, "output", v->expect->has_output, v->expect->output,
			     v->leaf->has_output, v->leaf->output,
			     offsetof(struct proof_keys, output));
}

static enum err check_messages(struct verifier *v)
{
	return check_payload(v, "stderr", v->expect->has_messages, v->expect->messages,
			     v->leaf->has_messages, v->leaf->messages,
			     offsetof(struct proof_keys, messages));
}

/* ---- the steps of a compact proof ---- */

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
	return say(v, "of record %llu, leaf hash %s", (unsigned long long)v->compact.pos, hex);
}

static enum err check_compact_mode(struct verifier *v)
{
	if (v->compact.dbgstat == LEAF_DEBUG_DISABLED)
		return say(v, "no debugging");
	if (!v->expect->allow_development)
		return refuse_development();
	return say(v, "DEVELOPMENT evidence, allowed by the caller");
}

static enum err check_image(struct verifier *v)
{
	char found[2 * SHA256_SIZE + 1], wanted[2 * SHA256_SIZE + 1];

	hex_put(found, v->compact.image, SHA256_SIZE);
	if (!v->expect->image)
		return skip(v, "the proof names image %s; none was asked for",
			    v->compact.has_image ? found : "(none)");
	if (!v->compact.has_image)
		return failed(ERR_MISMATCH, "the application does not match: the proof names none");
	hex_put(wanted, v->expect->image, SHA256_SIZE);
	if (memcmp(v->compact.image, v->expect->image, SHA256_SIZE) != 0)
		return failed(ERR_MISMATCH,
			      "the application does not match: the proof names image %s, "
			      "expected %s",
			      found, wanted);
	return say(v, "image %s", found);
}

static enum err check_compact_signature(struct verifier *v)
{
	enum err e = compact_verify(&v->compact, v->certificate);

	return e ? e : say(v, "by the certificate's key");
}

static enum err check_compact_certificate(struct verifier *v)
{
	enum err e = certificate_verify(v->certificate, v->expect->ca, v->expect->origin,
					v->compact.time);

	return e ? e
		 : say(v, "issued by the appliance's CA for %s, valid at the time of signing",
		       v->expect->origin ? v->expect->origin : "whichever log");
}

struct step {
	const char *name;
	enum err (*run)(struct verifier *v);
};

/* How a run ended is told last: a proof of a failure is as good as any. */
static const struct step full_steps[] = {
	{ "format", check_format },
	{ "record", check_record },
	{ "profile", check_profile },
	{ "nonce", check_nonce },
	{ "application", check_application },
	{ "origin", check_origin },
	{ "tcb", check_tcb },
	{ "log", check_log },
	{ "signature", check_signature },
	{ "certificate", check_certificate },
	{ "tcb receipt", check_tcb_receipt },
	{ "input", check_input },
	{ "output", check_output },
	{ "stderr", check_messages },
	{ "outcome", check_outcome },
};
static const struct step compact_steps[] = {
	{ "format", check_compact_format },
	{ "record", check_record },
	{ "profile", check_compact_mode },
	{ "nonce", check_nonce },
	{ "application", check_image },
	{ "signature", check_compact_signature },
	{ "certificate", check_compact_certificate },
	{ "input", check_input },
	{ "output", check_output },
	{ "outcome", check_outcome },
};
#define STEPS_N(steps) (sizeof(steps) / sizeof *(steps))
_Static_assert(STEPS_N(full_steps) <= PROOF_CHECKS_MAX, "room for every check");
_Static_assert(STEPS_N(compact_steps) <= PROOF_CHECKS_MAX, "room for every check");

static void add_check(struct proof_report *report, const char *name, int verdict, const char *words)
{
	struct proof_check *check = &report->checks[report->n++];

	check->name = name;
	check->verdict = verdict;
	(void)snprintf(check->words, sizeof check->words, "%s", words);
}

static enum err run(struct verifier *v, const struct step *steps, size_t n,
		    struct proof_report *report)
{
	memset(report, 0, sizeof *report);
	if (!(v->leaf = report->leaf = calloc(1, sizeof *v->leaf)))
		return failed(ERR_MEMORY, "no memory for a leaf");
	for (size_t i = 0; i < n; i++) {
		v->skipped = false;
		enum err e = steps[i].run(v);
		if (e) {
			add_check(report, steps[i].name, PROOF_FAILED, err_reason());
			if (i == 0)
				proof_report_free(report); /* nothing in it was decoded */
			return e;
		}
		add_check(report, steps[i].name, v->skipped ? PROOF_SKIPPED : PROOF_PASSED,
			  v->words);
	}
	return OK;
}

enum err proof_verify(struct slice proof, const struct proof_expect *expect,
		      struct proof_report *report)
{
	CLEANUP(verifier) struct verifier v = { .proof = proof, .expect = expect };

	return run(&v, full_steps, STEPS_N(full_steps), report);
}

enum err proof_verify_compact(struct slice compact, struct slice certificate,
			      const struct proof_expect *expect, struct proof_report *report)
{
	CLEANUP(verifier)
	struct verifier v = { .proof = compact, .certificate = certificate, .expect = expect };

	return run(&v, compact_steps, STEPS_N(compact_steps), report);
}

void proof_report_free(struct proof_report *report)
{
	free(report->leaf);
	report->leaf = NULL;
}

void proof_report_cleanup(struct proof_report *report)
{
	proof_report_free(report);
}

/* The frame of a verification, and the steps that both kinds of proof share. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "audit/known.h"
#include "audit/leaf_text.h"
#include "audit/revocation.h"
#include "audit/verifier.h"

enum err verifier_say(struct verifier *v, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	(void)vsnprintf(v->words, sizeof v->words, format, args);
	va_end(args);
	return OK;
}

enum err verifier_skip(struct verifier *v, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	(void)vsnprintf(v->words, sizeof v->words, format, args);
	va_end(args);
	v->skipped = true;
	return OK;
}

/* A load names an application as a run does, and neither must pass for the other. */
enum err verifier_record(struct verifier *v)
{
	const char *name = leaf_type_name(v->leaf->type);

	if (v->expect->receipt)
		return v->leaf->type == LEAF_MANAGEMENT && v->leaf->components_n
			       ? verifier_say(v, "the receipt of a load")
			       : failed(ERR_MISMATCH,
					"this is no receipt of a load: the record is of type %s",
					name);
	return v->leaf->type == LEAF_EXECUTION
		       ? verifier_say(v, "an execution")
		       : failed(ERR_MISMATCH,
				"this proves no execution: nothing ran, the record is of type %s",
				name);
}

enum err verifier_refuse_development(void)
{
	return failed(ERR_MISMATCH, "this is development evidence, which the caller could have "
				    "forged: it proves nothing unless development is allowed");
}

enum err verifier_nonce(struct verifier *v)
{
	if (!v->expect->nonce.left)
		return verifier_skip(v, "no nonce was asked for");
	if (!slice_equal(v->expect->nonce, v->leaf->nonce))
		return failed(ERR_MISMATCH, "the nonce does not match: the proof holds %s",
			      v->leaf->nonce.left ? "another one" : "none");
	return verifier_say(v, "the caller's");
}

enum err verifier_revoked(struct verifier *v, struct slice certificate, const struct chain *chain,
			  int64_t at)
{
	CLEANUP(buf) struct buf words = BUF_INIT;
	struct revocation question = { .lists = v->expect->crls,
				       .certificate = certificate,
				       .chain = chain,
				       .ca = v->expect->ca,
				       .at = v->stamped ? v->stamped : at,
				       .stamped = v->stamped != 0 };
	enum err e = v->expect->crls.left ? revocation_check(&question, &words) : OK;

	if (e)
		return e;
	return v->expect->crls.left ? verifier_say(v, "%s", buf_text(&words))
				    : verifier_skip(v, "no CRL was given");
}

enum err verifier_outcome(struct verifier *v)
{
	if (v->leaf->type != LEAF_EXECUTION)
		return verifier_skip(v, "the record is of no run");
	if (!v->leaf->has_status)
		return failed(ERR_MISMATCH,
			      "the record of the execution does not say how it ended");
	if (v->leaf->status_kind == LEAF_ENDED_EXIT && v->leaf->status_code == 0)
		return verifier_say(v, "the application succeeded");
	if (!v->expect->allow_failure)
		return failed(ERR_FAILED, "the application failed: %s %llu",
			      leaf_status_words(v->leaf->status_kind),
			      (unsigned long long)v->leaf->status_code);
	return verifier_say(v, "the application FAILED: %s %llu",
			    leaf_status_words(v->leaf->status_kind),
			    (unsigned long long)v->leaf->status_code);
}

static enum err check_payload(struct verifier *v, const char *name, bool asked, struct slice data,
			      bool claimed, const uint8_t claim[32], size_t key_offset)
{
	uint8_t mac[32];
	enum err e;

	if (!asked)
		return verifier_skip(v, "no %s was given to compare", name);
	if (!claimed)
		return failed(ERR_MISMATCH, "the %s does not match: the proof commits to none",
			      name);
	if ((e = proof_keys_read(v->expect->keys, &v->keys)))
		return failed(e, "the file of commitment keys is damaged or missing: %s",
			      err_reason());
	const uint8_t *key = (const uint8_t *)&v->keys + key_offset;
	if (!proof_keys_has(key))
		return failed(ERR_MISMATCH, "the file of commitment keys holds none for the %s",
			      name);
	if ((e = proof_commit(key, data, mac)))
		return e;
	if (memcmp(mac, claim, sizeof mac) != 0)
		return failed(ERR_MISMATCH,
			      "the %s does not match the proof: its HMAC differs from claim %s",
			      name, name);
	return verifier_say(v, "%zu bytes, as the proof commits to", data.left);
}

enum err verifier_input(struct verifier *v)
{
	return check_payload(v, "input", v->expect->has_input, v->expect->input, v->leaf->has_input,
			     v->leaf->input, offsetof(struct proof_keys, input));
}

enum err verifier_output(struct verifier *v)
{
	return check_payload(v, "output", v->expect->has_output, v->expect->output,
			     v->leaf->has_output, v->leaf->output,
			     offsetof(struct proof_keys, output));
}

enum err verifier_messages(struct verifier *v)
{
	return check_payload(v, "stderr", v->expect->has_messages, v->expect->messages,
			     v->leaf->has_messages, v->leaf->messages,
			     offsetof(struct proof_keys, messages));
}

static void add_check(struct proof_report *report, const char *name, int verdict, const char *words)
{
	struct proof_check *check = &report->checks[report->n++];

	check->name = name;
	check->verdict = verdict;
	(void)snprintf(check->words, sizeof check->words, "%s", words);
}

enum err verifier_run(struct verifier *v, const struct verifier_step *steps, size_t n,
		      struct proof_report *report)
{
	memset(report, 0, sizeof *report);
	v->report = report;
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

void proof_report_free(struct proof_report *report)
{
	free(report->leaf);
	known_tcb_release(report->held);
	report->leaf = NULL;
	report->tcb = NULL;
	report->held = NULL;
}

void proof_report_cleanup(struct proof_report *report)
{
	proof_report_free(report);
}

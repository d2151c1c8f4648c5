#include "audit/library/assay-verify.h"

#include <stdlib.h>
#include <string.h>

#include "audit/appraise.h"
#include "audit/chain.h"
#include "audit/leaf_text.h"
#include "audit/library/cache.h"
#include "audit/proof.h"
#include "audit/revocation.h"
#include "audit/trust.h"
#include "config/base/cbor.h"
#include "config/base/io.h"

struct assay_outcome {
	struct buf proof;           /* a copy, which the report's leaves point into */
	struct proof_report report; /* its leaves are gone where the proof does not hold */
	struct appraise_report appraised;
	char reason[ERR_REASON_MAX];
	struct buf json, claims, line, policy; /* made when they are asked for */
};

/* The caller's expectations, as the folder's own functions take them. */
struct work {
	struct assay_expect given;
	struct slice proof;
	struct proof_expect expect;
	struct proof_keys keys;
	struct known *known; /* the cache's, or own */
	struct known *own;
	struct buf ca, certificate, tsa, crls;
	struct slice key;               /* the first of @certificate */
	const struct appraisal *policy; /* the cache's, or the next one */
	struct appraisal *parsed;
	struct trust *witnesses;
	bool compact;
};

static void work_cleanup(struct work *w)
{
	buf_free(&w->ca);
	buf_free(&w->certificate);
	buf_free(&w->crls);
	buf_free(&w->tsa);
	appraisal_cleanup(&w->parsed);
	trust_cleanup(&w->witnesses);
	known_free(w->own);
	explicit_bzero(&w->keys, sizeof w->keys);
}

static struct slice bytes(struct assay_bytes b)
{
	return slice_of(b.data, b.data ? b.size : 0);
}

static enum err misused(const char *words)
{
	return failed(ERR_USAGE, "%s", words);
}

/* A structure of an earlier library is shorter: what it lacks is not given. */
static enum err take_expectations(struct work *w, const struct assay_expect *expect)
{
	if (!expect || expect->size < offsetof(struct assay_expect, certificate) ||
	    expect->size > 4096)
		return misused("the expectations have no proper size");
	memcpy(&w->given, expect, expect->size < sizeof w->given ? expect->size : sizeof w->given);
	return w->given.ca.data ? OK : misused("the certificate of the CA is missing");
}

/* A certificate is needed several times in one verification, and parsed once. */
static enum err take_known(struct work *w)
{
	struct assay_cache *cache = w->given.cache;
	enum err e = cache ? OK : known_new(&w->own);

	w->known = cache ? cache->known : w->own;
	return e;
}

static enum err read_certificate(struct known *known, struct slice contents, struct buf *der)
{
	enum err e = certificate_bytes(contents, der);

	return e ? e : known_certificate(known, buf_slice(der));
}

static enum err read_chain(struct known *known, struct slice contents, struct buf *der)
{
	(void)known;
	return chain_from_file(contents, der);
}

static enum err take_certificate(const struct work *w, struct cache_file *kept,
				 struct assay_bytes given, const char *whose, struct buf *der)
{
	enum err e =
		given.data ? cache_file(kept, read_certificate, w->known, bytes(given), der) : OK;

	return e ? failed(ERR_USAGE, "%s: %s", whose, err_reason()) : OK;
}

/* The partition's certificate comes with those above it, where a vendor's PKI is. */
static enum err take_chain(struct work *w)
{
	struct assay_cache *cache = w->given.cache;
	struct chain chain;
	enum err e;

	if (!w->given.certificate.data)
		return OK;
	if ((e = cache_file(cache ? &cache->certificate : NULL, read_chain, w->known,
			    bytes(w->given.certificate), &w->certificate)) ||
	    (e = chain_read(buf_slice(&w->certificate), &chain)))
		return failed(ERR_USAGE, "the partition's certificate: %s", err_reason());
	w->key = chain.of[0];
	w->expect.chain = slice_of(w->key.p + w->key.left, w->certificate.len - w->key.left);
	return OK;
}

static enum err take_lists(struct work *w)
{
	enum err e = w->given.crl.data ? revocation_from_file(bytes(w->given.crl), &w->crls) : OK;

	w->expect.crls = buf_slice(&w->crls);
	return e ? failed(ERR_USAGE, "the CRL: %s", err_reason()) : OK;
}

static enum err take_policy(struct work *w)
{
	const char *name = w->given.policy_name ? w->given.policy_name : "policy";
	enum err e;

	if (!w->given.policy.data)
		return OK;
	if (w->given.cache) {
		e = cache_policy(w->given.cache, bytes(w->given.policy), name, &w->policy);
	} else {
		e = appraisal_parse(bytes(w->given.policy), name, &w->parsed);
		w->policy = w->parsed;
	}
	return e == ERR_FORMAT || e == ERR_RANGE ? failed(ERR_USAGE, "%s", err_reason()) : e;
}

static enum err take_witnesses(struct work *w)
{
	enum err e;

	if (!w->given.witnesses.data)
		return OK;
	if ((e = trust_read(bytes(w->given.witnesses), "witnesses", true, &w->witnesses)))
		return e == ERR_MEMORY ? e : failed(ERR_USAGE, "%s", err_reason());
	return w->given.checkpoint.data
		       ? OK
		       : misused("a checkpoint that witnesses cosigned is missing");
}

static void take_payload(struct assay_bytes given, bool *has, struct slice *out)
{
	if (!given.data)
		return;
	*has = true;
	*out = bytes(given);
}

/* The result of EXECUTE_FULL has proof, output, messages and keys in one: each is used unless
 * another was given. What was redacted is empty and has no key: it is not compared. Bytes whose key is
 * missing or damaged are: nobody shall take them for what the proof commits to. */
static void open_result(struct work *w)
{
	struct slice proof, output, messages, keys;

	if (proof_result_read(w->proof, &proof, &output, &messages, &keys))
		return;
	w->proof = proof;
	w->expect.keys = keys;
	w->expect.output = output;
	w->expect.messages = messages;
	bool damaged = proof_keys_read(keys, &w->keys) != OK;
	w->expect.has_output = damaged || output.left || proof_keys_has(w->keys.output);
	w->expect.has_messages = damaged || messages.left || proof_keys_has(w->keys.messages);
}

static enum err prepare(struct work *w)
{
	const struct assay_expect *given = &w->given;
	struct proof_expect *expect = &w->expect;
	struct assay_cache *cache = given->cache;
	enum err e;

	if ((e = take_known(w)) ||
	    (e = take_certificate(w, cache ? &cache->ca : NULL, given->ca, "the CA's certificate",
				  &w->ca)) ||
	    (e = take_chain(w)) ||
	    (e = take_certificate(w, cache ? &cache->tsa : NULL, given->tsa,
				  "the time-stamping authority", &w->tsa)) ||
	    (e = take_lists(w)) || (e = take_policy(w)) || (e = take_witnesses(w)))
		return e;
	open_result(w);
	expect->known = w->known;
	expect->ca = buf_slice(&w->ca);
	expect->tsa = buf_slice(&w->tsa);
	expect->measurement = given->measurement;
	expect->image = given->image;
	expect->origin = given->origin;
	expect->partition = given->partition;
	expect->nonce = bytes(given->nonce);
	expect->witnesses = w->witnesses;
	expect->checkpoint = bytes(given->checkpoint);
	if (given->keys.data)
		expect->keys = bytes(given->keys);
	take_payload(given->input, &expect->has_input, &expect->input);
	take_payload(given->output, &expect->has_output, &expect->output);
	take_payload(given->messages, &expect->has_messages, &expect->messages);
	expect->allow_development = given->flags & ASSAY_ALLOW_DEVELOPMENT;
	/* With a policy, it is the policy that says whether a failure is accepted. */
	expect->allow_failure = (given->flags & ASSAY_ALLOW_FAILURE) || w->policy;
	expect->receipt = given->flags & ASSAY_LOAD;
	return OK;
}

/* COSE messages are tagged, and a proof file is an array. */
static enum err judge_kind(struct work *w)
{
	const struct proof_expect *expect = &w->expect;

	w->compact = w->given.certificate.data != NULL;
	if ((expect->has_input || expect->has_output || expect->has_messages) && !expect->keys.p)
		return misused("the commitment keys are missing: input and output are committed to "
			       "under keys");
	if (!w->compact && w->proof.left && cbor_peek(w->proof) == CBOR_TAG)
		return misused("this is a compact proof: the partition's certificate is missing");
	if (w->compact && (w->policy || w->witnesses || expect->tsa.left || expect->partition ||
			   expect->measurement || expect->has_messages))
		return misused("a compact proof names neither partition, measurement, messages nor "
			       "what a policy or witnesses ask for");
	return OK;
}

static enum err verify_full(struct work *w, struct assay_outcome *o)
{
	int64_t now = w->given.now ? w->given.now : (int64_t)(io_realtime_us() / 1000000);
	enum err e = proof_verify(w->proof, &w->expect, &o->report);

	if (e || !w->policy)
		return e;
	struct appraise_evidence evidence = {
		o->report.leaf,           o->report.tcb,           now,
		w->expect.nonce.left > 0, bytes(w->given.profile), w->proof,
		w->expect.checkpoint
	};
	return appraise(w->policy, &evidence, &o->appraised);
}

/* What is longer than any proof is refused before a copy is made. */
static enum err keep_proof(struct work *w, struct assay_outcome *o)
{
	if (w->proof.left > PROOF_MAX)
		return failed(ERR_FORMAT, "a proof of %zu bytes", w->proof.left);
	buf_put_slice(&o->proof, w->proof);
	w->proof = buf_slice(&o->proof);
	return buf_check(&o->proof);
}

static enum err verify(struct work *w, struct slice proof, const struct assay_expect *expect,
		       struct assay_outcome *o)
{
	enum err e;

	w->proof = proof;
	if ((e = take_expectations(w, expect)) || (e = prepare(w)) || (e = judge_kind(w)) ||
	    (e = keep_proof(w, o)))
		return e;
	if (!w->compact)
		return verify_full(w, o);
	return proof_verify_compact(w->proof, w->key, &w->expect, &o->report);
}

static enum assay_verdict verdict_of(enum err e, const struct assay_outcome *o)
{
	switch (e) {
	case OK:
		return ASSAY_HOLDS;
	case ERR_FAILED:
		return ASSAY_FAILED_RUN;
	case ERR_MISMATCH:
	case ERR_CRYPTO:
	case ERR_FORMAT:
	case ERR_RANGE:
	case ERR_NOT_FOUND:
	case ERR_UNSUPPORTED:
		return o->appraised.missed ? ASSAY_REFUSED : ASSAY_DOES_NOT_HOLD;
	case ERR_USAGE:
		return ASSAY_MISUSED;
	default:
		return ASSAY_NO_VERDICT;
	}
}

enum assay_verdict assay_verify(const void *proof, size_t size, const struct assay_expect *expect,
				struct assay_outcome **out)
{
	struct assay_outcome *o = *out = calloc(1, sizeof *o);
	CLEANUP(work) struct work w = { 0 };

	if (!o)
		return ASSAY_NO_VERDICT;
	enum err e = verify(&w, slice_of(proof, size), expect, o);
	enum assay_verdict verdict = verdict_of(e, o);
	if (e)
		memcpy(o->reason, err_reason(), strlen(err_reason()) + 1);
	/* Claims of a proof that does not hold are nobody's. */
	if (verdict > ASSAY_REFUSED)
		proof_report_free(&o->report);
	return verdict;
}

void assay_outcome_free(struct assay_outcome *outcome)
{
	if (!outcome)
		return;
	proof_report_free(&outcome->report);
	appraise_report_free(&outcome->appraised);
	buf_free(&outcome->json);
	buf_free(&outcome->claims);
	buf_free(&outcome->line);
	buf_free(&outcome->policy);
	buf_free(&outcome->proof);
	free(outcome);
}

const char *assay_outcome_reason(const struct assay_outcome *outcome)
{
	return outcome->reason;
}

size_t assay_outcome_checks(const struct assay_outcome *outcome)
{
	return outcome->report.n;
}

struct assay_check assay_outcome_check(const struct assay_outcome *outcome, size_t index)
{
	if (index >= outcome->report.n)
		return (struct assay_check){ "", ASSAY_CHECK_SKIPPED, "" };
	const struct proof_check *check = &outcome->report.checks[index];
	return (struct assay_check){ check->name,
				     check->verdict == PROOF_PASSED   ? ASSAY_CHECK_PASSED
				     : check->verdict == PROOF_FAILED ? ASSAY_CHECK_FAILED
								      : ASSAY_CHECK_SKIPPED,
				     check->words };
}

size_t assay_outcome_rules(const struct assay_outcome *outcome)
{
	return outcome->appraised.n;
}

struct assay_rule assay_outcome_rule(const struct assay_outcome *outcome, size_t index)
{
	if (index >= outcome->appraised.n)
		return (struct assay_rule){ "", NULL, 0, "" };
	const struct appraise_rule *rule = &outcome->appraised.rules[index];
	return (struct assay_rule){ rule->key, rule->claim, rule->met, rule->words };
}

static const char *text(struct buf *text)
{
	const char *s = buf_text(text);

	return s ? s : "";
}

static const char *tell(struct assay_outcome *o, struct buf *to,
			void (*print)(const struct leaf *leaf, struct buf *out))
{
	if (!to->len && o->report.leaf)
		print(o->report.leaf, to);
	return text(to);
}

const char *assay_outcome_json(struct assay_outcome *outcome)
{
	return tell(outcome, &outcome->json, leaf_json);
}

const char *assay_outcome_claims(struct assay_outcome *outcome)
{
	return tell(outcome, &outcome->claims, leaf_print);
}

const char *assay_outcome_line(struct assay_outcome *outcome)
{
	return tell(outcome, &outcome->line, leaf_print_line);
}

const char *assay_outcome_policy(struct assay_outcome *outcome)
{
	CLEANUP(appraisal) struct appraisal *learned = NULL;
	const struct appraise_evidence evidence = { .leaf = outcome->report.leaf,
						    .tcb = outcome->report.tcb };

	if (!outcome->policy.len && evidence.leaf && !appraise_learn(&evidence, &learned))
		appraisal_show(learned, false, &outcome->policy);
	return text(&outcome->policy);
}

/* A proof file: the record, its receipt, and the TCB record that it names. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "audit/certificate.h"
#include "audit/known.h"
#include "audit/leaf_text.h"
#include "audit/quote.h"
#include "audit/shard.h"
#include "audit/timestamp.h"
#include "audit/verifier.h"
#include "audit/vouch.h"

#define TIMESTAMP_SKEW 5 /* seconds by which two good clocks may differ */

static enum err check_format(struct verifier *v)
{
	enum err e = proof_read(v->proof, &v->parts);

	if (e || (e = leaf_decode(v->parts.leaf, v->leaf)))
		return failed(e, "the proof is damaged or not a proof: %s", err_reason());
	if (v->parts.tcb_leaf.left) {
		if ((e = known_tcb(v->expect->known, v->parts.tcb_leaf, &v->report->held)))
			return failed(e, "the TCB record is damaged: %s", err_reason());
		v->tcb = v->report->tcb = v->report->held->leaf;
	} else if (v->parts.tcb_receipt.left) {
		return failed(ERR_FORMAT, "the proof is damaged: a TCB receipt without its record");
	}
	return verifier_say(v, "deterministic encoding");
}

static enum err check_mode(const struct leaf *leaf, bool allow_development)
{
	if (slice_is(leaf->profile, LEAF_PROFILE_DEVELOPMENT)) {
		if (!allow_development)
			return verifier_refuse_development();
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
		       ? verifier_say(v, "DEVELOPMENT evidence, allowed by the caller")
		       : verifier_say(v, "%.*s", (int)v->leaf->profile.left,
				      (const char *)v->leaf->profile.p);
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
		return verifier_skip(v, "the proof names %s; no measurement was asked for", found);
	hex_put(wanted, v->expect->measurement, SHA256_SIZE);
	if (memcmp(measurement, v->expect->measurement, SHA256_SIZE) != 0)
		return failed(ERR_MISMATCH,
			      "the application does not match: the proof names measurement %s, "
			      "expected %s",
			      found, wanted);
	return verifier_say(v, "%s", found);
}

/* Where many partitions have one CA, somebody has to say which of them the proof is of. */
static enum err check_origin(struct verifier *v)
{
	const struct leaf *leaf = v->leaf;
	const char *origin = v->expect->origin, *partition = v->expect->partition;

	if (origin && !shard_is_of(leaf->origin, slice_text(origin)))
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
		       ? verifier_say(v, "the log or partition that was asked for")
		       : verifier_skip(
				 v, "neither log nor partition was asked for; the proof is of %.*s",
				 (int)leaf->origin.left, (const char *)leaf->origin.p);
}

static enum err check_tcb(struct verifier *v)
{
	if (!v->tcb)
		return verifier_skip(v, "no TCB record came with the proof");
	if (v->tcb->type != LEAF_TCB)
		return failed(ERR_FORMAT, "the TCB record is one of type %s",
			      leaf_type_name(v->tcb->type));
	if (!v->leaf->has_tcb)
		return failed(ERR_MISMATCH, "the TCB record does not match: the proof names none");
	if (memcmp(v->report->held->components, v->leaf->tcb, SHA256_SIZE) != 0)
		return failed(ERR_MISMATCH,
			      "the TCB record does not match: its list of %zu parts "
			      "is not the one that claim tcb names",
			      v->tcb->components_n);
	return verifier_say(v, "%zu measured parts, the list that claim tcb names",
			    v->tcb->components_n);
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
	return verifier_say(v, "leaf %llu of %llu in log %.*s",
			    (unsigned long long)v->receipt.index,
			    (unsigned long long)v->receipt.size, (int)v->receipt.origin.left,
			    (const char *)v->receipt.origin.p);
}

static enum err check_receipt(struct verifier *v, const struct receipt *r,
			      const uint8_t leaf_hash[SHA256_SIZE])
{
	uint8_t digest[SHA256_SIZE];
	enum err e = receipt_digest(r, leaf_hash, digest);

	if (e)
		return e;
	return known_signature(v->expect->known, r->certificate, digest, r->signature);
}

static enum err check_signature(struct verifier *v)
{
	uint8_t hash[SHA256_SIZE];
	enum err e;

	leaf_hash(v->parts.leaf, hash);
	if ((e = check_receipt(v, &v->receipt, hash)))
		return failed(e, "the signature does not match the record: %s", err_reason());
	return verifier_say(v, "ES256 over the log's root, to which the record leads");
}

/* The chain in the receipt is not signed, and need not be: it leads to the expected CA, or not. */
static enum err check_issued(struct verifier *v, const struct receipt *r, struct slice certificate,
			     int64_t at)
{
	char origin[AUDIT_ORIGIN_MAX + 1];

	(void)snprintf(origin, sizeof origin, "%.*s", (int)r->origin.left,
		       (const char *)r->origin.p);
	return known_chain(v->expect->known, certificate, &r->chain, v->expect->ca, origin, at);
}

static enum err check_chain(struct verifier *v, const struct receipt *r, int64_t at)
{
	return check_issued(v, r, r->certificate, at);
}

static enum err check_certificate(struct verifier *v)
{
	enum err e = check_chain(v, &v->receipt, v->receipt.time);

	if (e)
		return e;
	return v->receipt.chain.n == 1
		       ? verifier_say(v, "issued by the appliance's CA for this log, valid at the "
					 "time of signing")
		       : verifier_say(v,
				      "issued by the appliance's CA for this log, valid at the "
				      "time of signing, like all of its chain of %zu",
				      v->receipt.chain.n + 1);
}

/* Whoever asks for a time stamp doesn't rely on the appliance's clock: the key's certificate must have
 * been valid then too. */
static enum err check_timestamp(struct verifier *v)
{
	CLEANUP(buf) struct buf when = BUF_INIT;
	struct timestamp stamp;
	const char *words;
	enum err e;

	if (!v->expect->tsa.left)
		return verifier_skip(v, v->receipt.timestamp.left
						? "a time stamp came along, no authority was given"
						: "no time stamp was asked for");
	if (!v->receipt.timestamp.left)
		return failed(ERR_MISMATCH, "no time stamp came with the proof");
	if ((e = timestamp_verify(v->receipt.timestamp, v->receipt.signature, v->expect->tsa,
				  &stamp)) ||
	    (e = check_chain(v, &v->receipt, stamp.time)))
		return e;
	v->stamped = stamp.time;
	leaf_put_time(&when, stamp.time);
	if (!(words = buf_text(&when)))
		return failed(ERR_MEMORY, "time stamp");
	if (stamp.time < v->receipt.time - TIMESTAMP_SKEW)
		return failed(ERR_MISMATCH,
			      "the time stamp is of %s, before the appliance's own time: its clock "
			      "was wrong",
			      words);
	return verifier_say(v, "signed before %s, says %s", words, stamp.authority);
}

/* Where a vendor's root is trusted, it stands above many appliances: a TCB record speaks for the one
 * whose CA issued both keys. A CA's certificate may have been renewed, its key is the same. */
static enum err check_same_appliance(const struct receipt *record, const struct receipt *tcb)
{
	CLEANUP(buf) struct buf one = BUF_INIT;
	CLEANUP(buf) struct buf other = BUF_INIT;
	enum err e;

	if (slice_equal(record->chain.of[0], tcb->chain.of[0]))
		return OK;
	if ((e = certificate_spki(record->chain.of[0], &one)) ||
	    (e = certificate_spki(tcb->chain.of[0], &other)))
		return e;
	return slice_equal(buf_slice(&one), buf_slice(&other))
		       ? OK
		       : failed(ERR_MISMATCH, "it is another appliance's");
}

static enum err check_tcb_receipt(struct verifier *v)
{
	struct receipt r;
	enum err e;

	if (!v->parts.tcb_receipt.left)
		return verifier_skip(v, "no receipt for the TCB record came with the proof");
	if ((e = receipt_read(v->parts.tcb_receipt, &r)) || (e = check_place(v->tcb, &r)) ||
	    (e = check_receipt(v, &r, v->report->held->hash)) || (e = check_chain(v, &r, r.time)) ||
	    (e = check_same_appliance(&v->receipt, &r)))
		return failed(e, "the TCB record's receipt does not hold: %s", err_reason());
	return verifier_say(v, "leaf %llu of %llu in log %.*s", (unsigned long long)r.index,
			    (unsigned long long)r.size, (int)r.origin.left,
			    (const char *)r.origin.p);
}

/* The CAs' lists are for the keys of both receipts; the TCB record's is as old as it says. */
static enum err check_revocation(struct verifier *v)
{
	struct receipt r;
	enum err e = OK;

	if (v->expect->crls.left && v->parts.tcb_receipt.left &&
	    ((e = receipt_read(v->parts.tcb_receipt, &r)) ||
	     (e = verifier_revoked(v, r.certificate, &r.chain, r.time))))
		return failed(e, "the TCB record's receipt: %s", err_reason());
	return verifier_revoked(v, v->receipt.certificate, &v->receipt.chain, v->receipt.time);
}

/* Registers that nothing but the record itself speaks for would pass for a TPM's. */
static bool names_tpm(const struct leaf *tcb)
{
	for (size_t i = 0; i < tcb->components_n; i++)
		if (slice_starts(tcb->components[i].name, QUOTE_PREFIX))
			return true;
	return false;
}

/* The tree's key may have changed between the record and its receipt: then the quote is for the
 * certificate of before, which comes along. It must be one of the same log by the same CA, in force when
 * the record was written; all of the chain is looked at when that certificate was last valid, since the
 * CA's own may have been renewed. */
static enum err check_former(struct verifier *v, const struct receipt *r)
{
	int64_t from, to, written = v->tcb->time;
	enum err e = certificate_period(r->former, &from, &to);

	if (!e && (written < from || written > to))
		e = failed(ERR_MISMATCH, "it was not in force when the record was written");
	if (!e)
		e = check_issued(v, r, r->former, to < r->time ? to : r->time);
	return e ? failed(e, "the TPM's quote: the key's former certificate: %s", err_reason())
		 : OK;
}

/* The TPM speaks for the record that its quote stands in, and for no other. */
static enum err check_quote(struct verifier *v)
{
	struct receipt r;
	enum err e;

	if (!v->tcb || !v->tcb->hsm.tpm.left)
		return v->tcb && names_tpm(v->tcb)
			       ? failed(ERR_MISMATCH,
					"the TCB record lists a TPM's registers, and has no quote")
			       : verifier_skip(v, "no TPM's quote came with the proof");
	if (!v->parts.tcb_receipt.left)
		return failed(ERR_MISMATCH,
			      "a TPM's quote came without the receipt of the TCB record");
	if ((e = receipt_read(v->parts.tcb_receipt, &r)) ||
	    (r.former.left && (e = check_former(v, &r))) ||
	    (e = quote_verify(v->tcb, r.former.left ? r.former : r.certificate)))
		return e;
	return verifier_say(
		v, "over the registers of the boot, by the key that the TCB record names%s",
		r.former.left ? ", for the log's key of then" : "");
}

static enum err check_witnesses(struct verifier *v)
{
	struct trust_count count = { 0 };

	if (!v->expect->witnesses)
		return verifier_skip(v, "no witnesses were asked for");
	enum err e = vouch_check(v->expect->witnesses, v->expect->checkpoint, v->proof, &count);
	if (e)
		return failed(e, "witnesses do not vouch for the log: %s", err_reason());
	return verifier_say(v, "%zu cosigned a checkpoint that goes on from this tree", count.n);
}

/* How a run ended is told last: a proof of a failure is as good as any. */
static const struct verifier_step steps[] = {
	{ "format", check_format },
	{ "record", verifier_record },
	{ "profile", check_profile },
	{ "nonce", verifier_nonce },
	{ "application", check_application },
	{ "origin", check_origin },
	{ "tcb", check_tcb },
	{ "log", check_log },
	{ "signature", check_signature },
	{ "certificate", check_certificate },
	{ "time stamp", check_timestamp },
	{ "tcb receipt", check_tcb_receipt },
	{ "revocation", check_revocation },
	{ "tpm", check_quote },
	{ "witnesses", check_witnesses },
	{ "input", verifier_input },
	{ "output", verifier_output },
	{ "stderr", verifier_messages },
	{ "outcome", verifier_outcome },
};
_Static_assert(sizeof steps / sizeof *steps <= PROOF_CHECKS_MAX, "room for every check");

enum err proof_verify(struct slice proof, const struct proof_expect *expect,
		      struct proof_report *report)
{
	struct verifier v = { .proof = proof, .expect = expect };

	return verifier_run(&v, steps, sizeof steps / sizeof *steps, report);
}

/* Request ROLLOVER: a tree goes on under a new attestation key, without a gap.
 *
 * The order of durable steps, each of which may be the last one before a kill:
 *   1. the new key on the token, with its certificate: unused; a later rollover makes it anew
 *   2. the record that names it, under the old key
 *   3. the certificate where the key of now is remembered: from here on it is the new one
 *   4. the log's entry with the new certificate; a start makes it when it is missing
 * So a start finds one of the two keys and goes on with that. While the old key is on the token,
 * checkpoints carry both signatures. To finish: the record first, then it is destroyed. */
#include <string.h>

#include "audit/note.h"
#include "config/base/io.h"
#include "config/base/log.h"
#include "plugin/daemon/request.h"
#include "plugin/daemon/rolling.h"

#define SETTLE_MS 5000
#define SETTLE_POLL_MS 50

/* The tree of a partition, or the appliance's own. */
struct rolled {
	struct partition *partition; /* NULL: the appliance */
	struct attest_partition name;
	const char *origin;
	struct audit_key key; /* of now */
};

static const struct attest_partition *name_of(const struct rolled *r)
{
	return r->partition ? &r->name : NULL;
}

static enum err find_key(struct daemon *daemon, struct rolled *r)
{
	struct partition *p = r->partition;

	if (!p) {
		r->origin = attest_origin(daemon->attest);
		attest_appliance_key(daemon->attest, &r->key);
		return OK;
	}
	r->name = (struct attest_partition){ p->serial, p->label, p->generation };
	r->origin = p->origin;
	return attest_partition_key(daemon->attest, slice_text(p->serial), p->generation,
				    buf_slice(&p->certificate), &r->key);
}

/* A log is opened with the key of now or the one before: no checkpoint of an earlier one may be left. */
static enum err await_checkpoint(struct daemon *daemon, const struct rolled *r)
{
	uint64_t until = io_monotonic_ms() + SETTLE_MS;
	struct audit_shard newest;
	enum err e = audit_shard(record_tree(daemon, r->partition), &newest);

	if (e)
		return e;
	do {
		CLEANUP(buf) struct buf raw = BUF_INIT;
		struct note note;

		if ((e = audit_checkpoint(daemon->audit, newest.origin, &raw)) == ERR_NOT_FOUND)
			return OK;
		if (!e && !(e = note_read(buf_slice(&raw), &note)) &&
		    !(e = note_verify(&note, r->key.certificate)))
			return OK;
		io_pause(SETTLE_POLL_MS);
	} while (io_monotonic_ms() < until);
	return failed(ERR_STATE, "no checkpoint of %s is signed by its key of now yet: %s",
		      r->origin, err_reason());
}

static enum err record_key(struct call *call, const struct rolled *r, struct slice certificate,
			   const char *words)
{
	struct leaf leaf;
	enum err e = record_fill(call->daemon, r->partition, &call->caller, LEAF_ROLLOVER, &leaf);

	if (e)
		return e;
	leaf.components[0].name = slice_text("attestation key");
	sha256_once(certificate, leaf.components[0].sha256);
	leaf.components_n = 1;
	leaf.reason = slice_text(words);
	return audit_record(record_tree(call->daemon, r->partition), &leaf);
}

static enum err remember(struct daemon *daemon, const struct rolled *r, struct slice certificate)
{
	return r->partition
		       ? partition_set_certificate(&daemon->partitions, r->partition, certificate)
		       : attest_use_appliance(daemon->attest, daemon->state, certificate);
}

static enum err give_to_log(struct daemon *daemon, const struct rolled *r)
{
	struct audit_tree *tree;

	return audit_tree(daemon->audit, r->origin, &r->key, NULL, &tree);
}

/* From step 3 on there is no way back: what fails then is made good by a start. */
static enum err roll(struct call *call, struct rolled *r, struct buf *certificate)
{
	struct daemon *daemon = call->daemon;
	enum err e;

	if (r->key.overlap)
		return failed(ERR_STATE, "the last rollover is not finished: the former key still "
					 "signs checkpoints (--finish)");
	if ((e = await_checkpoint(daemon, r)) ||
	    (e = attest_roll(daemon->attest, name_of(r), r->key.certificate, certificate)) ||
	    (e = record_key(call, r, buf_slice(certificate),
			    "rollover of the attestation key: the next one is this")) ||
	    (e = remember(daemon, r, buf_slice(certificate))) || (e = find_key(daemon, r)) ||
	    (e = give_to_log(daemon, r)))
		return e;
	/* A TPM's quote names the key that vouches for the platform's record. */
	if (!r->partition)
		tcb_outdate(&daemon->tcb);
	return record_key(call, r, buf_slice(certificate),
			  "rollover of the attestation key: this one signs");
}

static enum err finish(struct call *call, struct rolled *r, struct buf *certificate)
{
	struct daemon *daemon = call->daemon;
	enum err e;

	if (!r->key.overlap)
		return failed(ERR_STATE, "there is no rollover to finish");
	if ((e = await_checkpoint(daemon, r)))
		return e;
	r->key.overlap = false;
	buf_put_slice(certificate, r->key.certificate);
	if ((e = buf_check(certificate)) || (e = give_to_log(daemon, r)) ||
	    (e = record_key(call, r, buf_slice(certificate),
			    "rollover of the attestation key: only this one signs from here on, "
			    "the former is destroyed")) ||
	    (e = attest_forget_former(daemon->attest, name_of(r), buf_slice(certificate))))
		return e;
	return r->partition ? OK
			    : attest_use_appliance(daemon->attest, daemon->state,
						   buf_slice(certificate));
}

static enum err take(struct call *call, struct rolled *r, bool *finishing)
{
	struct slice first = call->in, serial;
	enum err e;

	if ((e = call_arguments(call, 2)) ||
	    (e = cbor_take_text(&call->in, WIRE_SERIAL_MAX, &serial)))
		return e;
	if (serial.left) {
		call->in = first;
		if ((e = call_partition(call, true)))
			return e;
		r->partition = call->partition;
	}
	return (e = cbor_take_bool(&call->in, finishing)) ? e : call_end(call);
}

/* A renewal happens while no daemon runs, so the next one writes it down; the first one has none. */
enum err rolling_note_renewal(struct daemon *daemon)
{
	CLEANUP(buf) struct buf known = BUF_INIT;
	uint8_t digest[SHA256_SIZE];
	char hex[2 * SHA256_SIZE + 1];
	enum err e;

	sha256_once(attest_chain(daemon->attest), digest);
	hex_put(hex, digest, sizeof digest);
	e = state_read(daemon->state, STATE_CA_RECORDED, SHA256_SIZE, &known);
	if (e && e != ERR_NOT_FOUND)
		return e;
	if (slice_equal(buf_slice(&known), SLICE(digest)))
		return OK;
	if (known.len &&
	    (e = record_write(daemon, NULL, NULL, LEAF_MANAGEMENT, slice_of(NULL, 0),
			      "the CA's certificate was renewed: ca.der is of SHA-256 %s", hex)))
		return e;
	return state_write(daemon->state, STATE_CA_RECORDED, SLICE(digest));
}

enum err request_ROLLOVER(struct call *call)
{
	CLEANUP(buf) struct buf certificate = BUF_INIT;
	struct daemon *daemon = call->daemon;
	struct rolled r = { 0 };
	bool finishing;
	enum err e = take(call, &r, &finishing);

	if (e)
		return e;
	call->caller.role = LEAF_ROLE_ADMIN;
	pthread_mutex_lock(&daemon->managing);
	if (!(e = find_key(daemon, &r)))
		e = finishing ? finish(call, &r, &certificate) : roll(call, &r, &certificate);
	pthread_mutex_unlock(&daemon->managing);
	if (e)
		return e;
	log_info("attestation key of %s: %s", r.origin, finishing ? "overlap ends" : "rolled over");
	cbor_put_bytes(&call->results.bytes, buf_slice(&certificate));
	cbor_put_bytes(&call->results.bytes, attest_chain(daemon->attest));
	call->results_n = 2;
	return OK;
}

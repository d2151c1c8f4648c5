/* Requests about enrolment: ENROLL_BEGIN, ENROLL. */
#include <string.h>

#include "config/base/log.h"
#include "plugin/daemon/probing.h"
#include "plugin/daemon/request.h"
#include "plugin/daemon/rolekey.h"

#define PENDING_MS 60000

enum err request_ENROLL_BEGIN(struct call *call)
{
	struct pending_enrolment *pending = &call->connection->enrolment;
	char origin[AUDIT_ORIGIN_MAX];
	struct slice serial, label;
	enum err e;

	memset(pending, 0, sizeof *pending);
	if ((e = call_arguments(call, 2)) ||
	    (e = cbor_take_text(&call->in, WIRE_SERIAL_MAX, &serial)) ||
	    (e = cbor_take_text(&call->in, PARTITION_LABEL_MAX, &label)) || (e = call_end(call)))
		return e;
	if (serial.left == 0)
		return failed(ERR_USAGE, "a token without a serial can't be enrolled");
	if (slice_is(serial, attest_token(call->daemon->attest)->serial))
		return failed(ERR_DENIED, "this is the daemon's own token");
	pending->generation = partition_next_generation(&call->daemon->partitions, serial);
	if ((e = attest_partition_origin(call->daemon->attest, serial, pending->generation,
					 origin)) ||
	    (e = io_random(pending->nonce, sizeof pending->nonce)))
		return e;
	memcpy(pending->serial, serial.p, serial.left);
	memcpy(pending->label, label.p, label.left);
	pending->begun_ms = io_monotonic_ms();
	pending->open = true;
	cbor_put_bytes(&call->results.bytes, SLICE(pending->nonce));
	cbor_put_uint(&call->results.bytes, pending->generation);
	cbor_put_text(&call->results.bytes, origin);
	call->results_n = 3;
	return OK;
}

struct proofs {
	uint8_t point[65];
	struct slice key_id, signature, certificate_id;
};

static enum err check_proofs(struct call *call, const struct pending_enrolment *pending,
			     const struct proofs *proofs)
{
	const struct daemon *daemon = call->daemon;
	struct slice serial = slice_text(pending->serial);
	char origin[AUDIT_ORIGIN_MAX];
	uint8_t digest[32];
	enum err e;

	if ((e = attest_partition_origin(daemon->attest, serial, pending->generation, origin)) ||
	    (e = wire_enroll_challenge(slice_text(origin), serial, pending->generation,
				       proofs->point, pending->nonce, digest)) ||
	    (e = rolekey_verify(proofs->point, digest, proofs->signature)))
		return e;
	if ((e = probing_trusted(daemon->config, daemon->self, pending->serial,
				 proofs->certificate_id, digest)))
		return e;
	return probing_role_key(daemon->config, daemon->self, pending->serial, proofs->key_id,
				proofs->point);
}

static enum err open_tree(struct call *call, struct partition *p)
{
	struct daemon *daemon = call->daemon;
	struct audit_key key;
	struct leaf genesis;
	enum err e;

	if ((e = attest_partition_key(daemon->attest, slice_text(p->serial), p->generation,
				      buf_slice(&p->certificate), &key)) ||
	    (e = record_fill(daemon, p, &call->caller, LEAF_OPEN, &genesis)))
		return e;
	genesis.reason = slice_text("partition enrolled");
	return audit_tree(daemon->audit, p->origin, &key, &genesis, &p->tree);
}

/* Key and tree come first, the enrolment last: what a crash leaves before that is made again. */
static enum err enroll_managing(struct call *call, const struct pending_enrolment *pending,
				const struct proofs *proofs)
{
	CLEANUP(partition) struct partition *p = NULL;
	struct daemon *daemon = call->daemon;
	struct slice serial = slice_text(pending->serial);
	struct attest_partition key = { pending->serial, pending->label, pending->generation };
	enum err e;

	if (pending->generation != partition_next_generation(&daemon->partitions, serial))
		return failed(ERR_STATE, "this token was enrolled meanwhile");
	if ((e = partition_new(&daemon->partitions, serial, slice_text(pending->label),
			       pending->generation, &p)) ||
	    (e = attest_partition_origin(daemon->attest, serial, pending->generation, p->origin)) ||
	    (e = attest_make_partition(daemon->attest, &key, &p->certificate)))
		return e;
	memcpy(p->point, proofs->point, sizeof p->point);
	memcpy(p->key_id, proofs->key_id.p, proofs->key_id.left);
	p->key_id_n = proofs->key_id.left;
	if ((e = open_tree(call, p)) ||
	    (e = record_write(daemon, NULL, &call->caller, LEAF_MANAGEMENT, slice_of(NULL, 0),
			      "partition %s enrolled, generation %llu, origin %s", p->serial,
			      (unsigned long long)p->generation, p->origin)) ||
	    (e = partition_publish(&daemon->partitions, p)))
		return e;
	log_info("partition %s (%s) enrolled, generation %llu", p->serial, p->label,
		 (unsigned long long)p->generation);
	cbor_put_bytes(&call->results.bytes, buf_slice(&p->certificate));
	cbor_put_bytes(&call->results.bytes, attest_chain(daemon->attest));
	call->results_n = 2;
	p = NULL;
	return OK;
}

static enum err enroll(struct call *call, const struct pending_enrolment *pending,
		       const struct proofs *proofs)
{
	enum err e;

	if (!pending->open)
		return failed(ERR_STATE, "ENROLL without ENROLL_BEGIN");
	if (io_monotonic_ms() - pending->begun_ms > PENDING_MS)
		return failed(ERR_TIMEOUT, "the enrolment took longer than %d seconds",
			      PENDING_MS / 1000);
	if ((e = check_proofs(call, pending, proofs)))
		return e;
	call->caller.role = LEAF_ROLE_ADMIN;
	call->caller.proof = LEAF_PROOF_TRUSTED_OBJECT;
	pthread_mutex_lock(&call->daemon->managing);
	e = enroll_managing(call, pending, proofs);
	pthread_mutex_unlock(&call->daemon->managing);
	return e;
}

enum err request_ENROLL(struct call *call)
{
	struct pending_enrolment pending = call->connection->enrolment;
	struct proofs proofs;
	struct slice serial;
	enum err e;

	/* Good once, whatever becomes of it. */
	call->connection->enrolment.open = false;
	if ((e = call_arguments(call, 5)) ||
	    (e = cbor_take_text(&call->in, WIRE_SERIAL_MAX, &serial)) ||
	    (e = cbor_take_fixed(&call->in, proofs.point, sizeof proofs.point)) ||
	    (e = cbor_take_bytes(&call->in, PARTITION_KEY_ID_MAX, &proofs.key_id)) ||
	    (e = cbor_take_bytes(&call->in, 128, &proofs.signature)) ||
	    (e = cbor_take_bytes(&call->in, PARTITION_KEY_ID_MAX, &proofs.certificate_id)) ||
	    (e = call_end(call)))
		return e;
	if (!slice_is(serial, pending.serial))
		e = failed(ERR_MISMATCH, "ENROLL for another token than ENROLL_BEGIN");
	if (e || (e = enroll(call, &pending, &proofs)))
		return call_refuse(call, e, slice_of(NULL, 0));
	return OK;
}

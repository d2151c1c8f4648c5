#include "plugin/daemon/answering.h"

#include <stdio.h>
#include <string.h>

#include "config/base/cbor.h"
#include "config/base/log.h"

#define TICK_MS 10000
#define DAY_SECONDS 86400
#define ID_TEXT (2 * 64 + 1)

static const char *const bound_words[BOUNDS] = {
	[BOUND_APPLICATION] = "another application, or another version of it",
	[BOUND_CALLER] = "another user",
	[BOUND_FORM] = "another mechanism, nonce or label",
	[BOUND_INPUT] = "another input",
};

/* Ids are the client's bytes, whatever they are. */
static const char *id_text(struct slice id, char text[ID_TEXT])
{
	hex_put(text, id.p, id.left < 64 ? id.left : 64);
	return text;
}

/* ---- what must be the same ---- */

static void put_bound(const struct call *call, const struct order *order, const struct execution *x,
		      enum answer_bound which, struct buf *out)
{
	uint8_t input[SHA256_SIZE];

	cbor_put_uint(out, which);
	switch (which) {
	case BOUND_APPLICATION:
		cbor_put_text(out, x->app->id);
		cbor_put_bytes(out, SLICE(x->app->package));
		break;
	case BOUND_CALLER:
		cbor_put_uint(out, call->caller.uid);
		break;
	case BOUND_FORM:
		cbor_put_uint(out, order->operation);
		cbor_put_bytes(out, order->nonce);
		cbor_put_bytes(out, order->label);
		break;
	default:
		sha256_once(order->input, input);
		cbor_put_bytes(out, SLICE(input));
	}
}

static enum err bind_request(const struct call *call, const struct order *order,
			     struct execution *x)
{
	enum err e = OK;

	for (enum answer_bound which = 0; which < BOUNDS && !e; which++) {
		CLEANUP(buf) struct buf text = BUF_INIT;

		put_bound(call, order, x, which, &text);
		if (!(e = buf_check(&text)))
			e = state_keyed_hash(call->daemon->state, buf_slice(&text),
					     x->bound[which]);
	}
	return e;
}

/* Each is compared, whatever came of the others. */
static enum err check_same(const struct order *order, const struct execution *x)
{
	const char *other = NULL;
	char id[ID_TEXT];

	for (size_t i = 0; i < BOUNDS; i++)
		if (!secret_equal(x->bound[i], x->answer.bound[i], sizeof x->bound[i]))
			other = bound_words[i];
	return other ? failed(ERR_MISMATCH, "request %s was made before, with %s",
			      id_text(order->request, id), other)
		     : OK;
}

/* ---- before the run ---- */

static enum err still_there(void *context)
{
	struct call *call = context;

	if (connection_hung_up(call->connection))
		return failed(ERR_GONE, "the client has gone");
	return atomic_load(&call->daemon->stopping) ? failed(ERR_GONE, "the daemon ends") : OK;
}

enum err answering_begin(struct call *call, const struct order *order, struct execution *x)
{
	struct answers *answers = &call->daemon->answers;
	char id[ID_TEXT];
	enum err e;

	if (!order->request.left)
		return OK;
	if ((e = bind_request(call, order, x)) ||
	    (e = answers_claim(answers, call->partition, WIRE_USER, order->request, still_there,
			       call, &x->claim)))
		return e;
	e = answers_get(answers, &x->claim, &x->answer);
	if (e == ERR_NOT_FOUND)
		return answers_ready(answers, &x->claim);
	if (e)
		return failed(e, "what request %s was answered is not known any more: %.300s",
			      id_text(order->request, id), err_reason());
	if ((e = check_same(order, x)))
		return e;
	if (!x->answer.proof.left)
		return failed(ERR_STATE,
			      "request %s: whether it was recorded is not known before the daemon "
			      "is started again",
			      id_text(order->request, id));
	x->known = true;
	return OK;
}

/* ---- after it ---- */

/* The policy says how long the day's key is kept, when it is that of sealed payloads too. */
static uint32_t key_days(const struct call *call, const struct execution *x)
{
	const struct partition_policy *says = x->rules->says;

	return (uint32_t)(says->keep == KEEP_SEALED
				  ? says->sealed_retention_days
				  : call->daemon->answers.ttl_seconds / DAY_SECONDS + 1);
}

static enum err put_run(struct call *call, const struct order *order, struct execution *x,
			const struct leaf *leaf)
{
	CLEANUP(buf) struct buf keys = BUF_INIT;
	struct answer a = { .from = audit_tree_count(call->partition->tree),
			    .operation = order->operation,
			    .end = x->end ? x->end : x->withheld,
			    .reason = slice_text(x->end ? x->reason : x->cancelled),
			    .cancelled = slice_text(x->cancelled),
			    .tcb_leaf = buf_slice(&x->tcb->leaf),
			    .tcb_receipt = buf_slice(&x->tcb->receipt) };
	bool given = x->ran && !x->cancelled[0];

	proof_keys_write(&x->keys, &keys);
	memcpy(a.cti, leaf->cti, sizeof a.cti);
	memcpy(x->answer.cti, leaf->cti, sizeof a.cti);
	memcpy(a.bound, x->bound, sizeof a.bound);
	a.keys = buf_slice(&keys);
	if (given) {
		a.output = buf_slice(&x->run.output);
		a.messages = buf_slice(&x->run.messages);
	}
	enum err e = buf_check(&keys);
	if (!e)
		e = answers_put_run(&call->daemon->answers, &x->claim, key_days(call, x), &a);
	if (keys.data)
		secret_wipe(keys.data, keys.cap);
	return e;
}

void answering_keep(struct call *call, const struct order *order, struct execution *x,
		    struct leaf *leaf)
{
	if (!x->claim.partition)
		return;
	enum err e = put_run(call, order, x, leaf);
	x->kept = !e;
	if (!e)
		return;
	/* An id in the log has an answer: this run was nobody's, and the id is still free. */
	leaf->request = slice_of(NULL, 0);
	if (x->end || x->withheld)
		return;
	x->withheld = e;
	snprintf(x->cancelled, sizeof x->cancelled, "the answer can't be kept: %.400s",
		 err_reason());
	leaf->reason = slice_text(x->cancelled);
}

enum err answering_prove(struct call *call, struct execution *x, struct slice proof)
{
	if (!x->kept)
		return OK;
	x->answer.proof = proof;
	x->answer.compact = buf_slice(&x->compact);
	return answers_put_proof(&call->daemon->answers, &x->claim, key_days(call, x), &x->answer);
}

void answering_end(struct execution *x)
{
	answers_release(&x->claim);
	answer_free(&x->answer);
}

/* ---- again ---- */

static void copy_text(char *out, struct slice text)
{
	size_t n = text.left < ERR_REASON_MAX ? text.left : ERR_REASON_MAX - 1;

	if (n)
		memcpy(out, text.p, n);
	out[n] = 0;
}

/* The first time its signature could not be had. */
static enum err sign_compact(struct call *call, struct execution *x)
{
	struct proof_parts parts;
	enum err e = proof_read(x->answer.proof, &parts);

	if (!e &&
	    !(x->unsigned_compact = audit_compact(call->partition->tree, parts.leaf, &x->compact)))
		x->kept = true;
	return e ? e : answering_prove(call, x, x->answer.proof);
}

enum err answering_recall(struct call *call, const struct order *order, struct execution *x,
			  struct buf *proof)
{
	const struct answer *a = &x->answer;
	enum err e;

	x->end = a->end;
	copy_text(x->reason, a->reason);
	copy_text(x->cancelled, a->cancelled);
	buf_put_slice(&x->run.output, a->output);
	buf_put_slice(&x->run.messages, a->messages);
	buf_put_slice(&x->compact, a->compact);
	buf_put_slice(proof, a->proof);
	if ((e = buf_check(&x->run.output)) || (e = buf_check(&x->run.messages)) ||
	    (e = buf_check(&x->compact)) || (e = buf_check(proof)) ||
	    (e = proof_keys_read(a->keys, &x->keys)))
		return e;
	return order->operation == OP_EXECUTE && !a->end && !a->compact.left ? sign_compact(call, x)
									     : OK;
}

/* ---- after a crash ---- */

struct settling {
	struct daemon *daemon;
	bool said; /* the tree has a record of this start: what came before is released */
	size_t proved, dropped;
};

/* The record with this proof's id, if the log has it. */
static enum err find_record(struct audit_tree *tree, const struct answer *a, struct buf *leaf,
			    struct buf *receipt)
{
	for (uint64_t i = a->from; i < audit_tree_count(tree); i++) {
		CLEANUP(leaf) struct leaf *read = NULL;
		enum err e;

		buf_reset(leaf);
		buf_reset(receipt);
		if ((e = audit_leaf(tree, i, leaf, receipt)) ||
		    (e = leaf_read(buf_slice(leaf), &read)))
			return failed(ERR_IO, "record %llu: %s", (unsigned long long)i,
				      err_reason());
		if (read->type == LEAF_EXECUTION && !memcmp(read->cti, a->cti, sizeof a->cti))
			return OK;
	}
	return failed(ERR_NOT_FOUND, "it is not in the log");
}

static enum err prove_again(struct daemon *daemon, const struct answer_claim *claim,
			    struct answer *a, struct slice leaf, struct slice receipt)
{
	const struct proof_parts parts = { leaf, receipt, a->tcb_leaf, a->tcb_receipt };
	CLEANUP(buf) struct buf proof = BUF_INIT, compact = BUF_INIT;
	enum err e;

	proof_write(&parts, &proof);
	/* One that can't be signed now is signed when it is asked for. */
	if (a->operation == OP_EXECUTE && !a->end &&
	    audit_compact(claim->partition->tree, leaf, &compact))
		buf_reset(&compact);
	if ((e = buf_check(&proof)))
		return e;
	a->proof = buf_slice(&proof);
	a->compact = buf_slice(&compact);
	return answers_put_proof(&daemon->answers, claim,
				 (uint32_t)(daemon->answers.ttl_seconds / DAY_SECONDS + 1), a);
}

static enum err settle(struct settling *s, const struct answer_claim *claim)
{
	CLEANUP(buf) struct buf leaf = BUF_INIT, receipt = BUF_INIT;
	struct partition *p = claim->partition;
	struct answer a = { 0 };
	enum err e;

	if (!s->said &&
	    (e = record_write(s->daemon, p, NULL, LEAF_RECOVERY, slice_of(NULL, 0),
			      "requests with an id were being answered when the daemon ended")))
		return e;
	s->said = true;
	if (!(e = answers_get(&s->daemon->answers, claim, &a)) &&
	    !(e = find_record(p->tree, &a, &leaf, &receipt))) {
		e = prove_again(s->daemon, claim, &a, buf_slice(&leaf), buf_slice(&receipt));
		s->proved++;
	} else if (e == ERR_NOT_FOUND) {
		e = answers_drop(&s->daemon->answers, claim);
		s->dropped++;
	}
	answer_free(&a);
	return e;
}

/* One that can't be settled stays as it is: whoever repeats it is told so. */
static enum err settle_one(void *context, const struct answer_claim *claim)
{
	struct settling *s = context;

	if (settle(s, claim))
		log_warning("a request that was being answered when the daemon ended: %s",
			    err_reason());
	return OK;
}

static enum err settle_partition(void *context, struct partition *p)
{
	struct settling s = { .daemon = context };
	struct answers *answers = &s.daemon->answers;
	enum err e;

	if ((e = answers_sweep(answers, p)) || (e = answers_each_open(answers, p, settle_one, &s)))
		return e;
	if (s.said)
		log_warning("partition %s: of the requests that were being answered when the "
			    "daemon ended, %zu are in the log, %zu may run anew",
			    p->serial, s.proved, s.dropped);
	return OK;
}

enum err answering_settle(struct daemon *daemon)
{
	enum err e = answers_clear(&daemon->answers, &daemon->partitions);

	return e ? e : partitions_each(&daemon->partitions, settle_partition, daemon);
}

static enum err sweep(void *context, struct partition *p)
{
	struct daemon *daemon = context;

	if (answers_sweep(&daemon->answers, p))
		log_warning("answers of partition %s: %s", p->serial, err_reason());
	return OK;
}

void answering_tick(struct daemon *daemon, uint64_t now_ms)
{
	if (now_ms - daemon->answering_ms < TICK_MS)
		return;
	daemon->answering_ms = now_ms;
	(void)!partitions_each(&daemon->partitions, sweep, daemon); /* said why not */
}

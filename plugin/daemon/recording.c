#include "plugin/daemon/recording.h"

#include <stdio.h>
#include <string.h>

#include "plugin/daemon/answering.h"
#include "plugin/daemon/record.h"
#include "plugin/daemon/sealing.h"

static enum err commit(const uint8_t key[32], struct slice data, uint8_t out[32], bool *has)
{
	*has = true;
	return proof_commit(key, data, out);
}

static void fill_run(const struct daemon *daemon, const struct execution *x, struct leaf *leaf)
{
	const struct sandbox_facts *facts = sandbox_facts(daemon->box);
	const struct run *run = &x->run;

	leaf->has_status = leaf->has_times = leaf->has_confinement = true;
	leaf->status_kind = run->kind;
	leaf->status_code = run->code;
	leaf->start_us = run->start_us;
	leaf->end_us = run->end_us;
	leaf->confinement_mode = facts->privileged ? 0 : 1;
	leaf->absent_steps = slice_text(facts->absent);
	leaf->start_kind = run->start;
	leaf->launched_us = run->launched_us;
}

static enum err fill_leaf(struct call *call, const struct order *order, struct execution *x,
			  struct leaf *leaf)
{
	enum err e =
		record_fill(call->daemon, call->partition, &call->caller, LEAF_EXECUTION, leaf);

	if (e)
		return e;
	record_fill_app(x->app, x->epoch, buf_slice(&x->approved), leaf);
	leaf->nonce = order->nonce;
	leaf->request = order->request;
	leaf->reason = slice_text(x->reason);
	memcpy(leaf->policy, x->rules->digest, sizeof leaf->policy);
	leaf->has_tcb = true;
	memcpy(leaf->tcb, x->tcb->digest, sizeof leaf->tcb);
	if ((e = io_random(&x->keys, sizeof x->keys)) ||
	    (e = commit(x->keys.input, order->input, leaf->input, &leaf->has_input)))
		return e;
	if (!x->ran)
		return OK;
	fill_run(call->daemon, x, leaf);
	if ((e = commit(x->keys.output, buf_slice(&x->run.output), leaf->output,
			&leaf->has_output)))
		return e;
	return commit(x->keys.messages, buf_slice(&x->run.messages), leaf->messages,
		      &leaf->has_messages);
}

/* A result whose payload can't be sealed is kept back, and its record says why. */
static void keep_sealed(struct call *call, const struct order *order, struct execution *x,
			struct leaf *leaf)
{
	x->withheld = sealing_keep(call->daemon, call->partition, x->rules, order->input,
				   x->ran ? &x->run : NULL, &x->keys, leaf);
	if (!x->withheld || x->cancelled[0])
		return;
	snprintf(x->cancelled, sizeof x->cancelled, "the payload can't be sealed: %.400s",
		 err_reason());
	leaf->reason = slice_text(x->cancelled);
}

enum err recording_write(struct call *call, const struct order *order, struct execution *x,
			 struct buf *proof)
{
	CLEANUP(audit_ticket) struct audit_ticket *ticket = NULL;
	CLEANUP(buf) struct buf receipt = BUF_INIT;
	struct audit_tree *tree = call->partition->tree;
	struct leaf leaf;
	enum err e;

	if ((e = fill_leaf(call, order, x, &leaf)))
		return e;
	keep_sealed(call, order, x, &leaf);
	answering_keep(call, order, x, &leaf);
	if ((e = audit_begin(tree, &leaf, &ticket)))
		return e;
	/* Signed while the batch is being synced. */
	if (order->operation == OP_EXECUTE && !x->end && !x->withheld)
		x->unsigned_compact = audit_compact(tree, audit_ticket_leaf(ticket), &x->compact);
	if ((e = audit_finish(ticket, &receipt)))
		return e;
	struct proof_parts parts = { audit_ticket_leaf(ticket), buf_slice(&receipt),
				     buf_slice(&x->tcb->leaf), buf_slice(&x->tcb->receipt) };
	proof_write(&parts, proof);
	return (e = buf_check(proof)) ? e : answering_prove(call, x, buf_slice(proof));
}

enum err recording_unknown(struct call *call, const struct order *order, struct execution *x,
			   enum err e)
{
	CLEANUP(buf) struct buf unused = BUF_INIT;

	x->end = e;
	snprintf(x->reason, sizeof x->reason, "%s", err_reason());
	snprintf(x->cancelled, sizeof x->cancelled, "%s", x->reason);
	enum err recorded = recording_write(call, order, x, &unused);
	return recorded ? recorded : failed(e, "%s", x->reason);
}

/* EXECUTE: one run of an application is judged, then made, then recorded, then answered; CANCEL. */
#include <stdio.h>

#include "config/base/secret.h"
#include "plugin/daemon/answering.h"
#include "plugin/daemon/recording.h"
#include "plugin/daemon/returning.h"
#include "plugin/daemon/running.h"
#include "plugin/daemon/sealing.h"
#include "plugin/daemon/witnessing.h"

static void execution_cleanup(struct execution *x)
{
	answering_end(x);
	if (x->unpacked)
		app_done(x->app);
	app_release(x->app);
	rules_release(x->rules);
	buf_free(&x->approved);
	tcb_record_release(x->tcb);
	run_free(&x->run);
	secret_wipe(&x->keys, sizeof x->keys);
	result_set_release(x->set);
	buf_free(&x->compact);
	buf_free(&x->returned);
}

static enum err take_operation(struct slice *in, enum wire_operation *out)
{
	uint64_t v;
	enum err e = cbor_take_uint(in, &v);

	if (e)
		return e;
	if (v < OP_EXECUTE || v > OP_RUN_OBJECT)
		return failed(ERR_FORMAT, "operation %llu is not known", (unsigned long long)v);
	*out = (enum wire_operation)v;
	return OK;
}

static enum err take_order(struct call *call, struct order *order)
{
	enum err e;

	if ((e = call_arguments(call, 9)) || (e = call_partition(call, true)) ||
	    (e = cbor_take_text(&call->in, WIRE_APP_MAX, &order->id)) ||
	    (e = take_operation(&call->in, &order->operation)) ||
	    (e = cbor_take_bytes(&call->in, 64, &order->nonce)) ||
	    (e = cbor_take_bytes(&call->in, 64, &order->request)) ||
	    (e = cbor_take_uint(&call->in, &order->time_limit)) ||
	    (e = cbor_take_uint(&call->in, &order->run)) ||
	    (e = cbor_take_text(&call->in, RESULT_LABEL_MAX, &order->label)) ||
	    (e = wire_take_payload(call->request, &call->in, WIRE_PAYLOAD_MAX, &order->input,
				   &order->mapped)) ||
	    (e = call_end(call)))
		return e;
	if (order->nonce.left && order->nonce.left < 8)
		return failed(ERR_FORMAT, "a nonce of %zu bytes; 8 to 64 are allowed",
			      order->nonce.left);
	return OK;
}

/* What the partition's policy says to it. */
static enum err judge_by_policy(struct call *call, const struct order *order, struct execution *x)
{
	enum err e;

	x->rules = partition_rules(call->partition);
	if ((e = rules_may_run(x->rules, call->caller.uid, x->app)) ||
	    (e = rules_may_take(x->rules, order->input.left)))
		return e;
	approvals_put(&x->app->approvals, x->rules->says, &x->approved);
	if ((e = buf_check(&x->approved)))
		return e;
	return witnessing_ready(call->daemon, x->rules);
}

/* What there must be for one more run, but not for the answer of an earlier one. */
static enum err admit(struct call *call, const struct execution *x)
{
	enum err e = sealing_ready(call->daemon, call->partition, x->rules);

	return e ? e : partition_may_begin(call->partition, io_monotonic_ms());
}

/* Everything that may refuse the order before anything runs. */
static enum err judge(struct call *call, const struct order *order, struct execution *x)
{
	uint64_t most = call->daemon->config->limits_input_bytes;
	enum err e;

	if ((e = call_role(call, WIRE_USER)) ||
	    (e = registry_get(&call->partition->registry, order->id, &x->app, &x->epoch)))
		return e;
	struct auth_role who = call_auth_role(call, WIRE_USER);
	x->grant = auth_grant_number(&call->client->auth, &who, io_monotonic_ms());
	if ((e = tcb_ready(&call->daemon->tcb)))
		return e;
	if (order->input.left > most)
		return failed(ERR_RANGE, "an input of %zu bytes, at most %llu allowed",
			      order->input.left, (unsigned long long)most);
	return judge_by_policy(call, order, x);
}

/* What is known now is the first reason why the caller gets no result. */
static void find_failure(struct call *call, struct execution *x)
{
	if (!x->end && (x->end = x->withheld))
		snprintf(x->reason, sizeof x->reason, "%s", x->cancelled);
	if (!x->end && (x->end = x->unsigned_compact))
		snprintf(x->reason, sizeof x->reason, "the compact proof could not be signed");
	if (returning_shrink(call, x) && !x->end) {
		x->end = ERR_LIMIT;
		snprintf(x->reason, sizeof x->reason, "%s", err_reason());
	}
	enum err e = witnessing_await(call, x->rules, x->set);
	if (e && !x->end) {
		x->end = e;
		snprintf(x->reason, sizeof x->reason, "%s", err_reason());
	}
}

static enum err run_and_record(struct call *call, struct sandbox_image *image,
			       const struct order *order, struct execution *x, struct buf *proof)
{
	enum err e;

	x->tcb = tcb_hold(&call->daemon->tcb);
	atomic_fetch_add(&call->daemon->executions, 1);
	if ((e = running_run(call, image, order, x)))
		return x->unwanted || e == ERR_LIMIT ? call_refuse(call, e, order->id)
						     : recording_unknown(call, order, x, e);
	if ((x->end = running_end(order, x)))
		snprintf(x->reason, sizeof x->reason, "%s", err_reason());
	return recording_write(call, order, x, proof);
}

static enum err execute(struct call *call, const struct order *order, struct execution *x)
{
	CLEANUP(buf) struct buf proof = BUF_INIT;
	struct sandbox_image *image;
	enum err e;

	if ((e = judge(call, order, x)) || (e = answering_begin(call, order, x)) ||
	    (!x->known && ((e = admit(call, x)) || (e = running_unpack(call, x, &image)))))
		return call_refuse(call, e, order->id);
	if ((e = x->known ? answering_recall(call, order, x, &proof)
			  : run_and_record(call, image, order, x, &proof)) ||
	    (e = returning_collect(order, x, &proof)))
		return e;
	find_failure(call, x);
	if ((e = returning_answer(call, order, x)))
		return e;
	call->results_with_error = true;
	return x->end ? failed(x->end, "%s", x->reason) : OK;
}

enum err request_EXECUTE(struct call *call)
{
	struct order order = { 0 };
	CLEANUP(execution) struct execution x = { 0 };
	enum err e = take_order(call, &order);

	if (!e)
		e = execute(call, &order, &x);
	if (e && !call->results_with_error) {
		buf_reset(&call->results.bytes);
		cbor_put_text(&call->results.bytes, "");
		call->results_n = 1;
		call->results_with_error = true;
	}
	if (order.mapped)
		io_unmap(&order.input);
	return e;
}

enum err request_CANCEL(struct call *call)
{
	uint64_t run;
	enum err e;

	if ((e = call_arguments(call, 1)) || (e = cbor_take_uint(&call->in, &run)) ||
	    (e = call_end(call)))
		return e;
	client_cancel(call->client, run);
	return OK;
}

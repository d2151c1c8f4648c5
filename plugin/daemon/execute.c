/* EXECUTE: one run of an application, its record, its proof, its results; CANCEL. */
#include <stdio.h>
#include <string.h>

#include "config/base/secret.h"
#include "plugin/daemon/answering.h"
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

struct watched {
	struct call *call;
	const struct order *order;
	struct execution *x;
};

/* What was granted at first may be so no longer. A grant's time may run out meanwhile, but not
 * before anything runs. */
static enum err check_granted(struct call *call, const struct execution *x, bool running)
{
	struct auth_role who = call_auth_role(call, WIRE_USER);
	uint64_t now_ms = io_monotonic_ms();
	enum err e = partition_usable(call->partition);

	if (e)
		return e;
	if (!auth_stands(&call->client->auth, &who, x->grant, now_ms) ||
	    (!running && !auth_allows(&call->client->auth, &who, now_ms, NULL)))
		return failed(ERR_LOGIN, "the user of this partition is not logged in any more");
	if (!registry_has(&call->partition->registry, x->app))
		return failed(ERR_NOT_FOUND, "%s was unloaded or replaced", x->app->id);
	CLEANUP(rules) struct rules *rules = partition_rules(call->partition);
	return rules == x->rules ? OK : rules_may_run(rules, call->caller.uid, x->app);
}

static enum err still_wanted(void *context, bool running)
{
	struct watched *w = context;
	struct daemon *daemon = w->call->daemon;
	enum err e = OK;

	/* Whoever repeats a request that has an id is still to get its answer. */
	if (!(running && w->order->request.left) && connection_hung_up(w->call->connection))
		e = failed(ERR_GONE, "the client has gone");
	else if (client_cancelled(w->call->client, w->order->run))
		e = failed(ERR_TIMEOUT, "the client cancelled it");
	else if (atomic_load(running ? &daemon->ending : &daemon->stopping))
		e = failed(ERR_GONE, "the daemon ends");
	else
		e = check_granted(w->call, w->x, running);
	if (e && running)
		snprintf(w->x->cancelled, sizeof w->x->cancelled, "%s", err_reason());
	w->x->unwanted = e && !running;
	return e;
}

static uint64_t least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

struct oldest {
	struct registry *registry;
	uint64_t used_ms;
};

static enum err compare(void *context, struct partition *p)
{
	struct oldest *oldest = context;
	uint64_t used_ms;

	(void)registry_unpacked(&p->registry, &used_ms);
	if (used_ms < oldest->used_ms)
		*oldest = (struct oldest){ &p->registry, used_ms };
	return OK;
}

/* The launcher has room for so many images: the idle one that was used longest ago makes way. */
static bool evict_any(struct daemon *daemon)
{
	struct oldest oldest = { NULL, UINT64_MAX };

	return !partitions_each(&daemon->partitions, compare, &oldest) && oldest.registry &&
	       registry_evict(oldest.registry);
}

/* Partitions have their share, which they use in turn themselves. */
static enum err unpack_within_share(struct call *call, struct app *app,
				    struct sandbox_image **image)
{
	struct registry *registry = &call->partition->registry;
	uint64_t oldest_ms;
	enum err e;

	while (registry_unpacked(registry, &oldest_ms) >= REGISTRY_IMAGES_MAX)
		if (!registry_evict(registry))
			break;
	do
		e = app_unpacked(app, call->daemon->state, call->daemon->box, image);
	while (e == ERR_LIMIT && evict_any(call->daemon));
	return e;
}

/* A package that was changed or lost on disk is no fault of the caller's, nor of its input. */
static enum err unpack(struct call *call, struct execution *x, struct sandbox_image **image)
{
	enum err e = unpack_within_share(call, x->app, image);

	x->unpacked = !e;
	if (e == ERR_MISMATCH || e == ERR_FORMAT || e == ERR_RANGE || e == ERR_NOT_FOUND)
		return failed(ERR_IO, "%s can't be unpacked: %s", x->app->id, err_reason());
	return e;
}

/* ERR_GONE and the like: nothing ran, or how it went can't be known. */
static enum err run_app(struct call *call, struct sandbox_image *image, const struct order *order,
			struct execution *x)
{
	const struct config *config = call->daemon->config;
	struct limits limits = x->app->limits;

	limits.memory_bytes = least(limits.memory_bytes, config->limits_memory_bytes);
	limits.output_bytes = least(limits.output_bytes, config->limits_output_bytes);
	limits.wall_ms = (uint32_t)least(limits.wall_ms, config->limits_wall_ms);
	limits.output_bytes = least(limits.output_bytes, x->rules->says->limits_output_bytes);
	limits.wall_ms = (uint32_t)least(limits.wall_ms, x->rules->says->limits_wall_ms);
	struct watched watched = { call, order, x };
	const struct sandbox_watch watch = { still_wanted, &watched };
	if (order->time_limit)
		limits.wall_ms = (uint32_t)least(limits.wall_ms, order->time_limit);
	enum err e = sandbox_run_watched(image, order->input, &limits, &watch, &x->run);
	x->ran = !e;
	if (x->ran && !x->cancelled[0] && check_granted(call, x, true))
		snprintf(x->cancelled, sizeof x->cancelled, "%s", err_reason());
	return e;
}

/* The run's end as the caller's error, in words. */
static enum err judge_end(const struct order *order, const struct execution *x)
{
	const struct run *run = &x->run;
	bool its_own = !order->time_limit || order->time_limit >= x->app->limits.wall_ms;

	if (x->cancelled[0])
		return failed(ERR_TIMEOUT, "%s was cancelled: %s", x->app->id, x->cancelled);
	switch (run->kind) {
	case RUN_EXIT:
		if (run->code == 0)
			return OK;
		if (run->code == x->app->refuse_code)
			return failed(ERR_INPUT, "%s refused its input", x->app->id);
		return failed(ERR_FAILED, "%s ended with exit status %u", x->app->id, run->code);
	case RUN_SIGNAL:
		return failed(ERR_FAILED, "%s was ended by signal %u", x->app->id, run->code);
	case RUN_TIMEOUT:
		return failed(ERR_TIMEOUT, "%s took longer than %s limit", x->app->id,
			      run->code == 1 ? "its CPU time"
			      : its_own      ? "its time"
					     : "the request's time");
	case RUN_MEMORY:
		return failed(ERR_LIMIT, "%s needed more than its memory limit", x->app->id);
	case RUN_OUTPUT:
		return failed(ERR_LIMIT, "%s wrote more than its output limit", x->app->id);
	case RUN_PROCESSES:
		return failed(ERR_LIMIT, "%s failed when it was refused more processes",
			      x->app->id);
	default:
		return failed(ERR_DENIED, "%s was not run", x->app->id);
	}
}

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

/* The record and its proof. Until it is durable nothing of the run may leave this process. */
static enum err record(struct call *call, const struct order *order, struct execution *x,
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

static void move_part(struct result_set *set, enum result_part part, struct buf *from)
{
	set->has[part] = true;
	set->parts[part] = *from;
	*from = BUF_INIT;
}

/* What the PKCS#11 call gives back. */
static struct slice returned(const struct order *order, struct execution *x)
{
	const struct buf *parts = x->set->parts;

	if (order->operation == OP_EXECUTE)
		return buf_slice(&x->compact);
	if (order->operation != OP_EXECUTE_FULL)
		return buf_slice(&parts[RESULT_OUTPUT]);
	proof_result_write(buf_slice(&parts[RESULT_PROOF]), buf_slice(&parts[RESULT_OUTPUT]),
			   buf_slice(&parts[RESULT_STDERR]), buf_slice(&parts[RESULT_KEYS]),
			   &x->returned);
	return buf_slice(&x->returned);
}

/* The caller's own label, else the first 32 hex digits of the SHA-256 of what the call gives back:
 * of the proof, when it gives back an error. */
static void label_set(const struct order *order, struct result_set *set, struct slice bytes)
{
	uint8_t digest[SHA256_SIZE];

	if (order->label.left && order->operation == OP_RUN_OBJECT)
		return;
	sha256_once(bytes, digest);
	hex_put(set->label, digest, 16);
}

static enum err collect(const struct order *order, struct execution *x, struct buf *proof)
{
	bool named = order->operation == OP_RUN_OBJECT;
	struct slice label = named ? order->label : slice_of(NULL, 0);
	CLEANUP(buf) struct buf keys = BUF_INIT;
	enum err e = result_set_new(WIRE_USER, label, &x->set);

	if (e)
		return e;
	proof_keys_write(&x->keys, &keys);
	if ((e = buf_check(&keys)))
		return e;
	if (!x->cancelled[0]) {
		move_part(x->set, RESULT_OUTPUT, &x->run.output);
		move_part(x->set, RESULT_STDERR, &x->run.messages);
	}
	move_part(x->set, RESULT_PROOF, proof);
	move_part(x->set, RESULT_KEYS, &keys);
	return OK;
}

/* What is over the quota alone leaves its proof and keys at least. */
static enum err shrink(struct call *call, struct execution *x)
{
	static const enum result_part large[] = { RESULT_OUTPUT, RESULT_STDERR };

	if (results_fit(&call->partition->results, x->set))
		return OK;
	for (size_t i = 0; i < 2; i++) {
		buf_free(&x->set->parts[large[i]]);
		x->set->has[large[i]] = false;
	}
	return failed(ERR_LIMIT, "the output is over the quota of results");
}

/* The set is held once more, because its bytes go into the answer. */
static enum err keep(struct call *call, struct execution *x)
{
	struct results *results = &call->partition->results;

	if (x->known && results_hold(results, x->set, io_monotonic_ms()))
		return OK;
	atomic_fetch_add(&x->set->refs, 1);
	enum err e = results_put(results, x->set, io_monotonic_ms());
	/* A suspension may have purged them just before. */
	if (!atomic_load(&call->partition->active))
		results_purge(results);
	return e;
}

/* A failure's answer is a label alone. */
static enum err answer(struct call *call, const struct order *order, struct execution *x)
{
	struct slice bytes = buf_slice(&x->set->parts[RESULT_PROOF]);
	enum err e;

	if (!x->end)
		bytes = returned(order, x);
	if ((e = buf_check(&x->returned)))
		return e;
	label_set(order, x->set, bytes);
	if ((e = keep(call, x)))
		return e;
	if (!x->end)
		cbor_put_bytes(&call->results.bytes, buf_slice(&x->compact));
	cbor_put_text(&call->results.bytes, x->set->label);
	call->results_n = x->end ? 1 : 3;
	return x->end ? OK : wire_put_payload(&call->results, bytes);
}

/* After a launcher that was lost the run may or may not have happened: its record has no status,
 * which says so. */
static enum err record_unknown(struct call *call, const struct order *order, struct execution *x,
			       enum err e)
{
	CLEANUP(buf) struct buf unused = BUF_INIT;

	x->end = e;
	snprintf(x->reason, sizeof x->reason, "%s", err_reason());
	snprintf(x->cancelled, sizeof x->cancelled, "%s", x->reason);
	enum err recorded = record(call, order, x, &unused);
	return recorded ? recorded : failed(e, "%s", x->reason);
}

/* What is known now is the first reason why the caller gets no result. */
static void find_failure(struct call *call, struct execution *x)
{
	if (!x->end && (x->end = x->withheld))
		snprintf(x->reason, sizeof x->reason, "%s", x->cancelled);
	if (!x->end && (x->end = x->unsigned_compact))
		snprintf(x->reason, sizeof x->reason, "the compact proof could not be signed");
	if (shrink(call, x) && !x->end) {
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
	if ((e = run_app(call, image, order, x)))
		return x->unwanted || e == ERR_LIMIT ? call_refuse(call, e, order->id)
						     : record_unknown(call, order, x, e);
	if ((x->end = judge_end(order, x)))
		snprintf(x->reason, sizeof x->reason, "%s", err_reason());
	return record(call, order, x, proof);
}

static enum err execute(struct call *call, const struct order *order, struct execution *x)
{
	CLEANUP(buf) struct buf proof = BUF_INIT;
	struct sandbox_image *image;
	enum err e;

	if ((e = judge(call, order, x)) || (e = answering_begin(call, order, x)) ||
	    (!x->known && ((e = admit(call, x)) || (e = unpack(call, x, &image)))))
		return call_refuse(call, e, order->id);
	if ((e = x->known ? answering_recall(call, order, x, &proof)
			  : run_and_record(call, image, order, x, &proof)) ||
	    (e = collect(order, x, &proof)))
		return e;
	find_failure(call, x);
	if ((e = answer(call, order, x)))
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

/* Requests about applications: APPS, BEGIN, LOAD, UNLOAD. */
#include <stdio.h>
#include <string.h>

#include "audit/proof.h"
#include "config/base/log.h"
#include "plugin/daemon/request.h"

enum err request_APPS(struct call *call)
{
	uint64_t from = 0;
	size_t next;
	enum err e;

	if (call->arguments != 2 && (e = call_arguments(call, 1)))
		return e;
	if ((e = call_partition(call, true)) ||
	    (call->arguments == 2 && (e = cbor_take_uint(&call->in, &from))) ||
	    (e = call_end(call)))
		return e;
	if (from > REGISTRY_APPS_MAX)
		return failed(ERR_RANGE, "no application has number %llu",
			      (unsigned long long)from);
	registry_list(&call->partition->registry, from, &call->results.bytes, &next);
	call->results_n = 2;
	if (!next)
		return OK;
	cbor_put_uint(&call->results.bytes, next);
	call->results_n = 3;
	return OK;
}

static enum err may_begin(struct call *call, struct slice id)
{
	CLEANUP(app) struct app *app = NULL;

	if (id.left == 0)
		return call_role(call, WIRE_SO);
	CLEANUP(rules) struct rules *rules = partition_rules(call->partition);
	enum err e = call_role(call, WIRE_USER);
	if (e || (e = registry_get(&call->partition->registry, id, &app, NULL)))
		return e;
	return rules_may_run(rules, call->caller.uid, app);
}

enum err request_BEGIN(struct call *call)
{
	struct slice id;
	uint64_t mechanism;
	enum err e;

	if ((e = call_arguments(call, 3)) || (e = call_partition(call, true)) ||
	    (e = cbor_take_text(&call->in, WIRE_APP_MAX, &id)) ||
	    (e = cbor_take_uint(&call->in, &mechanism)) || (e = call_end(call)))
		return e;
	if ((e = may_begin(call, id)))
		return call_refuse(call, e, id);
	return OK;
}

/* The proof of the load, to be fetched by the SO under the digest of its receipt. */
static enum err keep_proof(struct call *call, struct slice compact, const struct proof_parts *parts)
{
	CLEANUP(result_set) struct result_set *set = NULL;
	uint8_t digest[SHA256_SIZE];
	enum err e = result_set_new(WIRE_SO, slice_of(NULL, 0), &set);

	if (e)
		return e;
	sha256_once(compact, digest);
	hex_put(set->label, digest, 16);
	proof_write(parts, &set->parts[RESULT_PROOF]);
	set->has[RESULT_PROOF] = true;
	if ((e = buf_check(&set->parts[RESULT_PROOF])))
		return e;
	return results_put(&call->partition->results, STEAL(set), io_monotonic_ms());
}

/* The load's record, and its compact proof as the receipt. */
static enum err record_load(struct call *call, const struct app *app, struct buf *compact)
{
	CLEANUP(audit_ticket) struct audit_ticket *ticket = NULL;
	CLEANUP(tcb_record) struct tcb_record *tcb = tcb_hold(&call->daemon->tcb);
	CLEANUP(buf) struct buf receipt = BUF_INIT;
	CLEANUP(buf) struct buf approved = BUF_INIT;
	CLEANUP(rules) struct rules *rules = partition_rules(call->partition);
	struct partition *p = call->partition;
	struct leaf leaf;
	enum err e = record_fill(call->daemon, p, &call->caller, LEAF_MANAGEMENT, &leaf);

	if (e)
		return e;
	approvals_put(&app->approvals, rules->says, &approved);
	if ((e = buf_check(&approved)))
		return e;
	record_fill_app(app, registry_epoch(&p->registry) + 1, buf_slice(&approved), &leaf);
	leaf.has_tcb = true;
	memcpy(leaf.tcb, tcb->digest, sizeof leaf.tcb);
	leaf.reason = slice_text("application loaded");
	if ((e = audit_begin(p->tree, &leaf, &ticket)) ||
	    (e = audit_compact(p->tree, audit_ticket_leaf(ticket), compact)) ||
	    (e = audit_finish(ticket, &receipt)))
		return e;
	struct proof_parts parts = { audit_ticket_leaf(ticket), buf_slice(&receipt),
				     buf_slice(&tcb->leaf), buf_slice(&tcb->receipt) };
	if (keep_proof(call, buf_slice(compact), &parts))
		log_warning("the load's proof can't be fetched: %s", err_reason());
	return OK;
}

static enum err record_no_load(struct call *call, const struct app *app, enum err e)
{
	char reason[ERR_REASON_MAX];

	snprintf(reason, sizeof reason, "%s", err_reason());
	if (record_write(call->daemon, call->partition, &call->caller, LEAF_MANAGEMENT,
			 slice_text(app->id), "application not loaded after all: %s", reason))
		log_error("a load that failed is recorded as done: %s", err_reason());
	return failed(e, "%s", reason);
}

static enum err may_load(struct call *call, struct app *app)
{
	CLEANUP(rules) struct rules *rules = partition_rules(call->partition);
	char newest[APP_VERSION];
	enum err e = approvals_check(&app->approvals, app->package, rules->says);

	if (e)
		return e;
	registry_newest(&call->partition->registry, app->id, newest);
	return rules_may_load(rules, app, newest);
}

/* Record and change can't be one step. The record comes first, so nothing runs that the log does not
 * know; a crash between the two leaves an application out whose loader got no answer. */
static enum err load_managing(struct call *call, struct slice package, struct app *app,
			      struct buf *compact)
{
	CLEANUP(app) struct app *old = NULL;
	struct registry *registry = &call->partition->registry;
	enum err e;

	if (registry_get(registry, slice_text(app->id), &old, NULL))
		old = NULL;
	/* Policies change under the same lock: none gets between this and the load. */
	if ((e = may_load(call, app)) || (e = record_load(call, app, compact)))
		return e;
	if ((e = registry_put(registry, package, app)))
		return record_no_load(call, app, e);
	if (old)
		partitions_drop_unused(&call->daemon->partitions, old->package);
	return OK;
}

static enum err load(struct call *call, struct slice package)
{
	CLEANUP(app) struct app *app = NULL;
	CLEANUP(buf) struct buf compact = BUF_INIT;
	const struct config *config = call->daemon->config;
	struct app_ceiling ceiling = { config->limits_memory_bytes, config->limits_output_bytes,
				       config->limits_wall_ms };
	struct trailer signers;
	enum err e;

	if ((e = call_role(call, WIRE_SO)) || (e = tcb_ready(&call->daemon->tcb)) ||
	    (e = trailer_split(&package, &signers)) ||
	    (e = app_examine(package, &signers, &ceiling, &app)))
		return call_refuse(call, e, slice_of(NULL, 0));
	pthread_mutex_lock(&call->daemon->managing);
	e = load_managing(call, package, app, &compact);
	pthread_mutex_unlock(&call->daemon->managing);
	if (e)
		return e == ERR_DENIED || e == ERR_MISMATCH
			       ? call_refuse(call, e, slice_text(app->id))
			       : e;
	log_info("partition %s: loaded %s %s", call->partition->serial, app->id, app->version);
	cbor_put_bytes(&call->results.bytes, buf_slice(&compact));
	call->results_n = 1;
	return OK;
}

enum err request_LOAD(struct call *call)
{
	struct slice package = { NULL, 0 };
	bool mapped = false;
	enum err e;

	if ((e = call_arguments(call, 2)) || (e = call_partition(call, true)))
		return e;
	e = wire_take_payload(call->request, &call->in, SIGNED_PACKAGE_MAX, &package, &mapped);
	if (!e && !(e = call_end(call)))
		e = load(call, package);
	if (mapped)
		io_unmap(&package);
	return e;
}

/* Here the change comes first: what a crash leaves is a removal without a record, never an
 * application that the log takes for removed. */
static enum err unload_managing(struct call *call, struct slice id)
{
	CLEANUP(app) struct app *app = NULL;
	struct registry *registry = &call->partition->registry;
	enum err e;

	if ((e = registry_get(registry, id, &app, NULL)))
		return e;
	if ((e = registry_remove(registry, id)) ||
	    (e = record_write(call->daemon, call->partition, &call->caller, LEAF_MANAGEMENT, id,
			      "application unloaded; epoch %llu",
			      (unsigned long long)registry_epoch(registry))))
		return e;
	partitions_drop_unused(&call->daemon->partitions, app->package);
	log_info("partition %s: unloaded %s", call->partition->serial, app->id);
	return OK;
}

enum err request_UNLOAD(struct call *call)
{
	struct slice id;
	enum err e;

	if ((e = call_arguments(call, 2)) || (e = call_partition(call, true)) ||
	    (e = cbor_take_text(&call->in, WIRE_APP_MAX, &id)) || (e = call_end(call)))
		return e;
	if ((e = call_role(call, WIRE_SO)))
		return call_refuse(call, e, id);
	pthread_mutex_lock(&call->daemon->managing);
	e = unload_managing(call, id);
	pthread_mutex_unlock(&call->daemon->managing);
	return e == ERR_NOT_FOUND ? call_refuse(call, e, id) : e;
}

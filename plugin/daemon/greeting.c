/* Requests about links and the daemon itself: HELLO, ATTACH, PARTITIONS, STATUS, STOP. */
#include <stdio.h>

#include "config/base/log.h"
#include "plugin/daemon/request.h"

enum err request_HELLO(struct call *call)
{
	struct daemon *daemon = call->daemon;
	struct buf *out = &call->results.bytes;
	struct slice frontend;
	uint64_t version;
	enum err e;

	if ((e = call_arguments(call, 2)) || (e = cbor_take_uint(&call->in, &version)) ||
	    (e = cbor_take_bytes(&call->in, SHA256_SIZE, &frontend)) || (e = call_end(call)))
		return e;
	if (version != WIRE_VERSION)
		return failed(ERR_UNSUPPORTED, "this daemon speaks version %d of the protocol",
			      WIRE_VERSION);
	if (frontend.left && frontend.left != SHA256_SIZE)
		return failed(ERR_FORMAT, "a digest of %zu bytes", frontend.left);
	if ((e = connection_greet(&daemon->clients, call->connection, frontend)))
		return e;
	struct client *client = call->connection->client;
	cbor_put_bytes(out, SLICE(daemon->boot_id));
	cbor_put_bytes(out, SLICE(client->id));
	cbor_put_bytes(out, SLICE(client->secret));
	cbor_put_uint(out, daemon->config->mode);
	cbor_put_text(out, attest_token(daemon->attest)->serial);
	call->results_n = 5;
	return OK;
}

enum err request_ATTACH(struct call *call)
{
	uint8_t secret[CLIENT_SECRET];
	enum err e;

	if ((e = call_arguments(call, 1)) ||
	    (e = cbor_take_fixed(&call->in, secret, sizeof secret)) || (e = call_end(call)))
		return e;
	e = connection_attach(&call->daemon->clients, call->connection, secret);
	if (e == ERR_DENIED)
		call_wait(call);
	return e;
}

struct listing {
	struct buf entries;
	size_t n;
};

static enum err list_partition(void *context, struct partition *p)
{
	struct listing *listing = context;
	struct buf *out = &listing->entries;

	cbor_put_array(out, 6);
	cbor_put_text(out, p->serial);
	cbor_put_uint(out, p->generation);
	cbor_put_text(out, p->label);
	cbor_put_bool(out, atomic_load(&p->active));
	cbor_put_bytes(out, slice_of(p->key_id, p->key_id_n));
	cbor_put_text(out, p->origin);
	listing->n++;
	return buf_check(out);
}

enum err request_PARTITIONS(struct call *call)
{
	struct listing listing = { BUF_INIT, 0 };
	enum err e;

	if ((e = call_arguments(call, 0)))
		return e;
	e = partitions_each(&call->daemon->partitions, list_partition, &listing);
	if (!e) {
		cbor_put_array(&call->results.bytes, listing.n);
		buf_put_slice(&call->results.bytes, buf_slice(&listing.entries));
		call->results_n = 1;
	}
	buf_free(&listing.entries);
	return e;
}

static void put_pair(struct buf *out, size_t *n, const char *key, const char *value)
{
	cbor_put_array(out, 2);
	cbor_put_text(out, key);
	cbor_put_text(out, value);
	(*n)++;
}

static void put_number(struct buf *out, size_t *n, const char *key, unsigned long long value)
{
	char text[24];

	snprintf(text, sizeof text, "%llu", value);
	put_pair(out, n, key, text);
}

enum err request_STATUS(struct call *call)
{
	CLEANUP(buf) struct buf pairs = BUF_INIT;
	struct daemon *daemon = call->daemon;
	const struct sandbox_facts *facts = sandbox_facts(daemon->box);
	struct audit_counts counts;
	size_t n = 0;
	enum err e = call_arguments(call, 0);

	if (e)
		return e;
	audit_counts(daemon->audit, &counts);
	put_pair(&pairs, &n, "mode",
		 daemon->config->mode == MODE_APPLIANCE ? "appliance" : "development");
	put_pair(&pairs, &n, "evidence",
		 record_development(daemon, &call->caller) ? "development" : "appliance");
	put_pair(&pairs, &n, "origin", attest_origin(daemon->attest));
	put_pair(&pairs, &n, "held", tcb_ready(&daemon->tcb) ? err_reason() : "");
	put_pair(&pairs, &n, "sandbox", facts->privileged ? "privileged" : "user namespace only");
	put_pair(&pairs, &n, "sandbox.absent", facts->absent);
	put_number(&pairs, &n, "bootcount", daemon->bootcount);
	put_number(&pairs, &n, "partitions", partitions_count(&daemon->partitions));
	put_number(&pairs, &n, "connections", clients_count(&daemon->clients));
	put_number(&pairs, &n, "executions", atomic_load(&daemon->executions));
	put_number(&pairs, &n, "refusals", atomic_load(&daemon->refusals));
	put_number(&pairs, &n, "log.records", counts.records);
	put_number(&pairs, &n, "log.batches", counts.batches);
	put_number(&pairs, &n, "log.syncs", counts.syncs);
	put_number(&pairs, &n, "log.signatures", counts.signatures);
	cbor_put_array(&call->results.bytes, n);
	buf_put_slice(&call->results.bytes, buf_slice(&pairs));
	call->results_n = 1;
	return buf_check(&pairs);
}

enum err request_STOP(struct call *call)
{
	enum err e = call_arguments(call, 0);

	if (e)
		return e;
	/* The record of the end has no caller: who asked for it stands before it. A log that takes no
	 * more is no reason to go on. */
	call->caller.role = LEAF_ROLE_ADMIN;
	if (record_write(call->daemon, NULL, &call->caller, LEAF_MANAGEMENT, slice_of(NULL, 0),
			 "daemon told to stop by user %u", call->caller.uid))
		log_error("who stopped the daemon is not recorded: %s", err_reason());
	daemon_stop(call->daemon);
	return OK;
}

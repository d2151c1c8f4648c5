/* Requests about roles: CHALLENGE, PROVE, REVOKE, SUSPEND. */
#include <string.h>

#include "config/base/log.h"
#include "plugin/daemon/probing.h"
#include "plugin/daemon/request.h"
#include "plugin/daemon/rolekey.h"

static enum err take_role(struct slice *in, enum wire_role *role)
{
	uint64_t v;
	enum err e = cbor_take_uint(in, &v);

	if (e)
		return e;
	if (v != WIRE_USER && v != WIRE_SO)
		return failed(ERR_FORMAT, "role %llu is not known", (unsigned long long)v);
	*role = (enum wire_role)v;
	return OK;
}

enum err request_CHALLENGE(struct call *call)
{
	struct wire_challenge c = { 0 };
	enum wire_role role;
	uint8_t digest[32];
	enum err e;

	if ((e = call_arguments(call, 4)) || (e = call_partition(call, true)) ||
	    (e = take_role(&call->in, &role)) || (e = cbor_take_uint(&call->in, &c.epoch)) ||
	    (e = cbor_take_fixed(&call->in, c.client_nonce, sizeof c.client_nonce)) ||
	    (e = call_end(call)) || (e = io_random(c.daemon_nonce, sizeof c.daemon_nonce)))
		return e;
	c.origin = slice_text(call->partition->origin);
	c.serial = slice_text(call->partition->serial);
	c.generation = call->partition->generation;
	c.role = role;
	memcpy(c.boot, call->daemon->boot_id, sizeof c.boot);
	memcpy(c.connection, call->client->id, sizeof c.connection);
	if ((e = wire_role_challenge(&c, digest)))
		return e;
	struct auth_role who = call_auth_role(call, role);
	auth_challenge(&call->client->auth, &who, digest, io_monotonic_ms());
	cbor_put_bytes(&call->results.bytes, SLICE(c.daemon_nonce));
	call->results_n = 1;
	return OK;
}

/* Under managing. Only a token that was read, and has no trace of the role key, suspends. */
static enum err suspend_missing(struct call *call)
{
	struct partition *p = call->partition;
	enum err e;

	log_warning("partition %s is suspended: %s", p->serial, err_reason());
	if ((e = record_write(call->daemon, p, &call->caller, LEAF_MANAGEMENT, slice_of(NULL, 0),
			      "partition suspended: the role key is not on the token")))
		return e;
	return partition_suspend(&call->daemon->partitions, p);
}

static enum err suspend_if_missing(struct call *call)
{
	struct daemon *daemon = call->daemon;
	struct partition *p = call->partition;
	enum err e;

	e = probing_role_key(daemon->config, daemon->self, p->serial,
			     slice_of(p->key_id, p->key_id_n), p->point);
	if (e != ERR_NOT_FOUND)
		return e;
	pthread_mutex_lock(&daemon->managing);
	if (atomic_load(&p->active))
		e = suspend_missing(call);
	pthread_mutex_unlock(&daemon->managing);
	return e ? e : partition_usable(p);
}

/* The SO alone could have set the flag, but of a token that may have been initialised since: the
 * role key, which goes with that, says whether it is still the generation that was enrolled. */
static enum err check_so(struct call *call, const uint8_t digest[32], struct slice proof)
{
	struct daemon *daemon = call->daemon;
	enum err e = clients_probe(&daemon->clients, call->client, PROBING_MS);

	if (e)
		return e;
	if (!(e = probing_trusted(daemon->config, daemon->self, call->partition->serial, proof,
				  digest)))
		e = suspend_if_missing(call);
	clients_probed(&daemon->clients, call->client);
	return e;
}

/* A proof that is none is denied, whatever is wrong with it; that the token or its probe could not
 * be asked is another matter. */
static enum err check_proof(struct call *call, enum wire_role role, const uint8_t digest[32],
			    struct slice proof)
{
	enum err e = role == WIRE_USER ? rolekey_verify(call->partition->point, digest, proof)
				       : check_so(call, digest, proof);

	if (e == ERR_CRYPTO || e == ERR_MISMATCH || e == ERR_NOT_FOUND || e == ERR_FORMAT)
		return failed(ERR_DENIED, "%s", err_reason());
	return e;
}

static enum err prove(struct call *call, enum wire_role role, struct slice proof)
{
	struct auth_role who = call_auth_role(call, role);
	enum leaf_roleproof kind =
		role == WIRE_USER ? LEAF_PROOF_ROLE_KEY : LEAF_PROOF_TRUSTED_OBJECT;
	const char *name = role == WIRE_USER ? "user" : "SO";
	uint8_t digest[32];
	uint64_t ticket;
	enum err e;

	if ((e = auth_spend(&call->client->auth, &who, io_monotonic_ms(), digest, &ticket)) ||
	    (e = check_proof(call, role, digest, proof)))
		return e;
	struct record_caller caller = call->caller;
	caller.role = role == WIRE_USER ? LEAF_ROLE_USER : LEAF_ROLE_SO;
	caller.proof = kind;
	if ((e = record_write(call->daemon, call->partition, &caller, LEAF_AUTHORIZATION,
			      slice_of(NULL, 0), "%s proved", name)))
		return e;
	return auth_grant(&call->client->auth, &who, kind, ticket, io_monotonic_ms());
}

enum err request_PROVE(struct call *call)
{
	enum wire_role role;
	struct slice proof;
	enum err e;

	if ((e = call_arguments(call, 3)) || (e = call_partition(call, true)) ||
	    (e = take_role(&call->in, &role)) || (e = cbor_take_bytes(&call->in, 256, &proof)) ||
	    (e = call_end(call)))
		return e;
	if ((e = prove(call, role, proof))) {
		e = failed(e, "%s not proved: %s", role == WIRE_USER ? "user" : "SO", err_reason());
		call->proving = true;
		return call_refuse(call, e, slice_of(NULL, 0));
	}
	cbor_put_uint(&call->results.bytes, AUTH_GRANT_MS / 1000);
	call->results_n = 1;
	return OK;
}

enum err request_REVOKE(struct call *call)
{
	char serial[WIRE_SERIAL_MAX + 1] = "";
	struct slice text;
	uint64_t role;
	enum err e;

	if ((e = call_arguments(call, 2)) ||
	    (e = cbor_take_text(&call->in, WIRE_SERIAL_MAX, &text)) ||
	    (e = cbor_take_uint(&call->in, &role)) || (e = call_end(call)))
		return e;
	if (role > WIRE_SO)
		return failed(ERR_FORMAT, "role %llu is not known", (unsigned long long)role);
	memcpy(serial, text.p, text.left);
	auth_revoke(&call->client->auth, serial, (unsigned)role);
	return OK;
}

enum err request_SUSPEND(struct call *call)
{
	enum err e;

	if ((e = call_arguments(call, 1)) || (e = call_partition(call, false)) ||
	    (e = call_end(call)))
		return e;
	call_wait(call);
	if (!atomic_load(&call->partition->active))
		return OK;
	if ((e = clients_probe(&call->daemon->clients, call->client, 0)))
		return e;
	e = suspend_if_missing(call);
	clients_probed(&call->daemon->clients, call->client);
	if (!e)
		return failed(ERR_STATE, "the role key is on the token: nothing to suspend");
	return e == ERR_NOT_FOUND && !atomic_load(&call->partition->active) ? OK : e;
}

#include "plugin/daemon/request.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "config/base/log.h"

#define ARGUMENTS_MAX 16

enum who { ANY, LINK, ROLE, ADMIN };

static const struct row {
	unsigned number;
	enum who who;
	const char *name;
	enum err (*handle)(struct call *call);
} table[] = {
#define REQUEST(name, number, who, pace) { number, who, #name, request_##name },
#include "plugin/requests.def"
#undef REQUEST
};

enum err call_arguments(const struct call *call, size_t n)
{
	return call->arguments == n ? OK
				    : failed(ERR_FORMAT, "%zu arguments where %zu are expected",
					     call->arguments, n);
}

enum err call_end(const struct call *call)
{
	return cbor_take_end(call->in);
}

enum err call_partition(struct call *call, bool active)
{
	struct partition *partition;
	struct slice serial;
	enum err e;

	if ((e = cbor_take_text(&call->in, WIRE_SERIAL_MAX, &serial)))
		return e;
	call->astray = true;
	if ((e = partition_find(&call->daemon->partitions, serial, &partition)))
		return e;
	call->partition = partition;
	if (active && (e = partition_usable(partition)))
		return e;
	call->astray = false;
	return OK;
}

struct auth_role call_auth_role(const struct call *call, enum wire_role role)
{
	struct auth_role who = { .generation = call->partition->generation, .role = role };

	memcpy(who.serial, call->partition->serial, sizeof who.serial);
	return who;
}

static bool holds(struct call *call, enum wire_role role)
{
	struct auth_role who = call_auth_role(call, role);
	enum leaf_roleproof proof;

	if (!atomic_load(&call->partition->active) ||
	    !auth_allows(&call->client->auth, &who, io_monotonic_ms(), &proof))
		return false;
	call->caller.role = role == WIRE_USER ? LEAF_ROLE_USER : LEAF_ROLE_SO;
	call->caller.proof = proof;
	return true;
}

enum err call_role(struct call *call, enum wire_role role)
{
	bool user = role == WIRE_USER;

	if (holds(call, role))
		return OK;
	if (holds(call, user ? WIRE_SO : WIRE_USER))
		return failed(ERR_DENIED, "the %s of this partition may not do this, the %s may",
			      user ? "SO" : "user", user ? "user" : "SO");
	return failed(ERR_LOGIN, "the %s of this partition is not logged in", user ? "user" : "SO");
}

enum err call_any_role(struct call *call, enum wire_role *role)
{
	*role = holds(call, WIRE_USER) ? WIRE_USER : WIRE_SO;
	return *role == WIRE_USER || holds(call, WIRE_SO)
		       ? OK
		       : failed(ERR_LOGIN, "no role of this partition is logged in");
}

/* An attempt on another partition goes to the tree of the one that the caller proved a role for; a
 * caller that proved none can only be put down where it knocked. */
static const struct partition *refusal_tree(struct call *call, struct record_caller *caller)
{
	struct auth_role who;
	struct partition *own;

	if (call->client && caller->role == LEAF_ROLE_NONE &&
	    auth_any(&call->client->auth, io_monotonic_ms(), &who) &&
	    !partition_find(&call->daemon->partitions, slice_text(who.serial), &own)) {
		caller->role = who.role == WIRE_USER ? LEAF_ROLE_USER : LEAF_ROLE_SO;
		return own;
	}
	return call->partition;
}

void call_wait(struct call *call)
{
	bool patient;
	uint64_t ms = refusals_charge(&call->daemon->refused, call->connection->peer.uid,
				      io_monotonic_ms(), &patient);

	call->impatient = !patient;
	if (ms)
		io_pause(ms);
}

/* What repeats although it has to wait, or is too much for the disk, is counted. */
static bool is_counted(struct call *call, const struct partition *partition,
		       const struct record_caller *caller, enum leaf_type type, enum err e,
		       const char *reason)
{
	struct refusal what = { .e = e,
				.request = call->number,
				.uid = caller->uid,
				.type = type,
				.role = caller->role,
				.proof = caller->proof,
				.partition = partition };

	snprintf(what.words, sizeof what.words, "%s", reason);
	return !refusals_first(&call->daemon->refused, &what, !call->impatient, io_monotonic_ms());
}

static void record_count(struct daemon *daemon, const struct refusal_count *count)
{
	const struct refusal *first = &count->what;
	struct record_caller caller = { .uid = first->uid,
					.role = first->role,
					.proof = first->proof };

	if (record_write(daemon, count->mixed ? NULL : first->partition, &caller, first->type,
			 slice_of(NULL, 0), "%llu times more, by user %u%s, the first: %.400s",
			 (unsigned long long)count->n, first->uid,
			 count->mixed ? " and others, of various causes" : "", first->words))
		log_error("refusals could not be recorded: %s", err_reason());
}

void request_record_refusals(struct daemon *daemon, bool all)
{
	struct refusal_count count;

	while (refusals_take(&daemon->refused, io_monotonic_ms(), all, &count))
		record_count(daemon, &count);
}

enum err call_refuse(struct call *call, enum err refused, struct slice subject)
{
	struct record_caller caller = call->caller;
	const struct partition *partition = refusal_tree(call, &caller);
	enum leaf_type type = call->proving ? LEAF_AUTHORIZATION : LEAF_REFUSAL;
	char reason[ERR_REASON_MAX];
	enum err e;

	snprintf(reason, sizeof reason, "%s", err_reason());
	call->refused = true;
	call_wait(call);
	atomic_fetch_add(&call->daemon->refusals, 1);
	if (is_counted(call, partition, &caller, type, refused, reason))
		return failed(refused, "%s", reason);
	if (partition == call->partition || !call->partition)
		e = record_write(call->daemon, partition, &caller, type, subject, "%s", reason);
	else
		e = record_write(call->daemon, partition, &caller, type, subject,
				 "partition %s: %s", call->partition->serial, reason);
	if (e)
		return failed(e, "a refusal could not be recorded: %s", err_reason());
	return failed(refused, "%s", reason);
}

static bool is_admin(const struct daemon *daemon, uid_t uid)
{
	const struct config_users *users = &daemon->config->users_administrators;

	if (uid == 0 || uid == geteuid())
		return true;
	for (size_t i = 0; i < users->n; i++)
		if (users->ids[i] == uid)
			return true;
	return false;
}

static enum err check_who(struct call *call, const struct row *row)
{
	if ((row->who == LINK || row->who == ROLE) && !call->client)
		return failed(ERR_STATE, "%s before HELLO", row->name);
	if (call->client && atomic_load(&call->client->ended))
		return failed(ERR_GONE, "the link has ended");
	if (row->who != ADMIN || is_admin(call->daemon, call->connection->peer.uid))
		return OK;
	enum err e = failed(ERR_DENIED, "%s by user %u, who is no administrator", row->name,
			    call->connection->peer.uid);
	return call_refuse(call, e, slice_of(NULL, 0));
}

static const struct row *find_row(uint64_t number)
{
	for (size_t i = 0; i < sizeof table / sizeof *table; i++)
		if (table[i].number == number)
			return &table[i];
	return NULL;
}

static enum err take_head(struct call *call, const struct row **row)
{
	uint64_t number;
	size_t items;
	enum err e;

	call->in = buf_slice(&call->request->bytes);
	if ((e = cbor_take_array(&call->in, ARGUMENTS_MAX, &items)))
		return e;
	if (items == 0)
		return failed(ERR_FORMAT, "an empty request");
	if ((e = cbor_take_uint(&call->in, &number)))
		return e;
	if (!(*row = find_row(number)))
		return failed(ERR_UNSUPPORTED, "request %llu is not known",
			      (unsigned long long)number);
	call->number = (*row)->number;
	call->arguments = items - 1;
	return OK;
}

/* At once, so that they are not held while a handler waits for something. */
static enum err check_descriptors(struct wire_message *request, const struct row *row)
{
	size_t most = row->number == REQ_EXECUTE || row->number == REQ_LOAD ? 1 : 0;
	size_t n = request->fds_n;

	if (n <= most)
		return OK;
	for (size_t i = 0; i < n; i++)
		fd_cleanup(&request->fds[i]);
	request->fds_n = 0;
	return failed(ERR_FORMAT, "%s with %zu descriptors, at most %zu allowed", row->name, n,
		      most);
}

/* A link's first request makes it; from then on its module's digest goes into the records. */
static void fill_caller(struct call *call)
{
	call->caller.uid = call->connection->peer.uid;
	if (!call->client)
		return;
	call->caller.has_frontend = call->client->has_frontend;
	memcpy(call->caller.frontend, call->client->frontend, sizeof call->caller.frontend);
}

static enum err put_answer(struct call *call, enum err e, struct wire_message *answer)
{
	bool with_results = !e || call->results_with_error;

	if (!e && (e = buf_check(&call->results.bytes)))
		with_results = false;
	cbor_put_array(&answer->bytes, 2 + (with_results ? call->results_n : 0));
	cbor_put_uint(&answer->bytes, e);
	cbor_put_text(&answer->bytes, e ? err_reason() : "");
	if (!with_results)
		return buf_check(&answer->bytes);
	buf_put_slice(&answer->bytes, buf_slice(&call->results.bytes));
	for (size_t i = 0; i < call->results.fds_n; i++)
		answer->fds[answer->fds_n++] = fd_steal(&call->results.fds[i]);
	call->results.fds_n = 0;
	return buf_check(&answer->bytes);
}

/* To look a partition up in vain is no offence, to want something of it is, and so is what nobody
 * would send who means it well. */
static bool is_offence(const struct call *call, const struct row *row, enum err e)
{
	if (call->refused)
		return false;
	if (call->astray)
		return row->who == ROLE || row->number == REQ_BEGIN;
	/* An ATTACH with a secret that is guessed; an execution's own end is in its record. */
	if (e == ERR_DENIED)
		return row && row->who != ROLE;
	return e == ERR_FORMAT || e == ERR_UNSUPPORTED;
}

enum err request_serve(struct daemon *daemon, struct connection *connection,
		       struct wire_message *request, struct wire_message *answer)
{
	struct call call = { .daemon = daemon,
			     .connection = connection,
			     .client = connection->client,
			     .request = request };
	const struct row *row = NULL;
	enum err e;

	wire_init(&call.results);
	fill_caller(&call);
	if (!(e = take_head(&call, &row)) && !(e = check_descriptors(request, row)) &&
	    !(e = check_who(&call, row)))
		e = row->handle(&call);
	if (e && is_offence(&call, row, e))
		e = call_refuse(&call, e, slice_of(NULL, 0));
	if (e)
		log_debug("%s: %s: %s", row ? row->name : "request", err_words(e), err_reason());
	e = put_answer(&call, e, answer);
	wire_cleanup(&call.results);
	return e;
}

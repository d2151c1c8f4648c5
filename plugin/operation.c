/* operation.c - spooling, executing once, keeping, failing. */
#include "plugin/operation.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "config/base/sha256.h"
#include "plugin/listing.h"
#include "sandbox/trailer.h"

#define FAILURE_MS 5000

struct operation {
	const struct mechanism *mechanism;
	struct options options;
	CK_OBJECT_HANDLE key;
	struct partition *partition;
	char app[WIRE_APP_MAX + 1];

	int spool; /* memory file with the parts so far; -1: none came */
	size_t spooled;
	bool parts;                 /* Update was called */
	uint64_t run;               /* its number, if busy */
	bool busy;                  /* executing; whoever executes owns the operation */
	bool ended;                 /* nobody waits for it any more */
	bool kept;                  /* executed; result holds what came back */
	uint8_t input[SHA256_SIZE]; /* of what was executed; if kept */
	struct payload result;
};

static atomic_uint active;    /* operations in this process */
static _Atomic uint64_t runs; /* executions so far */

size_t operation_input_max(void)
{
	return module.config->limits_input_bytes;
}

void operation_free(struct operation *op)
{
	if (!op)
		return;
	atomic_fetch_sub(&active, 1);
	fd_cleanup(&op->spool);
	payload_cleanup(&op->result);
	partition_release(op->partition);
	free(op);
}

void operation_forked(void)
{
	atomic_store(&active, 0);
}

uint64_t operation_end(struct session *session)
{
	struct operation *op = session->operation;

	session->operation = NULL;
	if (op && op->busy) {
		op->ended = true;
		return op->run;
	}
	operation_free(op);
	return 0;
}

void operation_cancel(struct session *session)
{
	if (session->operation && session->operation->busy)
		(void)operation_end(session); /* the grant's end ends it */
}

struct session *operation_session(CK_SESSION_HANDLE s, enum mechanism_call call)
{
	if (atomic_load_explicit(&active, memory_order_relaxed) == 0)
		return NULL;
	struct session *session = session_get(s);
	if (!session)
		return NULL;
	pthread_mutex_lock(&session->lock);
	bool found = session->operation && session->operation->mechanism->call == call;
	pthread_mutex_unlock(&session->lock);
	if (found)
		return session;
	session_put(session);
	return NULL;
}

bool operation_active(struct session *session)
{
	pthread_mutex_lock(&session->lock);
	bool found = session->operation != NULL;
	pthread_mutex_unlock(&session->lock);
	return found;
}

CK_RV operation_begin(struct session *session, const struct mechanism *mechanism,
		      const struct options *options, struct partition *p, const struct object *key)
{
	const struct buf *id = &key->field[FIELD_APPLICATION];
	struct operation *op = id->len <= WIRE_APP_MAX ? calloc(1, sizeof *op) : NULL;

	if (!op) {
		partition_release(p);
		return CKR_HOST_MEMORY;
	}
	atomic_fetch_add(&active, 1);
	op->mechanism = mechanism;
	op->options = *options;
	op->key = key->handle;
	op->partition = p;
	op->spool = -1;
	if (id->len)
		memcpy(op->app, id->data, id->len);
	payload_init(&op->result);

	pthread_mutex_lock(&session->lock);
	CK_RV rv = session->closed      ? CKR_SESSION_HANDLE_INVALID
		   : session->operation ? CKR_OPERATION_ACTIVE
					: CKR_OK;
	if (rv == CKR_OK)
		session->operation = STEAL(op);
	pthread_mutex_unlock(&session->lock);
	operation_free(op);
	return rv;
}

/* A package has a bound of its own. */
static size_t input_max(const struct operation *op)
{
	return op->mechanism->target == TARGET_LOADER ? SIGNED_PACKAGE_MAX : operation_input_max();
}

static CK_RV end_with(struct session *session, CK_RV rv)
{
	(void)operation_end(session);
	return rv;
}

/* The input's hash; the spool is sealed by now. */
static bool hash_input(const struct input *input, uint8_t digest[SHA256_SIZE])
{
	struct slice mapped = input->bytes;

	if (input->fd >= 0 && io_map_sealed(input->fd, WIRE_PAYLOAD_MAX, &mapped))
		return false;
	sha256_once(mapped, digest);
	if (input->fd >= 0)
		io_unmap(&mapped);
	return true;
}

/* Whether this is a failed operation tried again; either way the failure has been told. */
static CK_RV replay_locked(struct session *session, const struct operation *op,
			   const struct input *input)
{
	struct failure last = session->failure;
	uint8_t digest[SHA256_SIZE];

	session->failure = (struct failure){ 0 };
	if (last.rv == CKR_OK || options_any(&op->options) ||
	    last.mechanism != op->mechanism->type || last.key != op->key ||
	    io_monotonic_ms() >= last.until_ms || !hash_input(input, digest) ||
	    memcmp(digest, last.input, sizeof digest))
		return CKR_OK;
	return last.rv;
}

static void remember_failure_locked(struct session *session, const struct operation *op,
				    const struct input *input, CK_RV rv)
{
	struct failure fresh = { .rv = rv,
				 .mechanism = op->mechanism->type,
				 .key = op->key,
				 .until_ms = io_monotonic_ms() + FAILURE_MS };

	if (!options_any(&op->options) && hash_input(input, fresh.input))
		session->failure = fresh;
}

static enum err run(struct session *session, struct operation *op, const struct input *input)
{
	enum err e;

	if (op->mechanism->target == TARGET_APPLICATION)
		return service_execute(session, op->partition, op->app, op->mechanism->operation,
				       &op->options, op->run, slice_text(""), input, &op->result);
	e = service_load(session, op->partition, input, &op->result);
	listing_apps_stale(session->slot);
	return e;
}

/* Runs with the lock let go. The operation belongs to this thread meanwhile. */
static CK_RV execute_locked(struct session *session, const struct input *input)
{
	struct operation *op = session->operation;
	CK_RV rv = replay_locked(session, op, input);

	if (rv != CKR_OK)
		return end_with(session, rv);
	op->busy = true;
	op->run = atomic_fetch_add(&runs, 1) + 1;
	pthread_mutex_unlock(&session->lock);
	rv = service_rv(run(session, op, input));
	pthread_mutex_lock(&session->lock);
	op->busy = false;
	if (op->ended) {
		operation_free(op);
		return CKR_FUNCTION_CANCELED;
	}
	if (rv != CKR_OK) {
		remember_failure_locked(session, op, input, rv);
		return end_with(session, rv);
	}
	op->kept = true;
	return CKR_OK;
}

/* Section 5.2 of the standard: only a buffer that took the whole result ends the operation. */
static CK_RV hand_over_locked(struct session *session, CK_BYTE *out, CK_ULONG *out_n)
{
	struct slice result = session->operation->result.bytes;
	CK_ULONG room = *out_n;

	*out_n = result.left;
	if (!out)
		return CKR_OK;
	if (room < result.left)
		return CKR_BUFFER_TOO_SMALL;
	if (result.left)
		memcpy(out, result.p, result.left);
	return end_with(session, CKR_OK);
}

/* What the next call must bring again is only needed when there is a next call. */
static CK_RV result_locked(struct session *session, const struct input *input, CK_BYTE *out,
			   CK_ULONG *out_n)
{
	struct operation *op = session->operation;

	if (!op->kept) {
		CK_RV rv = execute_locked(session, input);
		if (rv != CKR_OK)
			return rv;
		bool stays = !out || *out_n < op->result.bytes.left;
		if (stays && !hash_input(input, op->input))
			return end_with(session, CKR_HOST_MEMORY);
	}
	return hand_over_locked(session, out, out_n);
}

static bool same_input(const struct operation *op, const struct input *input)
{
	uint8_t digest[SHA256_SIZE];

	return hash_input(input, digest) && !memcmp(digest, op->input, sizeof digest);
}

static CK_RV single_locked(struct session *session, struct slice data, CK_BYTE *out,
			   CK_ULONG *out_n)
{
	struct operation *op = session->operation;
	struct input input = { .bytes = data, .fd = -1 };

	if (!op)
		return CKR_OPERATION_NOT_INITIALIZED;
	if (op->busy || op->parts)
		return CKR_OPERATION_ACTIVE;
	if (!out_n || (!data.p && data.left))
		return CKR_ARGUMENTS_BAD;
	if (data.left > input_max(op))
		return end_with(session, CKR_DATA_LEN_RANGE);
	if (!out && op->mechanism->query && !op->kept) {
		*out_n = op->mechanism->query;
		return CKR_OK;
	}
	if (op->kept && !same_input(op, &input))
		return end_with(session, CKR_DATA_INVALID);
	return result_locked(session, &input, out, out_n);
}

CK_RV operation_single(struct session *session, struct slice data, CK_BYTE *out, CK_ULONG *out_n)
{
	pthread_mutex_lock(&session->lock);
	CK_RV rv = single_locked(session, data, out, out_n);
	pthread_mutex_unlock(&session->lock);
	return rv;
}

static enum err spool(struct operation *op, struct slice part)
{
	if (op->spool < 0)
		op->spool = memfd_create("assay-input", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (op->spool < 0)
		return failed(ERR_MEMORY, "memfd_create: %m");
	enum err e = io_write_all(op->spool, part);
	if (!e)
		op->spooled += part.left;
	return e;
}

static CK_RV update_locked(struct session *session, struct slice part)
{
	struct operation *op = session->operation;

	if (!op)
		return CKR_OPERATION_NOT_INITIALIZED;
	if (op->busy || op->kept)
		return CKR_OPERATION_ACTIVE;
	if (!part.p && part.left)
		return CKR_ARGUMENTS_BAD;
	if (part.left > input_max(op) - op->spooled)
		return end_with(session, CKR_DATA_LEN_RANGE);
	op->parts = true;
	if (part.left && spool(op, part))
		return end_with(session, CKR_HOST_MEMORY);
	return CKR_OK;
}

CK_RV operation_update(struct session *session, struct slice part)
{
	pthread_mutex_lock(&session->lock);
	CK_RV rv = update_locked(session, part);
	pthread_mutex_unlock(&session->lock);
	return rv;
}

static CK_RV final_locked(struct session *session, CK_BYTE *out, CK_ULONG *out_n)
{
	struct operation *op = session->operation;

	if (!op)
		return CKR_OPERATION_NOT_INITIALIZED;
	if (op->busy || (op->kept && !op->parts))
		return CKR_OPERATION_ACTIVE;
	if (!out_n)
		return CKR_ARGUMENTS_BAD;
	if (!out && op->mechanism->query && !op->kept) {
		*out_n = op->mechanism->query;
		return CKR_OK;
	}
	if (!op->kept && op->spool >= 0 && io_memfd_seal(op->spool))
		return end_with(session, CKR_HOST_MEMORY);
	op->parts = true;
	struct input input = { .fd = op->spool };
	return result_locked(session, &input, out, out_n);
}

CK_RV operation_final(struct session *session, CK_BYTE *out, CK_ULONG *out_n)
{
	pthread_mutex_lock(&session->lock);
	CK_RV rv = final_locked(session, out, out_n);
	pthread_mutex_unlock(&session->lock);
	return rv;
}

#include "plugin/daemon/returning.h"

#include "config/base/cbor.h"

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

enum err returning_collect(const struct order *order, struct execution *x, struct buf *proof)
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

enum err returning_shrink(struct call *call, struct execution *x)
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

enum err returning_answer(struct call *call, const struct order *order, struct execution *x)
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

/* Requests about results: RESULTS, FETCH. */
#include "plugin/daemon/witnessing.h"

/* What one message holds; the newest come first, and a label asked for finds the others. */
#define LISTING_MAX 60000

struct listing {
	const struct call *call;
	struct buf entries;
	size_t n;
};

static bool list_part(void *context, const struct result_set *set, enum result_part part)
{
	struct listing *listing = context;
	struct buf *out = &listing->entries;

	if (out->len > LISTING_MAX)
		return false;
	if (!witnessing_shows(listing->call->daemon, set))
		return true;
	cbor_put_array(out, 4);
	cbor_put_uint(out, set->id + part);
	cbor_put_text(out, set->label);
	cbor_put_text(out, result_application(part));
	cbor_put_uint(out, set->parts[part].len);
	listing->n++;
	return true;
}

enum err request_RESULTS(struct call *call)
{
	struct listing listing = { call, BUF_INIT, 0 };
	struct slice label = { NULL, 0 };
	enum wire_role role;
	enum err e;

	if (call->arguments != 2 && (e = call_arguments(call, 1)))
		return e;
	if ((e = call_partition(call, true)) ||
	    (call->arguments == 2 && (e = cbor_take_text(&call->in, RESULT_LABEL_MAX, &label))) ||
	    (e = call_end(call)))
		return e;
	if ((e = call_any_role(call, &role)))
		return call_refuse(call, e, slice_of(NULL, 0));
	results_each(&call->partition->results, role, label, io_monotonic_ms(), list_part,
		     &listing);
	cbor_put_array(&call->results.bytes, listing.n);
	buf_put_slice(&call->results.bytes, buf_slice(&listing.entries));
	call->results_n = 1;
	e = buf_check(&listing.entries);
	buf_free(&listing.entries);
	return e;
}

enum err request_FETCH(struct call *call)
{
	CLEANUP(result_set) struct result_set *set = NULL;
	enum wire_role role;
	uint64_t id;
	enum err e;

	if ((e = call_arguments(call, 2)) || (e = call_partition(call, true)) ||
	    (e = cbor_take_uint(&call->in, &id)) || (e = call_end(call)))
		return e;
	if ((e = call_any_role(call, &role)))
		return call_refuse(call, e, slice_of(NULL, 0));
	if ((e = results_get(&call->partition->results, role, id, io_monotonic_ms(), &set)))
		return e;
	if (!witnessing_shows(call->daemon, set))
		return failed(ERR_NOT_FOUND, "no quorum of witnesses has cosigned its record yet");
	if ((e = wire_put_payload(&call->results, buf_slice(&set->parts[id - set->id]))))
		return e;
	call->results_n = 1;
	return OK;
}

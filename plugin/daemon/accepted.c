#include "plugin/daemon/accepted.h"

#include <string.h>

#include "config/base/cbor.h"
#include "plugin/daemon/platform.h"

#define RECORD "accepted"
#define FORMAT "assay-platform-1"

static enum err parse(struct slice in, struct accepted *out)
{
	struct slice format;
	size_t items, pair;
	enum err e;

	/* Those of before they were counted have two items. */
	if ((e = cbor_take_array(&in, 3, &items)) || (e = cbor_take_text(&in, 64, &format)) ||
	    (items == 3 && (e = cbor_take_uint(&in, &out->mark.number))) ||
	    (e = cbor_take_array(&in, LEAF_COMPONENTS_MAX, &out->n)))
		return e;
	if (items < 2 || !slice_is(format, FORMAT))
		return failed(ERR_FORMAT, "not an %s", FORMAT);
	for (size_t i = 0; i < out->n; i++) {
		struct leaf_component *part = &out->list[i];

		if ((e = cbor_take_array(&in, 2, &pair)) || (e = pair == 2 ? OK : ERR_FORMAT) ||
		    (e = cbor_take_text(&in, PLATFORM_NAME, &part->name)) ||
		    (e = cbor_take_fixed(&in, part->sha256, sizeof part->sha256)))
			return e;
	}
	return cbor_take_end(in);
}

enum err accepted_read(const struct state *state, struct accepted *out)
{
	enum err e = state_get(state, STATE_PLATFORM, RECORD, &out->raw);

	if (e)
		return e;
	sha256_once(buf_slice(&out->raw), out->mark.digest);
	e = parse(buf_slice(&out->raw), out);
	return e ? failed(e, "the list of accepted programs is damaged: %s", err_reason()) : OK;
}

enum err accepted_write(const struct state *state, const struct leaf_component *parts, size_t n,
			struct accepted_mark *mark)
{
	CLEANUP(buf) struct buf raw = BUF_INIT;
	size_t programs = 0;
	enum err e;

	for (size_t i = 0; i < n; i++)
		programs += platform_is_program(parts[i].name);
	cbor_put_array(&raw, 3);
	cbor_put_text(&raw, FORMAT);
	cbor_put_uint(&raw, mark->number);
	cbor_put_array(&raw, programs);
	for (size_t i = 0; i < n; i++) {
		if (!platform_is_program(parts[i].name))
			continue;
		cbor_put_array(&raw, 2);
		cbor_put_text_slice(&raw, parts[i].name);
		cbor_put_bytes(&raw, SLICE(parts[i].sha256));
	}
	if ((e = buf_check(&raw)))
		return e;
	sha256_once(buf_slice(&raw), mark->digest);
	return state_put(state, STATE_PLATFORM, RECORD, buf_slice(&raw));
}

bool accepted_differs(const struct accepted *accepted, const struct leaf_component *part)
{
	if (!platform_is_program(part->name))
		return false;
	for (size_t i = 0; i < accepted->n; i++)
		if (slice_equal(accepted->list[i].name, part->name))
			return memcmp(accepted->list[i].sha256, part->sha256, SHA256_SIZE) != 0;
	return true;
}

enum err accepted_check(const struct accepted *accepted, const struct leaf_component *parts,
			size_t n)
{
	CLEANUP(buf) struct buf names = BUF_INIT;
	const char *text;

	for (size_t i = 0; i < n; i++)
		if (accepted_differs(accepted, &parts[i]))
			buf_printf(&names, "%s%.*s", names.len ? ", " : "", (int)parts[i].name.left,
				   (const char *)parts[i].name.p);
	if (!names.len)
		return OK;
	text = buf_text(&names);
	return failed(ERR_MISMATCH, "%s (see assay tcb show)", text ? text : "several parts");
}

enum err accepted_check_mark(const struct accepted_mark *mark, const struct accepted_mark *newest)
{
	unsigned long long number = mark->number;

	if (number < newest->number)
		return failed(ERR_STATE,
			      "the list of accepted programs is number %llu, and was %llu: it was "
			      "put back to an earlier state",
			      number, (unsigned long long)newest->number);
	return number && number == newest->number &&
			       memcmp(mark->digest, newest->digest, sizeof mark->digest)
		       ? failed(ERR_STATE,
				"the list of accepted programs, number %llu, is another than the "
				"token remembers",
				number)
		       : OK;
}

void accepted_cleanup(struct accepted *accepted)
{
	buf_free(&accepted->raw);
}

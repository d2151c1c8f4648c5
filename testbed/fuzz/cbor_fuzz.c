/* The reader of CBOR, item by item: what is taken was deterministic, so the writer writes the same. */
#include <stdlib.h>

#include "config/base/cbor.h"

#define DEPTH_MAX (CBOR_DEPTH_MAX + 1)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void must(bool holds)
{
	if (!holds)
		abort();
}

static void copy(struct slice *in, struct buf *out, int depth);

static void copy_items(struct slice *in, struct buf *out, size_t n, int depth)
{
	for (size_t i = 0; i < n; i++)
		copy(in, out, depth);
}

static void copy_number(struct slice *in, struct buf *out)
{
	struct slice before = *in, item;
	int64_t v;

	if (!cbor_take_int(in, &v)) {
		cbor_put_int(out, v);
	} else { /* beyond what an int64_t holds */
		must(in->p == before.p && !cbor_take_item(in, &item));
		buf_put_slice(out, item);
	}
}

static void copy_simple(struct slice *in, struct buf *out)
{
	bool v;

	if (!cbor_take_bool(in, &v)) {
		cbor_put_bool(out, v);
	} else {
		must(!cbor_take_null(in));
		cbor_put_null(out);
	}
}

/* The item was taken as a whole before: every part of it must be taken too. */
static void copy(struct slice *in, struct buf *out, int depth)
{
	struct slice bytes;
	uint64_t tag;
	size_t items;

	must(depth <= DEPTH_MAX);
	switch (cbor_peek(*in)) {
	case CBOR_UINT:
	case CBOR_NEGATIVE:
		copy_number(in, out);
		break;
	case CBOR_BYTES:
		must(!cbor_take_bytes(in, SIZE_MAX, &bytes));
		cbor_put_bytes(out, bytes);
		break;
	case CBOR_TEXT:
		must(!cbor_take_text(in, SIZE_MAX, &bytes));
		cbor_put_text_slice(out, bytes);
		break;
	case CBOR_ARRAY:
		must(!cbor_take_array(in, SIZE_MAX, &items));
		cbor_put_array(out, items);
		copy_items(in, out, items, depth + 1);
		break;
	case CBOR_MAP:
		must(!cbor_take_map(in, SIZE_MAX, &items));
		cbor_put_map(out, items);
		copy_items(in, out, 2 * items, depth + 1);
		break;
	case CBOR_TAG:
		must(!cbor_take_tag(in, &tag));
		cbor_put_tag(out, tag);
		copy(in, out, depth + 1);
		break;
	case CBOR_SIMPLE:
		copy_simple(in, out);
		break;
	default:
		abort();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	CLEANUP(buf) struct buf again = BUF_INIT;
	struct slice in = slice_of(data, n), item;

	if (cbor_take_item(&in, &item))
		return 0;
	must(item.p == data && item.left + in.left == n);
	struct slice parts = item;
	copy(&parts, &again, 0);
	must(!parts.left && slice_equal(buf_slice(&again), item));
	return 0;
}

#include "config/base/cbor.h"

#include <string.h>

static void put_head(struct buf *b, enum cbor_type type, uint64_t v)
{
	uint8_t major = (uint8_t)(type << 5);

	if (v < 24) {
		buf_put_u8(b, (uint8_t)(major | v));
	} else if (v <= 0xff) {
		buf_put_u8(b, major | 24);
		buf_put_u8(b, (uint8_t)v);
	} else if (v <= 0xffff) {
		buf_put_u8(b, major | 25);
		buf_put_u16(b, (uint16_t)v);
	} else if (v <= 0xffffffff) {
		buf_put_u8(b, major | 26);
		buf_put_u32(b, (uint32_t)v);
	} else {
		buf_put_u8(b, major | 27);
		buf_put_u64(b, v);
	}
}

void cbor_put_uint(struct buf *b, uint64_t v)
{
	put_head(b, CBOR_UINT, v);
}

void cbor_put_int(struct buf *b, int64_t v)
{
	if (v >= 0)
		put_head(b, CBOR_UINT, (uint64_t)v);
	else
		put_head(b, CBOR_NEGATIVE, ~(uint64_t)v);
}

void cbor_put_bytes(struct buf *b, struct slice s)
{
	put_head(b, CBOR_BYTES, s.left);
	buf_put_slice(b, s);
}

void cbor_put_text_slice(struct buf *b, struct slice text)
{
	put_head(b, CBOR_TEXT, text.left);
	buf_put_slice(b, text);
}

void cbor_put_text(struct buf *b, const char *text)
{
	cbor_put_text_slice(b, slice_text(text));
}

void cbor_put_array(struct buf *b, uint64_t items)
{
	put_head(b, CBOR_ARRAY, items);
}

void cbor_put_map(struct buf *b, uint64_t pairs)
{
	put_head(b, CBOR_MAP, pairs);
}

void cbor_put_tag(struct buf *b, uint64_t tag)
{
	put_head(b, CBOR_TAG, tag);
}

void cbor_put_bool(struct buf *b, bool v)
{
	put_head(b, CBOR_SIMPLE, v ? 21 : 20);
}

void cbor_put_null(struct buf *b)
{
	put_head(b, CBOR_SIMPLE, 22);
}

enum cbor_type cbor_peek(struct slice in)
{
	return in.left ? (enum cbor_type)(in.p[0] >> 5) : CBOR_END;
}

static enum err take_head(struct slice *in, enum cbor_type *type, uint64_t *v)
{
	struct slice ahead = *in, raw;
	uint8_t first;
	enum err e = slice_take_u8(&ahead, &first);

	if (e)
		return e;
	*type = (enum cbor_type)(first >> 5);
	uint8_t info = first & 31;
	if (info < 24) {
		*v = info;
		*in = ahead;
		return OK;
	}
	if (info > 27)
		return failed(ERR_FORMAT, "CBOR: indefinite or reserved length");
	if (*type == CBOR_SIMPLE)
		return failed(ERR_FORMAT, "CBOR: a float or an unknown simple value");
	size_t n = (size_t)1 << (info - 24);
	if ((e = slice_take(&ahead, n, &raw)))
		return e;
	*v = 0;
	for (size_t i = 0; i < n; i++)
		*v = *v << 8 | raw.p[i];
	if (*v < 24 || (n > 1 && *v >> (4 * n) == 0))
		return failed(ERR_FORMAT, "CBOR: a number that is not in its shortest form");
	*in = ahead;
	return OK;
}

static const char *const type_names[] = {
	"unsigned integer", "negative integer", "byte string", "text", "array", "map", "tag",
	"simple value"
};

static enum err take_type(struct slice *in, enum cbor_type wanted, uint64_t *v)
{
	struct slice ahead = *in;
	enum cbor_type type;
	enum err e = take_head(&ahead, &type, v);

	if (e)
		return e;
	if (type != wanted)
		return failed(ERR_FORMAT, "CBOR: %s expected, %s found", type_names[wanted],
			      type_names[type]);
	*in = ahead;
	return OK;
}

enum err cbor_take_uint(struct slice *in, uint64_t *v)
{
	return take_type(in, CBOR_UINT, v);
}

enum err cbor_take_int(struct slice *in, int64_t *v)
{
	struct slice ahead = *in;
	enum cbor_type type;
	uint64_t raw;
	enum err e = take_head(&ahead, &type, &raw);

	if (e)
		return e;
	if ((type != CBOR_UINT && type != CBOR_NEGATIVE) || raw > INT64_MAX)
		return failed(ERR_FORMAT, "CBOR: a 64-bit integer expected");
	*v = type == CBOR_UINT ? (int64_t)raw : -1 - (int64_t)raw;
	*in = ahead;
	return OK;
}

static enum err take_string(struct slice *in, enum cbor_type type, size_t max, struct slice *out)
{
	struct slice ahead = *in;
	uint64_t n;
	enum err e = take_type(&ahead, type, &n);

	if (e)
		return e;
	if (n > max)
		return failed(ERR_FORMAT, "CBOR: a string of %llu bytes, at most %zu allowed",
			      (unsigned long long)n, max);
	if ((e = slice_take(&ahead, (size_t)n, out)))
		return e;
	*in = ahead;
	return OK;
}

/* RFC 3629: no overlong forms, no surrogates, nothing over U+10FFFF; and here no U+0000. */
static bool is_utf8(struct slice s)
{
	while (s.left) {
		uint8_t c = s.p[0];
		size_t n = c < 0x80   ? 1
			   : c < 0xc2 ? 0
			   : c < 0xe0 ? 2
			   : c < 0xf0 ? 3
			   : c < 0xf5 ? 4
				      : 0;

		if (c == 0 || n == 0 || s.left < n)
			return false;
		for (size_t i = 1; i < n; i++)
			if ((s.p[i] & 0xc0) != 0x80)
				return false;
		if ((c == 0xe0 && s.p[1] < 0xa0) || (c == 0xed && s.p[1] > 0x9f) ||
		    (c == 0xf0 && s.p[1] < 0x90) || (c == 0xf4 && s.p[1] > 0x8f))
			return false;
		s.p += n;
		s.left -= n;
	}
	return true;
}

enum err cbor_take_bytes(struct slice *in, size_t max, struct slice *out)
{
	return take_string(in, CBOR_BYTES, max, out);
}

enum err cbor_take_text(struct slice *in, size_t max, struct slice *out)
{
	struct slice ahead = *in;
	enum err e = take_string(&ahead, CBOR_TEXT, max, out);

	if (e)
		return e;
	if (!is_utf8(*out))
		return failed(ERR_FORMAT, "CBOR: text that is not UTF-8");
	*in = ahead;
	return OK;
}

enum err cbor_take_fixed(struct slice *in, void *out, size_t n)
{
	struct slice ahead = *in, s;
	enum err e = cbor_take_bytes(&ahead, n, &s);

	if (e)
		return e;
	if (s.left != n)
		return failed(ERR_FORMAT, "CBOR: %zu bytes expected, %zu found", n, s.left);
	memcpy(out, s.p, n);
	*in = ahead;
	return OK;
}

static enum err take_count(struct slice *in, enum cbor_type type, size_t max, size_t *count)
{
	struct slice ahead = *in;
	uint64_t n;
	enum err e = take_type(&ahead, type, &n);

	if (e)
		return e;
	/* Each item takes a byte at least, so a count over what is left is a lie. */
	if (n > max || n > ahead.left)
		return failed(ERR_FORMAT, "CBOR: %s of %llu items", type_names[type],
			      (unsigned long long)n);
	*count = (size_t)n;
	*in = ahead;
	return OK;
}

enum err cbor_take_array(struct slice *in, size_t max, size_t *items)
{
	return take_count(in, CBOR_ARRAY, max, items);
}

enum err cbor_take_map(struct slice *in, size_t max, size_t *pairs)
{
	return take_count(in, CBOR_MAP, max, pairs);
}

enum err cbor_take_tag(struct slice *in, uint64_t *tag)
{
	return take_type(in, CBOR_TAG, tag);
}

enum err cbor_take_bool(struct slice *in, bool *v)
{
	struct slice ahead = *in;
	uint64_t n;
	enum err e = take_type(&ahead, CBOR_SIMPLE, &n);

	if (e)
		return e;
	if (n != 20 && n != 21)
		return failed(ERR_FORMAT, "CBOR: true or false expected");
	*v = n == 21;
	*in = ahead;
	return OK;
}

enum err cbor_take_null(struct slice *in)
{
	struct slice ahead = *in;
	uint64_t n;
	enum err e = take_type(&ahead, CBOR_SIMPLE, &n);

	if (e)
		return e;
	if (n != 22)
		return failed(ERR_FORMAT, "CBOR: null expected");
	*in = ahead;
	return OK;
}

enum err cbor_take_end(struct slice in)
{
	return in.left ? failed(ERR_FORMAT, "CBOR: %zu bytes after the end", in.left) : OK;
}

static enum err key_in_order(struct cbor_keys *keys, struct slice key)
{
	if (keys->last.p && slice_compare(keys->last, key) >= 0)
		return failed(ERR_FORMAT, "CBOR: map keys out of order, or one twice");
	keys->last = key;
	return OK;
}

static enum err take_item(struct slice *in, unsigned depth)
{
	enum cbor_type type = cbor_peek(*in);
	struct cbor_keys keys = { { NULL, 0 } };
	struct slice ignored;
	uint64_t v;
	size_t n = 0;
	enum err e;

	if (depth == 0)
		return failed(ERR_FORMAT, "CBOR: nested too deep");
	switch (type) {
	case CBOR_BYTES:
		return cbor_take_bytes(in, SIZE_MAX, &ignored);
	case CBOR_TEXT:
		return cbor_take_text(in, SIZE_MAX, &ignored);
	case CBOR_TAG:
		return (e = take_head(in, &type, &v)) ? e : take_item(in, depth - 1);
	case CBOR_SIMPLE:
		if ((e = take_head(in, &type, &v)))
			return e;
		return v >= 20 && v <= 22 ? OK : failed(ERR_FORMAT, "CBOR: unknown simple value");
	case CBOR_ARRAY:
	case CBOR_MAP:
		if ((e = take_count(in, type, SIZE_MAX, &n)))
			return e;
		for (size_t i = 0; i < n; i++) {
			struct slice key = *in;

			if (type == CBOR_MAP) {
				if ((e = take_item(in, depth - 1)))
					return e;
				key.left -= in->left;
				if ((e = key_in_order(&keys, key)))
					return e;
			}
			if ((e = take_item(in, depth - 1)))
				return e;
		}
		return OK;
	default:
		return take_head(in, &type, &v);
	}
}

enum err cbor_take_item(struct slice *in, struct slice *item)
{
	struct slice ahead = *in;
	enum err e = take_item(&ahead, CBOR_DEPTH_MAX);

	if (e)
		return e;
	if (item)
		*item = slice_of(in->p, in->left - ahead.left);
	*in = ahead;
	return OK;
}

enum err cbor_take_key(struct slice *in, struct cbor_keys *keys, int64_t *key)
{
	struct slice ahead = *in;
	enum err e = cbor_take_int(&ahead, key);

	if (e || (e = key_in_order(keys, slice_of(in->p, in->left - ahead.left))))
		return e;
	*in = ahead;
	return OK;
}

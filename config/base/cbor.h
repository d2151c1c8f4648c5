/* cbor.h - deterministic CBOR (RFC 8949 section 4.2.1): definite lengths, shortest heads, map keys
 * in bytewise order and none twice. No floats, no simple values but false, true and null.
 *
 * Writing: put heads and values into a buf in order; a map's keys must be put pre-sorted.
 * Reading: take from a slice; anything that a deterministic encoder would not write is ERR_FORMAT.
 * For maps, keep a struct cbor_keys and call it for each key: it refuses a wrong order.
 * As in bytes.h, no function here is for two threads on one object.
 */
#ifndef CONFIG_BASE_CBOR_H
#define CONFIG_BASE_CBOR_H

#include "config/base/bytes.h"

enum cbor_type {
	CBOR_UINT = 0,
	CBOR_NEGATIVE = 1,
	CBOR_BYTES = 2,
	CBOR_TEXT = 3,
	CBOR_ARRAY = 4,
	CBOR_MAP = 5,
	CBOR_TAG = 6,
	CBOR_SIMPLE = 7,
	CBOR_END = 8 /* nothing is left */
};

#define CBOR_DEPTH_MAX 16

void cbor_put_uint(struct buf *b, uint64_t v);
void cbor_put_int(struct buf *b, int64_t v);
void cbor_put_bytes(struct buf *b, struct slice s);
void cbor_put_text(struct buf *b, const char *text); /* must be UTF-8 */
void cbor_put_text_slice(struct buf *b, struct slice text);
void cbor_put_array(struct buf *b, uint64_t items);
void cbor_put_map(struct buf *b, uint64_t pairs);
void cbor_put_tag(struct buf *b, uint64_t tag);
void cbor_put_bool(struct buf *b, bool v);
void cbor_put_null(struct buf *b);

/* The type of the next item, without taking it. */
enum cbor_type cbor_peek(struct slice in);
MUST enum err cbor_take_uint(struct slice *in, uint64_t *v);
MUST enum err cbor_take_int(struct slice *in, int64_t *v);
/* @max bounds the length in bytes; the text is UTF-8 and holds no 0. */
MUST enum err cbor_take_bytes(struct slice *in, size_t max, struct slice *out);
MUST enum err cbor_take_text(struct slice *in, size_t max, struct slice *out);
/* Exactly @n bytes, copied. */
MUST enum err cbor_take_fixed(struct slice *in, void *out, size_t n);
/* @max bounds the number of items or pairs. */
MUST enum err cbor_take_array(struct slice *in, size_t max, size_t *items);
MUST enum err cbor_take_map(struct slice *in, size_t max, size_t *pairs);
MUST enum err cbor_take_tag(struct slice *in, uint64_t *tag);
MUST enum err cbor_take_bool(struct slice *in, bool *v);
MUST enum err cbor_take_null(struct slice *in);
/* Takes one whole item, whatever it is, checking that it is deterministic; @item may be NULL. */
MUST enum err cbor_take_item(struct slice *in, struct slice *item);
/* ERR_FORMAT unless nothing is left. */
MUST enum err cbor_take_end(struct slice in);

/* The keys of one map: takes the next key, an integer, and refuses one out of order or repeated. */
struct cbor_keys {
	struct slice last;
};
MUST enum err cbor_take_key(struct slice *in, struct cbor_keys *keys, int64_t *key);

#endif

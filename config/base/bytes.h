/* bytes.h - byte strings: a slice looks at somebody's bytes, a buf owns its own.
 *
 * Readers take from the front of a slice, big-endian, and leave it alone when they refuse.
 * Writers append to a buf; running out of memory or over its max is remembered (buf.failed), so a
 * row of puts is checked once, with buf_check(). Bufs are not for secrets: see secret.h.
 * No function here is for two threads on one object.
 */
#ifndef CONFIG_BASE_BYTES_H
#define CONFIG_BASE_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config/base/error.h"

struct slice {
	const uint8_t *p;
	size_t left;
};

struct buf {
	uint8_t *data;
	size_t len, cap;
	size_t max;  /* never grows beyond; 0 means BUF_MAX_DEFAULT */
	bool failed; /* a put did not fit: contents are incomplete */
};

#define BUF_MAX_DEFAULT ((size_t)1 << 30)
#define BUF_INIT ((struct buf){ 0 })
#define SLICE(array) ((struct slice){ (const uint8_t *)(array), sizeof(array) })

struct slice slice_of(const void *p, size_t len);
struct slice slice_text(const char *text); /* without its last 0 */
struct slice buf_slice(const struct buf *b);
bool slice_equal(struct slice a, struct slice b); /* not constant time: not for secrets */
bool slice_is(struct slice s, const char *text);
bool slice_starts(struct slice s, const char *text); /* or is it */
/* Compares like memcmp, a shorter string that is a prefix coming first. */
int slice_compare(struct slice a, struct slice b);

/* ERR_FORMAT when too few bytes are left. take_bytes reads a 32-bit length first, and refuses one
 * over @max with ERR_FORMAT; take reads exactly @n. */
MUST enum err slice_take(struct slice *in, size_t n, struct slice *out);
MUST enum err slice_take_u8(struct slice *in, uint8_t *v);
MUST enum err slice_take_u16(struct slice *in, uint16_t *v);
MUST enum err slice_take_u32(struct slice *in, uint32_t *v);
MUST enum err slice_take_u64(struct slice *in, uint64_t *v);
MUST enum err slice_take_bytes(struct slice *in, size_t max, struct slice *out);

/* Makes room for @n more bytes and returns where they go (their length is counted already), or
 * NULL, which buf_check() will report. */
uint8_t *buf_add(struct buf *b, size_t n);
void buf_put(struct buf *b, const void *p, size_t n);
void buf_put_slice(struct buf *b, struct slice s);
void buf_put_text(struct buf *b, const char *text);
void buf_put_u8(struct buf *b, uint8_t v);
void buf_put_u16(struct buf *b, uint16_t v);
void buf_put_u32(struct buf *b, uint32_t v);
void buf_put_u64(struct buf *b, uint64_t v);
void buf_printf(struct buf *b, const char *format, ...) __attribute__((format(printf, 2, 3)));
MUST enum err buf_check(const struct buf *b);
/* The contents as a C string: appends a 0 that len does not count; NULL when out of memory. */
const char *buf_text(struct buf *b);
void buf_reset(struct buf *b); /* empties, keeps the memory */
void buf_free(struct buf *b);
void buf_cleanup(struct buf *b);

/* Lower-case hexadecimal. hex_put writes 2n characters and a 0 into @text; hex_take wants exactly
 * 2n digits of either case and answers ERR_FORMAT otherwise. */
void hex_put(char *text, const void *p, size_t n);
MUST enum err hex_take(const char *text, uint8_t *out, size_t n);
void buf_put_hex(struct buf *b, struct slice s);
/* Base64 of RFC 4648 section 4, with padding and no line breaks. */
void buf_put_base64(struct buf *b, struct slice s);
MUST enum err base64_take(struct slice text, struct buf *out);

uint16_t get_u16(const uint8_t *p);
uint32_t get_u32(const uint8_t *p);
uint64_t get_u64(const uint8_t *p);
void set_u16(uint8_t *p, uint16_t v);
void set_u32(uint8_t *p, uint32_t v);
void set_u64(uint8_t *p, uint64_t v);

#endif

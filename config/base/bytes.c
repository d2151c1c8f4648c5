#include "config/base/bytes.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct slice slice_of(const void *p, size_t len)
{
	return (struct slice){ p, len };
}

struct slice slice_text(const char *text)
{
	return slice_of(text, strlen(text));
}

struct slice buf_slice(const struct buf *b)
{
	return slice_of(b->data, b->len);
}

bool slice_equal(struct slice a, struct slice b)
{
	return a.left == b.left && (a.left == 0 || memcmp(a.p, b.p, a.left) == 0);
}

bool slice_is(struct slice s, const char *text)
{
	return slice_equal(s, slice_text(text));
}

bool slice_starts(struct slice s, const char *text)
{
	size_t n = strlen(text);

	return s.left >= n && !memcmp(s.p, text, n);
}

int slice_compare(struct slice a, struct slice b)
{
	size_t n = a.left < b.left ? a.left : b.left;
	int order = n ? memcmp(a.p, b.p, n) : 0;

	return order ? order : (a.left > b.left) - (a.left < b.left);
}

uint16_t get_u16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

uint32_t get_u32(const uint8_t *p)
{
	return (uint32_t)get_u16(p) << 16 | get_u16(p + 2);
}

uint64_t get_u64(const uint8_t *p)
{
	return (uint64_t)get_u32(p) << 32 | get_u32(p + 4);
}

void set_u16(uint8_t *p, uint16_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

void set_u32(uint8_t *p, uint32_t v)
{
	set_u16(p, (uint16_t)(v >> 16));
	set_u16(p + 2, (uint16_t)v);
}

void set_u64(uint8_t *p, uint64_t v)
{
	set_u32(p, (uint32_t)(v >> 32));
	set_u32(p + 4, (uint32_t)v);
}

enum err slice_take(struct slice *in, size_t n, struct slice *out)
{
	if (in->left < n)
		return failed(ERR_FORMAT, "%zu bytes wanted, %zu left", n, in->left);
	*out = slice_of(in->p, n);
	if (n)
		in->p += n;
	in->left -= n;
	return OK;
}

#define TAKE_INTEGER(bits)                                               \
	enum err slice_take_u##bits(struct slice *in, uint##bits##_t *v) \
	{                                                                \
		struct slice raw;                                        \
		enum err e = slice_take(in, bits / 8, &raw);             \
                                                                         \
		if (!e)                                                  \
			*v = get_u##bits(raw.p);                         \
		return e;                                                \
	}

static uint8_t get_u8(const uint8_t *p)
{
	return *p;
}

TAKE_INTEGER(8)
TAKE_INTEGER(16)
TAKE_INTEGER(32)
TAKE_INTEGER(64)

enum err slice_take_bytes(struct slice *in, size_t max, struct slice *out)
{
	struct slice ahead = *in;
	uint32_t n;
	enum err e = slice_take_u32(&ahead, &n);

	if (e)
		return e;
	if (n > max)
		return failed(ERR_FORMAT, "length %u is over the maximum of %zu", n, max);
	if ((e = slice_take(&ahead, n, out)))
		return e;
	*in = ahead;
	return OK;
}

uint8_t *buf_add(struct buf *b, size_t n)
{
	size_t max = b->max ? b->max : BUF_MAX_DEFAULT;

	if (b->failed || n > max - b->len) {
		b->failed = true;
		return NULL;
	}
	if (b->len + n > b->cap) {
		size_t cap = b->cap ? b->cap : 64;

		while (cap < b->len + n)
			cap *= 2;
		if (cap > max)
			cap = max;
		uint8_t *data = realloc(b->data, cap);
		if (!data) {
			b->failed = true;
			return NULL;
		}
		b->data = data;
		b->cap = cap;
	}
	b->len += n;
	return b->data + b->len - n;
}

void buf_put(struct buf *b, const void *p, size_t n)
{
	uint8_t *to = n ? buf_add(b, n) : NULL;

	if (to)
		memcpy(to, p, n);
}

void buf_put_slice(struct buf *b, struct slice s)
{
	buf_put(b, s.p, s.left);
}

void buf_put_text(struct buf *b, const char *text)
{
	buf_put_slice(b, slice_text(text));
}

void buf_put_u8(struct buf *b, uint8_t v)
{
	buf_put(b, &v, 1);
}

#define PUT_INTEGER(bits)                                     \
	void buf_put_u##bits(struct buf *b, uint##bits##_t v) \
	{                                                     \
		uint8_t *to = buf_add(b, bits / 8);           \
                                                              \
		if (to)                                       \
			set_u##bits(to, v);                   \
	}

PUT_INTEGER(16)
PUT_INTEGER(32)
PUT_INTEGER(64)

void buf_printf(struct buf *b, const char *format, ...)
{
	va_list args;
	char *text = NULL;

	va_start(args, format);
	int n = vasprintf(&text, format, args);
	va_end(args);
	if (n < 0) {
		b->failed = true;
		return;
	}
	buf_put(b, text, (size_t)n);
	free(text);
}

enum err buf_check(const struct buf *b)
{
	return b->failed ? failed(ERR_MEMORY, "out of memory, or over a buffer's maximum of %zu",
				  b->max ? b->max : BUF_MAX_DEFAULT)
			 : OK;
}

const char *buf_text(struct buf *b)
{
	if (b->len < b->cap) {
		b->data[b->len] = '\0';
		return (const char *)b->data;
	}
	if (!buf_add(b, 1))
		return NULL;
	b->data[--b->len] = '\0';
	return (const char *)b->data;
}

void buf_reset(struct buf *b)
{
	b->len = 0;
	b->failed = false;
}

void buf_free(struct buf *b)
{
	free(b->data);
	*b = (struct buf){ .max = b->max };
}

void buf_cleanup(struct buf *b)
{
	buf_free(b);
}

void hex_put(char *text, const void *p, size_t n)
{
	static const char digits[] = "0123456789abcdef";
	const uint8_t *byte = p;

	for (size_t i = 0; i < n; i++) {
		*text++ = digits[byte[i] >> 4];
		*text++ = digits[byte[i] & 15];
	}
	*text = '\0';
}

void buf_put_hex(struct buf *b, struct slice s)
{
	for (size_t i = 0; i < s.left; i++) {
		char pair[3];

		hex_put(pair, s.p + i, 1);
		buf_put(b, pair, 2);
	}
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

enum err hex_take(const char *text, uint8_t *out, size_t n)
{
	if (strlen(text) != 2 * n)
		return failed(ERR_FORMAT, "%zu hexadecimal digits wanted, %zu characters given",
			      2 * n, strlen(text));
	for (size_t i = 0; i < n; i++) {
		int high = hex_digit(text[2 * i]), low = hex_digit(text[2 * i + 1]);

		if (high < 0 || low < 0)
			return failed(ERR_FORMAT, "not a hexadecimal number");
		out[i] = (uint8_t)(high << 4 | low);
	}
	return OK;
}

static const char base64_digits[] =
	"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void buf_put_base64(struct buf *b, struct slice s)
{
	for (; s.left; s.p += s.left < 3 ? s.left : 3, s.left -= s.left < 3 ? s.left : 3) {
		uint32_t group = (uint32_t)s.p[0] << 16;
		char quad[4] = { '=', '=', '=', '=' };

		if (s.left > 1)
			group |= (uint32_t)s.p[1] << 8;
		if (s.left > 2)
			group |= s.p[2];
		for (size_t i = 0; i < 4 && i <= s.left; i++)
			quad[i] = base64_digits[group >> (18 - 6 * i) & 63];
		buf_put(b, quad, 4);
	}
}

enum err base64_take(struct slice text, struct buf *out)
{
	if (text.left % 4)
		return failed(ERR_FORMAT, "base64 of a length that is no multiple of 4");
	while (text.left) {
		uint32_t group = 0;
		size_t padding = 0;

		for (size_t i = 0; i < 4; i++) {
			const char *digit = text.p[i] ? strchr(base64_digits, text.p[i]) : NULL;

			if (text.p[i] == '=' && text.left == 4 && i >= 2)
				padding++;
			else if (!digit || padding)
				return failed(ERR_FORMAT, "not base64");
			group = group << 6 | (digit ? (uint32_t)(digit - base64_digits) : 0);
		}
		/* Bits that padding leaves over must be 0, so that each value has one text. */
		if ((padding == 1 && group & 0xff) || (padding == 2 && group & 0xffff))
			return failed(ERR_FORMAT, "base64 with bits left over");
		for (size_t i = 0; i < 3 - padding; i++)
			buf_put_u8(out, (uint8_t)(group >> (16 - 8 * i)));
		text.p += 4;
		text.left -= 4;
	}
	return buf_check(out);
}

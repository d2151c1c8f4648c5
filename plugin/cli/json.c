#include "plugin/cli/json.h"

/* Takes one character of UTF-8 (RFC 3629); what is none counts as one byte, U+FFFD. */
static uint32_t take_character(struct slice *text)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	uint8_t c = text->p[0];
	size_t n = c < 0x80 ? 1 : c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : c >= 0xc0 ? 2 : 0;
	uint32_t v = n == 1 ? c : n ? c & (0x7fu >> n) : 0;

	if (n == 0 || n > text->left || c >= 0xf8)
		goto invalid;
	for (size_t i = 1; i < n; i++) {
		if ((text->p[i] & 0xc0) != 0x80)
			goto invalid;
		v = v << 6 | (text->p[i] & 0x3f);
	}
	if (v < least[n] || v > 0x10ffff || (v >= 0xd800 && v < 0xe000))
		goto invalid;
	text->p += n;
	text->left -= n;
	return v;
invalid:
	text->p++;
	text->left--;
	return 0xfffd;
}

/* C0, DEL, C1, line separators and the marks that turn the direction of text around. */
static bool is_control(uint32_t c)
{
	return c < 0x20 || (c >= 0x7f && c < 0xa0) || (c >= 0x2028 && c <= 0x202e) ||
	       (c >= 0x2066 && c <= 0x2069) || c == 0x200e || c == 0x200f || c == 0xfeff;
}

void json_put_text(struct buf *out, struct slice text)
{
	buf_put_u8(out, '"');
	while (text.left) {
		const uint8_t *start = text.p;
		uint32_t c = take_character(&text);

		if (c == '"' || c == '\\')
			buf_put_u8(out, '\\');
		if (is_control(c) || (c == 0xfffd && text.p - start == 1))
			buf_printf(out, "\\u%04x", c);
		else
			buf_put(out, start, (size_t)(text.p - start));
	}
	buf_put_u8(out, '"');
}

void json_put_name(struct buf *out, const char *name, bool first)
{
	buf_put_text(out, first ? "" : ", ");
	json_put_text(out, slice_text(name));
	buf_put_text(out, ": ");
}

void json_put_field(struct buf *out, const char *name, struct slice text, bool first)
{
	json_put_name(out, name, first);
	json_put_text(out, text);
}

void json_put_hex(struct buf *out, const char *name, struct slice bytes, bool first)
{
	json_put_name(out, name, first);
	buf_put_u8(out, '"');
	buf_put_hex(out, bytes);
	buf_put_u8(out, '"');
}

void plain_put_text(struct buf *out, struct slice text)
{
	while (text.left) {
		const uint8_t *start = text.p;
		uint32_t c = take_character(&text);

		if (is_control(c) || (c == 0xfffd && text.p - start == 1))
			buf_put_u8(out, '?');
		else
			buf_put(out, start, (size_t)(text.p - start));
	}
}

#include "audit/note.h"

#include <string.h>

#include "audit/audit.h"
#include "audit/certificate.h"
#include "audit/ecdsa.h"

#define DASH "\xe2\x80\x94 "

enum err note_check_origin(struct slice origin)
{
	if (origin.left == 0 || origin.left > AUDIT_ORIGIN_MAX)
		return failed(ERR_RANGE, "a log's origin has 1 to %d bytes", AUDIT_ORIGIN_MAX);
	for (size_t i = 0; i < origin.left; i++)
		if (origin.p[i] <= ' ' || origin.p[i] > '~' || origin.p[i] == '+')
			return failed(ERR_RANGE,
				      "a log's origin is printable ASCII, no blank or +");
	return OK;
}

enum err note_key_id(struct slice certificate, uint8_t id[NOTE_KEY_ID])
{
	CLEANUP(buf) struct buf spki = BUF_INIT;
	uint8_t digest[SHA256_SIZE];
	enum err e = certificate_spki(certificate, &spki);

	if (e)
		return e;
	sha256_once(buf_slice(&spki), digest);
	memcpy(id, digest, NOTE_KEY_ID);
	return OK;
}

enum err note_prepare(const char *origin, uint64_t size, const uint8_t root[SHA256_SIZE],
		      struct buf *text, uint8_t digest[SHA256_SIZE])
{
	size_t start = text->len;
	enum err e = note_check_origin(slice_text(origin));

	if (e)
		return e;
	buf_printf(text, "%s\n%llu\n", origin, (unsigned long long)size);
	buf_put_base64(text, slice_of(root, SHA256_SIZE));
	buf_put_text(text, "\n");
	if ((e = buf_check(text)))
		return e;
	sha256_once(slice_of(text->data + start, text->len - start), digest);
	return OK;
}

enum err note_put_line(struct slice name, const uint8_t id[NOTE_KEY_ID], struct slice bytes,
		       struct buf *out)
{
	CLEANUP(buf) struct buf tagged = BUF_INIT;
	enum err e;

	buf_put(&tagged, id, NOTE_KEY_ID);
	buf_put_slice(&tagged, bytes);
	if ((e = buf_check(&tagged)))
		return e;
	buf_put_text(out, DASH);
	buf_put_slice(out, name);
	buf_put_text(out, " ");
	buf_put_base64(out, buf_slice(&tagged));
	buf_put_text(out, "\n");
	return buf_check(out);
}

enum err note_put_signature(const char *origin, const uint8_t id[NOTE_KEY_ID],
			    struct slice signature, struct buf *out)
{
	CLEANUP(buf) struct buf der = BUF_INIT;
	enum err e = ecdsa_to_der(signature, &der);

	return e ? e : note_put_line(slice_text(origin), id, buf_slice(&der), out);
}

enum err note_write(struct slice text, const char *origin, const uint8_t id[NOTE_KEY_ID],
		    struct slice signature, struct buf *out)
{
	buf_put_slice(out, text);
	buf_put_text(out, "\n");
	return note_put_signature(origin, id, signature, out);
}

/* Takes up to the next newline, which must be there. */
static enum err take_line(struct slice *in, struct slice *line)
{
	const uint8_t *end = in->left ? memchr(in->p, '\n', in->left) : NULL;

	if (!end)
		return failed(ERR_FORMAT, "note: a line without an end");
	*line = slice_of(in->p, (size_t)(end - in->p));
	in->left -= line->left + 1;
	in->p = end + 1;
	return OK;
}

/* Decimal, no sign, no leading zero. */
static enum err read_size(struct slice line, uint64_t *size)
{
	uint64_t v = 0;

	if (line.left == 0 || line.left > 20 || (line.left > 1 && line.p[0] == '0'))
		return failed(ERR_FORMAT, "checkpoint: not a size");
	for (size_t i = 0; i < line.left; i++) {
		uint8_t digit = (uint8_t)(line.p[i] - '0');

		if (digit > 9 || __builtin_mul_overflow(v, 10, &v) ||
		    __builtin_add_overflow(v, digit, &v))
			return failed(ERR_FORMAT, "checkpoint: not a size");
	}
	*size = v;
	return OK;
}

/* base64_take may be lenient about spare bits: there is one way to write each thing. */
static enum err read_base64(struct slice text, struct buf *out)
{
	CLEANUP(buf) struct buf again = BUF_INIT;
	enum err e = base64_take(text, out);

	if (e)
		return e;
	buf_put_base64(&again, buf_slice(out));
	if ((e = buf_check(&again)))
		return e;
	return slice_equal(buf_slice(&again), text)
		       ? OK
		       : failed(ERR_FORMAT, "note: not canonical base64");
}

static enum err read_text(struct slice text, struct note *note)
{
	CLEANUP(buf) struct buf root = { .max = 64 };
	struct slice line;
	enum err e;

	if ((e = take_line(&text, &note->origin)))
		return e;
	if (note_check_origin(note->origin))
		return failed(ERR_FORMAT, "checkpoint: the first line is no origin");
	if ((e = take_line(&text, &line)) || (e = read_size(line, &note->size)) ||
	    (e = take_line(&text, &line)) || (e = read_base64(line, &root)))
		return e;
	if (root.len != SHA256_SIZE || text.left)
		return failed(ERR_FORMAT,
			      "checkpoint: a root of 32 bytes and no more lines expected");
	memcpy(note->root, root.data, SHA256_SIZE);
	return OK;
}

static enum err read_signature(struct slice line, struct note_signature *s)
{
	CLEANUP(buf) struct buf tagged = { .max = NOTE_MAX };
	size_t dash = strlen(DASH);
	enum err e;

	if (line.left < dash || memcmp(line.p, DASH, dash) != 0)
		return failed(ERR_FORMAT, "note: a signature line starts with a dash and a blank");
	line = slice_of(line.p + dash, line.left - dash);
	const uint8_t *blank = line.left ? memchr(line.p, ' ', line.left) : NULL;
	if (!blank || blank == line.p)
		return failed(ERR_FORMAT, "note: a signature line without a name");
	s->name = slice_of(line.p, (size_t)(blank - line.p));
	if ((e = read_base64(slice_of(blank + 1, line.left - s->name.left - 1), &tagged)))
		return e;
	if (tagged.len <= NOTE_KEY_ID)
		return failed(ERR_FORMAT, "note: a signature without bytes");
	memcpy(s->id, tagged.data, NOTE_KEY_ID);
	s->n = tagged.len - NOTE_KEY_ID <= sizeof s->bytes ? tagged.len - NOTE_KEY_ID : 0;
	memcpy(s->bytes, tagged.data + NOTE_KEY_ID, s->n);
	return OK;
}

enum err note_read(struct slice raw, struct note *out)
{
	struct slice line;
	enum err e;

	memset(out, 0, sizeof *out);
	if (raw.left > NOTE_MAX)
		return failed(ERR_FORMAT, "note: %zu bytes, at most %d", raw.left, NOTE_MAX);
	const uint8_t *split = raw.left ? memmem(raw.p, raw.left, "\n\n", 2) : NULL;
	if (!split)
		return failed(ERR_FORMAT, "note: no empty line before the signatures");
	out->text = slice_of(raw.p, (size_t)(split - raw.p) + 1);
	if ((e = read_text(out->text, out)))
		return e;
	struct slice rest = slice_of(split + 2, raw.left - out->text.left - 1);
	do {
		if (out->signatures_n == NOTE_SIGNATURES_MAX)
			return failed(ERR_FORMAT, "note: over %d signatures", NOTE_SIGNATURES_MAX);
		if ((e = take_line(&rest, &line)) ||
		    (e = read_signature(line, &out->signatures[out->signatures_n++])))
			return e;
	} while (rest.left);
	return OK;
}

enum err note_verify(const struct note *note, struct slice certificate)
{
	uint8_t id[NOTE_KEY_ID], digest[SHA256_SIZE], raw[ECDSA_RAW];
	enum err e = note_key_id(certificate, id);

	if (e)
		return e;
	sha256_once(note->text, digest);
	for (size_t i = 0; i < note->signatures_n; i++) {
		const struct note_signature *s = &note->signatures[i];

		if (!slice_equal(s->name, note->origin) || memcmp(s->id, id, sizeof id) != 0)
			continue;
		if (ecdsa_from_der(slice_of(s->bytes, s->n), raw))
			return failed(ERR_CRYPTO, "checkpoint: the signature is not ECDSA in DER");
		return ecdsa_verify(certificate, digest, slice_of(raw, sizeof raw));
	}
	return failed(ERR_NOT_FOUND, "checkpoint: no signature by this key");
}

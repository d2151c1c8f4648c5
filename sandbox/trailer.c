#include "sandbox/trailer.h"

#include <string.h>

#define MAGIC "ASSAYSG1"
#define LENGTH_AT 8 /* in a trailer, and in a package's header */

static enum err take_part(struct slice *in, const char *what, struct slice *out)
{
	uint16_t n;
	enum err e;

	if ((e = slice_take_u16(in, &n)) || (e = slice_take(in, n, out)))
		return e;
	return n ? OK : failed(ERR_FORMAT, "an empty %s", what);
}

static enum err take_signature(struct slice *in, struct trailer *out)
{
	struct signature *s = &out->list[out->n];
	enum err e;

	if ((e = take_part(in, "key", &s->key)) || (e = take_part(in, "signature", &s->signature)))
		return e;
	sha256_once(s->key, s->signer);
	if (out->n && memcmp(s[-1].signer, s->signer, SHA256_SIZE) >= 0)
		return failed(ERR_FORMAT, "out of order, or by a signer who is there already");
	out->n++;
	return OK;
}

static enum err take_head(struct slice *in, uint8_t *n)
{
	size_t whole = in->left;
	struct slice magic;
	uint16_t length;
	enum err e;

	if (!slice_starts(*in, MAGIC))
		return failed(ERR_FORMAT, "%zu bytes that are no signatures", whole);
	if ((e = slice_take(in, sizeof MAGIC - 1, &magic)) || (e = slice_take_u16(in, &length)))
		return e;
	if (length != whole || whole > TRAILER_MAX)
		return failed(ERR_FORMAT, "cut or lengthened: %u bytes announced, %zu here", length,
			      whole);
	if ((e = slice_take_u8(in, n)))
		return e;
	return *n && *n <= TRAILER_SIGNATURES_MAX ? OK : failed(ERR_FORMAT, "%u signatures", *n);
}

enum err trailer_parse(struct slice raw, struct trailer *out)
{
	uint8_t n = 0;
	enum err e = OK;

	out->n = 0;
	if (raw.left && (e = take_head(&raw, &n)))
		return failed(e, "after the package: %s", err_reason());
	for (uint8_t i = 0; i < n; i++)
		if ((e = take_signature(&raw, out)))
			return failed(e, "after the package: signature %u: %s", i, err_reason());
	return raw.left ? failed(ERR_FORMAT, "%zu bytes after the last signature", raw.left) : OK;
}

enum err trailer_split(struct slice *package, struct trailer *out)
{
	uint64_t n = 0;

	out->n = 0;
	if (package->left >= PACKAGE_HEADER && slice_starts(*package, PACKAGE_MAGIC))
		n = get_u64(package->p + LENGTH_AT);
	if (n < PACKAGE_HEADER || n >= package->left)
		return OK;
	enum err e = trailer_parse(slice_of(package->p + n, package->left - n), out);
	if (!e)
		package->left = n;
	return e;
}

enum err trailer_add(struct trailer *trailer, struct slice key, struct slice signature)
{
	struct signature s = { .key = key, .signature = signature };
	size_t at = 0;

	sha256_once(key, s.signer);
	while (at < trailer->n && memcmp(trailer->list[at].signer, s.signer, SHA256_SIZE) < 0)
		at++;
	bool there = at < trailer->n && !memcmp(trailer->list[at].signer, s.signer, SHA256_SIZE);
	if (!there && trailer->n == TRAILER_SIGNATURES_MAX)
		return failed(ERR_LIMIT, "a package has at most %d signatures",
			      TRAILER_SIGNATURES_MAX);
	if (!there)
		memmove(&trailer->list[at + 1], &trailer->list[at], (trailer->n++ - at) * sizeof s);
	trailer->list[at] = s;
	return OK;
}

enum err trailer_put(const struct trailer *trailer, struct buf *out)
{
	size_t start = out->len;

	if (!trailer->n)
		return OK;
	buf_put_text(out, MAGIC);
	buf_put_u16(out, 0);
	buf_put_u8(out, (uint8_t)trailer->n);
	for (size_t i = 0; i < trailer->n; i++) {
		const struct signature *s = &trailer->list[i];

		if (s->key.left > TRAILER_MAX || s->signature.left > TRAILER_MAX)
			return failed(ERR_RANGE, "a key or signature over %d bytes", TRAILER_MAX);
		buf_put_u16(out, (uint16_t)s->key.left);
		buf_put_slice(out, s->key);
		buf_put_u16(out, (uint16_t)s->signature.left);
		buf_put_slice(out, s->signature);
	}
	enum err e = buf_check(out);
	if (e)
		return e;
	if (out->len - start > TRAILER_MAX)
		return failed(ERR_RANGE, "signatures of %zu bytes, at most %d", out->len - start,
			      TRAILER_MAX);
	set_u16(out->data + start + LENGTH_AT, (uint16_t)(out->len - start));
	return OK;
}

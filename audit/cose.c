#include "audit/cose.h"

enum err cose_digest(struct slice protected, struct slice payload, uint8_t digest[SHA256_SIZE])
{
	CLEANUP(buf) struct buf b = BUF_INIT;
	enum err e;

	cbor_put_array(&b, 4);
	cbor_put_text(&b, "Signature1");
	cbor_put_bytes(&b, protected);
	cbor_put_bytes(&b, slice_of("", 0)); /* no external data */
	cbor_put_bytes(&b, payload);
	if ((e = buf_check(&b)))
		return e;
	sha256_once(buf_slice(&b), digest);
	return OK;
}

void cose_put(struct buf *out, const struct cose_sign1 *parts)
{
	cbor_put_tag(out, COSE_SIGN1_TAG);
	cbor_put_array(out, 4);
	cbor_put_bytes(out, parts->protected);
	buf_put_slice(out, parts->unprotected);
	if (parts->payload.p)
		cbor_put_bytes(out, parts->payload);
	else
		cbor_put_null(out);
	cbor_put_bytes(out, parts->signature);
}

enum err cose_take(struct slice raw, struct cose_sign1 *parts)
{
	uint64_t tag;
	size_t n;
	enum err e;

	*parts = (struct cose_sign1){ 0 };
	if ((e = cbor_take_tag(&raw, &tag)) || (e = cbor_take_array(&raw, 4, &n)))
		return e;
	if (tag != COSE_SIGN1_TAG || n != 4)
		return failed(ERR_FORMAT, "COSE: not a tagged COSE_Sign1");
	if ((e = cbor_take_bytes(&raw, SIZE_MAX, &parts->protected)))
		return e;
	if (cbor_peek(raw) != CBOR_MAP)
		return failed(ERR_FORMAT, "COSE: the unprotected header is no map");
	if ((e = cbor_take_item(&raw, &parts->unprotected)))
		return e;
	if (cbor_peek(raw) == CBOR_SIMPLE)
		e = cbor_take_null(&raw);
	else
		e = cbor_take_bytes(&raw, SIZE_MAX, &parts->payload);
	if (e || (e = cbor_take_bytes(&raw, SIZE_MAX, &parts->signature)))
		return e;
	return cbor_take_end(raw);
}

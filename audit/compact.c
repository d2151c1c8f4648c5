#include "audit/compact.h"

#include <stdlib.h>
#include <string.h>

#include "audit/claims.h"
#include "audit/cose.h"
#include "audit/ecdsa.h"

#define IMAGE_NAME "image"

static const uint8_t *image_of(const struct leaf *leaf)
{
	for (size_t i = 0; i < leaf->components_n; i++)
		if (slice_is(leaf->components[i].name, IMAGE_NAME))
			return leaf->components[i].sha256;
	return NULL;
}

static enum err put_payload(struct buf *out, struct slice raw)
{
	uint8_t hash[SHA256_SIZE];
	struct leaf leaf;
	enum err e;

	if ((e = leaf_decode(raw, &leaf)))
		return e;
	const uint8_t *image = image_of(&leaf);
	leaf_hash(raw, hash);
	cbor_put_map(out, claims_count(&leaf, true) + (image ? 2 : 1));
	claims_put(&leaf, true, out);
	if (image) {
		cbor_put_int(out, COMPACT_KEY_IMAGE);
		cbor_put_bytes(out, slice_of(image, SHA256_SIZE));
	}
	cbor_put_int(out, COMPACT_KEY_LEAF);
	cbor_put_bytes(out, SLICE(hash));
	return buf_check(out);
}

static void put_protected(struct buf *out, const struct audit_key *key)
{
	uint8_t digest[SHA256_SIZE];

	sha256_once(key->certificate, digest);
	cbor_put_map(out, 2);
	cbor_put_int(out, COSE_HEADER_ALG);
	cbor_put_int(out, key->alg);
	cbor_put_int(out, COSE_HEADER_KID);
	cbor_put_bytes(out, slice_of(digest, COSE_KID));
}

enum err compact_prepare(struct compact_draft *draft, const struct audit_key *key,
			 struct slice leaf, uint8_t digest[SHA256_SIZE])
{
	enum err e;

	if (key->alg != COSE_ES256)
		return failed(ERR_UNSUPPORTED, "COSE algorithm %d", key->alg);
	buf_reset(&draft->protected);
	buf_reset(&draft->payload);
	put_protected(&draft->protected, key);
	if ((e = buf_check(&draft->protected)) || (e = put_payload(&draft->payload, leaf)))
		return e;
	return cose_digest(buf_slice(&draft->protected), buf_slice(&draft->payload), digest);
}

enum err compact_write(const struct compact_draft *draft, struct slice signature, struct buf *out)
{
	static const uint8_t empty_map[] = { 0xa0 };
	size_t start = out->len;
	enum err e;

	if (signature.left != ECDSA_RAW)
		return failed(ERR_CRYPTO, "a signature of %zu bytes", signature.left);
	cose_put(out, &(struct cose_sign1){ .protected = buf_slice(&draft->protected),
					    .unprotected = SLICE(empty_map),
					    .payload = buf_slice(&draft->payload),
					    .signature = signature });
	if ((e = buf_check(out)))
		return e;
	return out->len - start <= COMPACT_MAX
		       ? OK
		       : failed(ERR_RANGE, "a compact proof of %zu bytes", out->len - start);
}

void compact_draft_free(struct compact_draft *draft)
{
	buf_free(&draft->protected);
	buf_free(&draft->payload);
}

void compact_draft_cleanup(struct compact_draft *draft)
{
	compact_draft_free(draft);
}

/* ---- reading ---- */

static enum err read_protected(struct slice in, struct compact *c)
{
	struct cbor_keys keys = { { NULL, 0 } };
	int64_t key[2], alg;
	size_t n;
	enum err e;

	if ((e = cbor_take_map(&in, 2, &n)) || (e = cbor_take_key(&in, &keys, &key[0])) ||
	    (e = cbor_take_int(&in, &alg)) || (e = cbor_take_key(&in, &keys, &key[1])) ||
	    (e = cbor_take_bytes(&in, COSE_KID, &c->kid)) || (e = cbor_take_end(in)))
		return e;
	if (n != 2 || key[0] != COSE_HEADER_ALG || alg != COSE_ES256 || key[1] != COSE_HEADER_KID ||
	    c->kid.left != COSE_KID)
		return failed(ERR_FORMAT, "compact proof: ES256 and a key id of 8 bytes expected");
	return OK;
}

static void copy_claims(struct compact *c, const struct leaf *leaf)
{
	c->type = leaf->type;
	c->dbgstat = leaf->dbgstat;
	c->time = leaf->time;
	c->nonce = leaf->nonce;
	c->pos = leaf->pos;
	c->has_input = leaf->has_input;
	c->has_output = leaf->has_output;
	c->has_status = leaf->has_status;
	c->has_tcb = leaf->has_tcb;
	c->has_epoch = leaf->has_epoch;
	c->status_kind = leaf->status_kind;
	c->status_code = leaf->status_code;
	c->epoch = leaf->epoch;
	memcpy(c->cti, leaf->cti, sizeof c->cti);
	memcpy(c->input, leaf->input, sizeof c->input);
	memcpy(c->output, leaf->output, sizeof c->output);
	memcpy(c->tcb, leaf->tcb, sizeof c->tcb);
}

/* The claims come first, then our two; the last key of the map says whether the image is there. */
static enum err read_own(struct slice in, struct cbor_keys *keys, struct compact *c)
{
	int64_t key;
	enum err e = cbor_take_key(&in, keys, &key);

	if (!e && key == COMPACT_KEY_IMAGE) {
		c->has_image = true;
		if (!(e = cbor_take_fixed(&in, c->image, SHA256_SIZE)))
			e = cbor_take_key(&in, keys, &key);
	}
	if (e)
		return e;
	if (key != COMPACT_KEY_LEAF)
		return failed(ERR_FORMAT, "compact proof: unknown claim %lld", (long long)key);
	return (e = cbor_take_fixed(&in, c->leaf_hash, SHA256_SIZE)) ? e : cbor_take_end(in);
}

/* How many of the pairs are a leaf's claims: all but one or two of our own at the end. */
static enum err count_claims(struct slice in, size_t pairs, size_t *n)
{
	int64_t key;
	enum err e;

	*n = 0;
	for (size_t i = 0; i < pairs; i++) {
		if ((e = cbor_take_int(&in, &key)) || (e = cbor_take_item(&in, NULL)))
			return e;
		*n += key != COMPACT_KEY_IMAGE && key != COMPACT_KEY_LEAF;
	}
	return OK;
}

static enum err read_payload(struct slice in, struct compact *c)
{
	CLEANUP(leaf) struct leaf *leaf = malloc(sizeof *leaf);
	struct cbor_keys keys = { { NULL, 0 } };
	size_t pairs, n;
	enum err e;

	if (!leaf)
		return failed(ERR_MEMORY, "no memory for a leaf");
	if ((e = cbor_take_map(&in, claims_n + 2, &pairs)) || (e = count_claims(in, pairs, &n)) ||
	    (e = claims_take(&in, n, true, &keys, leaf)))
		return e;
	copy_claims(c, leaf);
	return read_own(in, &keys, c);
}

enum err compact_read(struct slice raw, struct compact *out)
{
	struct cose_sign1 parts;
	enum err e;

	memset(out, 0, sizeof *out);
	if (raw.left > COMPACT_MAX)
		return failed(ERR_FORMAT, "compact proof: %zu bytes", raw.left);
	if ((e = cose_take(raw, &parts)))
		return e;
	if (parts.unprotected.left != 1 || !parts.payload.p || parts.signature.left != ECDSA_RAW)
		return failed(ERR_FORMAT, "compact proof: payload and signature expected, no more");
	out->protected = parts.protected;
	out->payload = parts.payload;
	out->signature = parts.signature;
	return (e = read_protected(parts.protected, out)) ? e : read_payload(parts.payload, out);
}

enum err compact_verify(const struct compact *compact, struct slice certificate)
{
	uint8_t digest[SHA256_SIZE];
	enum err e;

	sha256_once(certificate, digest);
	if (!slice_equal(compact->kid, slice_of(digest, COSE_KID)))
		return failed(ERR_MISMATCH,
			      "compact proof: signed by the key of another certificate");
	if ((e = cose_digest(compact->protected, compact->payload, digest)))
		return e;
	return ecdsa_verify(certificate, digest, compact->signature);
}

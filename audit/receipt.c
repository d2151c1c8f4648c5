#include "audit/receipt.h"

#include <string.h>

#include "audit/cose.h"
#include "audit/ecdsa.h"
#include "audit/timestamp.h"
#include "audit/tree.h"

#define CWT_ISS 1
#define CWT_SUB 2
#define CWT_IAT 6
#define VDS_RFC9162_SHA256 1
#define VDP_INCLUSION (-1)
#define NAME_MAX_BYTES 256

/* ---- the signed head ---- */

static void put_protected(struct buf *b, const struct audit_key *key, const char *issuer,
			  const char *origin, uint64_t size, int64_t time)
{
	uint8_t digest[SHA256_SIZE];

	sha256_once(key->certificate, digest);
	cbor_put_map(b, 6);
	cbor_put_int(b, COSE_HEADER_ALG);
	cbor_put_int(b, key->alg);
	cbor_put_int(b, COSE_HEADER_KID);
	cbor_put_bytes(b, slice_of(digest, COSE_KID));
	cbor_put_int(b, COSE_HEADER_CWT_CLAIMS);
	cbor_put_map(b, 3);
	cbor_put_int(b, CWT_ISS);
	cbor_put_text(b, issuer);
	cbor_put_int(b, CWT_SUB);
	cbor_put_text(b, origin);
	cbor_put_int(b, CWT_IAT);
	cbor_put_int(b, time);
	cbor_put_int(b, COSE_HEADER_X5T);
	cbor_put_array(b, 2);
	cbor_put_int(b, COSE_SHA256);
	cbor_put_bytes(b, SLICE(digest));
	cbor_put_int(b, COSE_HEADER_VDS);
	cbor_put_int(b, VDS_RFC9162_SHA256);
	cbor_put_int(b, COSE_HEADER_TREE_SIZE);
	cbor_put_uint(b, size);
}

enum err receipt_head_prepare(struct receipt_head *head, const struct audit_key *key,
			      const char *issuer, const char *origin, uint64_t size,
			      const uint8_t root[SHA256_SIZE], int64_t time,
			      uint8_t digest[SHA256_SIZE])
{
	enum err e;

	if (key->alg != COSE_ES256)
		return failed(ERR_UNSUPPORTED, "COSE algorithm %d", key->alg);
	if (size < 2 || size > INT64_MAX || time < 0)
		return failed(ERR_RANGE, "no receipts for a tree of %llu leaves",
			      (unsigned long long)size);
	if (strlen(issuer) > NAME_MAX_BYTES || strlen(origin) > AUDIT_ORIGIN_MAX)
		return failed(ERR_RANGE, "issuer or origin of a receipt is too long");
	head->size = size;
	memcpy(head->root, root, SHA256_SIZE);
	buf_reset(&head->signature);
	buf_reset(&head->protected);
	put_protected(&head->protected, key, issuer, origin, size, time);
	if ((e = buf_check(&head->protected)))
		return e;
	return cose_digest(buf_slice(&head->protected), slice_of(head->root, SHA256_SIZE), digest);
}

enum err receipt_head_sign(struct receipt_head *head, struct slice signature)
{
	if (signature.left != ECDSA_RAW)
		return failed(ERR_CRYPTO, "a signature of %zu bytes", signature.left);
	buf_reset(&head->signature);
	buf_put_slice(&head->signature, signature);
	return buf_check(&head->signature);
}

void receipt_head_free(struct receipt_head *head)
{
	buf_free(&head->protected);
	buf_free(&head->signature);
}

void receipt_head_cleanup(struct receipt_head *head)
{
	receipt_head_free(head);
}

/* ---- writing ---- */

static void put_chain(struct buf *b, struct slice certificate, const struct chain *chain)
{
	cbor_put_int(b, COSE_HEADER_X5CHAIN);
	cbor_put_array(b, 1 + chain->n);
	cbor_put_bytes(b, certificate);
	for (size_t i = 0; i < chain->n; i++)
		cbor_put_bytes(b, chain->of[i]);
}

static enum err put_inclusion(struct buf *b, uint64_t size, uint64_t index,
			      const uint8_t (*path)[SHA256_SIZE], size_t path_n)
{
	CLEANUP(buf) struct buf proof = BUF_INIT;
	enum err e;

	cbor_put_array(&proof, 3);
	cbor_put_uint(&proof, size);
	cbor_put_uint(&proof, index);
	cbor_put_array(&proof, path_n);
	for (size_t i = 0; i < path_n; i++)
		cbor_put_bytes(&proof, slice_of(path[i], SHA256_SIZE));
	if ((e = buf_check(&proof)))
		return e;
	cbor_put_int(b, COSE_HEADER_VDP);
	cbor_put_map(b, 1);
	cbor_put_int(b, VDP_INCLUSION);
	cbor_put_array(b, 1);
	cbor_put_bytes(b, buf_slice(&proof));
	return OK;
}

enum err receipt_write(const struct receipt_head *head, const struct audit_key *key, uint64_t index,
		       const uint8_t (*path)[SHA256_SIZE], size_t path_n, struct buf *out)
{
	CLEANUP(buf) struct buf unprotected = BUF_INIT;
	struct chain chain;
	enum err e;

	if (index >= head->size || path_n == 0 || path_n > RECEIPT_PATH_MAX)
		return failed(ERR_RANGE, "no receipt for leaf %llu of %llu",
			      (unsigned long long)index, (unsigned long long)head->size);
	if ((e = chain_read(key->chain, &chain)))
		return e;
	if (chain.n > CHAIN_MAX)
		return failed(ERR_RANGE, "a chain of %zu certificates", chain.n);
	cbor_put_map(&unprotected, 2);
	put_chain(&unprotected, key->certificate, &chain);
	if ((e = put_inclusion(&unprotected, head->size, index, path, path_n)) ||
	    (e = buf_check(&unprotected)))
		return e;
	cose_put(out, &(struct cose_sign1){ .protected = buf_slice(&head->protected),
					    .unprotected = buf_slice(&unprotected),
					    .signature = buf_slice(&head->signature) });
	return buf_check(out);
}

/* ---- reading ---- */

static enum err take_key(struct slice *in, int64_t wanted)
{
	int64_t key;
	enum err e = cbor_take_int(in, &key);

	if (e)
		return e;
	return key == wanted ? OK
			     : failed(ERR_FORMAT, "receipt: header %lld found, %lld expected",
				      (long long)key, (long long)wanted);
}

static enum err take_map(struct slice *in, size_t pairs)
{
	size_t n;
	enum err e = cbor_take_map(in, pairs, &n);

	if (e)
		return e;
	return n == pairs ? OK : failed(ERR_FORMAT, "receipt: a map of %zu, not %zu", n, pairs);
}

static enum err take_array(struct slice *in, size_t items)
{
	size_t n;
	enum err e = cbor_take_array(in, items, &n);

	if (e)
		return e;
	return n == items ? OK : failed(ERR_FORMAT, "receipt: an array of %zu, not %zu", n, items);
}

static enum err take_exactly(struct slice *in, size_t n, struct slice *out)
{
	enum err e = cbor_take_bytes(in, n, out);

	if (e)
		return e;
	return out->left == n ? OK : failed(ERR_FORMAT, "receipt: %zu bytes expected", n);
}

static enum err take_cwt_claims(struct slice *in, struct receipt *r)
{
	enum err e;

	if ((e = take_key(in, COSE_HEADER_CWT_CLAIMS)) || (e = take_map(in, 3)) ||
	    (e = take_key(in, CWT_ISS)) || (e = cbor_take_text(in, NAME_MAX_BYTES, &r->issuer)) ||
	    (e = take_key(in, CWT_SUB)) || (e = cbor_take_text(in, AUDIT_ORIGIN_MAX, &r->origin)) ||
	    (e = take_key(in, CWT_IAT)) || (e = cbor_take_int(in, &r->time)))
		return e;
	return r->time >= 0 ? OK : failed(ERR_FORMAT, "receipt: a time before 1970");
}

static enum err take_x5t(struct slice *in, struct receipt *r)
{
	int64_t alg;
	enum err e;

	if ((e = take_key(in, COSE_HEADER_X5T)) || (e = take_array(in, 2)) ||
	    (e = cbor_take_int(in, &alg)) || (e = take_exactly(in, SHA256_SIZE, &r->x5t)))
		return e;
	return alg == COSE_SHA256 ? OK : failed(ERR_FORMAT, "receipt: x5t is not SHA-256");
}

static enum err read_protected(struct slice in, struct receipt *r)
{
	int64_t vds;
	enum err e;

	if ((e = take_map(&in, 6)) || (e = take_key(&in, COSE_HEADER_ALG)) ||
	    (e = cbor_take_int(&in, &r->alg)) || (e = take_key(&in, COSE_HEADER_KID)) ||
	    (e = take_exactly(&in, COSE_KID, &r->kid)) || (e = take_cwt_claims(&in, r)) ||
	    (e = take_x5t(&in, r)) || (e = take_key(&in, COSE_HEADER_VDS)) ||
	    (e = cbor_take_int(&in, &vds)) || (e = take_key(&in, COSE_HEADER_TREE_SIZE)) ||
	    (e = cbor_take_uint(&in, &r->size)) || (e = cbor_take_end(in)))
		return e;
	if (r->alg != COSE_ES256)
		return failed(ERR_FORMAT, "receipt: algorithm %lld", (long long)r->alg);
	if (vds != VDS_RFC9162_SHA256)
		return failed(ERR_FORMAT, "receipt: tree of kind %lld", (long long)vds);
	return OK;
}

static enum err read_inclusion(struct slice in, struct receipt *r)
{
	uint64_t size;
	enum err e;

	if ((e = take_array(&in, 3)) || (e = cbor_take_uint(&in, &size)) ||
	    (e = cbor_take_uint(&in, &r->index)) ||
	    (e = cbor_take_array(&in, RECEIPT_PATH_MAX, &r->path_n)))
		return e;
	for (size_t i = 0; i < r->path_n; i++)
		if ((e = take_exactly(&in, SHA256_SIZE, &r->path[i])))
			return e;
	if (size != r->size)
		return failed(ERR_FORMAT, "receipt: tree size %llu in the proof, %llu signed",
			      (unsigned long long)size, (unsigned long long)r->size);
	if (r->size < 2 || r->size > INT64_MAX || r->index >= r->size || r->path_n == 0)
		return failed(ERR_FORMAT, "receipt: no leaf %llu in a tree of %llu",
			      (unsigned long long)r->index, (unsigned long long)r->size);
	return cbor_take_end(in);
}

/* What a receipt may have, or not. */
static enum err take_option(struct slice *in, int64_t key, size_t max, struct slice *value)
{
	struct slice rest = *in;
	int64_t found;
	enum err e = cbor_take_int(&rest, &found);

	if (e || found != key)
		return e;
	*in = rest;
	if ((e = cbor_take_bytes(in, max, value)))
		return e;
	return value->left ? OK
			   : failed(ERR_FORMAT, "receipt: header %lld is empty", (long long)key);
}

static enum err take_chain(struct slice *in, struct receipt *r)
{
	size_t n;
	enum err e;

	if ((e = take_key(in, COSE_HEADER_X5CHAIN)) || (e = cbor_take_array(in, 1 + CHAIN_MAX, &n)))
		return e;
	if (n < 2)
		return failed(ERR_FORMAT, "receipt: a chain of %zu", n);
	e = cbor_take_bytes(in, CERTIFICATE_MAX, &r->certificate);
	for (r->chain.n = 0; !e && r->chain.n < n - 1; r->chain.n++)
		e = cbor_take_bytes(in, CERTIFICATE_MAX, &r->chain.of[r->chain.n]);
	return e;
}

static enum err read_unprotected(struct slice in, struct receipt *r)
{
	struct slice proof;
	size_t pairs;
	enum err e;

	if ((e = cbor_take_map(&in, 4, &pairs)) ||
	    (e = take_option(&in, COSE_HEADER_X5BAG, CERTIFICATE_MAX, &r->former)) ||
	    (e = take_chain(&in, r)) ||
	    (e = take_option(&in, COSE_HEADER_TIMESTAMP, TIMESTAMP_MAX, &r->timestamp)))
		return e;
	if (pairs != 2u + (r->former.left > 0) + (r->timestamp.left > 0))
		return failed(ERR_FORMAT, "receipt: a map of %zu", pairs);
	if ((e = take_key(&in, COSE_HEADER_VDP)) || (e = take_map(&in, 1)) ||
	    (e = take_key(&in, VDP_INCLUSION)) || (e = take_array(&in, 1)) ||
	    (e = cbor_take_bytes(&in, RECEIPT_MAX, &proof)) || (e = cbor_take_end(in)))
		return e;
	return read_inclusion(proof, r);
}

/* The names of a key in the protected header, and the certificate that came along. */
static enum err check_names(const struct receipt *r, struct slice certificate)
{
	uint8_t digest[SHA256_SIZE];

	sha256_once(certificate, digest);
	if (!slice_equal(r->x5t, SLICE(digest)) || !slice_equal(r->kid, slice_of(digest, COSE_KID)))
		return failed(ERR_FORMAT,
			      "receipt: the certificate is not the one it was signed for");
	return OK;
}

enum err receipt_read(struct slice raw, struct receipt *out)
{
	struct cose_sign1 parts;
	enum err e;

	memset(out, 0, sizeof *out);
	if (raw.left > RECEIPT_MAX)
		return failed(ERR_FORMAT, "receipt: %zu bytes", raw.left);
	if ((e = cose_take(raw, &parts)))
		return e;
	out->protected = parts.protected;
	out->signature = parts.signature;
	if (parts.payload.p)
		return failed(ERR_FORMAT, "receipt: its payload is detached, always");
	if (parts.signature.left != ECDSA_RAW)
		return failed(ERR_FORMAT, "receipt: a signature of %zu bytes",
			      parts.signature.left);
	if ((e = read_protected(parts.protected, out)) ||
	    (e = read_unprotected(parts.unprotected, out)))
		return e;
	return check_names(out, out->certificate);
}

static void put_option(struct buf *b, int64_t key, struct slice value)
{
	if (!value.left)
		return;
	cbor_put_int(b, key);
	cbor_put_bytes(b, value);
}

/* What was signed stays as it is. */
static enum err write_again(const struct receipt *r, struct buf *out)
{
	CLEANUP(buf) struct buf unprotected = BUF_INIT;
	uint8_t path[RECEIPT_PATH_MAX][SHA256_SIZE];
	enum err e;

	for (size_t i = 0; i < r->path_n; i++)
		memcpy(path[i], r->path[i].p, SHA256_SIZE);
	cbor_put_map(&unprotected, 2u + (r->former.left > 0) + (r->timestamp.left > 0));
	put_option(&unprotected, COSE_HEADER_X5BAG, r->former);
	put_chain(&unprotected, r->certificate, &r->chain);
	put_option(&unprotected, COSE_HEADER_TIMESTAMP, r->timestamp);
	if ((e = put_inclusion(&unprotected, r->size, r->index, (const uint8_t(*)[SHA256_SIZE])path,
			       r->path_n)) ||
	    (e = buf_check(&unprotected)))
		return e;
	cose_put(out, &(struct cose_sign1){ .protected = r->protected,
					    .unprotected = buf_slice(&unprotected),
					    .signature = r->signature });
	return buf_check(out);
}

enum err receipt_stamp(struct slice raw, struct slice token, struct buf *out)
{
	struct receipt r;
	enum err e;

	if (token.left == 0 || token.left > TIMESTAMP_MAX)
		return failed(ERR_RANGE, "a time stamp of %zu bytes", token.left);
	if ((e = receipt_read(raw, &r)))
		return e;
	r.timestamp = token;
	return write_again(&r, out);
}

enum err receipt_carry(struct slice raw, struct slice former, struct buf *out)
{
	struct receipt r;
	enum err e;

	if (former.left == 0 || former.left > CERTIFICATE_MAX)
		return failed(ERR_RANGE, "a certificate of %zu bytes", former.left);
	if ((e = receipt_read(raw, &r)))
		return e;
	r.former = former;
	return write_again(&r, out);
}

/* ---- checking ---- */

_Static_assert(RECEIPT_PATH_MAX <= TREE_CONSISTENCY_MAX, "a receipt's path is a tree's");

enum err receipt_root(const struct receipt *receipt, const uint8_t leaf_hash[SHA256_SIZE],
		      uint8_t root[SHA256_SIZE])
{
	struct tree_path path = { .n = receipt->path_n };
	enum err e;

	for (size_t i = 0; i < path.n; i++)
		memcpy(path.hash[i], receipt->path[i].p, SHA256_SIZE);
	e = tree_fold(leaf_hash, receipt->index, receipt->size, &path, root);
	return e ? failed(e, "receipt: %s", err_reason()) : OK;
}

enum err receipt_digest(const struct receipt *receipt, const uint8_t leaf_hash[SHA256_SIZE],
			uint8_t digest[SHA256_SIZE])
{
	uint8_t root[SHA256_SIZE];
	enum err e = receipt_root(receipt, leaf_hash, root);

	return e ? e : cose_digest(receipt->protected, SLICE(root), digest);
}

enum err receipt_verify(const struct receipt *receipt, const uint8_t leaf_hash[SHA256_SIZE])
{
	uint8_t digest[SHA256_SIZE];
	enum err e = receipt_digest(receipt, leaf_hash, digest);

	return e ? e : ecdsa_verify(receipt->certificate, digest, receipt->signature);
}

enum err receipt_head_verify(const struct receipt_head *head, const char *origin,
			     struct slice certificate)
{
	struct receipt r = { 0 };
	uint8_t digest[SHA256_SIZE];
	enum err e;

	if ((e = read_protected(buf_slice(&head->protected), &r)) ||
	    (e = check_names(&r, certificate)))
		return e;
	if (r.size != head->size || !slice_is(r.origin, origin))
		return failed(ERR_MISMATCH,
			      "tree head: signed for size %llu of another log or size",
			      (unsigned long long)r.size);
	if ((e = cose_digest(buf_slice(&head->protected), SLICE(head->root), digest)))
		return e;
	return ecdsa_verify(certificate, digest, buf_slice(&head->signature));
}

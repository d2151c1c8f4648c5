#include "audit/proof.h"

#include <string.h>

#include "audit/openssl.h"
#include "config/base/cbor.h"

#define PROOF_NAME "assay-proof-1"
#define KEYS_NAME "assay-keys-1"
#define RESULT_NAME "assay-result-1"
#define RESULT_MAX ((size_t)1 << 30)

/* Every file here is an array of a name and byte strings. */
static void put_file(struct buf *out, const char *name, const struct slice *parts, size_t n)
{
	cbor_put_array(out, n + 1);
	cbor_put_text(out, name);
	for (size_t i = 0; i < n; i++)
		cbor_put_bytes(out, parts[i]);
}

static enum err take_file(struct slice raw, const char *name, struct slice *parts, size_t n,
			  size_t max)
{
	struct slice text;
	size_t items;
	enum err e;

	if (raw.left > max)
		return failed(ERR_FORMAT, "%s: %zu bytes", name, raw.left);
	if ((e = cbor_take_array(&raw, n + 1, &items)) || (e = cbor_take_text(&raw, 64, &text)))
		return failed(e, "not an %s: %s", name, err_reason());
	if (items != n + 1 || !slice_is(text, name))
		return failed(ERR_FORMAT, "not an %s", name);
	for (size_t i = 0; i < n; i++)
		if ((e = cbor_take_bytes(&raw, max, &parts[i])))
			return e;
	return cbor_take_end(raw);
}

void proof_write(const struct proof_parts *parts, struct buf *out)
{
	put_file(out, PROOF_NAME,
		 (struct slice[]){ parts->leaf, parts->receipt, parts->tcb_leaf,
				   parts->tcb_receipt },
		 4);
}

enum err proof_read(struct slice raw, struct proof_parts *out)
{
	struct slice parts[4];
	enum err e = take_file(raw, PROOF_NAME, parts, 4, PROOF_MAX);

	if (!e)
		*out = (struct proof_parts){ parts[0], parts[1], parts[2], parts[3] };
	return e;
}

bool proof_keys_has(const uint8_t key[32])
{
	static const uint8_t zeros[32];

	return memcmp(key, zeros, 32) != 0;
}

static struct slice key_slice(const uint8_t key[32])
{
	return slice_of(key, proof_keys_has(key) ? 32 : 0);
}

void proof_keys_write(const struct proof_keys *keys, struct buf *out)
{
	put_file(out, KEYS_NAME,
		 (struct slice[]){ key_slice(keys->input), key_slice(keys->output),
				   key_slice(keys->messages) },
		 3);
}

static enum err copy_key(struct slice key, uint8_t out[32])
{
	if (key.left != 0 && key.left != 32)
		return failed(ERR_FORMAT, "a commitment key of %zu bytes", key.left);
	memset(out, 0, 32);
	if (key.left)
		memcpy(out, key.p, 32);
	return OK;
}

enum err proof_keys_read(struct slice raw, struct proof_keys *out)
{
	struct slice parts[3];
	enum err e = take_file(raw, KEYS_NAME, parts, 3, 256);

	if (e || (e = copy_key(parts[0], out->input)) || (e = copy_key(parts[1], out->output)))
		return e;
	return copy_key(parts[2], out->messages);
}

void proof_result_write(struct slice proof, struct slice output, struct slice messages,
			struct slice keys, struct buf *out)
{
	put_file(out, RESULT_NAME, (struct slice[]){ proof, output, messages, keys }, 4);
}

enum err proof_result_read(struct slice raw, struct slice *proof, struct slice *output,
			   struct slice *messages, struct slice *keys)
{
	struct slice parts[4];
	enum err e = take_file(raw, RESULT_NAME, parts, 4, RESULT_MAX);

	if (e)
		return e;
	*proof = parts[0];
	*output = parts[1];
	*messages = parts[2];
	*keys = parts[3];
	return OK;
}

enum err proof_commit(const uint8_t key[32], struct slice data, uint8_t out[32])
{
	unsigned n = 32;
	static const uint8_t nothing;

	if (!HMAC(EVP_sha256(), key, 32, data.left ? data.p : &nothing, data.left, out, &n) ||
	    n != 32)
		return failed(ERR_CRYPTO, "HMAC-SHA256 failed");
	return OK;
}

/* As package.h defines it, which this folder may not include. */
enum err proof_measurement(const struct leaf *leaf, uint8_t out[32])
{
	static const char prefix[] = "assay-application-1"; /* its 0 counts */
	const struct leaf_component *image = leaf_component(leaf, "image");
	const struct leaf_component *profile = leaf_component(leaf, "profile");
	struct sha256 h;

	if (!image || !profile)
		return failed(ERR_NOT_FOUND, "the record names no application's measurement");
	sha256_init(&h);
	sha256_add(&h, prefix, sizeof prefix);
	sha256_add(&h, image->sha256, SHA256_SIZE);
	sha256_add(&h, profile->sha256, SHA256_SIZE);
	sha256_end(&h, out);
	return OK;
}

/* The reading half of claims.h. */
#include "audit/claims.h"

#include <string.h>

#include "audit/cose.h"

#define COMPONENT_MAX 2048
#define HSM_TEXT_MAX 64

static void *at(struct leaf *leaf, size_t offset)
{
	return (uint8_t *)leaf + offset;
}

static enum err take_array(struct slice *in, size_t least, size_t most, size_t *n)
{
	enum err e = cbor_take_array(in, most, n);

	if (e)
		return e;
	return *n >= least ? OK : failed(ERR_FORMAT, "an array of %zu, at least %zu", *n, least);
}

static enum err take_map(struct slice *in, size_t pairs)
{
	size_t n;
	enum err e = cbor_take_map(in, pairs, &n);

	if (e)
		return e;
	return n == pairs ? OK : failed(ERR_FORMAT, "a map of %zu, not %zu", n, pairs);
}

static enum err take_uint(struct slice *in, uint64_t least, uint64_t most, uint64_t *v)
{
	enum err e = cbor_take_uint(in, v);

	if (e)
		return e;
	return *v >= least && *v <= most
		       ? OK
		       : failed(ERR_FORMAT, "%llu is out of range", (unsigned long long)*v);
}

static enum err take_text(struct slice *in, size_t least, size_t most, struct slice *text)
{
	enum err e = cbor_take_text(in, most, text);

	if (e)
		return e;
	return text->left >= least ? OK : failed(ERR_FORMAT, "a text that is too short");
}

static enum err take_this_uint(struct slice *in, uint64_t wanted_value)
{
	uint64_t v;

	return take_uint(in, wanted_value, wanted_value, &v);
}

static enum err take_component_id(struct slice *in, struct leaf_component *c)
{
	size_t n, one;
	enum err e;

	if ((e = take_this_uint(in, 1)) || (e = take_array(in, 1, 2, &n)) ||
	    (e = take_text(in, 1, 512, &c->name)))
		return e;
	c->version = (struct slice){ 0 };
	if (n == 1)
		return OK;
	if ((e = take_array(in, 1, 1, &one)))
		return e;
	return take_text(in, 1, 256, &c->version);
}

const uint8_t *leaf_next_authority(struct slice *authorities)
{
	struct slice signer;

	if (cbor_take_bytes(authorities, SHA256_SIZE, &signer) || signer.left != SHA256_SIZE)
		return NULL;
	return signer.p;
}

/* Leaves the encoded ones in the component. */
static enum err take_authorities(struct slice *in, struct leaf_component *c)
{
	const uint8_t *last = NULL, *signer;
	size_t n;
	enum err e;

	if ((e = take_this_uint(in, CLAIM_AUTHORITIES)) ||
	    (e = take_array(in, 1, LEAF_AUTHORITIES_MAX, &n)))
		return e;
	c->authorities.p = in->p;
	for (; n; n--, last = signer) {
		if (!(signer = leaf_next_authority(in)))
			return failed(ERR_FORMAT, "an authority that is no SHA-256");
		if (last && memcmp(last, signer, SHA256_SIZE) >= 0)
			return failed(ERR_FORMAT, "authorities out of order");
	}
	c->authorities.left = (size_t)(in->p - c->authorities.p);
	return OK;
}

static enum err take_measurement(struct slice *in, struct leaf_component *c)
{
	size_t n;
	enum err e;

	if ((e = take_this_uint(in, 2)) || (e = take_array(in, 2, 2, &n)) ||
	    (e = take_this_uint(in, CLAIM_ALG_SHA256)))
		return e;
	return cbor_take_fixed(in, c->sha256, SHA256_SIZE);
}

static enum err take_component(struct slice *in, struct leaf_component *c)
{
	struct slice body;
	size_t n, fields;
	enum err e;

	if ((e = take_array(in, 2, 2, &n)) || (e = take_this_uint(in, CLAIM_MEASURED_COMPONENT)) ||
	    (e = cbor_take_bytes(in, COMPONENT_MAX, &body)) ||
	    (e = cbor_take_map(&body, 3, &fields)) || (e = take_component_id(&body, c)) ||
	    (e = take_measurement(&body, c)))
		return e;
	c->authorities = slice_of(NULL, 0);
	if (fields == 3 && (e = take_authorities(&body, c)))
		return e;
	return fields >= 2 ? cbor_take_end(body) : failed(ERR_FORMAT, "a map of %zu", fields);
}

static enum err take_components(struct slice *in, struct leaf *leaf)
{
	enum err e = take_array(in, 1, LEAF_COMPONENTS_MAX, &leaf->components_n);

	for (size_t i = 0; !e && i < leaf->components_n; i++)
		e = take_component(in, &leaf->components[i]);
	return e;
}

static enum err take_this_text(struct slice *in, const char *wanted_text)
{
	struct slice text;
	enum err e = cbor_take_text(in, HSM_TEXT_MAX, &text);

	if (e)
		return e;
	return slice_is(text, wanted_text) ? OK
					   : failed(ERR_FORMAT, "\"%s\" expected", wanted_text);
}

static enum err take_named(struct slice *in, const char *name, struct slice *text)
{
	enum err e = take_this_text(in, name);

	return e ? e : cbor_take_text(in, HSM_TEXT_MAX, text);
}

static enum err take_tpm(struct slice *in, struct leaf_hsm *hsm)
{
	enum err e;

	if ((e = take_this_text(in, CLAIM_TPM_NAME)) ||
	    (e = cbor_take_bytes(in, LEAF_TPM_MAX, &hsm->tpm)))
		return e;
	return hsm->tpm.left ? OK : failed(ERR_FORMAT, "an empty quote");
}

static enum err take_hsm(struct slice *in, struct leaf_hsm *hsm)
{
	size_t submodules;
	enum err e;

	if ((e = cbor_take_map(in, 2, &submodules)) || (e = submodules ? OK : ERR_FORMAT) ||
	    (e = take_this_text(in, CLAIM_HSM_NAME)) || (e = take_map(in, 5)) ||
	    (e = take_this_text(in, "flags")) || (e = cbor_take_uint(in, &hsm->flags)) ||
	    (e = take_named(in, "model", &hsm->model)) ||
	    (e = take_named(in, "serial", &hsm->serial)) ||
	    (e = take_named(in, "firmware", &hsm->firmware)))
		return e;
	if ((e = take_named(in, "manufacturer", &hsm->manufacturer)))
		return e;
	return submodules == 2 ? take_tpm(in, hsm) : OK;
}

static enum err take_times(struct slice *in, struct leaf *leaf)
{
	size_t n;
	enum err e;

	if ((e = take_array(in, 4, 4, &n)) || (e = cbor_take_uint(in, &leaf->start_us)) ||
	    (e = cbor_take_uint(in, &leaf->end_us)) || (e = cbor_take_uint(in, &leaf->time_source)))
		return e;
	return cbor_take_uint(in, &leaf->time_error_us);
}

static enum err take_caller(struct slice *in, uint64_t most, struct leaf *leaf)
{
	uint64_t role;
	size_t n;
	enum err e;

	if ((e = take_array(in, 1, 2, &n)) || (e = take_uint(in, 0, most, &role)))
		return e;
	leaf->role = (enum leaf_role)role;
	return n == 1 ? OK : take_text(in, 1, 128, &leaf->pseudonym);
}

static enum err take_confinement(struct slice *in, uint64_t most, struct leaf *leaf)
{
	size_t n;
	enum err e;

	if ((e = take_array(in, 4, 4, &n)) || (e = cbor_take_uint(in, &leaf->confinement_mode)) ||
	    (e = cbor_take_text(in, most, &leaf->absent_steps)) ||
	    (e = cbor_take_uint(in, &leaf->start_kind)))
		return e;
	return cbor_take_uint(in, &leaf->launched_us);
}

static enum err take_pair_of_numbers(struct slice *in, const struct claim *c, struct leaf *leaf)
{
	size_t n;
	enum err e;

	if ((e = take_array(in, 2, 2, &n)) ||
	    (e = take_uint(in, c->least, c->most, &leaf->status_kind)))
		return e;
	return cbor_take_uint(in, &leaf->status_code);
}

static enum err take_partition(struct slice *in, const struct claim *c, struct leaf *leaf)
{
	size_t n;
	enum err e;

	if ((e = take_array(in, 2, 2, &n)) ||
	    (e = take_text(in, c->least, c->most, &leaf->partition_serial)))
		return e;
	return cbor_take_text(in, c->most, &leaf->partition_label);
}

static enum err take_shard(struct slice *in, const struct claim *c, struct leaf *leaf)
{
	size_t n;
	enum err e;

	if ((e = take_array(in, 3, 3, &n)) ||
	    (e = take_text(in, c->least, c->most, &leaf->shard_origin)) ||
	    (e = cbor_take_uint(in, &leaf->shard_size)))
		return e;
	return cbor_take_fixed(in, leaf->shard_root, sizeof leaf->shard_root);
}

static enum err take_bytes(struct slice *in, const struct claim *c, struct slice *out)
{
	enum err e = cbor_take_bytes(in, c->most, out);

	if (e)
		return e;
	return out->left >= c->least ? OK : failed(ERR_FORMAT, "%zu bytes are too few", out->left);
}

static enum err take_enum(struct slice *in, const struct claim *c, unsigned *out)
{
	uint64_t v;
	enum err e = take_uint(in, c->least, c->most, &v);

	if (!e)
		*out = (unsigned)v;
	return e;
}

static enum err take_mac(struct slice *in, uint8_t *out)
{
	size_t n;
	enum err e;

	if ((e = take_array(in, 2, 2, &n)) || (e = take_this_uint(in, COSE_HMAC256)))
		return e;
	return cbor_take_fixed(in, out, 32);
}

static enum err take_value(struct slice *in, const struct claim *c, struct leaf *leaf)
{
	void *field = at(leaf, c->field);
	size_t n;
	enum err e;

	switch (c->kind) {
	case CLAIM_TEXT:
	case CLAIM_REASON:
		return take_text(in, c->least, c->most, field);
	case CLAIM_BYTES:
		return take_bytes(in, c, field);
	case CLAIM_VERSION:
		return (e = take_array(in, 1, 1, &n)) ? e : take_text(in, c->least, c->most, field);
	case CLAIM_UINT:
	case CLAIM_TIME:
		return take_uint(in, c->least, c->most, field);
	case CLAIM_ENUM:
		return take_enum(in, c, field);
	case CLAIM_ID:
	case CLAIM_DIGEST:
		return cbor_take_fixed(in, field, c->most);
	case CLAIM_MAC:
		return take_mac(in, field);
	case CLAIM_HSM:
		return take_hsm(in, field);
	case CLAIM_COMPONENTS:
		return take_components(in, leaf);
	case CLAIM_STATUS:
		return take_pair_of_numbers(in, c, leaf);
	case CLAIM_TIMES:
		return take_times(in, leaf);
	case CLAIM_CALLER:
		return take_caller(in, c->most, leaf);
	case CLAIM_PARTITION:
		return take_partition(in, c, leaf);
	case CLAIM_CONFINEMENT:
		return take_confinement(in, c->most, leaf);
	case CLAIM_SHARD:
		return take_shard(in, c, leaf);
	}
	return failed(ERR_FORMAT, "unknown kind of claim");
}

static const struct claim *find(int64_t key, bool compact)
{
	for (size_t i = 0; i < claims_n; i++)
		if (claims[i].key == key)
			return claims[i].compact || !compact ? &claims[i] : NULL;
	return NULL;
}

static enum err take_claim(struct slice *in, const struct claim *c, struct leaf *leaf)
{
	enum err e = take_value(in, c, leaf);

	if (e)
		return failed(e, "claim %lld (%s): %s", (long long)c->key, c->name, err_reason());
	if (c->flag)
		*(bool *)at(leaf, c->flag) = true;
	return OK;
}

enum err claims_take(struct slice *in, size_t pairs, bool compact, struct cbor_keys *keys,
		     struct leaf *leaf)
{
	uint64_t seen = 0;
	enum err e;

	/* Most of a leaf is room for components, and each of these is written whole. */
	memset(leaf, 0, offsetof(struct leaf, components));
	memset(&leaf->components_n, 0, sizeof *leaf - offsetof(struct leaf, components_n));
	for (size_t i = 0; i < pairs; i++) {
		int64_t key;

		if ((e = cbor_take_key(in, keys, &key)))
			return e;
		const struct claim *c = find(key, compact);
		if (!c)
			return failed(ERR_FORMAT, "unknown claim %lld", (long long)key);
		if ((e = take_claim(in, c, leaf)))
			return e;
		seen |= (uint64_t)1 << (c - claims);
	}
	for (size_t i = 0; i < claims_n; i++)
		if (claims[i].always && (claims[i].compact || !compact) && !(seen >> i & 1))
			return failed(ERR_FORMAT, "claim %lld (%s) is missing",
				      (long long)claims[i].key, claims[i].name);
	return OK;
}

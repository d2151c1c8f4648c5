#include "audit/claims.h"

#include <string.h>

#include "audit/cose.h"

#define ALG_SHA256 1 /* Named Information registry */
#define MEASURED_COMPONENT 295
#define COMPONENT_MAX 1024
#define HSM_KEY "hsm"
#define HSM_TEXT_MAX 64

#define NO_FLAG 0
#define FLAG(flag) offsetof(struct leaf, flag)
#define ALWAYS true
#define MAYBE false
#define IN true
#define OUT false

const struct claim claims[] = {
#define CLAIM(key, name, kind, field, flag, need, least, most, compact) \
	{ key, name, CLAIM_##kind, offsetof(struct leaf, field), flag, need, compact, least, most },
#include "audit/claims.def"
#undef CLAIM
};
const size_t claims_n = sizeof claims / sizeof *claims;

/* A flag's offset is never 0, which says that there is none. */
_Static_assert(offsetof(struct leaf, type) == 0, "the first field of a leaf is no flag");

/* ---- fields ---- */

static void *at(struct leaf *leaf, size_t offset)
{
	return (uint8_t *)leaf + offset;
}

struct slice claim_slice(const struct claim *claim, const struct leaf *leaf)
{
	return *(const struct slice *)((const uint8_t *)leaf + claim->field);
}

const uint8_t *claim_bytes(const struct claim *claim, const struct leaf *leaf)
{
	return (const uint8_t *)leaf + claim->field;
}

uint64_t claim_uint(const struct claim *claim, const struct leaf *leaf)
{
	const uint8_t *field = claim_bytes(claim, leaf);

	if (claim->kind == CLAIM_ENUM)
		return *(const unsigned *)field;
	return *(const uint64_t *)field;
}

bool claim_present(const struct claim *claim, const struct leaf *leaf)
{
	if (claim->always)
		return true;
	if (claim->flag)
		return *(const bool *)((const uint8_t *)leaf + claim->flag);
	if (claim->kind == CLAIM_COMPONENTS)
		return leaf->components_n > 0;
	return claim_slice(claim, leaf).left > 0;
}

/* ---- writing ---- */

static void put_component(struct buf *out, const struct leaf_component *c)
{
	CLEANUP(buf) struct buf body = BUF_INIT;

	cbor_put_map(&body, 2);
	cbor_put_uint(&body, 1);
	cbor_put_array(&body, c->version.left ? 2 : 1);
	cbor_put_text_slice(&body, c->name);
	if (c->version.left) {
		cbor_put_array(&body, 1);
		cbor_put_text_slice(&body, c->version);
	}
	cbor_put_uint(&body, 2);
	cbor_put_array(&body, 2);
	cbor_put_uint(&body, ALG_SHA256);
	cbor_put_bytes(&body, SLICE(c->sha256));
	if (body.failed)
		out->failed = true;
	cbor_put_array(out, 2);
	cbor_put_uint(out, MEASURED_COMPONENT);
	cbor_put_bytes(out, buf_slice(&body));
}

static void put_components(struct buf *out, const struct leaf *leaf)
{
	cbor_put_array(out, leaf->components_n);
	for (size_t i = 0; i < leaf->components_n; i++)
		put_component(out, &leaf->components[i]);
}

static void put_hsm(struct buf *out, const struct leaf_hsm *hsm)
{
	cbor_put_map(out, 1);
	cbor_put_text(out, HSM_KEY);
	cbor_put_map(out, 5);
	cbor_put_text(out, "flags");
	cbor_put_uint(out, hsm->flags);
	cbor_put_text(out, "model");
	cbor_put_text_slice(out, hsm->model);
	cbor_put_text(out, "serial");
	cbor_put_text_slice(out, hsm->serial);
	cbor_put_text(out, "firmware");
	cbor_put_text_slice(out, hsm->firmware);
	cbor_put_text(out, "manufacturer");
	cbor_put_text_slice(out, hsm->manufacturer);
}

static void put_times(struct buf *out, const struct leaf *leaf)
{
	cbor_put_array(out, 4);
	cbor_put_uint(out, leaf->start_us);
	cbor_put_uint(out, leaf->end_us);
	cbor_put_uint(out, leaf->time_source);
	cbor_put_uint(out, leaf->time_error_us);
}

static void put_caller(struct buf *out, const struct leaf *leaf)
{
	cbor_put_array(out, leaf->pseudonym.left ? 2 : 1);
	cbor_put_uint(out, leaf->role);
	if (leaf->pseudonym.left)
		cbor_put_text_slice(out, leaf->pseudonym);
}

static void put_confinement(struct buf *out, const struct leaf *leaf)
{
	cbor_put_array(out, 4);
	cbor_put_uint(out, leaf->confinement_mode);
	cbor_put_text_slice(out, leaf->absent_steps);
	cbor_put_uint(out, leaf->start_kind);
	cbor_put_uint(out, leaf->launched_us);
}

static void put_mac(struct buf *out, const uint8_t *mac)
{
	cbor_put_array(out, 2);
	cbor_put_uint(out, COSE_HMAC256);
	cbor_put_bytes(out, slice_of(mac, 32));
}

/* At most so many bytes, and not within a character (which has at most four). */
static struct slice cut_text(struct slice text, size_t most)
{
	if (text.left <= most)
		return text;
	text.left = most;
	while (text.left > most - 4 && (text.p[text.left] & 0xc0) == 0x80)
		text.left--;
	return text;
}

/* No record may be lost for its words, which can quote what a client sent: a reason that is too long
 * is cut, and where that leaves no UTF-8, question marks stand for what is not ASCII. */
static void put_reason(struct buf *out, struct slice words, size_t most)
{
	CLEANUP(buf) struct buf trial = BUF_INIT;
	struct slice ignored;

	words = cut_text(words, most);
	cbor_put_text_slice(&trial, words);
	struct slice in = buf_slice(&trial);
	if (cbor_take_text(&in, most, &ignored)) {
		for (size_t i = trial.len - words.left; i < trial.len; i++)
			if (trial.data[i] == 0 || trial.data[i] >= 0x80)
				trial.data[i] = '?';
	}
	if (trial.failed)
		out->failed = true;
	buf_put_slice(out, buf_slice(&trial));
}

static void put_value(struct buf *out, const struct claim *c, const struct leaf *leaf)
{
	switch (c->kind) {
	case CLAIM_TEXT:
		return cbor_put_text_slice(out, claim_slice(c, leaf));
	case CLAIM_REASON:
		return put_reason(out, claim_slice(c, leaf), c->most);
	case CLAIM_BYTES:
		return cbor_put_bytes(out, claim_slice(c, leaf));
	case CLAIM_VERSION:
		cbor_put_array(out, 1);
		return cbor_put_text_slice(out, claim_slice(c, leaf));
	case CLAIM_UINT:
	case CLAIM_TIME:
	case CLAIM_ENUM:
		return cbor_put_uint(out, claim_uint(c, leaf));
	case CLAIM_ID:
	case CLAIM_DIGEST:
		return cbor_put_bytes(out, slice_of(claim_bytes(c, leaf), c->most));
	case CLAIM_MAC:
		return put_mac(out, claim_bytes(c, leaf));
	case CLAIM_HSM:
		return put_hsm(out, &leaf->hsm);
	case CLAIM_COMPONENTS:
		return put_components(out, leaf);
	case CLAIM_STATUS:
		cbor_put_array(out, 2);
		cbor_put_uint(out, leaf->status_kind);
		return cbor_put_uint(out, leaf->status_code);
	case CLAIM_TIMES:
		return put_times(out, leaf);
	case CLAIM_CALLER:
		return put_caller(out, leaf);
	case CLAIM_PARTITION:
		cbor_put_array(out, 2);
		cbor_put_text_slice(out, leaf->partition_serial);
		return cbor_put_text_slice(out, leaf->partition_label);
	case CLAIM_CONFINEMENT:
		return put_confinement(out, leaf);
	}
}

static bool wanted(const struct claim *c, const struct leaf *leaf, bool compact)
{
	return (c->compact || !compact) && claim_present(c, leaf);
}

size_t claims_count(const struct leaf *leaf, bool compact)
{
	size_t n = 0;

	for (size_t i = 0; i < claims_n; i++)
		n += wanted(&claims[i], leaf, compact);
	return n;
}

void claims_put(const struct leaf *leaf, bool compact, struct buf *out)
{
	for (size_t i = 0; i < claims_n; i++) {
		if (!wanted(&claims[i], leaf, compact))
			continue;
		cbor_put_int(out, claims[i].key);
		put_value(out, &claims[i], leaf);
	}
}

enum err leaf_components_digest(const struct leaf *leaf, uint8_t digest[SHA256_SIZE])
{
	CLEANUP(buf) struct buf b = BUF_INIT;
	enum err e;

	put_components(&b, leaf);
	if ((e = buf_check(&b)))
		return e;
	sha256_once(buf_slice(&b), digest);
	return OK;
}

/* ---- reading ---- */

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

static enum err take_component(struct slice *in, struct leaf_component *c)
{
	struct slice body;
	size_t n;
	enum err e;

	if ((e = take_array(in, 2, 2, &n)) || (e = take_this_uint(in, MEASURED_COMPONENT)) ||
	    (e = cbor_take_bytes(in, COMPONENT_MAX, &body)) || (e = take_map(&body, 2)) ||
	    (e = take_component_id(&body, c)) || (e = take_this_uint(&body, 2)) ||
	    (e = take_array(&body, 2, 2, &n)) || (e = take_this_uint(&body, ALG_SHA256)) ||
	    (e = cbor_take_fixed(&body, c->sha256, SHA256_SIZE)))
		return e;
	return cbor_take_end(body);
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

static enum err take_hsm(struct slice *in, struct leaf_hsm *hsm)
{
	enum err e;

	if ((e = take_map(in, 1)) || (e = take_this_text(in, HSM_KEY)) || (e = take_map(in, 5)) ||
	    (e = take_this_text(in, "flags")) || (e = cbor_take_uint(in, &hsm->flags)) ||
	    (e = take_named(in, "model", &hsm->model)) ||
	    (e = take_named(in, "serial", &hsm->serial)) ||
	    (e = take_named(in, "firmware", &hsm->firmware)))
		return e;
	return take_named(in, "manufacturer", &hsm->manufacturer);
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

	_Static_assert(sizeof claims / sizeof *claims <= 64, "one bit of seen for each claim");
	memset(leaf, 0, sizeof *leaf);
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

#include "audit/claims.h"

#include "audit/cose.h"

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
_Static_assert(sizeof claims / sizeof *claims <= 64, "claims_take() keeps a bit for each");

/* ---- fields ---- */

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

void leaf_put_authority(struct buf *authorities, const uint8_t signer[SHA256_SIZE])
{
	cbor_put_bytes(authorities, slice_of(signer, SHA256_SIZE));
}

static void put_component(struct buf *out, const struct leaf_component *c)
{
	CLEANUP(buf) struct buf body = BUF_INIT;

	cbor_put_map(&body, c->authorities.left ? 3 : 2);
	cbor_put_uint(&body, 1);
	cbor_put_array(&body, c->version.left ? 2 : 1);
	cbor_put_text_slice(&body, c->name);
	if (c->version.left) {
		cbor_put_array(&body, 1);
		cbor_put_text_slice(&body, c->version);
	}
	cbor_put_uint(&body, 2);
	cbor_put_array(&body, 2);
	cbor_put_uint(&body, CLAIM_ALG_SHA256);
	cbor_put_bytes(&body, SLICE(c->sha256));
	if (c->authorities.left) {
		cbor_put_uint(&body, CLAIM_AUTHORITIES);
		cbor_put_array(&body, c->authorities.left / CLAIM_AUTHORITY_SIZE);
		buf_put_slice(&body, c->authorities);
	}
	if (body.failed)
		out->failed = true;
	cbor_put_array(out, 2);
	cbor_put_uint(out, CLAIM_MEASURED_COMPONENT);
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
	cbor_put_map(out, hsm->tpm.left ? 2 : 1);
	cbor_put_text(out, CLAIM_HSM_NAME);
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
	if (!hsm->tpm.left)
		return;
	cbor_put_text(out, CLAIM_TPM_NAME);
	cbor_put_bytes(out, hsm->tpm);
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

/* Without the beginning of a character at the end: whoever formatted the words had no more room. */
static struct slice whole_text(struct slice text)
{
	size_t more = 0;

	while (more < 3 && more + 1 < text.left && (text.p[text.left - 1 - more] & 0xc0) == 0x80)
		more++;
	uint8_t lead = text.left ? text.p[text.left - 1 - more] : 0;
	size_t wanted = lead >= 0xf0 ? 3 : lead >= 0xe0 ? 2 : lead >= 0xc0 ? 1 : 0;
	if (wanted > more && text.left > more + 1)
		text.left -= more + 1;
	return text;
}

/* No record may be lost for its words, which can quote what a client sent: a reason that is too long
 * is cut, and where that leaves no UTF-8, question marks stand for what is not ASCII. */
static void put_reason(struct buf *out, struct slice words, size_t most)
{
	CLEANUP(buf) struct buf trial = BUF_INIT;
	struct slice ignored;

	words = whole_text(cut_text(words, most));
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
	case CLAIM_SHARD:
		cbor_put_array(out, 3);
		cbor_put_text_slice(out, leaf->shard_origin);
		cbor_put_uint(out, leaf->shard_size);
		return cbor_put_bytes(out, SLICE(leaf->shard_root));
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

size_t claims_put(const struct leaf *leaf, bool compact, struct buf *out)
{
	size_t pos_at = 0;

	for (size_t i = 0; i < claims_n; i++) {
		if (!wanted(&claims[i], leaf, compact))
			continue;
		cbor_put_int(out, claims[i].key);
		if (claims[i].field == offsetof(struct leaf, pos))
			pos_at = out->len;
		put_value(out, &claims[i], leaf);
	}
	return pos_at;
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

#include "audit/leaf.h"

#include <stdlib.h>

#include "audit/claims.h"

#define UCCS_TAG 601 /* RFC 9781 */

void leaf_cleanup(struct leaf **leaf)
{
	free(*leaf);
}

/* What is signed must be readable by all, so an encoded leaf is read again at once: this one check
 * holds every range and form, for writers and readers alike. */
static enum err check(struct slice raw)
{
	struct leaf again;
	enum err e = leaf_decode(raw, &again);

	return e == ERR_FORMAT ? failed(ERR_RANGE, "leaf: %s", err_reason()) : e;
}

enum err leaf_encode(const struct leaf *leaf, struct buf *out)
{
	size_t pos_at;

	return leaf_draft(leaf, out, &pos_at);
}

enum err leaf_draft(const struct leaf *leaf, struct buf *out, size_t *pos_at)
{
	size_t start = out->len;

	if (leaf->components_n > LEAF_COMPONENTS_MAX)
		return failed(ERR_RANGE, "%zu components in a leaf", leaf->components_n);
	cbor_put_tag(out, UCCS_TAG);
	cbor_put_map(out, claims_count(leaf, false));
	*pos_at = claims_put(leaf, false, out);
	enum err e = buf_check(out);
	if (e)
		return e;
	if (out->len - start > LEAF_MAX)
		return failed(ERR_RANGE, "a leaf of %zu bytes", out->len - start);
	return check(slice_of(out->data + start, out->len - start));
}

/* How many bytes follow the first one of an unsigned integer (RFC 8949 section 3). */
static size_t bytes_more(uint64_t v)
{
	return v < 24 ? 0 : v <= UINT8_MAX ? 1 : v <= UINT16_MAX ? 2 : v <= UINT32_MAX ? 4 : 8;
}

bool leaf_renumber(struct buf *raw, size_t pos_at, uint64_t pos)
{
	uint8_t *at = raw->data + pos_at;
	size_t n = bytes_more(pos);

	if (n != (*at < 24 ? 0 : (size_t)1 << (*at - 24)))
		return false;
	if (n == 0)
		*at = (uint8_t)pos;
	for (; n > 0; n--, pos >>= 8)
		at[n] = (uint8_t)pos;
	return true;
}

enum err leaf_decode(struct slice raw, struct leaf *out)
{
	struct cbor_keys keys = { { NULL, 0 } };
	uint64_t tag;
	size_t pairs;
	enum err e;

	if (raw.left > LEAF_MAX)
		return failed(ERR_FORMAT, "a leaf of %zu bytes", raw.left);
	if ((e = cbor_take_tag(&raw, &tag)))
		return e;
	if (tag != UCCS_TAG)
		return failed(ERR_FORMAT, "not a claims set: tag %llu", (unsigned long long)tag);
	if ((e = cbor_take_map(&raw, claims_n, &pairs)) ||
	    (e = claims_take(&raw, pairs, false, &keys, out)))
		return e;
	return cbor_take_end(raw);
}

const struct leaf_component *leaf_component(const struct leaf *leaf, const char *name)
{
	for (size_t i = 0; i < leaf->components_n; i++)
		if (slice_is(leaf->components[i].name, name))
			return &leaf->components[i];
	return NULL;
}

void leaf_hash(struct slice raw, uint8_t hash[SHA256_SIZE])
{
	struct sha256 h;

	sha256_init(&h);
	sha256_add(&h, "\0", 1);
	sha256_add(&h, raw.p, raw.left);
	sha256_end(&h, hash);
}

const char *leaf_type_name(enum leaf_type type)
{
	static const char *const names[] = {
		[LEAF_EXECUTION] = "execution",
		[LEAF_AUTHORIZATION] = "authorization",
		[LEAF_MANAGEMENT] = "management",
		[LEAF_CONFIGURATION] = "configuration",
		[LEAF_OPEN] = "open",
		[LEAF_CLOSE] = "close",
		[LEAF_ROLLOVER] = "key rollover",
		[LEAF_SHRED] = "shred",
		[LEAF_TIME] = "time anchor",
		[LEAF_RECOVERY] = "recovery",
		[LEAF_REFUSAL] = "refusal",
		[LEAF_TCB] = "TCB",
	};

	return type >= LEAF_EXECUTION && type <= LEAF_TCB ? names[type] : "unknown";
}

enum err leaf_read(struct slice raw, struct leaf **out)
{
	*out = malloc(sizeof **out);
	return *out ? leaf_decode(raw, *out) : failed(ERR_MEMORY, "no memory for a leaf");
}

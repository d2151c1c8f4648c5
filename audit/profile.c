#include "audit/profile.h"

#include <string.h>

#include "config/base/cbor.h"

#define NAME "assay-profile-1"
#define ITEMS_MAX 10

static enum err check_digest(struct slice raw, const struct leaf *leaf)
{
	const struct leaf_component *named = leaf_component(leaf, "profile");
	uint8_t digest[SHA256_SIZE];

	if (!named)
		return failed(ERR_NOT_FOUND, "the proof names no profile");
	sha256_once(raw, digest);
	return memcmp(digest, named->sha256, sizeof digest) == 0
		       ? OK
		       : failed(ERR_MISMATCH, "the profile is not the one that the proof names");
}

/* Scratch space is the last one, and left out where there is none. */
static enum err take_limits(struct slice *in, struct profile_limits *out)
{
	uint64_t *const fields[] = { &out->memory_bytes, &out->output_bytes, &out->wall_ms,
				     &out->cpu_ms,       &out->processes,    &out->open_files,
				     &out->scratch_bytes };
	size_t n;
	enum err e = cbor_take_array(in, sizeof fields / sizeof *fields, &n);

	if (!e && n < sizeof fields / sizeof *fields - 1)
		e = failed(ERR_FORMAT, "a list of %zu limits", n);
	for (size_t i = 0; !e && i < n; i++)
		e = cbor_take_uint(in, fields[i]);
	return e;
}

enum err profile_limits_read(struct slice raw, const struct leaf *leaf, struct profile_limits *out)
{
	struct slice name, rest = raw;
	size_t items;
	enum err e;

	*out = (struct profile_limits){ 0 };
	if (raw.left > PROFILE_MAX)
		return failed(ERR_FORMAT, "a profile of %zu bytes", raw.left);
	if ((e = check_digest(raw, leaf)) || (e = cbor_take_array(&rest, ITEMS_MAX, &items)) ||
	    (e = cbor_take_text(&rest, sizeof NAME, &name)))
		return e;
	if (!slice_is(name, NAME))
		return failed(ERR_FORMAT, "not an " NAME);
	/* Arguments and environment come first. */
	if ((e = cbor_take_item(&rest, NULL)) || (e = cbor_take_item(&rest, NULL)))
		return e;
	return take_limits(&rest, out);
}

bool profile_take_pure(struct slice *words)
{
	static const char but_for[] = "pure but for ";
	size_t n = slice_is(*words, "pure")        ? words->left
		   : slice_starts(*words, but_for) ? sizeof but_for - 1
						   : 0;

	if (!n)
		return false;
	*words = slice_of(words->p + n, words->left - n);
	return true;
}

struct slice profile_take_need(struct slice *words)
{
	const uint8_t *comma = words->left ? memchr(words->p, ',', words->left) : NULL;
	size_t n = comma ? (size_t)(comma - words->p) : words->left;
	size_t skip = n + 2 < words->left ? n + 2 : words->left;
	struct slice need = slice_of(words->p, n);

	*words = slice_of(words->p + skip, words->left - skip);
	return need;
}

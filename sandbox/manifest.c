#include "sandbox/manifest.h"

#include <string.h>

#include "config/base/cbor.h"
#include "sandbox/filter.h"

#define NAME_MAX_BYTES 255
#define OPTIONAL_KEYS_MAX 3

enum {
#define TEXT(key, field, most) +1
#define STRINGS(key, list, count, least) +1
#define NUMBER(key, field, least, most) +1
#define FLAG(key, field) +1
#define OPTIONAL(key, field, least, most)
	MANIFEST_KEYS =
#include "sandbox/manifest.def"
#undef TEXT
#undef STRINGS
#undef NUMBER
#undef FLAG
#undef OPTIONAL
};

static const char *const steps[] = {
#define STEP(name, place, need, why) #name,
#include "sandbox/steps.def"
#undef STEP
};

static const struct {
	uint8_t bit;
	const char *word;
} needs[] = {
#define NEED(name, bit, word, what) { bit, word },
#include "sandbox/needs.def"
#undef NEED
};

#define NEEDS (sizeof needs / sizeof *needs)

void manifest_default(struct manifest *manifest)
{
	*manifest = (struct manifest){ .limits = {
					       .memory_bytes = (uint64_t)256 << 20,
					       .output_bytes = (uint64_t)16 << 20,
					       .wall_ms = 10000,
					       .cpu_ms = 10000,
					       .processes = 16,
					       .open_files = 64,
				       } };
}

enum err package_path_check(struct slice path)
{
	size_t start = 0;

	if (path.left == 0 || path.left > PACKAGE_PATH_MAX)
		return failed(ERR_FORMAT, "a path of %zu bytes", path.left);
	for (size_t i = 0; i <= path.left; i++) {
		if (i < path.left && path.p[i] == '\0')
			return failed(ERR_FORMAT, "a path with a NUL in it");
		if (i < path.left && path.p[i] != '/')
			continue;
		struct slice part = slice_of(path.p + start, i - start);
		if (part.left == 0 || part.left > NAME_MAX_BYTES || slice_is(part, ".") ||
		    slice_is(part, ".."))
			return failed(ERR_FORMAT,
				      "path \"%.*s\": absolute, or a part that is empty, too long, "
				      "\".\" or \"..\"",
				      (int)path.left, (const char *)path.p);
		start = i + 1;
	}
	return OK;
}

static enum err take_key(struct slice *in, struct cbor_keys *keys, int64_t wanted, const char *name)
{
	int64_t key;
	enum err e = cbor_take_key(in, keys, &key);

	if (e)
		return e;
	return key == wanted ? OK
			     : failed(ERR_FORMAT, "key %lld found where %s (%lld) belongs",
				      (long long)key, name, (long long)wanted);
}

static enum err take_text(struct slice *in, size_t max, struct slice *out)
{
	enum err e = cbor_take_text(in, max, out);

	return e ? e : out->left ? OK : failed(ERR_FORMAT, "empty");
}

static enum err take_strings(struct slice *in, size_t least, struct slice *list, size_t *n)
{
	enum err e = cbor_take_array(in, MANIFEST_STRINGS_MAX, n);

	if (e)
		return e;
	if (*n < least)
		return failed(ERR_FORMAT, "%zu items, %zu at least", *n, least);
	for (size_t i = 0; i < *n; i++)
		if ((e = cbor_take_text(in, MANIFEST_MAX, &list[i])))
			return e;
	return OK;
}

static enum err take_number(struct slice *in, uint64_t least, uint64_t most, uint64_t *v)
{
	enum err e = cbor_take_uint(in, v);

	if (e)
		return e;
	if (*v < least || *v > most)
		return failed(ERR_FORMAT, "%llu is not from %llu to %llu", (unsigned long long)*v,
			      (unsigned long long)least, (unsigned long long)most);
	return OK;
}

static bool id_ok(struct slice id)
{
	for (size_t i = 0; i < id.left; i++) {
		uint8_t c = id.p[i];

		if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') &&
		    (i == 0 || (c != '.' && c != '-')))
			return false;
	}
	return id.left > 0;
}

/* Digits with single dots between them: 1, 1.0, 2.10.3. */
static bool version_ok(struct slice version)
{
	bool digit = false;

	for (size_t i = 0; i < version.left; i++) {
		bool is_digit = version.p[i] >= '0' && version.p[i] <= '9';

		if (!is_digit && (version.p[i] != '.' || !digit))
			return false;
		digit = is_digit;
	}
	return digit;
}

static bool env_ok(struct slice entry)
{
	const uint8_t *equals = entry.left ? memchr(entry.p, '=', entry.left) : NULL;

	return equals && equals != entry.p;
}

static enum err check_values(const struct manifest *m)
{
	struct slice program = m->argv[0];

	if (!id_ok(m->id))
		return failed(ERR_FORMAT, "id: lower-case letters, digits, \".\" and \"-\" only");
	if (!version_ok(m->version))
		return failed(ERR_FORMAT, "version: dotted numbers only");
	for (size_t i = 0; i < m->envc; i++)
		if (!env_ok(m->env[i]))
			return failed(ERR_FORMAT, "environment: NAME=value expected");
	if (m->purity && !(m->purity & PURE))
		return failed(ERR_FORMAT, "needs are those of a pure application");
	if (program.left == 0 || program.p[0] != '/')
		return failed(ERR_FORMAT, "the program (first argument) needs an absolute path");
	return package_path_check(slice_of(program.p + 1, program.left - 1));
}

/* Whether the next key is this one; it is not taken. */
static bool key_follows(struct slice in, struct cbor_keys keys, int64_t wanted)
{
	int64_t key;

	return in.left && cbor_take_key(&in, &keys, &key) == OK && key == wanted;
}

static enum err decode(struct slice in, struct manifest *m)
{
	struct cbor_keys keys = { { NULL, 0 } };
	const char *name = "manifest";
	uint64_t number = 0;
	size_t pairs, keys_n = MANIFEST_KEYS;
	enum err e = cbor_take_map(&in, MANIFEST_KEYS + OPTIONAL_KEYS_MAX, &pairs);

#define TAKE(key, text, call)                                                \
	if (!e) {                                                            \
		name = text;                                                 \
		(void)((e = take_key(&in, &keys, key, text)) || (e = call)); \
	}
#define TEXT(key, field, most) TAKE(key, #field, take_text(&in, most, &m->field))
#define STRINGS(key, list, count, least) \
	TAKE(key, #list, take_strings(&in, least, m->list, &m->count))
#define NUMBER(key, field, least, most)                           \
	TAKE(key, #field, take_number(&in, least, most, &number)) \
	if (!e)                                                   \
		m->field = (__typeof__(m->field))number;
#define FLAG(key, field) TAKE(key, #field, cbor_take_bool(&in, &m->field))
#define OPTIONAL(key, field, least, most)       \
	if (!e && key_follows(in, keys, key)) { \
		keys_n++;                       \
		NUMBER(key, field, least, most) \
	}
#include "sandbox/manifest.def"
#undef TEXT
#undef STRINGS
#undef NUMBER
#undef FLAG
#undef OPTIONAL
#undef TAKE
	if (e)
		return failed(e, "%s: %s", name, err_reason());
	if (pairs != keys_n)
		return failed(ERR_FORMAT, "%zu keys, %zu expected", pairs, keys_n);
	return (e = cbor_take_end(in)) ? e : check_values(m);
}

enum err manifest_decode(struct slice raw, struct manifest *out)
{
	if (raw.left > MANIFEST_MAX)
		return failed(ERR_FORMAT, "manifest of %zu bytes", raw.left);
	memset(out, 0, sizeof *out);
	enum err e = decode(raw, out);
	return e ? failed(e, "manifest: %s", err_reason()) : OK;
}

static void put_strings(struct buf *out, const struct slice *list, size_t n)
{
	cbor_put_array(out, n);
	for (size_t i = 0; i < n; i++)
		cbor_put_text_slice(out, list[i]);
}

enum err manifest_encode(const struct manifest *m, struct buf *out)
{
	if (m->argc > MANIFEST_STRINGS_MAX || m->envc > MANIFEST_STRINGS_MAX)
		return failed(ERR_RANGE, "manifest: too many arguments or environment strings");
	size_t keys_n = MANIFEST_KEYS;
#define TEXT(key, field, most)
#define STRINGS(key, list, count, least)
#define NUMBER(key, field, least, most)
#define FLAG(key, field)
#define OPTIONAL(key, field, least, most) keys_n += m->field != 0;
#include "sandbox/manifest.def"
#undef TEXT
#undef STRINGS
#undef NUMBER
#undef FLAG
#undef OPTIONAL
	cbor_put_map(out, keys_n);
#define TEXT(key, field, most)   \
	cbor_put_uint(out, key); \
	cbor_put_text_slice(out, m->field);
#define STRINGS(key, list, count, least) \
	cbor_put_uint(out, key);         \
	put_strings(out, m->list, m->count);
#define NUMBER(key, field, least, most) \
	cbor_put_uint(out, key);        \
	cbor_put_uint(out, m->field);
#define FLAG(key, field)         \
	cbor_put_uint(out, key); \
	cbor_put_bool(out, m->field);
#define OPTIONAL(key, field, least, most)       \
	if (m->field) {                         \
		NUMBER(key, field, least, most) \
	}
#include "sandbox/manifest.def"
#undef TEXT
#undef STRINGS
#undef NUMBER
#undef FLAG
#undef OPTIONAL
	return buf_check(out);
}

/* As words, which nobody can take for a number of park. */
static void put_purity(struct buf *out, uint8_t purity)
{
	size_t n = 1;

	for (size_t i = 0; i < NEEDS; i++)
		n += (purity & needs[i].bit) != 0;
	cbor_put_array(out, n);
	cbor_put_text(out, "pure");
	for (size_t i = 0; i < NEEDS; i++)
		if (purity & needs[i].bit)
			cbor_put_text(out, needs[i].word);
}

static void put_limits(struct buf *out, const struct limits *limits)
{
	cbor_put_array(out, limits->scratch_bytes ? 7 : 6);
	cbor_put_uint(out, limits->memory_bytes);
	cbor_put_uint(out, limits->output_bytes);
	cbor_put_uint(out, limits->wall_ms);
	cbor_put_uint(out, limits->cpu_ms);
	cbor_put_uint(out, limits->processes);
	cbor_put_uint(out, limits->open_files);
	if (limits->scratch_bytes)
		cbor_put_uint(out, limits->scratch_bytes);
}

void manifest_purity_put(uint8_t purity, struct buf *out)
{
	const char *between = " but for ";

	buf_put_text(out, purity ? "pure" : "not pure");
	for (size_t i = 0; i < NEEDS; i++)
		if (purity & needs[i].bit) {
			buf_printf(out, "%s%s", between, needs[i].word);
			between = ", ";
		}
}

enum err manifest_profile_put(const struct manifest *m, struct buf *out)
{
	struct filter filter;
	uint8_t digest[SHA256_SIZE];
	enum err e;

	if ((e = filter_build(m, &filter)))
		return e;
	sha256_once(filter_bytes(&filter), digest);
	cbor_put_array(out, 8 + (m->park != 0) + (m->purity != 0));
	cbor_put_text(out, "assay-profile-1");
	put_strings(out, m->argv, m->argc);
	put_strings(out, m->env, m->envc);
	put_limits(out, &m->limits);
	cbor_put_uint(out, m->refuse_code);
	cbor_put_bool(out, m->dynamic);
	cbor_put_bytes(out, SLICE(digest));
	cbor_put_array(out, sizeof steps / sizeof *steps);
	for (size_t i = 0; i < sizeof steps / sizeof *steps; i++)
		cbor_put_text(out, steps[i]);
	if (m->park)
		cbor_put_uint(out, m->park);
	if (m->purity)
		put_purity(out, m->purity);
	return buf_check(out);
}

enum err manifest_profile(const struct manifest *m, uint8_t profile[SHA256_SIZE])
{
	/* The launcher measures without allocating: this buf never grows beyond its room. */
	uint8_t room[MANIFEST_PROFILE_MAX];
	struct buf b = { .data = room, .cap = sizeof room, .max = sizeof room };
	enum err e = manifest_profile_put(m, &b);

	if (!e)
		sha256_once(buf_slice(&b), profile);
	return e;
}

#include "audit/leaf_text.h"

#include <inttypes.h>
#include <time.h>

#include "audit/claims.h"

/* Both forms come from one walk: a value is shown as JSON, or as the words that stand for it. */
struct writer {
	struct buf *out;
	bool json;
	bool first; /* no comma yet */
};

static const char *name_of(const char *const *names, size_t n, uint64_t value)
{
	return value < n ? names[value] : "unknown";
}

#define NAME_OF(names, value) name_of(names, sizeof(names) / sizeof *(names), value)

const char *leaf_role_name(enum leaf_role role)
{
	static const char *const names[] = { "none", "user", "SO", "administrator" };

	return NAME_OF(names, role);
}

const char *leaf_roleproof_name(enum leaf_roleproof proof)
{
	static const char *const names[] = { "none", "role key", "trusted object",
					     "administrator key" };

	return NAME_OF(names, proof);
}

const char *leaf_status_name(uint64_t kind)
{
	static const char *const names[] = {
#define OUTCOME(number, name, word, words) [number] = (word),
#include "audit/outcomes.def"
#undef OUTCOME
	};

	return NAME_OF(names, kind);
}

const char *leaf_status_words(uint64_t kind)
{
	static const char *const sentences[] = {
#define OUTCOME(number, name, word, words) [number] = (words),
#include "audit/outcomes.def"
#undef OUTCOME
	};

	return NAME_OF(sentences, kind);
}

const char *leaf_start_name(uint64_t kind)
{
	static const char *const names[] = { "fresh", "reused", "parked" };

	return NAME_OF(names, kind);
}

const char *leaf_mode_name(uint64_t mode)
{
	static const char *const names[] = { "privileged launcher", "user namespaces only" };

	return NAME_OF(names, mode);
}

/* A character that is shown as nothing, or moves what is shown: C0, DEL, C1, line separators and the
 * marks that turn the direction of text around. Its length, and its number; 0 for any other. */
static size_t take_control(struct slice text, uint32_t *number)
{
	uint8_t c = text.p[0];

	*number = c;
	if (c < 0x20 || c == 0x7f)
		return 1;
	if (c == 0xc2 && text.left >= 2 && text.p[1] < 0xa0) {
		*number = text.p[1];
		return 2;
	}
	if (c < 0xe2 || c > 0xef || text.left < 3)
		return 0;
	uint32_t v = (c & 15u) << 12 | (text.p[1] & 63u) << 6 | (text.p[2] & 63u);
	*number = v;
	return v == 0x200e || v == 0x200f || (v >= 0x2028 && v <= 0x202e) ||
			       (v >= 0x2066 && v <= 0x2069) || v == 0xfeff
		       ? 3
		       : 0;
}

/* JSON's escapes, also for people, so that no record can forge a line or move a cursor. */
static void put_escaped(struct buf *out, struct slice text)
{
	for (; text.left; text.p++, text.left--) {
		uint32_t number;
		size_t n = take_control(text, &number);

		if (n) {
			buf_printf(out, "\\u%04x", number);
			text.p += n - 1;
			text.left -= n - 1;
		} else if (*text.p == '"' || *text.p == '\\') {
			buf_printf(out, "\\%c", *text.p);
		} else {
			buf_put_u8(out, *text.p);
		}
	}
}

static void put_quoted(struct writer *w, struct slice text)
{
	buf_put_text(w->out, w->json ? "\"" : "");
	put_escaped(w->out, text);
	buf_put_text(w->out, w->json ? "\"" : "");
}

static void put_hex(struct writer *w, struct slice bytes)
{
	buf_put_text(w->out, w->json ? "\"" : "");
	buf_put_hex(w->out, bytes);
	buf_put_text(w->out, w->json ? "\"" : "");
}

/* ---- parts of a claim that has several ---- */

static void open_object(struct writer *w)
{
	buf_put_text(w->out, w->json ? "{" : "");
	w->first = true;
}

static void close_object(struct writer *w)
{
	buf_put_text(w->out, w->json ? "}" : "");
	w->first = false;
}

static void put_name(struct writer *w, const char *name)
{
	if (!w->first)
		buf_put_text(w->out, w->json ? "," : ", ");
	w->first = false;
	buf_printf(w->out, w->json ? "\"%s\":" : "%s ", name);
}

static void put_number(struct writer *w, const char *name, uint64_t value)
{
	put_name(w, name);
	buf_printf(w->out, "%" PRIu64, value);
}

static void put_text(struct writer *w, const char *name, struct slice text)
{
	put_name(w, name);
	put_quoted(w, text);
}

static void put_word(struct writer *w, const char *name, const char *word)
{
	put_text(w, name, slice_text(word));
}

/* ---- claims with a form of their own ---- */

static void show_hsm(struct writer *w, const struct leaf_hsm *hsm)
{
	put_text(w, "manufacturer", hsm->manufacturer);
	put_text(w, "model", hsm->model);
	put_text(w, "serial", hsm->serial);
	put_text(w, "firmware", hsm->firmware);
	put_number(w, "flags", hsm->flags);
	if (!hsm->tpm.left)
		return;
	put_name(w, "tpm_quote");
	put_hex(w, hsm->tpm);
}

static void show_authorities(struct writer *w, struct slice authorities)
{
	const uint8_t *signer;
	bool first = true;

	put_name(w, "approved_by");
	buf_put_text(w->out, w->json ? "[" : "");
	for (; (signer = leaf_next_authority(&authorities)); first = false) {
		buf_put_text(w->out, first ? "" : w->json ? "," : " ");
		put_hex(w, slice_of(signer, SHA256_SIZE));
	}
	buf_put_text(w->out, w->json ? "]" : "");
}

static void show_component(struct writer *w, const struct leaf_component *c)
{
	open_object(w);
	put_text(w, "name", c->name);
	if (c->version.left)
		put_text(w, "version", c->version);
	put_name(w, "sha256");
	put_hex(w, SLICE(c->sha256));
	if (c->authorities.left)
		show_authorities(w, c->authorities);
	close_object(w);
}

static void show_components(struct writer *w, const struct leaf *leaf)
{
	buf_put_text(w->out, w->json ? "[" : "");
	for (size_t i = 0; i < leaf->components_n; i++) {
		if (w->json)
			buf_put_text(w->out, i ? "," : "");
		else
			buf_put_text(w->out, "\n  ");
		show_component(w, &leaf->components[i]);
	}
	buf_put_text(w->out, w->json ? "]" : "");
}

static void show_times(struct writer *w, const struct leaf *leaf)
{
	put_number(w, "start_us", leaf->start_us);
	put_number(w, "end_us", leaf->end_us);
	put_word(w, "source", leaf->time_source ? "synchronised" : "not synchronised");
	put_number(w, "error_us", leaf->time_error_us);
}

static void show_confinement(struct writer *w, const struct leaf *leaf)
{
	put_word(w, "mode", leaf_mode_name(leaf->confinement_mode));
	put_text(w, "absent", leaf->absent_steps);
	put_word(w, "cell", leaf_start_name(leaf->start_kind));
	put_number(w, "launched_us", leaf->launched_us);
}

static void show_parts(struct writer *w, const struct claim *c, const struct leaf *leaf)
{
	open_object(w);
	switch (c->kind) {
	case CLAIM_HSM:
		show_hsm(w, &leaf->hsm);
		break;
	case CLAIM_STATUS:
		put_word(w, "kind", leaf_status_name(leaf->status_kind));
		put_number(w, "code", leaf->status_code);
		break;
	case CLAIM_TIMES:
		show_times(w, leaf);
		break;
	case CLAIM_CALLER:
		put_word(w, "role", leaf_role_name(leaf->role));
		if (leaf->pseudonym.left)
			put_text(w, "pseudonym", leaf->pseudonym);
		break;
	case CLAIM_PARTITION:
		put_text(w, "serial", leaf->partition_serial);
		put_text(w, "label", leaf->partition_label);
		break;
	case CLAIM_SHARD:
		put_text(w, "origin", leaf->shard_origin);
		put_number(w, "size", leaf->shard_size);
		put_name(w, "root");
		put_hex(w, SLICE(leaf->shard_root));
		break;
	default:
		show_confinement(w, leaf);
		break;
	}
	close_object(w);
}

void leaf_put_time(struct buf *out, int64_t seconds)
{
	char text[32];
	struct tm tm;
	time_t t = (time_t)seconds;

	if (!gmtime_r(&t, &tm) || !strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &tm))
		buf_printf(out, "%" PRId64, seconds);
	else
		buf_put_text(out, text);
}

static const char *enum_name(const struct claim *c, const struct leaf *leaf)
{
	switch (c->key) {
	case 263:
		return leaf->dbgstat == LEAF_DEBUG_DISABLED ? "disabled" : "enabled";
	case -70012:
		return leaf_type_name(leaf->type);
	default:
		return leaf_roleproof_name(leaf->roleproof);
	}
}

static void show(struct writer *w, const struct claim *c, const struct leaf *leaf)
{
	switch (c->kind) {
	case CLAIM_TEXT:
	case CLAIM_REASON:
	case CLAIM_VERSION:
		return put_quoted(w, claim_slice(c, leaf));
	case CLAIM_BYTES:
		return put_hex(w, claim_slice(c, leaf));
	case CLAIM_TIME:
		if (!w->json)
			return leaf_put_time(w->out, leaf->time);
		/* fall through */
	case CLAIM_UINT:
		return buf_printf(w->out, "%" PRIu64, claim_uint(c, leaf));
	case CLAIM_ENUM:
		return put_quoted(w, slice_text(enum_name(c, leaf)));
	case CLAIM_ID:
	case CLAIM_DIGEST:
	case CLAIM_MAC:
		return put_hex(w, slice_of(claim_bytes(c, leaf), c->most));
	case CLAIM_COMPONENTS:
		return show_components(w, leaf);
	default:
		return show_parts(w, c, leaf);
	}
}

/* Also of a compact proof, which lacks texts that every leaf has. */
static bool shown(const struct claim *c, const struct leaf *leaf)
{
	return claim_present(c, leaf) && (c->kind != CLAIM_TEXT || claim_slice(c, leaf).left);
}

void leaf_json(const struct leaf *leaf, struct buf *out)
{
	struct writer w = { out, true, true };

	open_object(&w);
	for (size_t i = 0; i < claims_n; i++) {
		if (!shown(&claims[i], leaf))
			continue;
		put_name(&w, claims[i].name);
		show(&w, &claims[i], leaf);
		w.first = false;
	}
	close_object(&w);
}

void leaf_print(const struct leaf *leaf, struct buf *out)
{
	struct writer w = { out, false, true };

	for (size_t i = 0; i < claims_n; i++) {
		if (!shown(&claims[i], leaf))
			continue;
		buf_printf(out, "%s: ", claims[i].name);
		show(&w, &claims[i], leaf);
		buf_put_text(out, "\n");
	}
}

void leaf_print_line(const struct leaf *leaf, struct buf *out)
{
	buf_printf(out, "%6" PRIu64 "  ", leaf->pos);
	leaf_put_time(out, leaf->time);
	buf_printf(out, "  %-13s  ", leaf_type_name(leaf->type));
	if (leaf->has_caller)
		buf_printf(out, "%s  ", leaf_role_name(leaf->role));
	put_escaped(out, leaf->subject);
	if (leaf->has_status)
		buf_printf(out, "  %s %" PRIu64, leaf_status_name(leaf->status_kind),
			   leaf->status_code);
	if (leaf->reason.left) {
		buf_put_text(out, "  ");
		put_escaped(out, leaf->reason);
	}
	buf_put_text(out, "\n");
}

#include "audit/trust.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WORDS_MAX (TRUST_MEMBERS_MAX + 3)
#define NONE TRUST_MEMBERS_MAX /* the quorum that nobody is needed for */
#define UNSET (TRUST_MEMBERS_MAX + 1)

/* A witness, or a group, in the order of their lines: a group's members come before it. */
struct member {
	char name[TRUST_NAME_MAX + 1];
	bool is_group;
	size_t witness;  /* its index among the witnesses */
	uint64_t of;     /* a group's: bits of its members */
	size_t at_least; /* so many of them */
};

struct trust {
	struct vkey logs[TRUST_LOGS_MAX];
	size_t logs_n;
	struct trust_witness witnesses[TRUST_MEMBERS_MAX];
	size_t witnesses_n;
	struct member members[TRUST_MEMBERS_MAX];
	size_t members_n;
	size_t quorum;
};

struct line {
	struct slice words[WORDS_MAX];
	size_t n;
};

/* Splits at blanks and tabs; other control characters have no place here. */
static enum err split(struct slice text, struct line *line)
{
	line->n = 0;
	for (size_t i = 0; i < text.left;) {
		size_t start = i;

		for (; i < text.left && text.p[i] != ' ' && text.p[i] != '\t'; i++)
			if (text.p[i] < ' ' || text.p[i] == 0x7f)
				return failed(ERR_FORMAT, "a control character");
		if (i == start) {
			i++;
			continue;
		}
		if (line->n == WORDS_MAX)
			return failed(ERR_RANGE, "over %d words", WORDS_MAX);
		line->words[line->n++] = slice_of(text.p + start, i - start);
	}
	return OK;
}

static enum err copy(struct slice word, size_t max, const char *what, char *to)
{
	if (word.left > max)
		return failed(ERR_RANGE, "%s of %zu bytes, at most %zu", what, word.left, max);
	memcpy(to, word.p, word.left);
	to[word.left] = 0;
	return OK;
}

static size_t find(const struct trust *trust, struct slice name)
{
	for (size_t i = 0; i < trust->members_n; i++)
		if (slice_is(name, trust->members[i].name))
			return i;
	return UNSET;
}

static enum err new_member(struct trust *trust, struct slice name, struct member **out)
{
	struct member *m = &trust->members[trust->members_n];
	enum err e;

	if (trust->members_n == TRUST_MEMBERS_MAX)
		return failed(ERR_RANGE, "over %d witnesses and groups", TRUST_MEMBERS_MAX);
	if (slice_is(name, "none") || find(trust, name) != UNSET)
		return failed(ERR_FORMAT, "a name that is taken");
	if ((e = copy(name, TRUST_NAME_MAX, "a name", m->name)))
		return e;
	trust->members_n++;
	*out = m;
	return OK;
}

static enum err read_log(struct trust *trust, const struct line *line)
{
	struct vkey *key = &trust->logs[trust->logs_n];
	enum err e;

	if (line->n < 2 || line->n > 3)
		return failed(ERR_FORMAT, "log VKEY [URL] expected");
	if (trust->logs_n == TRUST_LOGS_MAX)
		return failed(ERR_RANGE, "over %d logs", TRUST_LOGS_MAX);
	if ((e = vkey_read(line->words[1], key)))
		return e;
	if (key->type == VKEY_COSIGNATURE)
		return failed(ERR_FORMAT, "a witness's key where a log's belongs");
	/* A tree's shards have one key and a name each, which the text that is signed begins with. */
	for (size_t i = 0; i < trust->logs_n; i++)
		if (vkey_same(&trust->logs[i], key) && !strcmp(trust->logs[i].name, key->name))
			return failed(ERR_FORMAT, "this log's key is there twice");
	trust->logs_n++;
	return OK;
}

/* http and https alone, of printable ASCII. */
static enum err read_url(struct slice word, char url[TRUST_URL_MAX + 1])
{
	enum err e = copy(word, TRUST_URL_MAX, "a URL", url);

	if (e)
		return e;
	if (strncmp(url, "https://", 8) != 0 && strncmp(url, "http://", 7) != 0)
		return failed(ERR_FORMAT, "a URL of http or https expected");
	for (const char *c = url; *c; c++)
		if (*c <= ' ' || *c > '~')
			return failed(ERR_FORMAT, "a URL of printable ASCII expected");
	for (size_t n = strlen(url); n && url[n - 1] == '/'; n--)
		url[n - 1] = 0;
	return OK;
}

static enum err read_witness(struct trust *trust, const struct line *line)
{
	struct trust_witness *w = &trust->witnesses[trust->witnesses_n];
	struct member *member;
	enum err e;

	if (line->n < 3 || line->n > 4)
		return failed(ERR_FORMAT, "witness NAME VKEY [URL] expected");
	if ((e = new_member(trust, line->words[1], &member)) ||
	    (e = vkey_read(line->words[2], &w->key)))
		return e;
	if (w->key.type != VKEY_COSIGNATURE)
		return failed(ERR_FORMAT, "a witness's key is of type 0x04 (Ed25519 cosignature)");
	for (size_t i = 0; i < trust->witnesses_n; i++)
		if (vkey_same(&trust->witnesses[i].key, &w->key))
			return failed(ERR_FORMAT, "this witness's key is there twice");
	if (line->n == 4 && (e = read_url(line->words[3], w->url)))
		return e;
	memcpy(w->name, member->name, sizeof w->name);
	member->witness = trust->witnesses_n++;
	return OK;
}

static enum err read_threshold(struct slice word, size_t n, size_t *out)
{
	size_t v = 0;

	if (slice_is(word, "any") || slice_is(word, "all")) {
		*out = slice_is(word, "any") ? 1 : n;
		return OK;
	}
	for (size_t i = 0; i < word.left; i++) {
		if (word.p[i] < '0' || word.p[i] > '9' || (i == 0 && word.p[i] == '0') || i == 3)
			return failed(ERR_FORMAT, "all, any or a number expected");
		v = v * 10 + (size_t)(word.p[i] - '0');
	}
	if (v < 1 || v > n)
		return failed(ERR_RANGE, "a number from 1 to that of the members expected");
	*out = v;
	return OK;
}

/* A witness counts once: in one group, and once there. */
static enum err take_member(struct trust *trust, struct slice name, struct member *group)
{
	size_t i = find(trust, name);
	uint64_t bit = i < TRUST_MEMBERS_MAX ? UINT64_C(1) << i : 0;

	if (i == UNSET || &trust->members[i] == group)
		return failed(ERR_FORMAT, "a member that no earlier line names");
	for (size_t g = 0; g < trust->members_n; g++)
		if (trust->members[g].of & bit)
			return failed(ERR_FORMAT, "%s is a member twice", trust->members[i].name);
	group->of |= bit;
	return OK;
}

static enum err read_group(struct trust *trust, const struct line *line)
{
	struct member *group;
	enum err e;

	if (line->n < 4)
		return failed(ERR_FORMAT, "group NAME all|any|N MEMBER... expected");
	if ((e = new_member(trust, line->words[1], &group)))
		return e;
	group->is_group = true;
	for (size_t i = 3; i < line->n; i++)
		if ((e = take_member(trust, line->words[i], group)))
			return e;
	return read_threshold(line->words[2], line->n - 3, &group->at_least);
}

static enum err read_quorum(struct trust *trust, const struct line *line)
{
	if (line->n != 2 || trust->quorum != UNSET)
		return failed(ERR_FORMAT, "quorum NAME|none expected, once");
	trust->quorum = slice_is(line->words[1], "none") ? NONE : find(trust, line->words[1]);
	return trust->quorum == UNSET ? failed(ERR_FORMAT, "a quorum that no earlier line names")
				      : OK;
}

static const struct {
	const char *word;
	enum err (*read)(struct trust *trust, const struct line *line);
} kinds[] = { { "log", read_log },
	      { "witness", read_witness },
	      { "group", read_group },
	      { "quorum", read_quorum } };

static enum err read_line(struct trust *trust, struct slice text)
{
	struct line line;
	enum err e = split(text, &line);

	if (e || line.n == 0 || line.words[0].p[0] == '#')
		return line.n && line.words[0].p[0] == '#' ? OK : e;
	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
		if (slice_is(line.words[0], kinds[i].word))
			return kinds[i].read(trust, &line);
	return failed(ERR_FORMAT, "log, witness, group or quorum expected");
}

static enum err read_lines(struct trust *trust, struct slice text, const char *name)
{
	size_t number = 0;
	enum err e;

	while (text.left) {
		const uint8_t *end = memchr(text.p, '\n', text.left);
		size_t n = end ? (size_t)(end - text.p) : text.left;

		number++;
		if (!end)
			return failed(ERR_FORMAT, "%s:%zu: a line without an end", name, number);
		if ((e = read_line(trust, slice_of(text.p, n))))
			return failed(e, "%s:%zu: %s", name, number, err_reason());
		text = slice_of(end + 1, text.left - n - 1);
	}
	return OK;
}

enum err trust_read(struct slice text, const char *name, bool needs_quorum, struct trust **out)
{
	enum err e;

	if (text.left > TRUST_MAX)
		return failed(ERR_RANGE, "%s: at most %d bytes expected", name, TRUST_MAX);
	CLEANUP(trust) struct trust *trust = calloc(1, sizeof *trust);
	if (!trust)
		return failed(ERR_MEMORY, "policy");
	trust->quorum = UNSET;
	if ((e = read_lines(trust, text, name)))
		return e;
	if (needs_quorum && trust->quorum == UNSET)
		return failed(ERR_FORMAT, "%s: a quorum line expected", name);
	*out = STEAL(trust);
	return OK;
}

void trust_free(struct trust *trust)
{
	free(trust);
}

void trust_cleanup(struct trust **trust)
{
	trust_free(*trust);
	*trust = NULL;
}

size_t trust_witnesses(const struct trust *trust)
{
	return trust->witnesses_n;
}

const struct trust_witness *trust_witness(const struct trust *trust, size_t i)
{
	return &trust->witnesses[i];
}

enum err trust_log(const struct trust *trust, const struct note *note)
{
	bool known = false, is_signed = false;
	enum err e;

	/* A log may have several keys, when one takes over from another. */
	for (size_t i = 0; i < trust->logs_n; i++) {
		if (!slice_is(note->origin, trust->logs[i].name))
			continue;
		known = true;
		if ((e = vkey_verify(&trust->logs[i], note, NULL)) && e != ERR_NOT_FOUND)
			return e;
		is_signed = is_signed || !e;
	}
	if (!known)
		return failed(ERR_NOT_FOUND, "no log of this origin is known");
	return is_signed ? OK : failed(ERR_DENIED, "the log's keys did not sign the checkpoint");
}

bool trust_names(const struct trust *trust, const char *origin)
{
	for (size_t i = 0; i < trust->logs_n; i++)
		if (!strcmp(trust->logs[i].name, origin))
			return true;
	return trust->logs_n == 0;
}

void trust_put_log_lines(const struct trust *trust, const struct note *note, struct buf *out)
{
	for (size_t k = 0; k < trust->logs_n; k++) {
		const struct vkey *key = &trust->logs[k];
		size_t i = 0;

		while (i < note->signatures_n && !vkey_claims(key, &note->signatures[i]))
			i++;
		if (i < note->signatures_n && slice_is(note->origin, key->name))
			(void)!note_put_line(
				slice_text(key->name), key->id,
				slice_of(note->signatures[i].bytes, note->signatures[i].n), out);
	}
}

enum err trust_cosigned(const struct trust *trust, const struct note *note, struct trust_count *out)
{
	uint64_t time;
	enum err e;

	*out = (struct trust_count){ 0 };
	for (size_t i = 0; i < trust->witnesses_n; i++) {
		if ((e = vkey_verify(&trust->witnesses[i].key, note, &time)) == ERR_NOT_FOUND)
			continue;
		if (e)
			return e;
		out->cosigned |= UINT64_C(1) << i;
		out->oldest = out->n && out->oldest < time ? out->oldest : time;
		out->newest = out->newest > time ? out->newest : time;
		out->n++;
	}
	return OK;
}

bool trust_quorum(const struct trust *trust, uint64_t cosigned)
{
	uint64_t there = 0; /* bits of members */

	for (size_t i = 0; i < trust->members_n; i++) {
		const struct member *m = &trust->members[i];
		bool is = m->is_group ? (size_t)__builtin_popcountll(m->of & there) >= m->at_least
				      : cosigned >> m->witness & 1;

		there |= (uint64_t)is << i;
	}
	return trust->quorum == NONE ||
	       (trust->quorum < trust->members_n && there >> trust->quorum & 1);
}

enum err trust_check(const struct trust *trust, const struct note *note, struct trust_count *out)
{
	enum err e;

	*out = (struct trust_count){ 0 };
	if (trust->logs_n && (e = trust_log(trust, note)))
		return e;
	if ((e = trust_cosigned(trust, note, out)))
		return e;
	return trust_quorum(trust, out->cosigned)
		       ? OK
		       : failed(ERR_MISMATCH,
				"%zu of %zu witnesses cosigned the checkpoint, and the policy's "
				"quorum wants others",
				out->n, trust->witnesses_n);
}

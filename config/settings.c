#include "config/settings.h"

#include <stdlib.h>
#include <string.h>

#define PATH_BYTES_MAX 4095
#define ITEM_BYTES_MAX 1024
#define NAME_BYTES_MAX 64  /* as the ids of packages */
#define PART_BYTES_MAX 512 /* as the names of measured components */

static void *field(const struct setting *setting, void *values)
{
	return (char *)values + setting->offset;
}

static const void *field_of(const struct setting *setting, const void *values)
{
	return (const char *)values + setting->offset;
}

bool setting_is_list(const struct setting *setting)
{
	return setting->type >= SETTING_ENVIRONMENT;
}

/* Decimal only, and no leading zero: YAML 1.1 reads one as octal, people do not. */
static enum err number(struct scalar value, uint64_t least, uint64_t most, uint64_t *out)
{
	struct slice s = value.text;
	uint64_t v = 0;

	if (!value.plain || s.left == 0 || (s.p[0] == '0' && s.left > 1))
		return ERR_FORMAT;
	for (size_t i = 0; i < s.left; i++) {
		unsigned digit = (unsigned)s.p[i] - '0';

		if (digit > 9 || v > (UINT64_MAX - digit) / 10)
			return ERR_FORMAT;
		v = v * 10 + digit;
	}
	if (v < least || v > most)
		return ERR_RANGE;
	*out = v;
	return OK;
}

/* What a YAML reader would take for null, a boolean or a number is no text without quotes. */
static bool looks_like_text(struct scalar value)
{
	static const char *const others[] = { "~",  "null", "true", "false", "yes",  "no",
					      "on", "off",  "y",    "n",     ".nan", ".inf" };
	struct slice s = value.text;

	if (!value.plain)
		return true;
	for (size_t i = 0; i < sizeof others / sizeof *others; i++)
		if (s.left == strlen(others[i]) &&
		    !strncasecmp((const char *)s.p, others[i], s.left))
			return false;
	for (size_t i = 0; i < s.left; i++)
		if (!strchr("0123456789+-.,_:eExX", s.p[i]))
			return true;
	return false;
}

/* What YAML itself lets in only by an escape: controls, other line breaks, byte order marks. */
static bool printable(struct slice s)
{
	static const char *const others[] = { "\xe2\x80\xa8", "\xe2\x80\xa9", "\xef\xbb\xbf",
					      "\xef\xbf\xbe", "\xef\xbf\xbf" };

	for (size_t i = 0; i < s.left; i++) {
		if (s.p[i] < 0x20 || s.p[i] == 0x7f)
			return false;
		if (s.p[i] == 0xc2 && i + 1 < s.left && s.p[i + 1] < 0xa0)
			return false;
		for (size_t k = 0; k < sizeof others / sizeof *others; k++)
			if (s.left - i >= 3 && !memcmp(s.p + i, others[k], 3))
				return false;
	}
	return true;
}

static bool text(struct scalar value, size_t least, size_t most)
{
	return value.text.left >= least && value.text.left <= most && printable(value.text) &&
	       looks_like_text(value);
}

static bool path(struct scalar value, size_t most)
{
	struct slice s = value.text;

	if (!text(value, 1, most ? most : PATH_BYTES_MAX) || s.p[0] != '/')
		return false;
	for (size_t i = 0; i + 2 < s.left; i++)
		if (!memcmp(s.p + i, "/..", 3) && (i + 3 == s.left || s.p[i + 3] == '/'))
			return false;
	return true;
}

static bool environment(struct scalar value)
{
	struct slice s = value.text;
	size_t n = 0;

	if (!text(value, 2, ITEM_BYTES_MAX))
		return false;
	while (n < s.left && s.p[n] != '=') {
		uint8_t c = s.p[n];
		bool letter = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_';

		if (!letter && !(n && c >= '0' && c <= '9'))
			return false;
		n++;
	}
	return n > 0 && n < s.left;
}

/* The index of a word in "first|second", or -1. */
static int word(struct slice s, const char *words)
{
	for (int i = 0;; i++) {
		size_t n = strcspn(words, "|");

		if (s.left == n && !memcmp(s.p, words, n))
			return i;
		if (!words[n])
			return -1;
		words += n + 1;
	}
}

static enum err put_text(char **field_, struct slice s)
{
	char *copy = strndup((const char *)s.p, s.left);

	if (!copy)
		return ERR_MEMORY;
	free(*field_);
	*field_ = copy;
	return OK;
}

/* SHA-256 as the commands print it. */
static bool digest(struct slice s)
{
	for (size_t i = 0; i < s.left; i++)
		if (!strchr("0123456789abcdef", s.p[i]))
			return false;
	return s.left == 64;
}

/* NAME=DIGEST: a measured component, as assay tcb names it. */
static bool part(struct slice s)
{
	const uint8_t *equals = s.left ? memrchr(s.p, '=', s.left) : NULL;
	size_t n = equals ? (size_t)(equals - s.p) : 0;

	return n > 0 && n <= PART_BYTES_MAX && printable(slice_of(s.p, n)) &&
	       digest(slice_of(equals + 1, s.left - n - 1));
}

static bool item_fits(const struct setting *setting, struct scalar value)
{
	switch (setting->type) {
	case SETTING_ENVIRONMENT:
		return environment(value);
	case SETTING_NAMES:
		return text(value, 1, NAME_BYTES_MAX);
	case SETTING_DIGESTS:
		return digest(value.text);
	case SETTING_PARTS:
		return part(value.text);
	case SETTING_LINES:
		return text(value, 1, ITEM_BYTES_MAX);
	default:
		return word(value.text, setting->value) >= 0;
	}
}

static enum err put_item(const struct setting *setting, struct config_list *list,
			 struct scalar value)
{
	if (!item_fits(setting, value))
		return ERR_FORMAT;
	if (list->n >= setting->most || list->n >= CONFIG_LIST_MAX)
		return ERR_RANGE;
	enum err e = put_text(&list->items[list->n], value.text);
	if (!e)
		list->n++;
	return e;
}

static enum err put_user(const struct setting *setting, struct config_users *users,
			 struct scalar value)
{
	uint64_t id;

	if (number(value, 0, UINT32_MAX - 1, &id))
		return ERR_FORMAT;
	if (users->n >= setting->most || users->n >= CONFIG_LIST_MAX)
		return ERR_RANGE;
	users->ids[users->n++] = (uid_t)id;
	return OK;
}

enum err setting_put(const struct setting *setting, void *values, struct scalar value)
{
	void *to = field(setting, values);
	int choice;

	switch (setting->type) {
	case SETTING_NUMBER:
		return number(value, setting->least, setting->most, to);
	case SETTING_CHOICE:
		if ((choice = word(value.text, setting->value)) < 0)
			return ERR_FORMAT;
		*(unsigned *)to = (unsigned)choice;
		return OK;
	case SETTING_TEXT:
		return text(value, setting->least, setting->most) ? put_text(to, value.text)
								  : ERR_FORMAT;
	case SETTING_PATH:
		return path(value, setting->most) ? put_text(to, value.text) : ERR_FORMAT;
	case SETTING_USERS:
		return put_user(setting, to, value);
	default:
		return put_item(setting, to, value);
	}
}

enum err setting_default(const struct setting *setting, void *values)
{
	struct scalar value = { slice_text(setting->value), true };

	/* A choice starts with its first word and a list empty: both are zero already. */
	if (setting_is_list(setting) || setting->type == SETTING_CHOICE)
		return OK;
	if (setting->type == SETTING_TEXT || setting->type == SETTING_PATH)
		return put_text(field(setting, values), value.text);
	return setting_put(setting, values, value);
}

void setting_free(const struct setting *setting, void *values)
{
	if (setting->type == SETTING_TEXT || setting->type == SETTING_PATH) {
		free(*(char **)field(setting, values));
	} else if (setting_is_list(setting) && setting->type != SETTING_USERS) {
		struct config_list *list = field(setting, values);

		for (size_t i = 0; i < list->n; i++)
			free(list->items[i]);
	}
}

/* "first|second|third" as "first, second or third". */
static void put_words(const char *words, struct buf *out)
{
	for (;;) {
		size_t n = strcspn(words, "|");

		buf_put(out, words, n);
		if (!words[n])
			return;
		words += n + 1;
		buf_put_text(out, strchr(words, '|') ? ", " : " or ");
	}
}

static void expected_item(const struct setting *setting, struct buf *out)
{
	switch (setting->type) {
	case SETTING_USERS:
		buf_printf(out, "a numeric user id from 0 to %u", UINT32_MAX - 1);
		return;
	case SETTING_ENVIRONMENT:
		buf_put_text(out, "NAME=value");
		return;
	case SETTING_NAMES:
		buf_printf(out, "a text of 1 to %d bytes", NAME_BYTES_MAX);
		return;
	case SETTING_DIGESTS:
		buf_put_text(out, "64 hexadecimal digits in lower case");
		return;
	case SETTING_PARTS:
		buf_put_text(out, "NAME=64 hexadecimal digits in lower case");
		return;
	case SETTING_LINES:
		buf_printf(out, "a line of 1 to %d bytes", ITEM_BYTES_MAX);
		return;
	default:
		put_words(setting->value, out);
	}
}

void setting_expected(const struct setting *setting, bool item, struct buf *out)
{
	switch (setting->type) {
	case SETTING_NUMBER:
		buf_printf(out, "a whole number from %llu to %llu",
			   (unsigned long long)setting->least, (unsigned long long)setting->most);
		return;
	case SETTING_CHOICE:
		put_words(setting->value, out);
		return;
	case SETTING_TEXT:
		buf_printf(out, "a text of %llu to %llu bytes", (unsigned long long)setting->least,
			   (unsigned long long)setting->most);
		return;
	case SETTING_PATH:
		buf_printf(out, "an absolute path without \"..\", at most %llu bytes",
			   (unsigned long long)(setting->most ? setting->most : PATH_BYTES_MAX));
		return;
	default:
		if (!item)
			buf_printf(out, "a list of at most %llu items, each ",
				   (unsigned long long)setting->most);
		expected_item(setting, out);
	}
}

static void print_text(const char *s, struct buf *out)
{
	buf_put_text(out, "\"");
	/* Control characters never came in. */
	for (; *s; s++) {
		if (*s == '"' || *s == '\\')
			buf_put_text(out, "\\");
		buf_put(out, s, 1);
	}
	buf_put_text(out, "\"");
}

static void print_list(const struct setting *setting, const void *from, struct buf *out)
{
	const struct config_list *list = from;
	const struct config_users *users = from;
	size_t n = setting->type == SETTING_USERS ? users->n : list->n;

	buf_put_text(out, "[");
	for (size_t i = 0; i < n; i++) {
		buf_put_text(out, i ? ", " : "");
		if (setting->type == SETTING_USERS)
			buf_printf(out, "%u", users->ids[i]);
		else
			print_text(list->items[i], out);
	}
	buf_put_text(out, "]");
}

static void print_choice(const char *words, unsigned choice, struct buf *out)
{
	while (choice--)
		words += strcspn(words, "|") + 1;
	buf_printf(out, "\"%.*s\"", (int)strcspn(words, "|"), words);
}

void setting_print(const struct setting *setting, const void *values, struct buf *out)
{
	const void *from = field_of(setting, values);

	switch (setting->type) {
	case SETTING_NUMBER:
		buf_printf(out, "%llu", (unsigned long long)*(const uint64_t *)from);
		return;
	case SETTING_CHOICE:
		print_choice(setting->value, *(const unsigned *)from, out);
		return;
	case SETTING_TEXT:
	case SETTING_PATH: {
		const char *s = *(char *const *)from;

		if (*s)
			print_text(s, out);
		else
			buf_put_text(out, "null");
		return;
	}
	default:
		print_list(setting, from, out);
	}
}

#include "config/yaml.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <yaml.h>

#include "config/settings.h"

#define KEY_MAX 64
#define SEEN_MAX 128
#define FOUND_MAX 40 /* bytes of a wrong value that are quoted */

struct seen {
	char key[KEY_MAX];
	size_t line;
};

struct walk {
	yaml_parser_t parser;
	yaml_event_t event; /* the one looked at; {0} before the first */
	struct slice text;
	const char *name;
	const struct schema *schema;
	void *values;
	struct seen seen[SEEN_MAX]; /* settings and groups: all in the schema, so they fit */
	size_t seen_n;
};

static size_t line_of(const struct walk *walk)
{
	return walk->event.start_mark.line + 1;
}

/* Part of the file goes to terminals and logs: what is not plain ASCII is shown as "?". */
static void put_ascii(const unsigned char *text, size_t n, struct buf *out)
{
	for (size_t i = 0; i < n && i < FOUND_MAX; i++)
		buf_put_u8(out, text[i] < 0x20 || text[i] > 0x7e ? '?' : text[i]);
	if (n > FOUND_MAX)
		buf_put_text(out, "...");
}

/* The event, as a person would name it. */
static void put_found(const yaml_event_t *event, struct buf *out)
{
	size_t n = event->data.scalar.length;

	switch (event->type) {
	case YAML_MAPPING_START_EVENT:
		buf_put_text(out, "a map");
		return;
	case YAML_SEQUENCE_START_EVENT:
		buf_put_text(out, "a list");
		return;
	case YAML_SCALAR_EVENT:
		if (n == 0 && event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE) {
			buf_put_text(out, "nothing");
			return;
		}
		buf_put_text(out, "\"");
		put_ascii(event->data.scalar.value, n, out);
		buf_put_text(out, "\"");
		return;
	default:
		buf_put_text(out, "nothing");
	}
}

/* Notes "name:line: key: EXPECTED expected, found FOUND". */
static enum err unexpected(struct walk *walk, const char *key, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
static enum err unexpected(struct walk *walk, const char *key, const char *format, ...)
{
	CLEANUP(buf) struct buf found = BUF_INIT;
	char expected[320];
	va_list args;

	va_start(args, format);
	vsnprintf(expected, sizeof expected, format, args);
	va_end(args);
	put_found(&walk->event, &found);
	const char *words = buf_text(&found);
	return failed(ERR_FORMAT, "%s:%zu: %s%s%s expected, found %s", walk->name, line_of(walk),
		      key, *key ? ": " : "", expected, words ? words : "something else");
}

static enum err refuse_mark(struct walk *walk, const char *key, const char *what,
			    const unsigned char *mark)
{
	CLEANUP(buf) struct buf found = BUF_INIT;

	put_ascii(mark, strlen((const char *)mark), &found);
	const char *words = buf_text(&found);
	return failed(ERR_FORMAT, "%s:%zu: %s%sa value written out in place expected, found %s%s",
		      walk->name, line_of(walk), key, *key ? ": " : "", what, words ? words : "");
}

/* Neither anchors nor aliases nor tags: what is written is what is meant. */
static enum err check_marks(struct walk *walk, const char *key)
{
	const yaml_event_t *event = &walk->event;
	const unsigned char *anchor = NULL, *tag = NULL;

	switch (event->type) {
	case YAML_ALIAS_EVENT:
		return refuse_mark(walk, key, "the alias *", event->data.alias.anchor);
	case YAML_SCALAR_EVENT:
		anchor = event->data.scalar.anchor;
		tag = event->data.scalar.tag;
		break;
	case YAML_SEQUENCE_START_EVENT:
		anchor = event->data.sequence_start.anchor;
		tag = event->data.sequence_start.tag;
		break;
	case YAML_MAPPING_START_EVENT:
		anchor = event->data.mapping_start.anchor;
		tag = event->data.mapping_start.tag;
		break;
	default:
		break;
	}
	if (anchor)
		return refuse_mark(walk, key, "the anchor &", anchor);
	return tag ? refuse_mark(walk, key, "the tag ", tag) : OK;
}

/* The reader's errors come with an offset and no mark. */
static enum err syntax_error(struct walk *walk)
{
	const yaml_parser_t *p = &walk->parser;
	size_t line = p->problem_mark.line + 1;

	if (p->error == YAML_MEMORY_ERROR)
		return failed(ERR_MEMORY, "%s: out of memory", walk->name);
	if (p->error == YAML_READER_ERROR) {
		line = 1;
		for (size_t i = 0; i < p->problem_offset && i < walk->text.left; i++)
			line += walk->text.p[i] == '\n';
	}
	return failed(ERR_FORMAT, "%s:%zu: YAML in UTF-8 expected, but: %s", walk->name, line,
		      p->problem ? p->problem : "it can't be read");
}

/* Moves on to the next event; @key is what a refusal is about. */
static enum err next(struct walk *walk, const char *key)
{
	yaml_event_delete(&walk->event);
	if (!yaml_parser_parse(&walk->parser, &walk->event))
		return syntax_error(walk);
	return check_marks(walk, key);
}

static struct scalar event_scalar(const yaml_event_t *event)
{
	return (struct scalar){ slice_of(event->data.scalar.value, event->data.scalar.length),
				event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE };
}

/* "key: EXPECTED expected, found FOUND", for the value or the item that the walk is at. */
static enum err refuse_value(struct walk *walk, const struct setting *setting, bool item)
{
	CLEANUP(buf) struct buf expected = BUF_INIT;

	setting_expected(setting, item, &expected);
	const char *words = buf_text(&expected);
	return unexpected(walk, setting->key, "%s", words ? words : "another value");
}

static enum err put(struct walk *walk, const struct setting *setting, bool item)
{
	enum err e = ERR_FORMAT;

	if (walk->event.type == YAML_SCALAR_EVENT)
		e = setting_put(setting, walk->values, event_scalar(&walk->event));
	if (e == OK)
		return OK;
	if (e == ERR_MEMORY)
		return failed(e, "%s: out of memory", walk->name);
	/* A good item that is one too many: what was expected is a shorter list. */
	enum err noted = refuse_value(walk, setting, item && e != ERR_RANGE);
	return e == ERR_RANGE ? e : noted;
}

static enum err read_setting(struct walk *walk, const struct setting *setting)
{
	enum err e = next(walk, setting->key);

	if (e)
		return e;
	if (!setting_is_list(setting))
		return put(walk, setting, false);
	if (walk->event.type != YAML_SEQUENCE_START_EVENT)
		return refuse_value(walk, setting, false);
	for (;;) {
		if ((e = next(walk, setting->key)))
			return e;
		if (walk->event.type == YAML_SEQUENCE_END_EVENT)
			return OK;
		if ((e = put(walk, setting, true)))
			return e;
	}
}

/* "a, b or c": the keys that the schema has below @prefix ("" or "limits."), each once. */
static void put_keys(const struct schema *schema, const char *prefix, struct buf *out)
{
	size_t n = strlen(prefix), last_n = 0;
	const char *last = NULL, *separator = "";

	for (size_t i = 0; i < schema->n; i++) {
		const char *key = schema->settings[i].key + n;

		if (strncmp(schema->settings[i].key, prefix, n))
			continue;
		size_t key_n = strcspn(key, ".");
		if (last && last_n == key_n && !strncmp(last, key, key_n))
			continue;
		buf_put_text(out, separator);
		buf_put(out, key, key_n);
		separator = ", ";
		last = key;
		last_n = key_n;
	}
}

static enum err unknown_key(struct walk *walk, const char *prefix)
{
	CLEANUP(buf) struct buf keys = BUF_INIT;
	char group[KEY_MAX];

	put_keys(walk->schema, prefix, &keys);
	const char *words = buf_text(&keys);
	snprintf(group, sizeof group, "%.*s", (int)(*prefix ? strlen(prefix) - 1 : 0), prefix);
	return unexpected(walk, group, "one of the settings %s", words ? words : "");
}

static enum err check_once(struct walk *walk, const char *key)
{
	for (size_t i = 0; i < walk->seen_n; i++)
		if (!strcmp(walk->seen[i].key, key))
			return failed(ERR_FORMAT,
				      "%s:%zu: %s: each key once expected, found it in "
				      "line %zu already",
				      walk->name, line_of(walk), key, walk->seen[i].line);
	if (walk->seen_n == SEEN_MAX)
		return failed(ERR_RANGE, "%s:%zu: too many keys", walk->name, line_of(walk));
	struct seen *seen = &walk->seen[walk->seen_n++];
	snprintf(seen->key, sizeof seen->key, "%s", key);
	seen->line = line_of(walk);
	return OK;
}

static const struct setting *setting_of(const struct schema *schema, const char *key)
{
	for (size_t i = 0; i < schema->n; i++)
		if (!strcmp(schema->settings[i].key, key))
			return &schema->settings[i];
	return NULL;
}

static bool is_group(const struct schema *schema, const char *key)
{
	size_t n = strlen(key);

	for (size_t i = 0; i < schema->n; i++)
		if (!strncmp(schema->settings[i].key, key, n) && schema->settings[i].key[n] == '.')
			return true;
	return false;
}

static enum err read_map(struct walk *walk, const char *prefix);

static enum err read_group(struct walk *walk, const char *key)
{
	char prefix[KEY_MAX + 1];
	enum err e = next(walk, key);

	if (e)
		return e;
	if (walk->event.type != YAML_MAPPING_START_EVENT)
		return unexpected(walk, key, "a map of settings");
	snprintf(prefix, sizeof prefix, "%s.", key);
	return read_map(walk, prefix);
}

/* Reads what follows the start of a map, to its end. Only groups of the schema nest, so the depth
 * of the recursion is theirs. */
static enum err read_map(struct walk *walk, const char *prefix)
{
	char key[KEY_MAX];
	enum err e;

	for (;;) {
		if ((e = next(walk, "")))
			return e;
		if (walk->event.type == YAML_MAPPING_END_EVENT)
			return OK;
		if (walk->event.type != YAML_SCALAR_EVENT)
			return unknown_key(walk, prefix);
		struct slice name = event_scalar(&walk->event).text;
		/* A dot would reach into another group by a second way of writing it. */
		if (name.left == 0 || strlen(prefix) + name.left >= sizeof key ||
		    memchr(name.p, '.', name.left) || memchr(name.p, 0, name.left))
			return unknown_key(walk, prefix);
		snprintf(key, sizeof key, "%s%.*s", prefix, (int)name.left, (const char *)name.p);
		const struct setting *setting = setting_of(walk->schema, key);
		if (!setting && !is_group(walk->schema, key))
			return unknown_key(walk, prefix);
		if ((e = check_once(walk, key)) ||
		    (e = setting ? read_setting(walk, setting) : read_group(walk, key)))
			return e;
	}
}

static enum err read_document(struct walk *walk)
{
	enum err e;

	/* The start of the stream, then of the document; a file of comments alone has none. */
	if ((e = next(walk, "")) || (e = next(walk, "")))
		return e;
	if (walk->event.type == YAML_STREAM_END_EVENT)
		return OK;
	if ((e = next(walk, "")))
		return e;
	if (walk->event.type != YAML_MAPPING_START_EVENT)
		return unexpected(walk, "", "a map of settings");
	if ((e = read_map(walk, "")) || (e = next(walk, "")) || (e = next(walk, "")))
		return e;
	if (walk->event.type != YAML_STREAM_END_EVENT)
		return failed(ERR_FORMAT, "%s:%zu: one document expected, found a second one",
			      walk->name, line_of(walk));
	return OK;
}

static size_t line_seen(const struct walk *walk, const char *key)
{
	for (size_t i = 0; i < walk->seen_n; i++)
		if (!strcmp(walk->seen[i].key, key))
			return walk->seen[i].line;
	return 0;
}

static enum err check_together(const struct walk *walk)
{
	struct fault fault = { 0 };

	if (walk->schema->sound(walk->values, &fault))
		return OK;
	size_t line = line_seen(walk, fault.key);
	return failed(ERR_RANGE, "%s:%zu: %s: %s", walk->name,
		      line ? line : line_seen(walk, fault.because), fault.key, fault.expected);
}

enum err yaml_read(struct slice text, const char *name, const struct schema *schema, void *values)
{
	struct walk walk = { .text = text, .name = name, .schema = schema, .values = values };

	if (!yaml_parser_initialize(&walk.parser))
		return failed(ERR_MEMORY, "%s: out of memory", name);
	/* Never guessed from a byte order mark: UTF-16 is refused. */
	yaml_parser_set_encoding(&walk.parser, YAML_UTF8_ENCODING);
	/* libyaml takes no null pointer, of which an empty slice may consist. */
	yaml_parser_set_input_string(&walk.parser, text.left ? text.p : (const uint8_t *)"",
				     text.left);
	enum err e = read_document(&walk);
	if (!e)
		e = check_together(&walk);
	yaml_event_delete(&walk.event);
	yaml_parser_delete(&walk.parser);
	return e;
}

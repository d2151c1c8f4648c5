/* What holds for a whole file of settings: defaults, and how it is shown. */
#include <string.h>

#include "config/settings.h"

enum err schema_default(const struct schema *schema, void *values)
{
	for (size_t i = 0; i < schema->n; i++) {
		enum err e = setting_default(&schema->settings[i], values);

		if (e)
			return failed(e, "%s: default of %s: %s", schema->what,
				      schema->settings[i].key, err_words(e));
	}
	return OK;
}

void schema_free(const struct schema *schema, void *values)
{
	for (size_t i = 0; i < schema->n; i++)
		setting_free(&schema->settings[i], values);
}

void schema_describe(const struct schema *schema, struct buf *out)
{
	for (size_t i = 0; i < schema->n; i++) {
		const struct setting *s = &schema->settings[i];
		bool words = s->type == SETTING_CHOICE || s->type == SETTING_WORDS;
		size_t n = words ? s->type == SETTING_CHOICE ? strcspn(s->value, "|") : 0
				 : strlen(s->value);

		buf_printf(out, "%s\n    %s\n    ", s->key, s->help);
		setting_expected(s, false, out);
		buf_printf(out, "; %s%.*s\n",
			   n                    ? "default "
			   : setting_is_list(s) ? "empty by default"
						: "not set by default",
			   (int)n, s->value);
	}
}

/* Depth of a key, and whether the levels above its last are those of the key before. */
static size_t shared_levels(const char *key, const char *before)
{
	size_t shared = 0;

	for (size_t i = 0; key[i] && key[i] == before[i]; i++)
		shared += key[i] == '.';
	return shared;
}

static void open_levels(const char *key, const char *before, bool json, struct buf *out)
{
	size_t shared = shared_levels(key, before), level = 0;

	for (const char *dot; (dot = strchr(key, '.')); key = dot + 1, level++) {
		if (level < shared)
			continue;
		int n = (int)(dot - key);
		if (json)
			buf_printf(out, "\"%.*s\": {", n, key);
		else
			buf_printf(out, "%*s%.*s:\n", (int)(4 * level), "", n, key);
	}
}

static size_t levels(const char *key)
{
	size_t n = 0;

	for (; *key; key++)
		n += *key == '.';
	return n;
}

static void show_json(const struct schema *schema, const void *values, struct buf *out)
{
	const char *before = "";

	buf_put_text(out, "{");
	for (size_t i = 0; i < schema->n; i++) {
		const char *key = schema->settings[i].key, *last = strrchr(key, '.');
		size_t shared = shared_levels(key, before);

		for (size_t n = levels(before); n > shared; n--)
			buf_put_text(out, "}");
		buf_put_text(out, i ? ", " : "");
		open_levels(key, before, true, out);
		buf_printf(out, "\"%s\": ", last ? last + 1 : key);
		setting_print(&schema->settings[i], values, out);
		before = key;
	}
	for (size_t n = levels(before); n; n--)
		buf_put_text(out, "}");
	buf_put_text(out, "}\n");
}

static void show_yaml(const struct schema *schema, const void *values, struct buf *out)
{
	const char *before = "";

	for (size_t i = 0; i < schema->n; i++) {
		const char *key = schema->settings[i].key, *last = strrchr(key, '.');
		CLEANUP(buf) struct buf value = BUF_INIT;

		open_levels(key, before, false, out);
		setting_print(&schema->settings[i], values, &value);
		/* Null is no value of any setting: what is not set is left out. */
		buf_printf(out, "%*s%s%s: ", (int)(4 * levels(key)), "",
			   slice_is(buf_slice(&value), "null") ? "# " : "", last ? last + 1 : key);
		buf_put_slice(out, buf_slice(&value));
		buf_put_text(out, "\n");
		before = key;
	}
}

void schema_show(const struct schema *schema, const void *values, bool json, struct buf *out)
{
	if (json)
		show_json(schema, values, out);
	else
		show_yaml(schema, values, out);
}

#include "config/config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/base/sha256.h"
#include "config/guard.h"
#include "config/settings.h"
#include "config/yaml.h"

static enum err config_new(struct config **out)
{
	CLEANUP(config) struct config *config = calloc(1, sizeof *config);

	if (!config)
		return failed(ERR_MEMORY, "configuration: out of memory");
	for (size_t i = 0; i < settings_n; i++) {
		enum err e = setting_default(&settings[i], config);

		if (e)
			return failed(e, "configuration: default of %s: %s", settings[i].key,
				      err_words(e));
	}
	*out = STEAL(config);
	return OK;
}

enum err config_parse(struct slice text, const char *name, struct config **out)
{
	CLEANUP(config) struct config *config = NULL;
	enum err e;

	if (text.left > CONFIG_MAX)
		return failed(ERR_RANGE, "%s:1: at most %d bytes expected, found %zu", name,
			      CONFIG_MAX, text.left);
	if ((e = config_new(&config)) || (e = yaml_read(text, name, config)))
		return e;
	if (!(config->path = strdup(name)))
		return failed(ERR_MEMORY, "configuration: out of memory");
	sha256_once(text, config->digest);
	*out = STEAL(config);
	return OK;
}

enum err config_load(const char *path, struct config **out)
{
	CLEANUP(config) struct config *config = NULL;
	CLEANUP(buf) struct buf text = BUF_INIT;
	CLEANUP(fd) int fd = -1;
	char whole[PATH_MAX];
	enum err e;

	if (!path)
		return config_new(out);
	if ((e = guard_absolute(path, whole)) || (e = guard_open(path, &fd)))
		return e;
	/* One byte more than may be, so that config_parse sees that it is too long. */
	e = io_read_all(fd, CONFIG_MAX, &text);
	if (e)
		return failed(e, "%s:1: at most %d bytes expected, found %s", path, CONFIG_MAX,
			      err_reason());
	if ((e = config_parse(buf_slice(&text), path, &config)))
		return e;
	/* Reasons name the file as the caller did; a daemon that is started elsewhere needs all of it. */
	free(config->path);
	if (!(config->path = strdup(whole)))
		return failed(ERR_MEMORY, "configuration: out of memory");
	*out = STEAL(config);
	return OK;
}

const char *config_path(void)
{
	const char *path = secure_getenv(CONFIG_PATH_VARIABLE);

	return path && *path ? path : CONFIG_PATH_DEFAULT;
}

enum err config_program(const struct config *config, const char *self, const char *name, char *out,
			size_t out_n)
{
	const char *slash = strrchr(self, '/');
	int n;

	if (*config->programs)
		n = snprintf(out, out_n, "%s/%s", config->programs, name);
	else if (self[0] == '/' && slash)
		n = snprintf(out, out_n, "%.*s/%s", (int)(slash - self), self, name);
	else
		return failed(ERR_USAGE, "%s: an absolute path expected", self);
	if (n < 0 || (size_t)n >= out_n)
		return failed(ERR_RANGE, "the path of %s is too long", name);
	return OK;
}

enum err config_environment(const struct config_list *list, bool replace)
{
	for (size_t i = 0; i < list->n; i++) {
		CLEANUP(buf) struct buf name = BUF_INIT;
		const char *equals = strchr(list->items[i], '=');

		buf_put(&name, list->items[i], (size_t)(equals - list->items[i]));
		const char *text = buf_text(&name);
		if (!text || setenv(text, equals + 1, replace))
			return failed(ERR_MEMORY, "environment: out of memory");
	}
	return OK;
}

void config_describe(struct buf *out)
{
	for (size_t i = 0; i < settings_n; i++) {
		const struct setting *s = &settings[i];
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

static void show_json(const struct config *config, struct buf *out)
{
	const char *before = "";

	buf_put_text(out, "{");
	for (size_t i = 0; i < settings_n; i++) {
		const char *key = settings[i].key, *last = strrchr(key, '.');
		size_t shared = shared_levels(key, before);

		for (size_t n = levels(before); n > shared; n--)
			buf_put_text(out, "}");
		buf_put_text(out, i ? ", " : "");
		open_levels(key, before, true, out);
		buf_printf(out, "\"%s\": ", last ? last + 1 : key);
		setting_print(&settings[i], config, out);
		before = key;
	}
	for (size_t n = levels(before); n; n--)
		buf_put_text(out, "}");
	buf_put_text(out, "}\n");
}

static void show_yaml(const struct config *config, struct buf *out)
{
	const char *before = "";

	for (size_t i = 0; i < settings_n; i++) {
		const char *key = settings[i].key, *last = strrchr(key, '.');
		CLEANUP(buf) struct buf value = BUF_INIT;

		open_levels(key, before, false, out);
		setting_print(&settings[i], config, &value);
		/* Null is no value of any setting: what is not set is left out. */
		buf_printf(out, "%*s%s%s: ", (int)(4 * levels(key)), "",
			   slice_is(buf_slice(&value), "null") ? "# " : "", last ? last + 1 : key);
		buf_put_slice(out, buf_slice(&value));
		buf_put_text(out, "\n");
		before = key;
	}
}

void config_show(const struct config *config, bool json, struct buf *out)
{
	if (json)
		show_json(config, out);
	else
		show_yaml(config, out);
}

void config_free(struct config *config)
{
	if (!config)
		return;
	for (size_t i = 0; i < settings_n; i++)
		setting_free(&settings[i], config);
	free(config->path);
	free(config);
}

void config_cleanup(struct config **config)
{
	config_free(*config);
	*config = NULL;
}

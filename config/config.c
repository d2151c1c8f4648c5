#include "config/config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/base/sha256.h"
#include "config/guard.h"
#include "config/settings.h"
#include "config/yaml.h"

static const struct setting settings[] = {
#define SETTING(key, field, type, least, most, value, help) \
	{ key, SETTING_##type, least, most, value, help, offsetof(struct config, field) },
#include "config/settings.def"
#undef SETTING
};

/* An appliance's daemon that is root would be kept from nothing. */
static bool sound(const void *values, struct fault *fault)
{
	const struct config *config = values;

	*fault = (struct fault){ "users.daemon", "an id other than 0 expected in appliance mode",
				 "mode" };
	if (config->users_daemon != 0)
		fault->key = "users.group";
	return config->mode != MODE_APPLIANCE ||
	       (config->users_daemon != 0 && config->users_group != 0);
}

static const struct schema schema = { "configuration", settings, sizeof settings / sizeof *settings,
				      sound };

static enum err config_new(struct config **out)
{
	CLEANUP(config) struct config *config = calloc(1, sizeof *config);

	if (!config)
		return failed(ERR_MEMORY, "configuration: out of memory");
	enum err e = schema_default(&schema, config);
	if (e)
		return e;
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
	if ((e = config_new(&config)) || (e = yaml_read(text, name, &schema, config)))
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
	schema_describe(&schema, out);
}

void config_show(const struct config *config, bool json, struct buf *out)
{
	schema_show(&schema, config, json, out);
}

void config_free(struct config *config)
{
	if (!config)
		return;
	schema_free(&schema, config);
	free(config->path);
	free(config);
}

void config_cleanup(struct config **config)
{
	config_free(*config);
	*config = NULL;
}

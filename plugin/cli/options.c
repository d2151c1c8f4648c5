#include <stdarg.h>
#include <string.h>

#include "plugin/cli/cli.h"

/* One row of the options that many commands share. */
struct shared {
	unsigned takes;
	struct cli_option option;
};

#define SHARED_N 2

/* The shared options of this command, before its own. */
static size_t shared_options(struct cli *cli, struct cli_option out[SHARED_N])
{
	const struct shared all[SHARED_N] = {
		{ TAKES_CONFIG, CLI_TEXT("config", "FILE", &cli->config_path,
					 "configuration; default: $ASSAY_CONFIG, else "
					 "/etc/assay/assay.yaml") },
		{ TAKES_JSON, CLI_FLAG("json", &cli->json, "print JSON") },
	};
	size_t n = 0;

	for (size_t i = 0; i < SHARED_N; i++)
		if (cli->command->takes & all[i].takes)
			out[n++] = all[i].option;
	return n;
}

static void help_options(const struct cli_option *options, size_t n, struct buf *out)
{
	for (size_t i = 0; i < n; i++) {
		const struct cli_option *o = &options[i];
		char left[64];

		snprintf(left, sizeof left, "%s%s%s%s", o->name[1] ? "--" : "-", o->name,
			 o->value ? " " : "", o->value ? o->value : "");
		buf_printf(out, "  %-26s %s%s\n", left, o->help,
			   o->kind == CLI_KIND_LIST ? "; may be repeated" : "");
	}
}

static void help(struct cli *cli, const struct cli_option *options, size_t n)
{
	const struct command *c = cli->command;
	struct cli_option shared[SHARED_N];
	size_t shared_n = shared_options(cli, shared);

	buf_printf(&cli->out, "usage: assay %s [OPTION]...%s%s\n\n%s\n\n", c->words,
		   *c->arguments ? " " : "", c->arguments, c->help);
	help_options(options, n, &cli->out);
	help_options(shared, shared_n, &cli->out);
	buf_put_text(&cli->out, "  --help                     print this\n");
	if (c->run != cmd_run)
		buf_put_text(&cli->out, "\nexit code: 0 done, or it holds; 1 refused, or it does "
					"not hold; 2 wrong usage;\n3 no daemon, no such file, "
					"input/output error\n");
}

static const struct cli_option *find(const char *name, size_t name_n,
				     const struct cli_option *options, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (strlen(options[i].name) == name_n && !strncmp(options[i].name, name, name_n))
			return &options[i];
	return NULL;
}

static bool take_number(const char *text, struct cli_number *to)
{
	uint64_t v = 0;

	if (!*text)
		return false;
	for (; *text; text++) {
		unsigned digit = (unsigned)*text - '0';

		if (digit > 9 || v > (UINT64_MAX - digit) / 10)
			return false;
		v = v * 10 + digit;
	}
	*to = (struct cli_number){ true, v };
	return true;
}

static enum cli_exit put(const struct cli *cli, const struct cli_option *o, const char *value)
{
	switch (o->kind) {
	case CLI_KIND_FLAG:
		*(bool *)o->to = true;
		return EXIT_HOLDS;
	case CLI_KIND_TEXT:
		if (*(const char **)o->to)
			return cli_usage(cli, "%s is given twice", o->name);
		*(const char **)o->to = value;
		return EXIT_HOLDS;
	case CLI_KIND_NUMBER:
		if (((struct cli_number *)o->to)->given)
			return cli_usage(cli, "%s is given twice", o->name);
		if (!take_number(value, o->to))
			return cli_usage(cli, "%s: a whole number expected, found \"%s\"", o->name,
					 value);
		return EXIT_HOLDS;
	case CLI_KIND_LIST:
		break;
	}
	struct cli_list *list = o->to;
	if (list->n == CLI_ARGUMENTS_MAX)
		return cli_usage(cli, "%s is given over %d times", o->name, CLI_ARGUMENTS_MAX);
	list->items[list->n++] = value;
	return EXIT_HOLDS;
}

/* One option at argv[*i], with its value there or in the next argument. */
static enum cli_exit take_option(struct cli *cli, const struct cli_option *options, size_t n,
				 int *i)
{
	struct cli_option shared[SHARED_N];
	size_t shared_n = shared_options(cli, shared);
	const char *argument = cli->argv[*i];
	bool dashes = argument[1] == '-';
	const char *name = argument + (dashes ? 2 : 1);
	size_t name_n = strcspn(name, "=");
	const struct cli_option *o = NULL;

	if (dashes == (name_n > 1) && !(o = find(name, name_n, options, n)))
		o = find(name, name_n, shared, shared_n);
	if (!o)
		return cli_usage(cli, "no option \"%s\"", argument);
	const char *value = name[name_n] ? name + name_n + 1 : NULL;
	if (o->kind == CLI_KIND_FLAG && value)
		return cli_usage(cli, "%s takes no value", o->name);
	if (o->kind != CLI_KIND_FLAG && !value) {
		if (*i + 1 >= cli->argc)
			return cli_usage(cli, "%s needs a value (%s)", o->name, o->value);
		value = cli->argv[++*i];
	}
	return put(cli, o, value);
}

enum cli_exit cli_options(struct cli *cli, const struct cli_option *options, size_t n)
{
	const struct command *c = cli->command;
	bool options_over = false;

	for (int i = 0; i < cli->argc; i++) {
		const char *argument = cli->argv[i];
		enum cli_exit code = EXIT_HOLDS;

		if (options_over || argument[0] != '-' || !argument[1]) {
			if (cli->args_n == c->most)
				return cli_usage(cli, "\"%s\" is one argument too many", argument);
			cli->args[cli->args_n++] = argument;
		} else if (!strcmp(argument, "--")) {
			options_over = true;
		} else if (!strcmp(argument, "--help") || !strcmp(argument, "-h")) {
			help(cli, options, n);
			return EXIT_DONE;
		} else {
			code = take_option(cli, options, n, &i);
		}
		if (code != EXIT_HOLDS)
			return code;
	}
	if (cli->args_n < c->least)
		return cli_usage(cli, "%s is missing", c->arguments);
	return EXIT_HOLDS;
}

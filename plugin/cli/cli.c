#include "plugin/cli/cli.h"

#include <fcntl.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#include "audit/certificate.h"
#include "config/base/io.h"
#include "config/base/log.h"

static const struct command commands[] = {
#define COMMAND(words, function, arguments, least, most, takes, help) \
	{ words, function, arguments, least, most, takes, help },
#include "plugin/cli/commands.def"
#undef COMMAND
};
#define COMMANDS_N (sizeof commands / sizeof *commands)

/* How many of the arguments are the command's words: 0 when it is another command. */
static int words_match(const char *words, int argc, char **argv)
{
	int n = 0;

	while (*words) {
		size_t len = strcspn(words, " ");

		if (n >= argc || strlen(argv[n]) != len || strncmp(argv[n], words, len))
			return 0;
		n++;
		words += len + (words[len] == ' ');
	}
	return n;
}

/* All commands, or those that start with @group. */
static size_t list_commands(const char *group, struct buf *out)
{
	size_t n = group ? strlen(group) : 0, found = 0;

	for (size_t i = 0; i < COMMANDS_N; i++) {
		const struct command *c = &commands[i];

		if (group && (strncmp(c->words, group, n) || c->words[n] != ' '))
			continue;
		if (!found++)
			buf_put_text(out, "usage: assay COMMAND [OPTION]... [ARGUMENT]...\n\n");
		buf_printf(out, "  %-18s %s\n", c->words, c->help);
	}
	if (found)
		buf_put_text(out, "\nassay COMMAND --help explains one of them.\n");
	return found;
}

static bool is_help(const char *argument)
{
	return !strcmp(argument, "--help") || !strcmp(argument, "-h") || !strcmp(argument, "help");
}

/* No command was named: the list of them, or what is wrong. */
static enum cli_exit no_command(struct cli *cli, int argc, char **argv)
{
	const char *group = argc > 0 && !is_help(argv[0]) ? argv[0] : NULL;
	bool help = argc > 0 && is_help(argv[argc - 1]);

	if (list_commands(group, &cli->out) == 0) {
		cli_say("no command \"%s\": see assay --help", group);
		return EXIT_USAGE;
	}
	if (help)
		return EXIT_HOLDS;
	/* On stderr, so that a script's output stays empty. */
	const char *text = buf_text(&cli->out);
	fputs(text ? text : "", stderr);
	buf_reset(&cli->out);
	return EXIT_USAGE;
}

static int dispatch(struct cli *cli, int argc, char **argv)
{
	for (size_t i = 0; i < COMMANDS_N; i++) {
		int n = words_match(commands[i].words, argc, argv);

		if (n == 0)
			continue;
		cli->command = &commands[i];
		cli->argc = argc - n;
		cli->argv = argv + n;
		int code = commands[i].run(cli);
		return code == EXIT_DONE ? EXIT_HOLDS : code;
	}
	return no_command(cli, argc, argv);
}

int cli_main(int argc, char **argv)
{
	struct cli cli = { 0 };
	ssize_t n = readlink("/proc/self/exe", cli.self, sizeof cli.self - 1);

	log_start("assay", LOG_LEVEL_WARNING);
	if (n < 0)
		snprintf(cli.self, sizeof cli.self, "%s", argc ? argv[0] : "");
	int code = dispatch(&cli, argc ? argc - 1 : 0, argv + 1);
	enum err e = buf_check(&cli.out);
	if (e || (cli.out.len && (e = io_write_all(STDOUT_FILENO, buf_slice(&cli.out))))) {
		cli_say("standard output: %s", err_reason());
		code = EXIT_ENVIRONMENT;
	}
	buf_free(&cli.out);
	return code;
}

enum err cli_config(struct cli *cli, struct config **out)
{
	const char *path = cli->config_path ? cli->config_path : config_path();
	enum err e = config_load(path, out);

	/* Only the file that nobody asked for may be missing. */
	if (e == ERR_NOT_FOUND && !strcmp(path, CONFIG_PATH_DEFAULT) && !cli->config_path)
		return config_load(NULL, out);
	return e;
}

enum err cli_read(const char *path, size_t max, struct buf *out)
{
	if (strcmp(path, "-"))
		return io_read_file(path, max, out);
	enum err e = io_read_all(STDIN_FILENO, max, out);
	return e ? failed(e, "standard input: %s", err_reason()) : OK;
}

enum err cli_certificate(const char *path, struct buf *der)
{
	CLEANUP(buf) struct buf contents = BUF_INIT;
	enum err e = io_read_file(path, 4 * CERTIFICATE_MAX, &contents);

	if (e)
		return e;
	if (certificate_from_file(buf_slice(&contents), der))
		return failed(ERR_FORMAT, "%s: a certificate in PEM or DER expected", path);
	return OK;
}

static enum err open_parent(const char *path, int *dir, const char **name)
{
	const char *slash = strrchr(path, '/');
	char parent[4096] = ".";

	if (slash)
		snprintf(parent, sizeof parent, "%.*s", slash == path ? 1 : (int)(slash - path),
			 path);
	*name = slash ? slash + 1 : path;
	*dir = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (*dir < 0)
		return failed(ERR_IO, "%s: %m", parent);
	return **name ? OK : failed(ERR_USAGE, "%s: the name of a file expected", path);
}

enum err cli_can_write(const char *path)
{
	CLEANUP(fd) int dir = -1;
	const char *name;
	enum err e;

	if (!path || !strcmp(path, "-"))
		return OK;
	if ((e = open_parent(path, &dir, &name)))
		return e;
	return faccessat(dir, ".", W_OK | X_OK, AT_EACCESS) ? failed(ERR_IO, "%s: %m", path) : OK;
}

enum err cli_write(struct cli *cli, const char *path, mode_t mode, struct slice data)
{
	CLEANUP(fd) int dir = -1;
	const char *name;
	enum err e;

	if (!strcmp(path, "-")) {
		buf_put_slice(&cli->out, data);
		return buf_check(&cli->out);
	}
	if ((e = open_parent(path, &dir, &name)))
		return e;
	e = io_replace_file(dir, name, mode, data);
	return e ? failed(e, "%s: %s", path, err_reason()) : OK;
}

void cli_say(const char *format, ...)
{
	char text[1024];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	/* What the daemon or a file said may hold anything: no control characters on a terminal. */
	for (char *c = text; *c; c++)
		if ((unsigned char)*c < 0x20 || *c == 0x7f)
			*c = '?';
	fprintf(stderr, "assay: %s\n", text);
}

enum cli_exit cli_usage(const struct cli *cli, const char *format, ...)
{
	char text[512];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	cli_say("%s: %s (see assay %s --help)", cli->command->words, text, cli->command->words);
	return EXIT_USAGE;
}

static enum cli_exit explain(const struct cli *cli, enum err e, enum cli_exit code)
{
	const char *reason = err_reason();

	cli_say("%s: %s", cli->command->words, *reason ? reason : err_words(e));
	return code;
}

enum cli_exit cli_answered(const struct cli *cli, enum err e)
{
	switch (e) {
	case ERR_USAGE:
		return explain(cli, e, EXIT_USAGE);
	case ERR_IO:
	case ERR_MEMORY:
	case ERR_GONE:
	case ERR_TIMEOUT:
	case ERR_UNSUPPORTED:
		return explain(cli, e, EXIT_ENVIRONMENT);
	default:
		return explain(cli, e, EXIT_REFUSED);
	}
}

enum cli_exit cli_failed(const struct cli *cli, enum err e)
{
	return e == ERR_NOT_FOUND ? explain(cli, e, EXIT_ENVIRONMENT) : cli_answered(cli, e);
}

/* cli.h - what every command of the program `assay` stands on: options, configuration, printing,
 * exit codes.
 *
 * A command is one line of commands.def and one function. It lists its options in a table, calls
 * cli_options, works, prints through cli->out, and returns its exit code (enum cli_exit; run: its
 * own). One thread.
 */
#ifndef PLUGIN_CLI_CLI_H
#define PLUGIN_CLI_CLI_H

#include <stdio.h>

#include "config/config.h"

enum cli_exit {
	EXIT_HOLDS = 0,       /* done, or what was asked for holds */
	EXIT_REFUSED = 1,     /* does not hold, or refused */
	EXIT_USAGE = 2,       /* the command line makes no sense */
	EXIT_ENVIRONMENT = 3, /* no daemon, no such file, input/output error */
	EXIT_DONE = -1        /* cli_options: help was printed; becomes EXIT_HOLDS */
};

#define CLI_ARGUMENTS_MAX 64
#define CLI_FILE_MAX ((size_t)320 << 20)

struct command;

struct cli {
	const struct command *command;
	int argc; /* what follows the command's words */
	char **argv;
	const char *args[CLI_ARGUMENTS_MAX]; /* arguments that are no options */
	size_t args_n;
	const char *config_path; /* --config */
	bool json;               /* --json */
	char self[4096];         /* absolute path of this program */
	struct buf out;          /* goes to stdout when the command ends */
};

/* What a command takes besides its own options and arguments. */
#define TAKES_CONFIG 1
#define TAKES_JSON 2

struct command {
	const char *words; /* "config check" */
	int (*run)(struct cli *cli);
	const char *arguments; /* "PROGRAM|DIRECTORY" */
	size_t least, most;    /* how many */
	unsigned takes;
	const char *help; /* one line */
};

#define COMMAND(words, function, arguments, least, most, takes, help) int function(struct cli *cli);
#include "plugin/cli/commands.def"
#undef COMMAND

struct cli_number {
	bool given;
	uint64_t value;
};

struct cli_list {
	const char *items[CLI_ARGUMENTS_MAX];
	size_t n;
};

enum cli_kind { CLI_KIND_FLAG, CLI_KIND_TEXT, CLI_KIND_NUMBER, CLI_KIND_LIST };

struct cli_option {
	const char *name; /* "output"; a name of one letter takes one dash */
	enum cli_kind kind;
	void *to;
	const char *value; /* what its value is called in the help */
	const char *help;
};

#define CLI_FLAG(name, to, help)                              \
	{                                                     \
		name, CLI_KIND_FLAG, (bool *)(to), NULL, help \
	}
#define CLI_TEXT(name, value, to, help)                               \
	{                                                             \
		name, CLI_KIND_TEXT, (const char **)(to), value, help \
	}
#define CLI_NUMBER(name, value, to, help)                                     \
	{                                                                     \
		name, CLI_KIND_NUMBER, (struct cli_number *)(to), value, help \
	}
#define CLI_LIST(name, value, to, help)                                   \
	{                                                                 \
		name, CLI_KIND_LIST, (struct cli_list *)(to), value, help \
	}

/* Finds the command and runs it; the whole program. */
int cli_main(int argc, char **argv);

/* Reads the command line into the options' variables and cli->args. Anything but EXIT_HOLDS is to
 * be returned at once: what was wrong, or the help, is printed. */
enum cli_exit cli_options(struct cli *cli, const struct cli_option *options, size_t n);

/* --config, else $ASSAY_CONFIG, else the default path, which may be missing: then the defaults. */
MUST enum err cli_config(struct cli *cli, struct config **out);

/* A file given on the command line; "-" is stdin. */
MUST enum err cli_read(const char *path, size_t max, struct buf *out);
/* Appends the one certificate of a file, PEM or DER, as DER. */
MUST enum err cli_certificate(const char *path, struct buf *der);
/* Whether its directory lets cli_write() replace @path, if any: asked before what can't be undone. */
MUST enum err cli_can_write(const char *path);
/* Replaces a file whole; "-" is stdout. */
MUST enum err cli_write(struct cli *cli, const char *path, mode_t mode, struct slice data);

/* Says on stderr why it ended, and gives the exit code that fits: cli_usage 2, cli_failed 2 or 3
 * for ERR_USAGE, and what the machine lacks, else 1. */
enum cli_exit cli_usage(const struct cli *cli, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
enum cli_exit cli_failed(const struct cli *cli, enum err e);
/* The same for an answer of the daemon, where "not found" is a refusal. */
enum cli_exit cli_answered(const struct cli *cli, enum err e);
/* A line on stderr. */
void cli_say(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif

#include "sandbox/pack.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "plugin/cli/cli.h"
#include "plugin/cli/measure.h"
#include "plugin/cli/oci.h"
#include "plugin/cli/try.h"

#define PROGRAM_IN_IMAGE "/app" /* where package_from_program puts it */
#define ID_MAX 64

struct pack {
	const char *source, *exec, *id, *label, *version, *out, *park;
	struct cli_list arguments, environment, needs, trials;
	struct cli_number memory, wall, output, processes, refuse, scratch;
	bool dynamic, pure;
	uint8_t purity;
	char made_id[ID_MAX + 1];
	struct manifest manifest;
	bool is_image; /* then: */
	struct oci image;
	char program[PACKAGE_PATH_MAX + 1];
};

static void pack_cleanup(struct pack *pack)
{
	oci_cleanup(&pack->image);
}

/* The program's own name, in the letters that an id may have. */
static void make_id(struct pack *pack)
{
	char name[4096];
	size_t n = 0;

	snprintf(name, sizeof name, "%s", pack->exec ? pack->exec : pack->source);
	for (size_t end = strlen(name); end && name[end - 1] == '/'; end--)
		name[end - 1] = '\0';
	const char *slash = strrchr(name, '/');
	for (const char *p = slash ? slash + 1 : name; *p && n < ID_MAX; p++) {
		unsigned char c = (unsigned char)tolower((unsigned char)*p);
		bool letter = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');

		if (letter || (n && (c == '.' || c == '-')))
			pack->made_id[n++] = (char)c;
		else if (n)
			pack->made_id[n++] = '-';
	}
	pack->made_id[n] = '\0';
	pack->id = pack->made_id;
}

static enum err put_number(const struct cli_number *number, const char *name, uint64_t least,
			   uint64_t most, uint64_t *to)
{
	if (!number->given)
		return OK;
	if (number->value < least || number->value > most)
		return failed(ERR_USAGE, "%s: a whole number from %llu to %llu expected", name,
			      (unsigned long long)least, (unsigned long long)most);
	*to = number->value;
	return OK;
}

/* Bounds of the types here; those of a manifest are package_build's to judge. */
static enum err put_limits(struct pack *pack)
{
	struct limits *limits = &pack->manifest.limits;
	uint64_t wall = limits->wall_ms, processes = limits->processes, refuse = 0;
	enum err e;

	if ((e = put_number(&pack->memory, "memory", 0, UINT64_MAX, &limits->memory_bytes)) ||
	    (e = put_number(&pack->output, "output-bytes", 0, UINT64_MAX, &limits->output_bytes)) ||
	    (e = put_number(&pack->wall, "wall-ms", 0, UINT32_MAX, &wall)) ||
	    (e = put_number(&pack->processes, "processes", 0, UINT32_MAX, &processes)) ||
	    (e = put_number(&pack->scratch, "scratch", 65536, 1 << 30, &limits->scratch_bytes)) ||
	    (e = put_number(&pack->refuse, "refuse-code", 1, 255, &refuse)))
		return e;
	/* A program may compute all the time that it is given. */
	if (pack->wall.given)
		limits->cpu_ms = (uint32_t)wall;
	limits->wall_ms = (uint32_t)wall;
	limits->processes = (uint32_t)processes;
	pack->manifest.refuse_code = (uint8_t)refuse;
	return OK;
}

static enum err put_argument(struct manifest *m, const char *argument)
{
	if (m->argc == MANIFEST_STRINGS_MAX)
		return failed(ERR_USAGE, "arg: at most %d expected", MANIFEST_STRINGS_MAX - 1);
	m->argv[m->argc++] = slice_text(argument);
	return OK;
}

static enum err put_arguments(struct pack *pack)
{
	struct manifest *m = &pack->manifest;
	enum err e = OK;

	if (pack->arguments.n)
		e = put_argument(m, pack->exec ? pack->exec : PROGRAM_IN_IMAGE);
	for (size_t i = 0; !e && i < pack->arguments.n; i++)
		e = put_argument(m, pack->arguments.items[i]);
	return e;
}

/* The entry point with the command behind it, or one of them alone; arguments of our own stand in the
 * command's place, and a program of our own in the place of both. */
static enum err put_image_arguments(struct pack *pack)
{
	const struct oci_strings *entry = &pack->image.entrypoint, *command = &pack->image.command;
	enum err e = put_argument(&pack->manifest, pack->program);

	for (size_t i = 1; !e && i < entry->n; i++)
		e = put_argument(&pack->manifest, entry->of[i]);
	for (size_t i = !entry->n; !e && !pack->arguments.n && i < command->n; i++)
		e = put_argument(&pack->manifest, command->of[i]);
	for (size_t i = 0; !e && i < pack->arguments.n; i++)
		e = put_argument(&pack->manifest, pack->arguments.items[i]);
	return e;
}

/* Is "NAME=..." one that @others have too? */
static bool is_named(const struct cli_list *others, const char *entry)
{
	size_t n = strcspn(entry, "=") + 1;

	for (size_t i = 0; i < others->n; i++)
		if (strncmp(others->items[i], entry, n) == 0)
			return true;
	return false;
}

static enum err put_variable(struct manifest *m, const char *entry)
{
	if (m->envc == MANIFEST_STRINGS_MAX)
		return failed(ERR_USAGE, "env: at most %d expected", MANIFEST_STRINGS_MAX);
	m->env[m->envc++] = slice_text(entry);
	return OK;
}

static enum err put_environment(struct pack *pack)
{
	const struct oci_strings *given = &pack->image.environment;
	enum err e = OK;

	for (size_t i = 0; !e && i < given->n; i++)
		if (!is_named(&pack->environment, given->of[i]))
			e = put_variable(&pack->manifest, given->of[i]);
	for (size_t i = 0; !e && i < pack->environment.n; i++)
		e = put_variable(&pack->manifest, pack->environment.items[i]);
	return e;
}

static enum err put_strings(struct pack *pack)
{
	enum err e = pack->is_image && pack->exec == pack->program ? put_image_arguments(pack)
								   : put_arguments(pack);

	return e ? e : put_environment(pack);
}

static enum err put_park(const struct pack *pack, struct manifest *m)
{
	static const char *const words[] = {
		[PARK_OFF] = "off", [PARK_ON] = "on", [PARK_AUTO] = "auto"
	};

	for (uint8_t i = 0; i < sizeof words / sizeof *words; i++) {
		if (!pack->park || strcmp(pack->park, words[i]) == 0) {
			m->park = i;
			return OK;
		}
	}
	return failed(ERR_USAGE, "park: on, auto or off expected");
}

static enum err take_purity(struct pack *pack)
{
	static const struct {
		const char *word;
		uint8_t bit;
	} known[] = {
#define NEED(name, bit, word, what) { word, bit },
#include "sandbox/needs.def"
#undef NEED
	};

	pack->purity = pack->pure ? PURE : 0;
	for (size_t i = 0; i < pack->needs.n; i++) {
		uint8_t bit = 0;

		for (size_t k = 0; k < sizeof known / sizeof *known; k++)
			if (strcmp(pack->needs.items[i], known[k].word) == 0)
				bit = known[k].bit;
		if (!bit)
			return failed(ERR_USAGE, "needs: clock, random or machine expected");
		pack->purity |= PURE | bit;
	}
	return OK;
}

static enum err put_manifest(struct pack *pack)
{
	struct manifest *m = &pack->manifest;

	manifest_default(m);
	if (!pack->id)
		make_id(pack);
	m->id = slice_text(pack->id);
	m->label = slice_text(pack->label ? pack->label : pack->id);
	m->version = slice_text(pack->version ? pack->version : "1.0");
	m->dynamic = pack->dynamic;
	m->purity = pack->purity;
	enum err e;
	return (e = put_strings(pack)) || (e = put_park(pack, m)) ? e : put_limits(pack);
}

/* Read once; tried out as often as need be. */
static enum err read_image(struct pack *pack)
{
	enum err e;

	if (pack->image.layers)
		return OK;
	if ((e = oci_read(pack->source, &pack->image)) ||
	    (!pack->exec && (e = oci_program(&pack->image, pack->program))))
		return e == ERR_NOT_FOUND
			       ? failed(ERR_USAGE, "%s: --exec expected, the program's path in it",
					err_reason())
			       : e;
	if (!pack->exec)
		pack->exec = pack->program;
	return OK;
}

static enum err make_from_image(struct pack *pack, struct buf *out)
{
	struct entry *entries = NULL;
	size_t n;
	enum err e;

	if ((e = read_image(pack)) || (e = put_manifest(pack)))
		return e;
	if (!(e = layers_entries(pack->image.layers, &entries, &n)))
		e = package_from_entries(entries, n, pack->exec, &pack->manifest, out);
	free(entries);
	return e;
}

static enum err make_package(struct pack *pack, struct buf *out)
{
	struct stat status;
	enum err e;

	if (stat(pack->source, &status))
		return failed(ERR_NOT_FOUND, "%s: %m", pack->source);
	if (S_ISREG(status.st_mode) && (e = oci_is_archive(pack->source, &pack->is_image)))
		return e;
	if (pack->is_image)
		return make_from_image(pack, out);
	if (S_ISDIR(status.st_mode) && !pack->exec)
		return failed(ERR_USAGE,
			      "%s is a directory: --exec expected, the program's path in "
			      "it",
			      pack->source);
	if (!S_ISDIR(status.st_mode) && pack->exec)
		return failed(ERR_USAGE, "%s is no directory: --exec makes no sense", pack->source);
	if ((e = put_manifest(pack)))
		return e;
	if (S_ISDIR(status.st_mode))
		return package_from_directory(pack->source, pack->exec, &pack->manifest, out);
	e = package_from_program(pack->source, &pack->manifest, out);
	/* The program's fault, not the machine's. */
	return e == ERR_UNSUPPORTED ? failed(ERR_FORMAT, "%s", err_reason()) : e;
}

static enum err make_tried(void *context, uint8_t purity, struct buf *out)
{
	struct pack *pack = context;

	pack->purity = purity;
	return make_package(pack, out);
}

/* Leaves what was found in the manifest. */
static enum err try(struct cli *cli, struct pack *pack)
{
	CLEANUP(config) struct config *config = NULL;
	enum err e = cli_config(cli, &config);

	return e ? e : try_purity(cli, config, &pack->trials, make_tried, pack, &pack->purity);
}

int cmd_pack(struct cli *cli)
{
	CLEANUP(buf) struct buf raw = BUF_INIT;
	CLEANUP(pack) struct pack pack = { 0 };
	struct package package;
	const struct cli_option options[] = {
		CLI_TEXT("o", "FILE", &pack.out, "the package; required"),
		CLI_TEXT("exec", "PATH", &pack.exec,
			 "the program's path in a directory or an image"),
		CLI_TEXT("id", "ID", &pack.id,
			 "names it in its partition; default: from the program"),
		CLI_TEXT("label", "LABEL", &pack.label, "shown as CKA_LABEL; default: the id"),
		CLI_TEXT("version", "VERSION", &pack.version, "dotted numbers; default: 1.0"),
		CLI_LIST("arg", "ARGUMENT", &pack.arguments, "an argument"),
		CLI_LIST("env", "NAME=VALUE", &pack.environment, "its environment, else empty"),
		CLI_NUMBER("memory", "BYTES", &pack.memory, "most memory"),
		CLI_NUMBER("wall-ms", "N", &pack.wall, "most time"),
		CLI_NUMBER("output-bytes", "N", &pack.output, "most output"),
		CLI_NUMBER("processes", "N", &pack.processes, "most processes and threads"),
		CLI_NUMBER("scratch", "BYTES", &pack.scratch,
			   "room for files in /tmp, of each run's own; default: none"),
		CLI_NUMBER("refuse-code", "N", &pack.refuse, "exit code that says: input refused"),
		CLI_FLAG("dynamic", &pack.dynamic, "needs executable mappings (a dynamic loader)"),
		CLI_FLAG("pure", &pack.pure, "a function of its input: no clock, no randomness"),
		CLI_LIST("needs", "clock|random|machine", &pack.needs, "pure, but for this"),
		CLI_LIST("try", "INPUT", &pack.trials,
			 "runs it on this file, and packs it as pure as it can be"),
		CLI_TEXT("park", "on|auto|off", &pack.park,
			 "may be started before its input comes; default: off"),
	};
	enum cli_exit code = cli_options(cli, options, sizeof options / sizeof *options);

	if (code)
		return code;
	if (!pack.out)
		return cli_usage(cli, "-o is missing");
	if (pack.trials.n && (pack.pure || pack.needs.n))
		return cli_usage(cli, "--try finds out what --pure and --needs say");
	pack.source = cli->args[0];
	enum err e;
	if ((e = take_purity(&pack)) || (pack.trials.n && (e = try(cli, &pack))) ||
	    (e = make_package(&pack, &raw)) || (e = package_parse(buf_slice(&raw), &package)) ||
	    (e = cli_write(cli, pack.out, 0644, buf_slice(&raw))))
		return cli_failed(cli, e);
	/* With the package on stdout there is no room for words. */
	if (strcmp(pack.out, "-") &&
	    (e = measure_print(&package, &(struct trailer){ .n = 0 }, cli->json, &cli->out)))
		return cli_failed(cli, e);
	return EXIT_HOLDS;
}

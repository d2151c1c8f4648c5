#include <unistd.h>

#include "audit/leaf_text.h"
#include "config/base/io.h"
#include "plugin/cli/cli.h"
#include "plugin/cli/measure.h"
#include "sandbox/sandbox.h"

/* Above what an application itself may answer with, as `timeout` and the shells have them. */
enum {
	RUN_EXIT_TIMEOUT = 124,
	RUN_EXIT_SANDBOX = 125, /* nothing ran, or how it went can't be known */
	RUN_EXIT_LIMIT = 126,
	RUN_EXIT_SIGNAL = 128 /* plus its number */
};

struct local {
	struct config *config;
	struct buf package_raw, input;
	struct package package;
	struct sandbox *box;
	struct sandbox_image *image;
	struct run run;
};

static void local_cleanup(struct local *local)
{
	run_free(&local->run);
	if (local->image)
		sandbox_image_drop(local->image);
	if (local->box)
		sandbox_close(local->box);
	buf_free(&local->package_raw);
	buf_free(&local->input);
	config_cleanup(&local->config);
}

/* The sandbox of the daemon, but a launcher and a cgroup of its own. */
static enum err start(const struct cli *cli, struct local *local)
{
	const struct config *config = local->config;
	char launcher[4096], init[4096], missing[128] = "", name[33];
	uint8_t tag[16];
	size_t used = 0;
	enum err e;

	if ((e = config_program(config, cli->self, "assay-launcher", launcher, sizeof launcher)) ||
	    (e = config_program(config, cli->self, "assay-init", init, sizeof init)) ||
	    (e = io_random(tag, sizeof tag)))
		return e;
	for (size_t i = 0; i < config->sandbox_allow_missing.n; i++)
		used += (size_t)snprintf(missing + used, sizeof missing - used, "%s%s",
					 i ? " " : "", config->sandbox_allow_missing.items[i]);
	hex_put(name, tag, sizeof tag);
	const struct sandbox_options options = {
		.launcher = launcher,
		.init = init,
		.uid_base = (uint32_t)config->sandbox_uid_base,
		.name = name,
		.allow_missing = missing,
		.cells_max = 1,
	};
	return sandbox_start(&options, &local->box);
}

static enum err execute(const struct cli *cli, struct local *local)
{
	CLEANUP(fd) int fd = -1;
	enum err e;

	if ((e = cli_read("-", local->config->limits_input_bytes, &local->input)) ||
	    (e = start(cli, local)) || (e = io_memfd("package", local->package.raw, &fd)) ||
	    (e = sandbox_image_add(local->box, fd, local->package.measurement, &local->image)))
		return e;
	return sandbox_run(local->image, buf_slice(&local->input), NULL, &local->run);
}

_Static_assert((int)RUN_EXIT == LEAF_ENDED_EXIT && (int)RUN_PROCESSES == LEAF_OUTCOMES_N - 1,
	       "a record names the end of a run as the sandbox does");

/* Says what a proof says, in another form, and with nothing that could pass for one: no signature,
 * no log, and a debug status that every verifier refuses. */
static void put_statement(const struct local *local, struct buf *out)
{
	const struct run *run = &local->run;
	const struct sandbox_facts *facts = sandbox_facts(local->box);
	uint8_t digest[SHA256_SIZE];

	buf_put_text(out, "{\"statement\": \"assay-local-run-1\", \"signed\": false, "
			  "\"dbgstat\": \"enabled\"");
	json_put_field(out, "id", local->package.manifest.id, false);
	json_put_field(out, "version", local->package.manifest.version, false);
	json_put_hex(out, "measurement", SLICE(local->package.measurement), false);
	json_put_hex(out, "image", SLICE(local->package.image), false);
	json_put_hex(out, "profile", SLICE(local->package.profile), false);
	sha256_once(buf_slice(&local->input), digest);
	json_put_hex(out, "input_sha256", SLICE(digest), false);
	sha256_once(buf_slice(&run->output), digest);
	json_put_hex(out, "output_sha256", SLICE(digest), false);
	json_put_field(out, "ended", slice_text(leaf_status_name(run->kind)), false);
	buf_printf(out, ", \"code\": %u, \"start_us\": %llu, \"end_us\": %llu", run->code,
		   (unsigned long long)run->start_us, (unsigned long long)run->end_us);
	buf_printf(out, ", \"privileged\": %s", facts->privileged ? "true" : "false");
	json_put_field(out, "absent", slice_text(facts->absent), false);
	json_put_hex(out, "launcher", SLICE(facts->launcher), false);
	json_put_hex(out, "init", SLICE(facts->init), false);
	buf_put_text(out, "}\n");
}

static int exit_code(const struct run *run)
{
	switch (run->kind) {
	case RUN_EXIT:
		return (int)run->code;
	case RUN_SIGNAL:
		return RUN_EXIT_SIGNAL + (int)run->code;
	case RUN_TIMEOUT:
		return RUN_EXIT_TIMEOUT;
	default:
		return RUN_EXIT_LIMIT;
	}
}

static int finish(struct cli *cli, struct local *local, const char *statement)
{
	CLEANUP(buf) struct buf text = BUF_INIT;
	enum err e = io_write_all(STDERR_FILENO, buf_slice(&local->run.messages));

	if (!e)
		e = io_write_all(STDOUT_FILENO, buf_slice(&local->run.output));
	if (!e && statement) {
		put_statement(local, &text);
		if (!(e = buf_check(&text)))
			e = cli_write(cli, statement, 0644, buf_slice(&text));
	}
	if (e) {
		(void)cli_failed(cli, e);
		return RUN_EXIT_SANDBOX;
	}
	if (local->run.kind != RUN_EXIT)
		cli_say("run: ended by: %s %u", leaf_status_name(local->run.kind), local->run.code);
	return exit_code(&local->run);
}

int cmd_run(struct cli *cli)
{
	CLEANUP(local) struct local local = { 0 };
	const char *statement = NULL;
	bool here = false;
	const struct cli_option options[] = {
		CLI_FLAG("local", &here, "in this machine's sandbox; required: it is no evidence"),
		CLI_TEXT("statement", "FILE", &statement, "write what ran and how, unsigned JSON"),
	};
	enum cli_exit code = cli_options(cli, options, 2);

	if (code == EXIT_DONE)
		buf_printf(
			&cli->out,
			"\nstdin goes to the application, its stdout and stderr come back. "
			"exit code: the\napplication's; %d time limit; %d nothing ran; %d another "
			"limit; %d + signal\n",
			RUN_EXIT_TIMEOUT, RUN_EXIT_SANDBOX, RUN_EXIT_LIMIT, RUN_EXIT_SIGNAL);
	if (code)
		return code;
	if (!here)
		return cli_usage(cli, "--local is missing: runs that give a proof go through the "
				      "PKCS#11 module");
	enum err e = cli_config(cli, &local.config);
	if (!e)
		e = measure_read(cli->args[0], &local.package_raw, &local.package);
	if (!e)
		e = execute(cli, &local);
	if (e) {
		(void)cli_failed(cli, e);
		return RUN_EXIT_SANDBOX;
	}
	return finish(cli, &local, statement);
}

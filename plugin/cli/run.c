#include <unistd.h>

#include "audit/leaf_text.h"
#include "config/base/io.h"
#include "plugin/cli/local.h"
#include "plugin/cli/measure.h"

/* Above what an application itself may answer with, as `timeout` and the shells have them. */
enum {
	RUN_EXIT_TIMEOUT = 124,
	RUN_EXIT_SANDBOX = 125, /* nothing ran, or how it went can't be known */
	RUN_EXIT_LIMIT = 126,
	RUN_EXIT_SIGNAL = 128 /* plus its number */
};

struct here {
	struct config *config;
	struct buf package_raw, input;
	struct package package;
	struct sandbox *box;
	struct run run;
};

static void here_cleanup(struct here *here)
{
	run_free(&here->run);
	local_cleanup(&here->box);
	buf_free(&here->package_raw);
	buf_free(&here->input);
	config_cleanup(&here->config);
}

static enum err execute(const struct cli *cli, struct here *here)
{
	enum err e;

	if ((e = cli_read("-", here->config->limits_input_bytes, &here->input)) ||
	    (e = local_open(cli, here->config, &here->box)))
		return e;
	return local_run(here->box, &here->package, buf_slice(&here->input), &here->run);
}

_Static_assert((int)RUN_EXIT == LEAF_ENDED_EXIT && (int)RUN_PROCESSES == LEAF_OUTCOMES_N - 1,
	       "a record names the end of a run as the sandbox does");

/* Says what a proof says, in another form, and with nothing that could pass for one: no signature,
 * no log, and a debug status that every verifier refuses. */
static void put_statement(const struct here *here, struct buf *out)
{
	const struct run *run = &here->run;
	const struct sandbox_facts *facts = sandbox_facts(here->box);
	uint8_t digest[SHA256_SIZE];

	buf_put_text(out, "{\"statement\": \"assay-local-run-1\", \"signed\": false, "
			  "\"dbgstat\": \"enabled\"");
	json_put_field(out, "id", here->package.manifest.id, false);
	json_put_field(out, "version", here->package.manifest.version, false);
	json_put_hex(out, "measurement", SLICE(here->package.measurement), false);
	json_put_hex(out, "image", SLICE(here->package.image), false);
	json_put_hex(out, "profile", SLICE(here->package.profile), false);
	sha256_once(buf_slice(&here->input), digest);
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

static int finish(struct cli *cli, struct here *here, const char *statement)
{
	CLEANUP(buf) struct buf text = BUF_INIT;
	enum err e = io_write_all(STDERR_FILENO, buf_slice(&here->run.messages));

	if (!e)
		e = io_write_all(STDOUT_FILENO, buf_slice(&here->run.output));
	if (!e && statement) {
		put_statement(here, &text);
		if (!(e = buf_check(&text)))
			e = cli_write(cli, statement, 0644, buf_slice(&text));
	}
	if (e) {
		(void)cli_failed(cli, e);
		return RUN_EXIT_SANDBOX;
	}
	if (here->run.kind != RUN_EXIT)
		cli_say("run: ended by: %s %u", leaf_status_name(here->run.kind), here->run.code);
	return exit_code(&here->run);
}

int cmd_run(struct cli *cli)
{
	CLEANUP(here) struct here run = { 0 };
	const char *statement = NULL;
	bool local = false;
	const struct cli_option options[] = {
		CLI_FLAG("local", &local, "in this machine's sandbox; required: it is no evidence"),
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
	if (!local)
		return cli_usage(cli, "--local is missing: runs that give a proof go through the "
				      "PKCS#11 module");
	enum err e = cli_config(cli, &run.config);
	if (!e)
		e = measure_read(cli->args[0], &run.package_raw, &run.package, NULL);
	if (!e)
		e = execute(cli, &run);
	if (e) {
		(void)cli_failed(cli, e);
		return RUN_EXIT_SANDBOX;
	}
	return finish(cli, &run, statement);
}

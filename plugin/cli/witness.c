#include "audit/certificate.h"
#include "audit/shard.h"
#include "plugin/cli/cli.h"
#include "plugin/cli/witness_state.h"

static void put_key(const struct vkey *key, struct buf *out)
{
	vkey_write(key, out);
	buf_put_text(out, "\n");
}

int cmd_witness_init(struct cli *cli)
{
	const char *state = NULL, *name = NULL;
	struct vkey key;
	const struct cli_option options[] = {
		CLI_TEXT("state", "DIR", &state, "directory of the witness, made here; required"),
		CLI_TEXT("name", "NAME", &name,
			 "what it is called, such as witness.example/w1; required"),
	};
	enum cli_exit code = cli_options(cli, options, sizeof options / sizeof *options);

	if (code)
		return code;
	if (!state || !name)
		return cli_usage(cli, "--%s is missing", state ? "name" : "state");
	enum err e = witness_make(state, name, &key);
	if (e)
		return e == ERR_RANGE ? cli_usage(cli, "name: %s", err_reason())
				      : cli_failed(cli, e);
	put_key(&key, &cli->out);
	return EXIT_HOLDS;
}

int cmd_witness_sign(struct cli *cli)
{
	CLEANUP(witness) struct witness *witness = NULL;
	CLEANUP(buf) struct buf body = BUF_INIT;
	const char *state = NULL;
	const struct cli_option options[] = {
		CLI_TEXT("state", "DIR", &state, "directory of the witness; required"),
	};
	enum cli_exit code = cli_options(cli, options, sizeof options / sizeof *options);
	enum err e;

	if (code)
		return code;
	if (!state)
		return cli_usage(cli, "--state is missing");
	if ((e = witness_open(state, &witness)) ||
	    (e = cli_read(cli->args[0], WITNESS_REQUEST_MAX, &body)))
		return cli_failed(cli, e);
	int verdict = witness_answer(witness, buf_slice(&body), &cli->out);
	if (verdict == WITNESS_SIGN)
		return EXIT_HOLDS;
	buf_reset(&cli->out);
	cli_say("%s: not signed: %s", cli->command->words, err_reason());
	return verdict == WITNESS_BROKEN ? EXIT_ENVIRONMENT : EXIT_REFUSED;
}

/* A shard's checkpoints are under its own name, and an Ed25519 key's id is of name and key. */
static enum err name_log(struct slice certificate, const char *shard, struct buf *origin)
{
	enum err e = certificate_origin(certificate, origin);

	if (e || !shard)
		return e;
	if (!shard_is_of(slice_text(shard), buf_slice(origin)))
		return failed(ERR_MISMATCH, "%s is not a shard of %s", shard, buf_text(origin));
	buf_reset(origin);
	buf_put_text(origin, shard);
	return buf_check(origin);
}

int cmd_witness_log(struct cli *cli)
{
	CLEANUP(buf) struct buf der = BUF_INIT, origin = BUF_INIT;
	const char *shard = NULL;
	const struct cli_option options[] = {
		CLI_TEXT("shard", "ORIGIN", &shard, "of this shard of the log (LOG/s2)"),
	};
	struct vkey key;
	enum cli_exit code = cli_options(cli, options, sizeof options / sizeof *options);
	enum err e;

	if (code)
		return code;
	if ((e = cli_certificate(cli->args[0], &der)) ||
	    (e = name_log(buf_slice(&der), shard, &origin)) ||
	    (e = vkey_of_certificate(buf_slice(&der), buf_text(&origin), &key)))
		return cli_failed(cli, e);
	buf_put_text(&cli->out, "log ");
	put_key(&key, &cli->out);
	return EXIT_HOLDS;
}

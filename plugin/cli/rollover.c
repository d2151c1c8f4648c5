#include "audit/chain.h"
#include "plugin/cli/cli.h"
#include "plugin/cli/json.h"
#include "plugin/cli/remote.h"

struct rollover {
	const char *out;
	bool appliance, finish;
};

static enum err take_certificates(struct slice *in, struct buf *pem)
{
	CLEANUP(buf) struct buf all = BUF_INIT;
	struct slice certificate, above;

	if (cbor_take_bytes(in, CERTIFICATE_MAX, &certificate) ||
	    cbor_take_bytes(in, CERTIFICATE_MAX, &above))
		return failed(ERR_FORMAT, "the daemon's answer is malformed");
	buf_put_slice(&all, certificate);
	buf_put_slice(&all, above);
	enum err e = buf_check(&all);
	return e ? e : chain_put_pem(buf_slice(&all), pem);
}

static enum err ask(struct cli *cli, struct remote *remote, const struct rollover *wish)
{
	CLEANUP(buf) struct buf pem = BUF_INIT;
	char serial[WIRE_SERIAL_MAX + 1] = "";
	struct slice in;
	enum err e;

	if ((e = cli_can_write(wish->out)) ||
	    (!wish->appliance && (e = remote_find(remote, cli->args[0], serial))))
		return e;
	remote_request(remote, REQ_ROLLOVER, 2);
	cbor_put_text(&remote->request.bytes, serial);
	cbor_put_bool(&remote->request.bytes, wish->finish);
	if ((e = remote_call(remote, &in)) || (e = take_certificates(&in, &pem)))
		return e;
	if (wish->out && (e = cli_write(cli, wish->out, 0644, buf_slice(&pem))))
		return e;
	buf_put_text(&cli->out, wish->appliance ? "the appliance's own log" : "the log of ");
	plain_put_text(&cli->out, slice_text(wish->appliance ? "" : cli->args[0]));
	buf_put_text(&cli->out,
		     wish->finish ? " is signed by its new key alone; the former is destroyed\n"
				  : " goes on under a new key; until --finish its checkpoints "
				    "are signed by the former too\n");
	return OK;
}

int cmd_rollover(struct cli *cli)
{
	CLEANUP(remote) struct remote remote = { 0 };
	struct rollover wish = { 0 };
	const struct cli_option options[] = {
		CLI_FLAG("appliance", &wish.appliance, "the key of the appliance's own log"),
		CLI_FLAG("finish", &wish.finish,
			 "end the overlap of the last rollover: destroy the former key"),
		CLI_TEXT("o", "FILE", &wish.out,
			 "write the key's certificate there, with those above it (PEM)"),
	};
	enum cli_exit code = cli_options(cli, options, sizeof options / sizeof *options);
	enum err e;

	if (code)
		return code;
	if (wish.appliance == (cli->args_n > 0))
		return cli_usage(cli, "a partition, or --appliance: one of them expected");
	if ((e = remote_open(cli, &remote)))
		return cli_failed(cli, e);
	return (e = ask(cli, &remote, &wish)) ? cli_answered(cli, e) : EXIT_HOLDS;
}

#include "plugin/cli/cli.h"
#include "plugin/cli/json.h"
#include "plugin/cli/remote.h"

static enum err print(struct cli *cli, struct slice in)
{
	struct wire_status status;
	size_t n;
	enum err e = cbor_take_array(&in, WIRE_STATUS_MAX, &n);

	buf_put_text(&cli->out, cli->json ? "{" : "");
	for (size_t i = 0; !e && i < n; i++) {
		if ((e = wire_take_status(&in, &status)))
			break;
		if (cli->json) {
			buf_put_text(&cli->out, i ? ", " : "");
			json_put_text(&cli->out, status.key);
			buf_put_text(&cli->out, ": ");
			json_put_text(&cli->out, status.value);
		} else {
			plain_put_text(&cli->out, status.key);
			buf_put_text(&cli->out, ": ");
			plain_put_text(&cli->out, status.value);
			buf_put_text(&cli->out, "\n");
		}
	}
	buf_put_text(&cli->out, cli->json ? "}\n" : "");
	return e ? failed(e, "the daemon's answer is malformed") : OK;
}

static enum err ask(struct cli *cli, struct remote *remote)
{
	struct slice in;

	remote_request(remote, REQ_STATUS, 0);
	enum err e = remote_call(remote, &in);
	return e ? e : print(cli, in);
}

int cmd_status(struct cli *cli)
{
	return remote_command(cli, ask);
}

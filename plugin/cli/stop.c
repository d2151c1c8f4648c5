#include "plugin/cli/cli.h"
#include "plugin/cli/remote.h"

int cmd_stop(struct cli *cli)
{
	CLEANUP(remote) struct remote remote = { 0 };
	enum cli_exit code = cli_options(cli, NULL, 0);

	if (code)
		return code;
	enum err e = remote_open(cli, &remote);
	if (e)
		return cli_failed(cli, e);
	if ((e = remote_stop(cli, &remote)))
		return cli_answered(cli, e);
	buf_put_text(&cli->out, "stopped\n");
	return EXIT_HOLDS;
}

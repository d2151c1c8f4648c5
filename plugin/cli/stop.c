#include "plugin/cli/cli.h"
#include "plugin/cli/remote.h"

static enum err stop(struct cli *cli, struct remote *remote)
{
	enum err e = remote_stop(cli, remote);

	if (!e)
		buf_put_text(&cli->out, "stopped\n");
	return e;
}

int cmd_stop(struct cli *cli)
{
	return remote_command(cli, stop);
}

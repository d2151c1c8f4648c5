#include "plugin/cli/cli.h"
#include "plugin/cli/service.h"

int cmd_stop(struct cli *cli)
{
	CLEANUP(service) struct service service = { 0 };
	enum cli_exit code = cli_options(cli, NULL, 0);

	if (code)
		return code;
	enum err e = service_open(cli, &service);
	if (e)
		return cli_failed(cli, e);
	if ((e = service_stop(cli, &service)))
		return cli_answered(cli, e);
	buf_put_text(&cli->out, "stopped\n");
	return EXIT_HOLDS;
}

#include "plugin/cli/cli.h"
#include "plugin/cli/json.h"
#include "plugin/wire.h"

#define ASSAY_VERSION "0.1.0"

int cmd_version(struct cli *cli)
{
	enum cli_exit code = cli_options(cli, NULL, 0);

	if (code)
		return code;
	if (cli->json)
		buf_printf(&cli->out, "{\"version\": \"%s\", \"wire\": %d}\n", ASSAY_VERSION,
			   WIRE_VERSION);
	else
		buf_printf(&cli->out, "assay %s\n", ASSAY_VERSION);
	return EXIT_HOLDS;
}

#include <string.h>

#include "config/appraisal.h"
#include "config/policy.h"
#include "plugin/cli/cli.h"

int cmd_config_check(struct cli *cli)
{
	CLEANUP(config) struct config *config = NULL;
	enum cli_exit code = cli_options(cli, NULL, 0);

	if (code)
		return code;
	if (cli->args_n && cli->config_path)
		return cli_usage(cli, "a file and --config: one of them expected");
	const char *path = cli->args_n        ? cli->args[0]
			   : cli->config_path ? cli->config_path
					      : config_path();
	enum err e = config_load(path, &config);
	if (e)
		return cli_failed(cli, e);
	buf_printf(&cli->out, "%s: valid\n", config->path);
	return EXIT_HOLDS;
}

int cmd_config_describe(struct cli *cli)
{
	static const struct {
		const char *name;
		void (*describe)(struct buf *out);
	} kinds[] = {
		{ "configuration", config_describe },
		{ "policy", partition_policy_describe },
		{ "appraisal", appraisal_describe },
	};
	enum cli_exit code = cli_options(cli, NULL, 0);
	const char *name = cli->args_n ? cli->args[0] : kinds[0].name;

	if (code)
		return code;
	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
		if (!strcmp(kinds[i].name, name)) {
			kinds[i].describe(&cli->out);
			return EXIT_HOLDS;
		}
	return cli_usage(cli, "configuration, policy or appraisal expected, found \"%s\"", name);
}

int cmd_config_show(struct cli *cli)
{
	CLEANUP(config) struct config *config = NULL;
	enum cli_exit code = cli_options(cli, NULL, 0);

	if (code)
		return code;
	enum err e = cli_config(cli, &config);
	if (e)
		return cli_failed(cli, e);
	if (!cli->json)
		buf_printf(&cli->out, "# %s\n", config->path ? config->path : "defaults");
	config_show(config, cli->json, &cli->out);
	return EXIT_HOLDS;
}

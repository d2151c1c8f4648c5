#include <signal.h>
#include <time.h>
#include <unistd.h>

#include "plugin/cli/cli.h"
#include "plugin/cli/service.h"
#include "plugin/link.h"

#define START_WAIT_MS 20000

/* Stays until the daemon ends, or ends it on SIGTERM or SIGINT: what a supervisor can watch. */
static enum err stay_with_daemon(struct cli *cli)
{
	const struct timespec pause = { .tv_nsec = 500 * 1000 * 1000 };
	sigset_t ends;

	sigemptyset(&ends);
	sigaddset(&ends, SIGTERM);
	sigaddset(&ends, SIGINT);
	sigprocmask(SIG_BLOCK, &ends, NULL);
	for (;;) {
		CLEANUP(service) struct service service = { 0 };
		int signal = sigtimedwait(&ends, NULL, &pause);
		enum err e = service_open(cli, &service);

		if (e)
			return e;
		if (signal > 0)
			return service_stop(cli, &service);
	}
}

int cmd_start(struct cli *cli)
{
	CLEANUP(config) struct config *config = NULL;
	bool stay = false;
	const struct cli_option options[] = {
		CLI_FLAG("foreground", &stay, "stay until the daemon ends; SIGTERM ends it"),
	};
	enum cli_exit code = cli_options(cli, options, 1);

	if (code)
		return code;
	enum err e = service_config(cli, &config);
	if (!e && config->mode == MODE_APPLIANCE && geteuid() != 0)
		e = failed(ERR_DENIED, "appliance mode is started by root");
	if (e)
		return cli_failed(cli, e);
	if ((e = link_start_daemon(config, cli->self, START_WAIT_MS)))
		return cli_answered(cli, e);
	if (stay) {
		e = stay_with_daemon(cli);
		return e ? cli_answered(cli, e) : EXIT_HOLDS;
	}
	buf_printf(&cli->out, "the daemon answers at %s\n", config->socket);
	return EXIT_HOLDS;
}

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "plugin/cli/cli.h"
#include "plugin/cli/remote.h"
#include "plugin/link.h"

#define START_WAIT_MS 20000

static void ends(sigset_t *set)
{
	sigemptyset(set);
	sigaddset(set, SIGCHLD);
	sigaddset(set, SIGTERM);
	sigaddset(set, SIGINT);
}

/* The launcher ends with its daemon, and is a child of this process. */
static enum err ended(int status)
{
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return OK;
	return failed(ERR_GONE, "the launcher ended with status %#x", (unsigned)status);
}

/* Stays until the daemon ends, or ends it on SIGTERM or SIGINT: what a supervisor can watch. The
 * signals are blocked already, since before the start, so none is missed. */
static enum err stay(struct cli *cli)
{
	sigset_t set;
	int status;

	ends(&set);
	for (;;) {
		siginfo_t info;
		int signal = sigwaitinfo(&set, &info);

		if (signal == SIGCHLD && waitpid(-1, &status, WNOHANG) > 0)
			return ended(status);
		if (signal != SIGTERM && signal != SIGINT)
			continue;
		CLEANUP(remote) struct remote remote = { 0 };
		enum err e = remote_open(cli, &remote);
		if (e || (e = remote_stop(cli, &remote)))
			return e;
		return waitpid(-1, &status, 0) > 0 ? ended(status) : OK;
	}
}

static enum err start(struct cli *cli, const struct config *config, bool foreground)
{
	struct link *link = NULL;
	sigset_t set;
	enum err e;

	if (foreground) {
		if (!link_open(config, cli->self, false, slice_of(NULL, 0), &link)) {
			link_close(link);
			return failed(ERR_EXISTS, "the daemon runs already");
		}
		ends(&set);
		sigprocmask(SIG_BLOCK, &set, NULL);
	}
	e = link_start_daemon(config, cli->self, START_WAIT_MS);
	return e || !foreground ? e : stay(cli);
}

int cmd_start(struct cli *cli)
{
	CLEANUP(config) struct config *config = NULL;
	bool foreground = false;
	const struct cli_option options[] = {
		CLI_FLAG("foreground", &foreground, "stay until the daemon ends; SIGTERM ends it"),
	};
	enum cli_exit code = cli_options(cli, options, 1);

	if (code)
		return code;
	enum err e = remote_config(cli, &config);
	if (!e && config->mode == MODE_APPLIANCE && geteuid() != 0)
		e = failed(ERR_DENIED, "appliance mode is started by root");
	if (e)
		return cli_failed(cli, e);
	if ((e = start(cli, config, foreground)))
		return cli_answered(cli, e);
	if (!foreground)
		buf_printf(&cli->out, "the daemon answers at %s\n", config->socket);
	return EXIT_HOLDS;
}

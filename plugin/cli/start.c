#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "plugin/cli/cli.h"
#include "plugin/cli/remote.h"
#include "plugin/daemon/state.h"
#include "plugin/link.h"

#define START_WAIT_MS 20000
#define LAST_LINE_MAX 512

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
	char words[LINK_STATUS_MAX];

	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return OK;
	link_status_words(status, words);
	return failed(ERR_GONE, "the launcher ended with %s", words);
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

/* Launcher and daemon keep the descriptor that is standard error here for as long as they live, so
 * it may become a file for them: a script that waits for the end of our words must not wait for
 * theirs. Gives back the one from before, or -1. */
static enum err redirect(const char *path, int *before)
{
	CLEANUP(fd) int fd = -1;

	if (!path)
		return OK;
	fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0640);
	if (fd < 0 || (*before = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3)) < 0 ||
	    dup2(fd, STDERR_FILENO) < 0)
		return failed(ERR_IO, "%s: %m", path);
	return OK;
}

static enum err start_daemon(struct cli *cli, const struct config *config, const char *log)
{
	CLEANUP(fd) int before = -1;
	enum err e = redirect(log, &before);

	if (!e)
		e = link_start_daemon(config, cli->self, START_WAIT_MS);
	if (before >= 0 && dup2(before, STDERR_FILENO) < 0)
		return failed(ERR_IO, "standard error: %m");
	return log && (e == ERR_GONE || e == ERR_TIMEOUT)
		       ? failed(e, "%s; see %s", err_reason(), log)
		       : e;
}

/* What the daemon says goes to a file: its length before, so that no earlier start's words are
 * taken for this one's. */
struct log {
	char path[PATH_MAX]; /* empty: to a terminal, or whatever standard error is */
	off_t before;
};

static void find_log(struct log *log, const struct config *config, const char *named)
{
	struct stat status;

	if (named)
		snprintf(log->path, sizeof log->path, "%s", named);
	else if (config->mode == MODE_DEVELOPMENT)
		snprintf(log->path, sizeof log->path, "%s/" LINK_LOG, config->state);
	log->before = !stat(log->path, &status) && S_ISREG(status.st_mode) ? status.st_size : 0;
}

static void say_last_line(const struct log *log)
{
	char text[LAST_LINE_MAX + 1], *line;
	CLEANUP(fd) int fd = open(log->path, O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC);
	struct stat status;

	if (fd < 0 || fstat(fd, &status) || !S_ISREG(status.st_mode))
		return;
	off_t from = status.st_size - LAST_LINE_MAX;
	ssize_t n = pread(fd, text, LAST_LINE_MAX, from > log->before ? from : log->before);
	while (n > 0 && text[n - 1] == '\n')
		n--;
	if (n <= 0)
		return;
	text[n] = 0;
	line = strrchr(text, '\n');
	cli_say("start: its last words: %s", line ? line + 1 : text);
}

/* What can be told before anything is started. */
static enum err check(const struct config *config, const char *log)
{
	char path[PATH_MAX];

	if (config->mode == MODE_APPLIANCE && geteuid() != 0)
		return failed(ERR_DENIED, "appliance mode is started by root");
	if (config->mode == MODE_DEVELOPMENT && log)
		return failed(ERR_USAGE,
			      "--log is for appliance mode; in development mode the log "
			      "is %s/" LINK_LOG,
			      config->state);
	snprintf(path, sizeof path, "%s/" STATE_INITIALISED, config->state);
	if (access(path, F_OK) && errno == ENOENT)
		return failed(ERR_STATE,
			      "%s: the state directory is not initialised: run assay init",
			      config->state);
	return OK;
}

static enum err start(struct cli *cli, const struct config *config, bool foreground,
		      const char *log)
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
	e = start_daemon(cli, config, log);
	return e || !foreground ? e : stay(cli);
}

int cmd_start(struct cli *cli)
{
	CLEANUP(config) struct config *config = NULL;
	struct log file = { 0 };
	bool foreground = false;
	const char *log = NULL;
	const struct cli_option options[] = {
		CLI_FLAG("foreground", &foreground, "stay until the daemon ends; SIGTERM ends it"),
		CLI_TEXT("log", "FILE", &log,
			 "appliance mode: where both write, appended; default: standard error"),
	};
	enum cli_exit code = cli_options(cli, options, 2);

	if (code)
		return code;
	enum err e = remote_config(cli, &config);
	if (e || (e = check(config, log)))
		return cli_failed(cli, e);
	find_log(&file, config, log);
	if ((e = start(cli, config, foreground, log))) {
		code = cli_answered(cli, e);
		say_last_line(&file);
		return code;
	}
	if (!foreground)
		buf_printf(&cli->out, "the daemon answers at %s\n", config->socket);
	return EXIT_HOLDS;
}

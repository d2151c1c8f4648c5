/* assayd - the daemon: registry, authorization, audit log, attestation keys.
 *
 *   assayd --config PATH          serves; descriptor 3 is a socket to the launcher, which starts it
 *   assayd --config PATH --init   makes keys, certificates and state, once
 *   assayd --config PATH --request, --certified   the same in two steps: asks for the certificate of
 *                                 the CA, and takes it, with those above it, from standard input
 *   assayd --config PATH --renew  gives the CA a new certificate of the same key
 */
#include <grp.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config/base/harden.h"
#include "config/base/io.h"
#include "config/base/log.h"
#include "plugin/daemon/server.h"

#define LAUNCHER_FD 3
#define USAGE 2
#define CERTIFICATES_MAX 65536
#define FILES_EACH (1 + IO_FDS_MAX + 4) /* a connection: itself, what it sent, a run, a probe */
#define FILES_MORE 1024

static enum err harden(void)
{
	umask(077);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN); /* a limit on files is an error like a full disk */
	signal(SIGCHLD, SIG_DFL);
	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ? failed(ERR_IO, "no_new_privs: %m")
						      : harden_process();
}

/* So that not even connections which hold all that they can leave the log without a file. */
static enum err raise_open_files(const struct config *config)
{
	rlim_t wanted = config->daemon_connections * FILES_EACH + FILES_MORE;
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit))
		return failed(ERR_IO, "RLIMIT_NOFILE: %m");
	if (limit.rlim_max < wanted)
		log_warning("a hard limit of %llu open files is too low for %llu connections: %llu",
			    (unsigned long long)limit.rlim_max,
			    (unsigned long long)config->daemon_connections,
			    (unsigned long long)wanted);
	limit.rlim_cur = limit.rlim_max < wanted ? limit.rlim_max : wanted;
	return setrlimit(RLIMIT_NOFILE, &limit) ? failed(ERR_IO, "RLIMIT_NOFILE: %m") : OK;
}

/* Threads inherit the mask, so the signals come here alone. */
static enum err take_signals(int *out)
{
	sigset_t ends;

	sigemptyset(&ends);
	sigaddset(&ends, SIGTERM);
	sigaddset(&ends, SIGINT);
	if (sigprocmask(SIG_BLOCK, &ends, NULL) || (*out = signalfd(-1, &ends, SFD_CLOEXEC)) < 0)
		return failed(ERR_IO, "signals: %m");
	return OK;
}

static enum err check_user(const struct config *config)
{
	if (config->mode == MODE_APPLIANCE && geteuid() != config->users_daemon)
		return failed(ERR_USAGE, "runs as user %u; users.daemon is %llu", geteuid(),
			      (unsigned long long)config->users_daemon);
	return OK;
}

static enum err serve(const struct config *config, const char *self)
{
	struct daemon *daemon = NULL;
	const char *why = "";
	bool all_gone;
	CLEANUP(fd) int signals = -1;
	enum err e;

	if ((e = check_user(config)) || (e = raise_open_files(config)) ||
	    (e = take_signals(&signals)) || (e = daemon_open(config, self, LAUNCHER_FD, &daemon)))
		return e;
	e = server_run(daemon, signals, &why, &all_gone);
	log_info("ends: %s", why);
	if (!all_gone)
		daemon_abandon(daemon, why);
	daemon_close(daemon, why);
	return e;
}

static enum err make_folder(const char *path, uid_t uid, gid_t gid, mode_t mode)
{
	if (mkdir(path, mode) == 0)
		return chown(path, uid, gid) || chmod(path, mode) ? failed(ERR_IO, "%s: %m", path)
								  : OK;
	return access(path, F_OK) ? failed(ERR_IO, "%s: %m", path) : OK;
}

/* An appliance is initialised by root, but everything is made by the daemon's own user. */
static enum err become_daemon(const struct config *config)
{
	uid_t uid = (uid_t)config->users_daemon;
	gid_t gid = (gid_t)config->users_group;
	char folder[PATH_MAX], *slash;
	enum err e;

	if (config->mode != MODE_APPLIANCE || geteuid() != 0 || uid == 0)
		return OK;
	snprintf(folder, sizeof folder, "%s", config->socket);
	if ((slash = strrchr(folder, '/')) && slash != folder) {
		*slash = 0;
		if ((e = make_folder(folder, uid, gid, 0755)))
			return e;
	}
	if ((e = make_folder(config->state, uid, gid, 0700)))
		return e;
	if (setgroups(0, NULL) || setresgid(gid, gid, gid) || setresuid(uid, uid, uid))
		return failed(ERR_IO, "becoming user %u: %m", uid);
	return OK;
}

enum task { SERVE, INIT, REQUEST, CERTIFIED, RENEW, NO_TASK };
static const char *const tasks[] = { NULL, "--init", "--request", "--certified", "--renew" };

static enum err certified(struct attest *attest, struct state *state)
{
	CLEANUP(buf) struct buf certificates = BUF_INIT;
	enum err e = io_read_all(STDIN_FILENO, CERTIFICATES_MAX, &certificates);

	return e ? e : attest_certified(attest, state, buf_slice(&certificates));
}

static enum err initialise(const struct config *config, enum task task)
{
	CLEANUP(state) struct state *state = NULL;
	CLEANUP(attest) struct attest *attest = NULL;
	enum err e;

	if ((e = become_daemon(config)) || (e = check_user(config)) || (e = harden()) ||
	    (e = state_open(config->state, true, &state)) || (e = attest_open(config, &attest)))
		return e;
	if (task == REQUEST || task == RENEW)
		return task == REQUEST ? attest_request(attest, state)
				       : attest_renew(attest, state);
	if ((e = task == INIT ? attest_initialise(attest, state) : certified(attest, state)))
		return e;
	log_info("initialised %s in %s", attest_origin(attest), config->state);
	return OK;
}

static enum err start(const char *path, enum task task)
{
	CLEANUP(config) struct config *config = NULL;
	char self[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
	enum err e;

	if (n < 0)
		return failed(ERR_IO, "/proc/self/exe: %m");
	self[n] = 0;
	if ((e = config_load(path, &config)))
		return e;
	if (task != SERVE)
		return initialise(config, task);
	return (e = harden()) ? e : serve(config, self);
}

static enum task task_of(const char *word)
{
	for (enum task t = INIT; t < NO_TASK; t++)
		if (!strcmp(word, tasks[t]))
			return t;
	return NO_TASK;
}

int main(int argc, char **argv)
{
	const char *path = NULL;
	enum task task = SERVE;

	for (int i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "--config") && i + 1 < argc) {
			path = argv[++i];
		} else if ((task = task_of(argv[i])) == NO_TASK) {
			path = NULL;
			break;
		}
	}
	log_start("assayd", LOG_LEVEL_INFO);
	if (!path) {
		fprintf(stderr,
			"usage: assayd --config PATH [--init|--request|--certified|--renew]\n");
		return USAGE;
	}
	enum err e = start(path, task);
	if (e)
		log_error("%s: %s", err_words(e), err_reason());
	return e ? EXIT_FAILURE : EXIT_SUCCESS;
}

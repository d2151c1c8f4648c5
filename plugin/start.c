/* Starting launcher and daemon: link_start_daemon of link.h. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <spawn.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "config/base/sha256.h"
#include "plugin/link.h"

#define ARGUMENTS_MAX 32
#define POLL_MS 10
#define LOSER_MS 5000 /* how long a launcher that lost the race waits for the winner's daemon */

/* The launcher's command line; the strings live in the same struct. */
struct command {
	char *argv[ARGUMENTS_MAX];
	size_t n;
	char launcher[PATH_MAX], init[PATH_MAX], daemon[PATH_MAX], config[PATH_MAX];
	char uid_base[24], cells[24], uid[24], gid[24], group[24], name[17];
	struct buf missing;
};

static void add(struct command *c, const char *option, const char *value)
{
	c->argv[c->n++] = (char *)option;
	if (value)
		c->argv[c->n++] = (char *)value;
}

static void add_number(struct command *c, const char *option, char text[24], uint64_t value)
{
	snprintf(text, 24, "%llu", (unsigned long long)value);
	add(c, option, text);
}

static enum err find_programs(struct command *c, const struct config *config, const char *self)
{
	enum err e;

	if ((e = config_program(config, self, "assay-launcher", c->launcher, sizeof c->launcher)) ||
	    (e = config_program(config, self, "assay-init", c->init, sizeof c->init)) ||
	    (e = config_program(config, self, "assayd", c->daemon, sizeof c->daemon)))
		return e;
	/* The daemon runs in "/", so a relative path would be another file there. */
	if (config->path && !realpath(config->path, c->config))
		return failed(ERR_IO, "%s: %m", config->path);
	return OK;
}

/* The parent control group is named after the state directory, so that a daemon started again
 * finds and sweeps what its forerunner left. */
static void name_after(const char *state, char name[17])
{
	uint8_t digest[SHA256_SIZE];

	sha256_once(slice_text(state), digest);
	hex_put(name, digest, 8);
}

static enum err make_command(struct command *c, const struct config *config, const char *self)
{
	enum err e = find_programs(c, config, self);

	if (e)
		return e;
	for (size_t i = 0; i < config->sandbox_allow_missing.n; i++)
		buf_printf(&c->missing, "%s%s", i ? " " : "",
			   config->sandbox_allow_missing.items[i]);
	const char *missing = buf_text(&c->missing);
	if (!missing)
		return failed(ERR_MEMORY, "out of memory");
	name_after(config->state, c->name);
	add(c, c->launcher, NULL);
	add(c, "--init", c->init);
	add_number(c, "--uid-base", c->uid_base, config->sandbox_uid_base);
	add(c, "--name", c->name);
	add(c, "--allow-missing", missing);
	add_number(c, "--cells", c->cells, config->sandbox_cells);
	if (config->mode == MODE_APPLIANCE) {
		add_number(c, "--daemon-uid", c->uid, config->users_daemon);
		add_number(c, "--daemon-gid", c->gid, config->users_group);
		if (config->users_token_group)
			add_number(c, "--daemon-group", c->group, config->users_token_group);
	}
	add(c, "--", NULL);
	add(c, c->daemon, NULL);
	if (config->path)
		add(c, "--config", c->config);
	c->argv[c->n] = NULL;
	return OK;
}

/* Where the daemon's stderr goes: an appliance's is whoever starts it (a terminal, a service
 * manager); a host process's stderr is not ours to write to, so there it is a file. */
static int open_log(const struct config *config)
{
	char path[PATH_MAX];
	int fd;

	if (config->mode == MODE_APPLIANCE && (fd = fcntl(2, F_DUPFD_CLOEXEC, 3)) >= 0)
		return fd;
	if (config->mode == MODE_DEVELOPMENT &&
	    snprintf(path, sizeof path, "%s/" LINK_LOG, config->state) < (int)sizeof path &&
	    (fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0600)) >= 0)
		return fd;
	return open("/dev/null", O_WRONLY | O_CLOEXEC);
}

/* stdin and stdout closed to the outside, stderr @log, nothing else; @log is above 2. */
static int set_files(posix_spawn_file_actions_t *files, int log)
{
	int r;

	(void)((r = posix_spawn_file_actions_adddup2(files, log, 2)) ||
	       (r = posix_spawn_file_actions_addopen(files, 0, "/dev/null", O_RDONLY, 0)) ||
	       (r = posix_spawn_file_actions_addopen(files, 1, "/dev/null", O_WRONLY, 0)) ||
	       (r = posix_spawn_file_actions_addclosefrom_np(files, 3)) ||
	       (r = posix_spawn_file_actions_addchdir_np(files, "/")));
	return r;
}

static int set_attributes(posix_spawnattr_t *attributes)
{
	sigset_t none, all;
	int r;

	sigemptyset(&none);
	sigfillset(&all);
	(void)((r = posix_spawnattr_setsigmask(attributes, &none)) ||
	       (r = posix_spawnattr_setsigdefault(attributes, &all)) ||
	       (r = posix_spawnattr_setflags(attributes, POSIX_SPAWN_SETSID |
								 POSIX_SPAWN_SETSIGMASK |
								 POSIX_SPAWN_SETSIGDEF)));
	return r;
}

static enum err spawn(const struct command *c, int log, pid_t *pid)
{
	char *const no_environment[] = { NULL };
	posix_spawn_file_actions_t files;
	posix_spawnattr_t attributes;
	int r;

	posix_spawn_file_actions_init(&files);
	posix_spawnattr_init(&attributes);
	if (!(r = set_files(&files, log)) && !(r = set_attributes(&attributes)))
		r = posix_spawn(pid, c->launcher, &files, &attributes, c->argv, no_environment);
	posix_spawnattr_destroy(&attributes);
	posix_spawn_file_actions_destroy(&files);
	if (r)
		return failed(r == ENOENT ? ERR_NOT_FOUND : ERR_IO, "starting %s: %s", c->launcher,
			      strerror(r));
	return OK;
}

static bool somebody_listens(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	CLEANUP(fd) int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0 || strlen(path) >= sizeof address.sun_path)
		return false;
	memcpy(address.sun_path, path, strlen(path) + 1);
	/* A full queue (EAGAIN) is somebody too. */
	return connect(fd, (struct sockaddr *)&address, sizeof address) == 0 || errno == EAGAIN;
}

void link_status_words(int status, char words[LINK_STATUS_MAX])
{
	if (WIFEXITED(status))
		snprintf(words, LINK_STATUS_MAX, "exit status %d", WEXITSTATUS(status));
	else
		snprintf(words, LINK_STATUS_MAX, "signal %d", WTERMSIG(status));
}

/* @status is of a launcher that ended, or NULL. Where standard error goes, the caller knows. */
static enum err not_started(const struct config *config, const int *status)
{
	bool file = config->mode == MODE_DEVELOPMENT;
	const char *see = file ? "; see " : "", *state = file ? config->state : "";
	const char *log = file ? "/" LINK_LOG : "";
	char words[LINK_STATUS_MAX];

	if (!status)
		return failed(ERR_TIMEOUT, "the daemon does not answer%s%s%s", see, state, log);
	link_status_words(*status, words);
	return failed(ERR_GONE, "the daemon did not start: its launcher ended with %s%s%s%s", words,
		      see, state, log);
}

/* A launcher that ends early has failed, or found that another one was faster. */
static enum err await(const struct config *config, pid_t pid, unsigned wait_ms)
{
	uint64_t until = io_monotonic_ms() + wait_ms;
	int status = 0;
	bool ended = false;

	while (!somebody_listens(config->socket)) {
		uint64_t now = io_monotonic_ms();

		if (now >= until)
			return not_started(config, ended ? &status : NULL);
		if (!ended && waitpid(pid, &status, WNOHANG) == pid) {
			ended = true;
			if (until - now > LOSER_MS)
				until = now + LOSER_MS;
		}
		io_pause(POLL_MS);
	}
	return OK;
}

/* The launcher is a child of this process; one that ended since is not left a zombie. */
static void reap(pid_t next)
{
	static _Atomic pid_t last;
	pid_t before = atomic_exchange(&last, next);

	if (before > 0)
		(void)waitpid(before, NULL, WNOHANG);
}

enum err link_start_daemon(const struct config *config, const char *self, unsigned wait_ms)
{
	/* A second launcher would only find out that it is one too many. */
	if (somebody_listens(config->socket))
		return OK;
	struct command *c = calloc(1, sizeof *c);
	pid_t pid = 0;
	if (!c)
		return failed(ERR_MEMORY, "out of memory");
	CLEANUP(fd) int log = -1;
	enum err e = make_command(c, config, self);
	if (!e && (log = open_log(config)) < 0)
		e = failed(ERR_IO, "/dev/null: %m");
	if (!e && log < 3) {
		int high = fcntl(log, F_DUPFD_CLOEXEC, 3);

		fd_cleanup(&log);
		log = high;
	}
	if (!e)
		e = spawn(c, log, &pid);
	buf_free(&c->missing);
	free(c);
	reap(pid);
	return e ? e : await(config, pid, wait_ms);
}

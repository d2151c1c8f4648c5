#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "config/base/io.h"
#include "plugin/cli/cli.h"
#include "plugin/cli/remote.h"

#define CA_MAX 65536

static bool is_empty(int fd)
{
	int copy = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = copy < 0 ? NULL : fdopendir(copy);
	struct dirent *entry;
	bool empty = dir != NULL;

	while (empty && (entry = readdir(dir)))
		empty = !strcmp(entry->d_name, ".") || !strcmp(entry->d_name, "..");
	if (dir)
		closedir(dir);
	else if (copy >= 0)
		close(copy);
	return empty;
}

/* Makes a directory for the daemon. One that is there already must be the daemon's, or ours and
 * empty: a mistyped path must not hand /var/lib over. */
static enum err own_directory(const char *path, mode_t mode, uid_t owner, gid_t group)
{
	CLEANUP(fd) int fd = -1;
	struct stat status;

	if (mkdir(path, 0700) && errno != EEXIST)
		return failed(ERR_IO, "%s: %m", path);
	fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &status))
		return failed(ERR_IO, "%s: %m", path);
	if (status.st_uid == owner && status.st_mode & (S_IWGRP | S_IWOTH))
		return failed(ERR_DENIED, "%s: a directory that only its owner may write expected",
			      path);
	if (status.st_uid == owner)
		return OK;
	if (status.st_uid != geteuid() || !is_empty(fd))
		return failed(ERR_DENIED,
			      "%s: belongs to user %u; an empty directory, or one of "
			      "user %u, expected",
			      path, status.st_uid, owner);
	if (fchown(fd, owner, group) || fchmod(fd, mode))
		return failed(ERR_IO, "%s: %m", path);
	return OK;
}

static enum err prepare_directories(const struct config *config)
{
	char sockets[108];
	const char *slash = strrchr(config->socket, '/');
	enum err e = own_directory(config->state, 0700, (uid_t)config->users_daemon,
				   (gid_t)config->users_group);

	if (e || slash == config->socket)
		return e;
	snprintf(sockets, sizeof sockets, "%.*s", (int)(slash - config->socket), config->socket);
	/* Clients of the group reach the socket; only the daemon puts one there. */
	return own_directory(sockets, 0750, (uid_t)config->users_daemon,
			     (gid_t)config->users_group);
}

/* In the child, before exec: becomes the daemon's user for good. */
static int become_daemon(const struct config *config)
{
	gid_t groups[1] = { (gid_t)config->users_token_group };
	gid_t group = (gid_t)config->users_group;
	uid_t user = (uid_t)config->users_daemon;

	return setgroups(groups[0] ? 1 : 0, groups) || setresgid(group, group, group) ||
	       setresuid(user, user, user);
}

/* assayd --init, which makes the keys, with nothing of our environment and no standard input. */
static enum err run_daemon(const struct cli *cli, const struct config *config)
{
	char program[4096];
	enum err e = config_program(config, cli->self, "assayd", program, sizeof program);
	int status;

	if (e)
		return e;
	char *const argv[] = { program, "--config", config->path, "--init", NULL };
	char *const environment[] = { NULL };
	pid_t pid = fork();
	if (pid < 0)
		return failed(ERR_IO, "fork: %m");
	if (pid == 0) {
		int null = open("/dev/null", O_RDONLY | O_CLOEXEC);

		if (null >= 0 && dup2(null, STDIN_FILENO) >= 0 && !chdir("/") &&
		    (config->mode != MODE_APPLIANCE || !become_daemon(config)))
			execve(program, argv, environment);
		cli_say("init: %s: %s", program, strerror(errno));
		_exit(EXIT_ENVIRONMENT);
	}
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return failed(ERR_IO, "waitpid: %m");
	if (!WIFEXITED(status) || WEXITSTATUS(status))
		return failed(ERR_FAILED, "assayd --init did not succeed");
	return OK;
}

static enum err init(struct cli *cli, const struct config *config, const char *copy)
{
	CLEANUP(buf) struct buf certificate = BUF_INIT;
	char path[4096];
	enum err e;

	if (config->mode == MODE_APPLIANCE) {
		if (geteuid() != 0)
			return failed(ERR_DENIED, "appliance mode is initialised by root");
		if ((e = prepare_directories(config)))
			return e;
	}
	if ((e = run_daemon(cli, config)))
		return e;
	snprintf(path, sizeof path, "%s/ca.pem", config->state);
	if ((e = io_read_file(path, CA_MAX, &certificate)))
		return e;
	if (copy)
		e = cli_write(cli, copy, 0644, buf_slice(&certificate));
	buf_printf(&cli->out, "certificate of this appliance's CA: %s\n", copy ? copy : path);
	return e;
}

int cmd_init(struct cli *cli)
{
	CLEANUP(config) struct config *config = NULL;
	const char *copy = NULL;
	const struct cli_option options[] = {
		CLI_TEXT("o", "FILE", &copy, "copy the CA's certificate there, for verifiers"),
	};
	enum cli_exit code = cli_options(cli, options, 1);

	if (code)
		return code;
	enum err e = remote_config(cli, &config);
	if (!e)
		e = init(cli, config, copy);
	if (!e)
		return EXIT_HOLDS;
	buf_reset(&cli->out);
	return cli_failed(cli, e);
}

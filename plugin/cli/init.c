#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "audit/chain.h"
#include "config/base/dir.h"
#include "config/base/io.h"
#include "plugin/cli/cli.h"
#include "plugin/cli/remote.h"

#define CA_MAX 65536

static bool is_empty(int fd)
{
	CLEANUP(dir) DIR *list = dir_list(fd);

	return list && !dir_next(list);
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

/* What is asked of the daemon's program, and what it is given. */
struct task {
	const char *option;
	int input; /* its standard input; -1: nothing */
};

/* In the child: the daemon's program, with nothing of our environment. */
static void run_child(const struct config *config, const char *program, const struct task *task)
{
	char *const argv[] = { (char *)program, "--config", config->path, (char *)task->option,
			       NULL };
	char *const environment[] = { NULL };
	int input = task->input >= 0 ? task->input : open("/dev/null", O_RDONLY | O_CLOEXEC);

	if (input >= 0 && dup2(input, STDIN_FILENO) >= 0 && !chdir("/") &&
	    (config->mode != MODE_APPLIANCE || !become_daemon(config)))
		execve(program, argv, environment);
	cli_say("init: %s: %s", program, strerror(errno));
	_exit(EXIT_ENVIRONMENT);
}

static enum err run_daemon(const struct cli *cli, const struct config *config,
			   const struct task *task)
{
	char program[4096];
	enum err e = config_program(config, cli->self, "assayd", program, sizeof program);
	int status;

	if (e)
		return e;
	pid_t pid = fork();
	if (pid < 0)
		return failed(ERR_IO, "fork: %m");
	if (pid == 0)
		run_child(config, program, task);
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return failed(ERR_IO, "waitpid: %m");
	if (!WIFEXITED(status) || WEXITSTATUS(status))
		return failed(ERR_FAILED, "assayd %s did not succeed", task->option);
	return OK;
}

struct wishes {
	const char *copy, *request, *certificate, *chain;
	bool renew;
};

/* The CA's certificate and those above it, one after another, as the daemon reads them. */
static enum err gather(const struct wishes *wishes, int *out)
{
	CLEANUP(buf) struct buf pem = BUF_INIT;
	const char *const files[] = { wishes->certificate, wishes->chain };

	for (size_t i = 0; i < 2 && files[i]; i++) {
		CLEANUP(buf) struct buf contents = BUF_INIT, der = BUF_INIT;
		enum err e;

		if ((e = cli_read(files[i], CA_MAX, &contents)))
			return e;
		if ((e = chain_from_file(buf_slice(&contents), &der)) ||
		    (e = chain_put_pem(buf_slice(&der), &pem)))
			return failed(e, "%s: %s", files[i], err_reason());
	}
	enum err e = buf_check(&pem);
	return e ? e : io_memfd("certificates", buf_slice(&pem), out);
}

static enum err run(struct cli *cli, const struct config *config, const struct wishes *wishes)
{
	CLEANUP(fd) int input = -1;
	struct task task = { wishes->request       ? "--request"
			     : wishes->certificate ? "--certified"
			     : wishes->renew       ? "--renew"
						   : "--init",
			     -1 };
	enum err e;

	if (wishes->certificate && (e = gather(wishes, &input)))
		return e;
	task.input = input;
	return run_daemon(cli, config, &task);
}

/* What the daemon's program left in the state directory, for others. */
static enum err hand_out(struct cli *cli, const struct config *config, const char *name,
			 const char *copy, const char *what)
{
	CLEANUP(buf) struct buf contents = BUF_INIT;
	char path[4096];
	enum err e;

	snprintf(path, sizeof path, "%s/%s", config->state, name);
	if ((e = io_read_file(path, CA_MAX, &contents)))
		return e;
	if (copy)
		e = cli_write(cli, copy, 0644, buf_slice(&contents));
	buf_printf(&cli->out, "%s: %s\n", what, copy ? copy : path);
	return e;
}

static enum err init(struct cli *cli, const struct config *config, const struct wishes *wishes)
{
	enum err e;

	if (config->mode == MODE_APPLIANCE) {
		if (geteuid() != 0)
			return failed(ERR_DENIED, "appliance mode is initialised by root");
		if ((e = prepare_directories(config)))
			return e;
	}
	if ((e = run(cli, config, wishes)))
		return e;
	return wishes->request ? hand_out(cli, config, "ca.csr", wishes->request,
					  "request for a certificate of this appliance's CA")
			       : hand_out(cli, config, "ca.pem", wishes->copy,
					  "certificate of this appliance's CA");
}

int cmd_init(struct cli *cli)
{
	CLEANUP(config) struct config *config = NULL;
	struct wishes wishes = { 0 };
	const struct cli_option options[] = {
		CLI_TEXT("o", "FILE", &wishes.copy,
			 "copy the CA's certificate there, for verifiers"),
		CLI_TEXT("csr", "FILE", &wishes.request,
			 "make the CA's key only, and write a request (PKCS#10) that somebody's "
			 "PKI certify it"),
		CLI_TEXT("certificate", "FILE", &wishes.certificate,
			 "then: take the certificate that came back, and make the rest"),
		CLI_TEXT("chain", "FILE", &wishes.chain,
			 "the certificates above it, up to the root, where they are not in the "
			 "same file"),
		CLI_FLAG("renew", &wishes.renew,
			 "give the CA a new certificate of the same key, while the daemon is "
			 "stopped"),
	};
	enum cli_exit code = cli_options(cli, options, sizeof options / sizeof *options);

	if (code)
		return code;
	if (wishes.renew && (wishes.request || wishes.certificate))
		return cli_usage(cli, "--renew is for a CA that certified itself");
	if (wishes.request && (wishes.certificate || wishes.copy))
		return cli_usage(cli, "--csr comes first, --certificate and -o later");
	if (wishes.chain && !wishes.certificate)
		return cli_usage(cli, "--chain without --certificate");
	enum err e = remote_config(cli, &config);
	if (!e)
		e = init(cli, config, &wishes);
	if (!e)
		return EXIT_HOLDS;
	buf_reset(&cli->out);
	return cli_failed(cli, e);
}

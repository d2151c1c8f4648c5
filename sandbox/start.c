/* sandbox_start: a launcher of the sandbox's own. */
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sandbox/pool.h"

#define LAUNCHER_FD 3

static enum err spawn(const struct sandbox_options *o, int sock, pid_t *pid)
{
	char uid[16], cells[16];
	const char *const argv[] = { o->launcher,
				     "--init",
				     o->init,
				     "--uid-base",
				     uid,
				     "--name",
				     o->name,
				     "--allow-missing",
				     o->allow_missing ? o->allow_missing : "",
				     "--cells",
				     cells,
				     "--fd",
				     "3",
				     NULL };
	static char *const env[] = { NULL };
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	sigset_t none, all;

	snprintf(uid, sizeof uid, "%u", o->uid_base);
	snprintf(cells, sizeof cells, "%u", o->cells_max);
	sigemptyset(&none);
	sigfillset(&all);
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", 0, 0);
	posix_spawn_file_actions_adddup2(&actions, sock, LAUNCHER_FD);
	posix_spawn_file_actions_addclosefrom_np(&actions, LAUNCHER_FD + 1);
	posix_spawn_file_actions_addchdir_np(&actions, "/");
	posix_spawnattr_init(&attributes);
	posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK |
						      POSIX_SPAWN_SETSIGDEF);
	posix_spawnattr_setsigmask(&attributes, &none);
	posix_spawnattr_setsigdefault(&attributes, &all);
	int error = posix_spawn(pid, o->launcher, &actions, &attributes, (char *const *)argv, env);
	posix_spawnattr_destroy(&attributes);
	posix_spawn_file_actions_destroy(&actions);
	return error ? failed(ERR_IO, "starting %s: %s", o->launcher, strerror(error)) : OK;
}

enum err sandbox_start(const struct sandbox_options *options, struct sandbox **out)
{
	int pair[2];
	pid_t pid;
	enum err e;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair))
		return failed(ERR_IO, "socketpair: %m");
	e = spawn(options, pair[1], &pid);
	close(pair[1]);
	if (e) {
		close(pair[0]);
		return e;
	}
	if ((e = sandbox_attach(pair[0], out))) {
		waitpid(pid, NULL, 0);
		return e;
	}
	(*out)->launcher = pid;
	return OK;
}

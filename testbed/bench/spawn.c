#include "testbed/bench/spawn.h"

#include <fcntl.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static _Thread_local char reason[256];

static const char *because(const char *format, ...) __attribute__((format(printf, 1, 2)));

static const char *because(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(reason, sizeof reason, format, args);
	va_end(args);
	return reason;
}

const char *spawn_start(const char *const *argv, const char *const *env, struct spawned *s)
{
	posix_spawn_file_actions_t actions;
	int in[2], out[2], err[2];

	if (pipe2(in, O_CLOEXEC) || pipe2(out, O_CLOEXEC) || pipe2(err, O_CLOEXEC))
		return because("pipe: %m");
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, in[0], 0);
	posix_spawn_file_actions_adddup2(&actions, out[1], 1);
	posix_spawn_file_actions_adddup2(&actions, err[1], 2);
	int error = posix_spawn(&s->pid, argv[0], &actions, NULL, (char *const *)argv,
				(char *const *)env);
	posix_spawn_file_actions_destroy(&actions);
	close(in[0]);
	close(out[1]);
	close(err[1]);
	s->in = in[1];
	s->out = out[0];
	s->err = err[0];
	return error ? because("%s: %s", argv[0], strerror(error)) : NULL;
}

/* What is over @room is read and counted. */
static size_t drain(int fd, char *to, size_t room)
{
	char rest[4096];
	size_t n = 0;
	ssize_t got;

	while ((got = n < room ? read(fd, to + n, room - n) : read(fd, rest, sizeof rest)) > 0)
		n += (size_t)got;
	close(fd);
	return n;
}

const char *spawn_finish(struct spawned *s, struct slice input)
{
	char output[SPAWN_INPUT_MAX], said[160];
	struct rusage use;
	int status;

	bool fed = write(s->in, input.p, input.left) == (ssize_t)input.left;
	close(s->in);
	size_t n = drain(s->out, output, sizeof output);
	size_t said_n = drain(s->err, said, sizeof said - 1);
	if (wait4(s->pid, &status, 0, &use) != s->pid)
		return because("wait4: %m");
	said[said_n < sizeof said ? said_n : sizeof said - 1] = '\0';
	said[strcspn(said, "\n|")] = '\0';
	if (status)
		return because("it ended with status 0x%x: %s", (unsigned)status, said);
	if (!fed || n != input.left || memcmp(output, input.p, n) != 0)
		return because("it gave back %zu of %zu bytes", n, input.left);
	return NULL;
}

const char *spawn_run(const char *const *argv, const char *const *env, struct slice input)
{
	struct spawned s;
	const char *why = spawn_start(argv, env, &s);

	return why ? why : spawn_finish(&s, input);
}

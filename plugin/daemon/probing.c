#include "plugin/daemon/probing.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "config/base/io.h"
#include "plugin/role.h"

#define ANSWER_MAX 8192
#define ID_MAX 64

/* The exit status of the probe (probe/main.c). */
static const struct {
	int status;
	enum err e;
	const char *words;
} ends[] = {
	{ 0, OK, "" },
	{ 3, ERR_NOT_FOUND, "the object is not on the token" },
	{ 4, ERR_DENIED, "the certificate object is not CKA_TRUSTED" },
	{ 5, ERR_MISMATCH, "other objects have this CKA_ID" },
};

static int set_up(posix_spawn_file_actions_t *files, posix_spawnattr_t *attributes, int out)
{
	sigset_t none, all;
	int r;

	sigemptyset(&none);
	sigfillset(&all);
	(void)((r = posix_spawn_file_actions_addopen(files, 0, "/dev/null", O_RDONLY, 0)) ||
	       (r = posix_spawn_file_actions_adddup2(files, out, 1)) ||
	       (r = posix_spawn_file_actions_addclosefrom_np(files, 3)) ||
	       (r = posix_spawnattr_setsigmask(attributes, &none)) ||
	       (r = posix_spawnattr_setsigdefault(attributes, &all)) ||
	       (r = posix_spawnattr_setflags(attributes,
					     POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF)));
	return r;
}

static enum err spawn(char *const argv[], char *const environment[], int out, pid_t *pid)
{
	posix_spawn_file_actions_t files;
	posix_spawnattr_t attributes;
	int r;

	posix_spawn_file_actions_init(&files);
	posix_spawnattr_init(&attributes);
	r = set_up(&files, &attributes, out);
	if (!r)
		r = posix_spawn(pid, argv[0], &files, &attributes, argv, environment);
	posix_spawnattr_destroy(&attributes);
	posix_spawn_file_actions_destroy(&files);
	return r ? failed(ERR_IO, "starting %s: %s", argv[0], strerror(r)) : OK;
}

/* Reads to the end, but no longer than the time allows. */
static enum err read_answer(int fd, struct buf *answer)
{
	uint64_t until = io_monotonic_ms() + PROBING_MS;
	uint8_t block[1024];

	for (;;) {
		struct pollfd p = { fd, POLLIN, 0 };
		uint64_t now = io_monotonic_ms();

		if (now >= until || poll(&p, 1, (int)(until - now)) == 0)
			return failed(ERR_TIMEOUT, "the token's probe did not answer in time");
		ssize_t n = read(fd, block, sizeof block);
		if (n == 0)
			return buf_check(answer);
		if (n < 0 && errno != EINTR)
			return failed(ERR_IO, "the token's probe: %m");
		if (n > 0)
			buf_put(answer, block, (size_t)n);
		if (answer->len > ANSWER_MAX)
			return failed(ERR_FORMAT, "the token's probe says too much");
	}
}

static enum err meaning(int status)
{
	for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
		if (WIFEXITED(status) && WEXITSTATUS(status) == ends[i].status)
			return ends[i].e ? failed(ends[i].e, "%s", ends[i].words) : OK;
	return failed(ERR_GONE, "the token can't be read (probe's status %#x)", (unsigned)status);
}

static enum err run(char *const argv[], char *const environment[], struct buf *answer)
{
	int ends_of_pipe[2], status = 0;
	pid_t pid = 0;

	if (pipe2(ends_of_pipe, O_CLOEXEC))
		return failed(ERR_IO, "pipe: %m");
	CLEANUP(fd) int in = ends_of_pipe[0];
	CLEANUP(fd) int out = ends_of_pipe[1];
	enum err e = spawn(argv, environment, out, &pid);
	if (e)
		return e;
	fd_cleanup(&out);
	if ((e = read_answer(in, answer)))
		kill(pid, SIGKILL);
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return failed(ERR_IO, "waiting for the token's probe: %m");
	return e ? e : meaning(status);
}

/* Asks the probe one question, with @more or NULL; @value is what it printed, decoded. */
static enum err probe(const struct config *config, const char *self, const char *serial,
		      const char *question, struct slice id, const char *more, uint8_t *value,
		      size_t value_n)
{
	CLEANUP(buf) struct buf answer = BUF_INIT;
	char program[PATH_MAX], hex[2 * ID_MAX + 1];
	char *environment[CONFIG_LIST_MAX + 1] = { NULL };
	enum err e;

	if (id.left == 0 || id.left > ID_MAX)
		return failed(ERR_FORMAT, "a CKA_ID of %zu bytes", id.left);
	if ((e = config_program(config, self, "assay-probe", program, sizeof program)))
		return e;
	hex_put(hex, id.p, id.left);
	memcpy(environment, config->hsm_environment.items,
	       config->hsm_environment.n * sizeof *environment);
	char *const argv[] = {
		program, config->hsm_module, (char *)serial, (char *)question, hex, (char *)more,
		NULL
	};
	if ((e = run(argv, environment, &answer)))
		return e;
	if (answer.len != 2 * value_n + 1 || answer.data[answer.len - 1] != '\n')
		return failed(ERR_MISMATCH, "the object on the token has another form");
	answer.data[answer.len - 1] = 0;
	return hex_take((const char *)answer.data, value, value_n);
}

enum err probing_trusted(const struct config *config, const char *self, const char *serial,
			 struct slice id, const uint8_t digest[32])
{
	uint8_t expected[ROLE_CERTIFICATE_SIZE], found[ROLE_CERTIFICATE_SIZE];
	enum err e = probe(config, self, serial, "certificate", id, NULL, found, sizeof found);

	if (e)
		return e;
	role_certificate(digest, expected);
	return memcmp(found, expected, sizeof found)
		       ? failed(ERR_MISMATCH, "the certificate object holds another challenge")
		       : OK;
}

enum err probing_role_key(const struct config *config, const char *self, const char *serial,
			  struct slice id, const uint8_t point[65])
{
	char hex[2 * 65 + 1];
	uint8_t found[65];

	hex_put(hex, point, 65);
	enum err e = probe(config, self, serial, "role-key", id, hex, found, sizeof found);
	if (e)
		return e;
	return memcmp(found, point, sizeof found)
		       ? failed(ERR_MISMATCH, "the role key on the token is another one")
		       : OK;
}

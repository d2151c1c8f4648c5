/* execute - one execution through assay.so, beside a bare posix_spawn of the same program.
 *
 *   execute ASSAY_MODULE TOKEN PIN APPLICATION_LABEL INPUT PROGRAM [ARGUMENT]
 *
 * The spawned program gets three pipes, the input, and is waited for: the least that anybody who
 * runs a filter has to do. Rounds alternate. Prints "nanoseconds-Assay nanoseconds-spawn rounds".
 */
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "testbed/bench/client.h"

#define ROUNDS 201

static void drain(int fd)
{
	static char block[1 << 16];

	while (read(fd, block, sizeof block) > 0)
		;
	close(fd);
}

/* The input fits into a pipe, so that nothing has to be polled. */
static void spawn_once(char **argv, const uint8_t *input, size_t n)
{
	const char *program = argv[0];
	char *envp[] = { NULL };
	int in[2], out[2], err[2], status;
	posix_spawn_file_actions_t actions;
	pid_t pid;

	if (pipe2(in, O_CLOEXEC) || pipe2(out, O_CLOEXEC) || pipe2(err, O_CLOEXEC))
		die("no pipe");
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, in[0], 0);
	posix_spawn_file_actions_adddup2(&actions, out[1], 1);
	posix_spawn_file_actions_adddup2(&actions, err[1], 2);
	if (posix_spawn(&pid, program, &actions, NULL, argv, envp))
		die("%s can't be started", program);
	posix_spawn_file_actions_destroy(&actions);
	close(in[0]);
	close(out[1]);
	close(err[1]);
	if (write(in[1], input, n) != (ssize_t)n)
		die("%s doesn't read", program);
	close(in[1]);
	drain(out[0]);
	drain(err[0]);
	if (waitpid(pid, &status, 0) != pid || status)
		die("%s failed", program);
}

static void execute_once(const struct client *c, CK_SESSION_HANDLE s, CK_OBJECT_HANDLE app,
			 uint8_t *input, size_t n)
{
	CK_MECHANISM execute = { .mechanism = MECHANISM_EXECUTE };
	CK_BYTE proof[512];
	CK_ULONG proof_n = sizeof proof;

	must(c->f->C_SignInit(s, &execute, app), "C_SignInit");
	must(c->f->C_Sign(s, input, n, proof, &proof_n), "C_Sign");
}

int main(int argc, char **argv)
{
	static double ours[ROUNDS], theirs[ROUNDS];
	struct client c;
	size_t n;

	if (argc < 7)
		die("usage: execute ASSAY_MODULE TOKEN PIN APPLICATION_LABEL INPUT PROGRAM "
		    "[ARGUMENT]");
	signal(SIGPIPE, SIG_IGN);
	uint8_t *input = slurp(argv[5], &n);
	if (n > 65536)
		die("%s: over 65536 bytes", argv[5]);
	client_open(&c, argv[1], argv[2]);
	CK_SESSION_HANDLE s = client_session(&c);
	client_login(&c, s, argv[3]);
	CK_OBJECT_HANDLE app = client_find(&c, s, CKO_PRIVATE_KEY, argv[4], NULL, 0);
	for (int i = 0; i < 10; i++)
		execute_once(&c, s, app, input, n);
	for (int i = 0; i < ROUNDS; i++) {
		uint64_t start = now_ns();
		execute_once(&c, s, app, input, n);
		uint64_t between = now_ns();
		spawn_once(argv + 6, input, n);
		theirs[i] = (double)(now_ns() - between);
		ours[i] = (double)(between - start);
	}
	printf("%.0f %.0f %d\n", median(ours, ROUNDS), median(theirs, ROUNDS), ROUNDS);
	must(c.f->C_Finalize(NULL), "C_Finalize");
	free(input);
	return 0;
}

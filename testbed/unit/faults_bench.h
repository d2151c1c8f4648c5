/* faults_bench.h - starts the launcher that can fail or leave out steps and calls on request. */
#ifndef TESTBED_UNIT_FAULTS_BENCH_H
#define TESTBED_UNIT_FAULTS_BENCH_H

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "testbed/unit/sandbox_common.h"

#define FAILING_LOG 900 /* testbed/escape/faults/failing.c */

struct faults {
	const char *fault, *without; /* steps, with spaces between */
	unsigned call;               /* number of the call that fails; 0: none */
	const char *allow_missing;
	int log; /* where its name is written */
};

static inline void faults_exec(const struct faults *f, int sock)
{
	char launcher[PATH_MAX + 32], init[PATH_MAX + 32], call[64];
	char *argv[] = { launcher,
			 "--init",
			 init,
			 "--uid-base",
			 "2100000000",
			 "--name",
			 bench_name,
			 "--fault",
			 (char *)(f->fault ? f->fault : ""),
			 "--without",
			 (char *)(f->without ? f->without : ""),
			 "--fd",
			 "3",
			 "--allow-missing",
			 (char *)f->allow_missing,
			 NULL };
	char *env[] = { call, NULL };
	struct rlimit files = { 1024, 1024 };

	snprintf(launcher, sizeof launcher, "%s/faults/assay-launcher", bench_build);
	snprintf(init, sizeof init, "%s/faults/assay-init", bench_build);
	snprintf(call, sizeof call, "ASSAY_FAIL_CALL=%u", f->call);
	/* Its end of the socket has another number than the one that it moves to. */
	int high = fcntl(sock, F_DUPFD, 10);
	if (high < 0 || dup2(high, 3) < 0 || setrlimit(RLIMIT_NOFILE, &files) ||
	    (f->call && (dup2(f->log, FAILING_LOG) < 0 || dup2(f->log, 2) < 0)))
		_exit(126);
	for (int fd = 4; fd < 64; fd++)
		close(fd);
	execve(launcher, argv, env);
	_exit(127);
}

static inline pid_t faults_launch(const struct faults *faults, int *sock)
{
	struct faults f = *faults;
	int pair[2];

	if (!f.allow_missing)
		f.allow_missing = geteuid() ? "memory pids cpu" : "";
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	pid_t pid = fork();
	if (pid == 0)
		faults_exec(&f, pair[1]);
	close(pair[1]);
	*sock = pair[0];
	return pid;
}

/* The launcher has ended by itself, and with it all that it had. */
static inline void faults_ended(pid_t pid)
{
	int status;

	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_msg(WIFEXITED(status), "status %x", status);
	ck_assert(!bench_left_behind());
}

#endif

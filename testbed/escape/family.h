/* family.h - a family of attempts to get out of a cell, as one table, run in four places.
 *
 *   cell     the product: what the first layer answers
 *   second   a cell without seccomp (a launcher of the tests): what then refuses
 *   third    a cell without seccomp and Landlock
 *   outside  root, unconfined, in throw-away namespaces: must succeed, or the attempt shows nothing
 *
 * Each attempt is a process of its own, so that one that is killed is seen. It returns 0 when it got
 * what it wanted, or the error. What differs from the table is printed and makes the program fail.
 */
#ifndef TESTBED_ESCAPE_FAMILY_H
#define TESTBED_ESCAPE_FAMILY_H

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* What an attempt may come to, beside one error. */
enum {
	PASSES = 0,       /* it succeeds; in a cell: only seccomp stands there, or it is harmless */
	KILLED = 256,     /* by SIGSYS */
	OVER_SIZE = 4096, /* by SIGXFSZ: no file may grow */
	REFUSED = 512,    /* any error */
	IF_THERE = 1024,  /* outside: it succeeds, or the machine lacks it, which is said */
	NOT_TRIED = 2048, /* there */
	MAY_PASS = 1 << 16, /* or'd to an error: under an ordinary user's launcher it is no wall */
};
#define OR(a, b) ((a) | (b) << 24) /* one of two errors */

struct attempt {
	const char *name;
	int (*make)(void);
	int cell, second, outside;
};

/* The error of a call, 0 when it went through. */
#define TRY(call) ((long)(call) == -1 ? errno : 0)

static inline int attempt_child(int (*make)(void))
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		alarm(10);
		_exit(make());
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return errno;
	return WIFEXITED(status) ? WEXITSTATUS(status) : KILLED | WTERMSIG(status) << 24;
}

static inline bool attempt_lacking(int got)
{
	return got == ENOSYS || got == EAFNOSUPPORT || got == EOPNOTSUPP || got == ENODEV ||
	       got == EPROTONOSUPPORT || got == ESOCKTNOSUPPORT || got == EINVAL || got == ENOENT ||
	       got == ENOPKG || got == EPERM /* of root: a capability */;
}

static inline bool attempt_as(int got, int wanted)
{
	if (wanted == KILLED)
		return got == (KILLED | SIGSYS << 24);
	if (got == 0)
		return wanted == PASSES || wanted & (MAY_PASS | IF_THERE);
	if (wanted == OVER_SIZE)
		return got == (KILLED | SIGXFSZ << 24);
	if (wanted & REFUSED)
		return got < 256;
	if (wanted == IF_THERE)
		return attempt_lacking(got);
	return got == (wanted & 0xff) || got == (wanted >> 24 & 0xff);
}

static inline int family(int argc, char **argv, const struct attempt *list, size_t n)
{
	const char *place = argc > 1 ? argv[1] : "";
	const bool cell = strcmp(place, "cell") == 0, outside = strcmp(place, "outside") == 0;
	int wrong = 0;

	for (size_t i = 0; i < n; i++) {
		int wanted = cell ? list[i].cell : outside ? list[i].outside : list[i].second;

		if (wanted == NOT_TRIED)
			continue;
		int got = attempt_child(list[i].make);
		bool as = attempt_as(got, wanted);
		wrong += !as;
		if (!as || (outside && got))
			printf("%s%s: %s\n", as ? "this machine lacks " : "", list[i].name,
			       got & KILLED ? strsignal(got >> 24)
			       : got        ? strerror(got)
					    : "got through");
	}
	return wrong > 0;
}

#define FAMILY(list)                                                            \
	int main(int argc, char **argv)                                         \
	{                                                                       \
		return family(argc, argv, list, sizeof(list) / sizeof *(list)); \
	}
#endif

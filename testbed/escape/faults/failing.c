/* Part of the launcher and init of a test: the call with the number in ASSAY_FAIL_CALL fails with
 * EIO, once; its name is written to descriptor FAILING_LOG. The count goes on from the launcher to
 * the first process of a cell, and to init. Linked with --wrap for each call of failing.def. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>

#define FAILING_LOG 900 /* lies over all descriptors that launcher and init know */

/* Enough for every call here, and all in registers: integers and pointers. */
#define PARAMETERS long a, long b, long c, long d, long e, long f
#define ARGUMENTS a, b, c, d, e, f

static long left; /* calls until the one that fails; 0: none will */

static void __attribute__((constructor)) start(void)
{
	const char *text = getenv("ASSAY_FAIL_CALL");

	left = text ? atol(text) : 0;
}

#define CALL(name, answer) long __real_##name(PARAMETERS);
#include "testbed/escape/faults/failing.def"
#undef CALL

static int fails(const char *name, long number)
{
	char line[64];

	if (left == 0 || --left > 0)
		return 0;
	int n = snprintf(line, sizeof line, "%s %ld\n", name, number);
	__real_syscall(SYS_write, FAILING_LOG, (long)line, n, 0, 0);
	errno = EIO;
	return 1;
}

/* Two calls would lose what this needs in init: descriptor and number. */
static long carry_over(PARAMETERS)
{
	static char number[48];
	static char *env[] = { number, NULL };

	if (a == SYS_close_range && b > 3) {
		__real_syscall(a, b, FAILING_LOG - 1, d, 0, 0);
		return __real_syscall(a, FAILING_LOG + 1, c, d, 0, 0);
	}
	snprintf(number, sizeof number, "ASSAY_FAIL_CALL=%ld", left);
	if (a == SYS_execveat)
		e = (long)env;
	return __real_syscall(ARGUMENTS);
}

static long pass_on(long (*real)(PARAMETERS), PARAMETERS)
{
	return real == __real_syscall ? carry_over(ARGUMENTS) : real(ARGUMENTS);
}

#define CALL(name, answer)                                                             \
	long __wrap_##name(PARAMETERS);                                                \
	long __wrap_##name(PARAMETERS)                                                 \
	{                                                                              \
		return fails(#name, a) ? (answer) : pass_on(__real_##name, ARGUMENTS); \
	}
#include "testbed/escape/faults/failing.def"

/* attempt.h - programs that try what a cell forbids. Each attempt that gets through, or fails for
 * another reason than the expected one, prints a line; main returns how many did.
 */
#ifndef TESTBED_ESCAPE_ATTEMPT_H
#define TESTBED_ESCAPE_ATTEMPT_H

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static int attempts_through;

static inline void attempt(const char *what, long result, int error, int expected, int or_else)
{
	if (result == -1 && (error == expected || error == or_else))
		return;
	attempts_through++;
	printf("%s: %ld, %s\n", what, result, result == -1 ? strerror(error) : "got through");
}

/* The call must fail with EPERM, as the filter answers. */
#define DENIED(call)                                          \
	do {                                                  \
		errno = 0;                                    \
		long result_ = (long)(call);                  \
		attempt(#call, result_, errno, EPERM, EPERM); \
	} while (0)
/* The call must fail with one of these. */
#define FAILS(call, error, other)                             \
	do {                                                  \
		errno = 0;                                    \
		long result_ = (long)(call);                  \
		attempt(#call, result_, errno, error, other); \
	} while (0)
#define HOLDS(condition)                                    \
	do {                                                \
		if (!(condition)) {                         \
			attempts_through++;                 \
			printf("not so: %s\n", #condition); \
		}                                           \
	} while (0)

#endif

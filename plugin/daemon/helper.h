/* helper.h - runs one of the daemon's helper programs: what the daemon does not want in its own
 * address space, such as an HSM's module for another token, or HTTP. Any thread; blocks it.
 */
#ifndef PLUGIN_DAEMON_HELPER_H
#define PLUGIN_DAEMON_HELPER_H

#include "config/base/bytes.h"

struct helper {
	char *const *argv; /* argv[0]: the program's absolute path */
	char *const *environment;
	struct slice in; /* its standard input */
	size_t answer_max;
	uint64_t within_ms; /* it is killed when it takes longer */
	const char *name;   /* in reasons: "the token's probe" */
};

/* Appends what the program wrote to its standard output; stderr is the daemon's. @status: as waitpid
 * gives it. ERR_TIMEOUT, ERR_FORMAT (too much was written) or ERR_IO: the program was killed, or
 * never ran. */
MUST enum err helper_run(const struct helper *helper, struct buf *answer, int *status);

#endif

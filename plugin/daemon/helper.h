/* helper.h - runs one of the daemon's helper programs: what the daemon does not want in its own
 * address space, such as an HSM's module for another token, or HTTP. Any thread; blocks it, but never
 * for longer than the helper's time and END_MS more, whatever the helper does.
 */
#ifndef PLUGIN_DAEMON_HELPER_H
#define PLUGIN_DAEMON_HELPER_H

#include "config/base/bytes.h"

#define HELPER_END_MS 1000 /* for the kernel to end one that was killed */
#define HELPERS_STUCK_MAX 16

struct helper {
	char *const *argv; /* argv[0]: the program's absolute path */
	char *const *environment;
	struct slice in; /* its standard input */
	size_t answer_max;
	uint64_t within_ms; /* it is killed when it takes longer */
	const char *name;   /* in reasons: "the token's probe" */
};

/* Appends what the program wrote to its standard output. What it wrote to stderr goes to the daemon's
 * log, the first 2 KiB of it, line by line, with all but plain ASCII replaced: it may be a stranger's
 * words. @status: as waitpid gives it. ERR_TIMEOUT, ERR_FORMAT (too much was written) or ERR_IO: the
 * program was killed, or never ran. One that the kernel does not end is left, and no more are started
 * than HELPERS_STUCK_MAX such: then ERR_LIMIT. */
MUST enum err helper_run(const struct helper *helper, struct buf *answer, int *status);

#endif

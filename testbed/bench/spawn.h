/* spawn.h - the least that anybody has to do who runs a filter: a process with three pipes. */
#ifndef TESTBED_BENCH_SPAWN_H
#define TESTBED_BENCH_SPAWN_H

#include <sys/types.h>

#include "config/base/bytes.h"

#define SPAWN_INPUT_MAX 65536 /* what a pipe takes, so that nothing has to be polled */

struct spawned {
	pid_t pid;
	int in, out, err;
};

/* NULL, or the reason; it stays until this thread's next call. */
const char *spawn_start(const char *const *argv, const char *const *env, struct spawned *s);
/* Feeds, reads and waits; the output must be the input. */
const char *spawn_finish(struct spawned *s, struct slice input);
const char *spawn_run(const char *const *argv, const char *const *env, struct slice input);

#endif

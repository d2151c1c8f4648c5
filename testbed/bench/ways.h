/* ways.h - the ways to run one of the sandbox benchmark's programs, each of which copies its stdin to
 * its stdout: bare, in our cells, and under other sandboxes.
 *
 * The work directory (made by the script sandbox) holds for each program PROGRAM/root/echo with all
 * that it needs, and PROGRAM/crun and PROGRAM/runc, bundles of that root. Whatever fails ends the
 * benchmark; a way that this machine can't go is asked about first.
 */
#ifndef TESTBED_BENCH_WAYS_H
#define TESTBED_BENCH_WAYS_H

#include <stdbool.h>

#include "sandbox/sandbox.h"

enum program {
#define PROGRAM(id, name, what) PROGRAM_##id,
#define WAY(id, name, what, runs, every, ...)
#include "testbed/bench/ways.def"
#undef PROGRAM
	PROGRAMS
};

enum way {
#define PROGRAM(id, name, what)
#undef WAY
#define WAY(id, name, what, runs, every, ...) WAY_##id,
#include "testbed/bench/ways.def"
#undef PROGRAM
#undef WAY
	WAYS
};

extern const char *const program_name[PROGRAMS];

extern const struct way_kind {
	const char *name, *what;
	unsigned runs, every; /* runs in a round; takes part in one round of so many */
	const char *const *argv;
} way_kind[WAYS];

/* Starts the sandboxes with all programs as images. @programs: directory of launcher and init. */
void ways_open(const char *programs, const char *work);
void ways_close(void);
/* NULL when the way can be gone, or why it can't. Tries it once. */
const char *way_lacks(enum program program, enum way way);
/* To be called before runs of another program. */
void ways_enter(enum program program);
/* One run, with the output compared; says whether the program had been parked. WAY_SPAWN and our own
 * may be called from several threads. */
bool way_run(enum program program, enum way way);
/* Programs are started ahead from the first to the second, since that takes time from other ways. */
void ways_park(enum program program);
void ways_unpark(void);

/* A sandbox with one image of this program. */
struct sandbox *ways_sandbox(const char *name, uint32_t cells);
struct sandbox_image *ways_image(struct sandbox *box, enum program program, enum park park,
				 struct limits *limits);
struct slice ways_input(void);

#endif

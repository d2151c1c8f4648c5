/* run.h - the exchange of one run with a cell's init: three pipes and a report.
 *
 * Memory is bounded whatever the sizes: input goes from the caller's memory into a pipe as that
 * empties, output is kept up to the limit. Neither waits for the other, so it does not matter
 * whether the program reads or writes first. An exchange belongs to one thread.
 */
#ifndef SANDBOX_RUN_H
#define SANDBOX_RUN_H

#include "sandbox/init/init.h"
#include "sandbox/sandbox.h"
#include "sandbox/usage.h"

enum exchange_end {
	EXCHANGE_REPORTED, /* init's report is there and all output was read */
	EXCHANGE_TIMEOUT, /* this and the next three: the cell must be ended, then exchange_finish */
	EXCHANGE_CPU,
	EXCHANGE_OUTPUT,
	EXCHANGE_CANCELLED,
	EXCHANGE_LOST /* init is gone, or input could not be passed on */
};

/* Our ends of the pipes; -1 once closed. */
struct exchange_ends {
	int in, out, messages;
	int reader; /* the program's end of @in, while that waits for its input; else -1 */
};

/* Three fresh pipes for one run, best made before it comes. All zero: none. */
struct exchange_pipes {
	bool made;
	struct exchange_ends ends;
	int theirs[3];
};

struct exchange {
	int control;
	struct exchange_pipes *next; /* for the next run: made while the program of this one runs */
	const struct usage *usage;
	unsigned processors;    /* of the machine */
	uint64_t cpu_before_us; /* used in the cell before this exchange */
	uint64_t look_ms;       /* the CPU limit can't be reached before */
	struct exchange_ends ends;
	struct slice input; /* what was not yet passed on */
	const struct limits *limits;
	const struct sandbox_watch *watch; /* or NULL */
	struct run *run; /* output, messages and end are filled; code too for EXCHANGE_OUTPUT */
	struct init_report report;
	enum exchange_end end;
};

/* Does nothing when they are there already. */
MUST enum err exchange_prepare(struct exchange_pipes *pipes);
void exchange_discard(struct exchange_pipes *pipes);
/* Starts the program on @pipes, which are used up, with as much of @input in its pipe as fits there,
 * and takes that off; NULL: the input comes later. Anything but OK: nothing runs, no end is open. */
MUST enum err exchange_start(int control, const struct init_run *wanted, struct slice *input,
			     struct exchange_pipes *pipes, struct exchange_ends *ends);
/* A program that waits has neither written nor ended. Whether it really reads its input already need
 * not be known: to the program, input that comes early and input that comes late are the same. */
bool exchange_waits(int control, const struct exchange_ends *ends);
/* Passes input and output until the program ends, one way or the other; the time runs from here. */
void exchange_pass(struct exchange *x);
/* After the cell's end: what was still in the pipes. Closes them. */
void exchange_finish(struct exchange *x);
void exchange_close(struct exchange_ends *ends);

#endif

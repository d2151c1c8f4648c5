/* run.h - the exchange of one run with a cell's init: three pipes and a report. */
#ifndef SANDBOX_RUN_H
#define SANDBOX_RUN_H

#include "sandbox/init/init.h"
#include "sandbox/sandbox.h"

enum exchange_end {
	EXCHANGE_REPORTED, /* init's report is there and all output was read */
	EXCHANGE_TIMEOUT,  /* this and the next two: the cell must be ended, then exchange_drain */
	EXCHANGE_OUTPUT,
	EXCHANGE_CANCELLED,
	EXCHANGE_LOST /* init is gone */
};

struct exchange {
	int control;
	struct slice input;
	const struct limits *limits;
	const struct sandbox_watch *watch; /* or NULL */
	struct run *run; /* output, messages and times are filled; code too for EXCHANGE_OUTPUT */
	int in, out, messages; /* our ends of the pipes; -1 once closed */
	struct init_report report;
	enum exchange_end end;
};

/* Starts the program and passes input and output until it ends, one way or the other. Anything but
 * OK: nothing ran. */
MUST enum err exchange_run(struct exchange *x, const struct init_run *wanted);
/* After the cell's end: what was still in the pipes. Closes them. */
void exchange_finish(struct exchange *x);

#endif

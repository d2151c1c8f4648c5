/* load.h - many runs: how many a second, at what processor time, and what idle cells hold. */
#ifndef TESTBED_BENCH_LOAD_H
#define TESTBED_BENCH_LOAD_H

#include "testbed/bench/ways.h"

struct load {
	double rate;          /* runs a second: median of the rounds */
	double cpu_ns;        /* of a run: this process, launcher, init and program */
	double median, tenth; /* nanoseconds of a run, with so many at once */
	unsigned long runs, parked;
};

/* By turns, from so many threads. Each starts its next run when the last one ended, or, with a pace, a
 * fixed time after it began: so many times what the other way takes. */
void load_compare(enum program program, unsigned threads, unsigned pace, enum way way,
		  struct load *load, enum way other_way, struct load *other);

/* Bytes of each idle cell: init's own share of memory, and what the kernel holds for the cell. The
 * launcher's memory and the image, which all cells share, are not in it. */
struct memory {
	double user, kernel;
	unsigned cells;
};

void memory_measure(struct memory *memory);

#endif

/* load.h - many runs: how many a second, at what processor time, and what idle cells hold. */
#ifndef TESTBED_BENCH_LOAD_H
#define TESTBED_BENCH_LOAD_H

#include "testbed/bench/ways.h"

struct load {
	double rate;   /* runs a second: median of the rounds */
	double cpu_ns; /* of a run: this process, launcher, init and program */
	unsigned long runs;
};

/* By turns from so many threads, each of which starts its next run when the last one ended. */
void load_compare(enum program program, unsigned threads, enum way way, struct load *load,
		  enum way other_way, struct load *other);

/* Bytes that the machine has less for each idle cell, and for each bare process that waits for its
 * input: medians of so many rounds. */
unsigned memory_compare(double *cell, double *process);

#endif

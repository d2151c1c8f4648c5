/* costs.h - what runs cost besides time: processor time and memory, of this process and its launchers.
 */
#ifndef TESTBED_BENCH_COSTS_H
#define TESTBED_BENCH_COSTS_H

/* Microseconds so far, of this process, of children that ended, of launchers and all in their cells;
 * what still runs counts in steps of 10 ms. */
double costs_cpu_us(void);
/* Bytes of memory of all inits, and how many there are; of shared pages, each one's part. */
double costs_inits(double *n);
/* Bytes of kernel memory that the cells of the sandbox with this name are charged; 0: unknown. */
double costs_group(const char *name);

#endif

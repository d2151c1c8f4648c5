/* usage.h - what runs cost besides time: processor time and memory, of this process and its launchers.
 */
#ifndef TESTBED_BENCH_USAGE_H
#define TESTBED_BENCH_USAGE_H

/* Microseconds so far, of this process, of children that ended, of launchers and all in their cells;
 * what still runs counts in steps of 10 ms. */
double usage_cpu_us(void);
/* Bytes that the machine could still hand out. */
double usage_available(void);

#endif

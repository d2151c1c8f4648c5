/* measure.h - what every benchmark needs: a clock, medians, an end with a reason. */
#ifndef TESTBED_BENCH_MEASURE_H
#define TESTBED_BENCH_MEASURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

_Noreturn void die(const char *format, ...) __attribute__((format(printf, 1, 2)));
uint64_t now_ns(void);
uint64_t cpu_ns(void); /* of this thread */
/* Of @n values, at least one: the middle, and the least but a tenth of them. Both sort @v. */
double median(double *v, size_t n);
double tenth(double *v, size_t n);
/* Reads a whole file. */
uint8_t *slurp(const char *path, size_t *n);

#endif

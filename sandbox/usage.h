/* usage.h - what a cell has used, and was refused, as its cgroups count it.
 *
 * The launcher opens the files and hands them over with the cell; where the machine does not count,
 * it hands over an empty one, and everything is 0. Each read costs about a microsecond.
 */
#ifndef SANDBOX_USAGE_H
#define SANDBOX_USAGE_H

#include "config/base/bytes.h"

enum usage_file { USAGE_MEMORY, USAGE_PROCESSES, USAGE_CPU, USAGE_FILES };

struct usage {
	int files[USAGE_FILES];
};

/* The kernel killed something for memory, ever in this cell. */
bool usage_out_of_memory(const struct usage *usage);
/* Processes and threads that were refused, ever in this cell. */
uint64_t usage_refused(const struct usage *usage);
/* Of all processes, ever in this cell, init's few microseconds too. */
uint64_t usage_cpu_us(const struct usage *usage);
void usage_close(struct usage *usage);

#endif

/* progress.h - how far a long check is, on a terminal's stderr; elsewhere nothing is printed. One
 * thread at a time.
 */
#ifndef PLUGIN_CLI_PROGRESS_H
#define PLUGIN_CLI_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

struct progress {
	bool on;
	const char *what;     /* "records" */
	uint64_t start, last; /* milliseconds */
};

void progress_start(struct progress *progress, const char *what);
/* @total 0: not known. Prints at most ten times a second. */
void progress_show(struct progress *progress, uint64_t done, uint64_t total);
void progress_end(struct progress *progress); /* leaves an empty line */

#endif

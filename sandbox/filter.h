/* filter.h - the seccomp filter of a cell, made from syscalls.def: everything else is denied.
 *
 * Pure; the same bytes on every machine of one architecture, so that the profile's measurement is
 * the same off the device as on it. Wrong architecture and x32 kill the process.
 */
#ifndef SANDBOX_FILTER_H
#define SANDBOX_FILTER_H

#include <linux/filter.h>

#include "sandbox/package.h"

#define FILTER_MAX 1024 /* instructions */
/* Init keeps its descriptors from here on, over every application's limit of open files, which no
 * application can raise; what init alone needs is allowed on these only. */
#define INIT_FD_FIRST 600

struct filter {
	struct sock_filter code[FILTER_MAX];
	unsigned short n;
};

/* Of an application: its manifest says whether it is dynamic, and whether it has scratch space. */
MUST enum err filter_build(const struct manifest *manifest, struct filter *out);
/* Of the launcher itself, and so of all its children, on top of which a cell's is laid: the calls
 * of all cells and its own, without conditions. Not measured in the profile. */
MUST enum err filter_build_launcher(struct filter *out);
struct slice filter_bytes(const struct filter *filter);
/* The table of sandbox/README.md: one line per call, with its condition and reason. */
void filter_describe(struct buf *out);

#endif

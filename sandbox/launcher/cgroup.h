/* cgroup.h - memory, process and CPU limits of cells, under version 1, 2 or a mixture.
 *
 * All groups lie below one parent per hierarchy, "assay-NAME", locked by its launcher and swept
 * when it starts.
 */
#ifndef SANDBOX_LAUNCHER_CGROUP_H
#define SANDBOX_LAUNCHER_CGROUP_H

#include <sys/types.h>

#include "sandbox/usage.h"

/* The last is version 1's alone, and goes with CPU, which counts in version 2. */
enum controller { CGROUP_MEMORY, CGROUP_PIDS, CGROUP_CPU, CGROUP_CPUACCT, CONTROLLERS };
#define CONTROLLERS_ASKED CGROUP_CPUACCT /* those that a machine may lack by a name of their own */

struct cgroups {
	struct {
		int version;          /* 1 or 2 */
		unsigned controllers; /* bits of enum controller that are taken from here */
		int top, parent;      /* directories */
	} at[CONTROLLERS];
	size_t n; /* hierarchies */
	char parent[96];
};

struct cgroup_cell {
	int dir[CONTROLLERS]; /* one per hierarchy; -1: none */
	char name[16];
};

extern const char *const controller_names[CONTROLLERS];

/* Finds the hierarchies and makes the parents, for up to 64 cells; what is missing is simply not there.
 * ERR_EXISTS: another launcher of that name runs. */
MUST enum err cgroups_open(const char *name, uint32_t cells, struct cgroups *out);
bool cgroups_have(const struct cgroups *groups, enum controller controller);
/* As if the machine did not have it. */
void cgroups_forget(struct cgroups *groups, enum controller controller);
void cgroups_close(struct cgroups *groups); /* removes the parents */

MUST enum err cgroup_make(const struct cgroups *groups, uint32_t number, uint64_t memory,
			  uint32_t processes, struct cgroup_cell *out);
/* The calling process joins the groups of version 1 by itself: moving another one takes milliseconds,
 * in which no process of the machine can fork. */
MUST enum err cgroup_join(const struct cgroups *groups, const struct cgroup_cell *cell);
/* The directory of the group that a process is to be made in; -1: none. */
int cgroup_v2(const struct cgroups *groups, const struct cgroup_cell *cell);
/* The files that usage.h reads; an empty one where nothing counts. */
MUST enum err cgroup_open_usage(const struct cgroups *groups, const struct cgroup_cell *cell,
				int files[USAGE_FILES]);
/* All its processes are dead. False: the kernel has not done with them; again a little later. */
bool cgroup_remove(const struct cgroups *groups, struct cgroup_cell *cell);

#endif

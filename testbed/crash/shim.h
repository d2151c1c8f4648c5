/* shim.h - stands between the log and the system (linker option --wrap, crash.mk): calls that change
 * what is below one watched directory are recorded in order and with their data, can be made to
 * fail, and can be made the last ones of the process. All other files are left alone. Any thread.
 */
#ifndef TESTBED_CRASH_SHIM_H
#define TESTBED_CRASH_SHIM_H

#include "testbed/crash/disk.h"

enum shim_call {
	SHIM_OPEN, /* one that makes a file */
	SHIM_WRITE,
	SHIM_TRUNCATE,
	SHIM_FDATASYNC,
	SHIM_FSYNC,
	SHIM_RENAME,
	SHIM_LINK,
	SHIM_UNLINK,
	SHIM_MKDIR,
	SHIM_CALLS
};
#define SHIM_BIT(call) (1u << (call))
#define SHIM_ALL (SHIM_BIT(SHIM_CALLS) - 1)

struct shim_plan {
	unsigned calls; /* bits: the plan is about these */
	unsigned after; /* so many of them are left alone first */
	unsigned times; /* so many are struck; 0: all from there on */
	int error;      /* what they fail with; 0: they don't */
	/* The first one, a write, writes a part, and only then comes the error; all of them, where
	 * there is no error. */
	bool half;
	bool last; /* kill -9 right after the call */
	/* Of writes only those of so many bytes count; @most 0: however many. */
	size_t least, most;
};

/* Watches from here on; forgets what was planned, counted and recorded before. */
void shim_watch(const char *path);
void shim_unwatch(void);
void shim_plan(const struct shim_plan *plan); /* NULL: nothing is struck any more */
unsigned shim_seen(void);                     /* calls that the plan was about, since it was set */
/* Operations recorded so far: what was done after this comes later in the history. */
size_t shim_now(void);
/* The history, and the end of watching. */
void shim_take(struct history *out);

/* Watched or not, a sync does nothing and succeeds: of the real disk, for speed. The history has it
 * all the same. */
void shim_spare_syncs(bool spare);
/* fdatasync, or fsync, does nothing, and no history has it: a log that trusts it loses records. */
void shim_ignore(unsigned calls);
/* The clock (CLOCK_REALTIME) is off by so many seconds. */
void shim_clock(int64_t seconds);

#endif

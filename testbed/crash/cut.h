/* cut.h - what a disk may hold after the power went in the middle of a history.
 *
 * Sure is what a sync covered that had returned: of a file its bytes and size, of a directory its
 * names. (That a file's sync keeps its name too, or that names become durable in their order, is
 * not counted on: some file systems do, others don't.) All else consists of atoms, each of which
 * may be there or not: one sector of a write, the new length that a write gave a file, one change
 * of a name.
 */
#ifndef TESTBED_CRASH_CUT_H
#define TESTBED_CRASH_CUT_H

#include "testbed/crash/disk.h"

struct atom {
	size_t op;
	size_t from, n; /* of a write: which of its bytes; n is 0 for everything else */
};

struct cut {
	const struct history *history;
	size_t at; /* operations that were begun */
	bool *sure;
	struct atom *atoms; /* those that make a difference, in order */
	size_t n;
};

#define CUT_NO_TEAR SIZE_MAX

void cut_make(struct cut *cut, const struct history *history, size_t at, size_t sector);
/* The disk where the atoms with @keep are there; of atom @tear (CUT_NO_TEAR: none) only the first
 * @bytes, as if the sector had been torn. To be freed. */
void cut_state(const struct cut *cut, const bool *keep, size_t tear, size_t bytes,
	       struct disk *out);
/* The disk as a reader saw it before the power went. */
void cut_seen(const struct history *history, size_t at, struct disk *out);
void cut_free(struct cut *cut);

#endif

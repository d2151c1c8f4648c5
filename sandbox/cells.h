/* cells.h - the table of a sandbox's cells: which one fits, which one goes, and how one is made.
 *
 * The pool's own. The caller holds box->lock in each of these.
 */
#ifndef SANDBOX_CELLS_H
#define SANDBOX_CELLS_H

#include "sandbox/pool.h"

/* Something changed that somebody may wait for. */
void cells_changed(struct sandbox *box);
/* Whether one more run of this group may have a cell: queue.h. */
bool cells_may(const void *box, const void *group);
/* An idle cell that fits, one where a program waits first; else a place for a new one, which may cost
 * the cell that was idle longest. NULL also while the keeper is just making one that will fit. */
struct cell *cells_find(struct sandbox *box, const struct sandbox_image *image,
			const struct limits *limits, const struct init_run *wanted);
/* Lets go of the lock while the launcher builds it. The cell is busy afterwards, and @held or not, or
 * its place is free again. */
MUST enum err cells_make(struct sandbox_image *image, uint64_t memory,
			 const struct init_run *wanted, bool held, struct cell *cell);
/* A busy cell becomes idle; those that were idle longest go where it is too much for the memory. */
void cells_idle(struct sandbox *box, struct cell *cell);
/* Kills what is in it. Once only, whoever comes first: its run, the drop of its image, the end. */
void cells_end(struct sandbox *box, struct cell *cell);
/* Ends it, and makes its place free. */
void cells_free(struct sandbox *box, struct cell *cell);
/* The same, and the keeper makes one like it. */
void cells_replace(struct sandbox *box, struct cell *cell);

#endif

/* partials.h - partial tiles of a tree that nobody needs any more, removed. One thread writes.
 *
 * Needed are those of the tree's checkpoints of before (history.h), also beside a full tile: a reader
 * that looked before there was one goes on to look for them.
 */
#ifndef AUDIT_PARTIALS_H
#define AUDIT_PARTIALS_H

#include "audit/history.h"
#include "audit/tile.h"

/* Those that the tree had when it had @size leaves, if it did not have them at a checkpoint or has them
 * @now. */
MUST enum err partials_drop(int folder, const struct history_list *history, uint64_t size,
			    uint64_t now);
/* Those that a full tile, which is durable, supersedes. */
MUST enum err partials_superseded(int folder, const struct history_list *history,
				  const struct tile *full);

#endif

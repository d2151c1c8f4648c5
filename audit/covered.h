/* covered.h - which checkpoint of a copy of a log its tiles lead to, when it was copied while the log went
 * on: its newest one may be of records whose tiles are not in the copy. Any thread.
 */
#ifndef AUDIT_COVERED_H
#define AUDIT_COVERED_H

#include "audit/published.h"

/* Does somebody have the log open? Held for a moment only; whoever opens the log then tries again. */
MUST enum err covered_live(int root, bool *live);
/* For each tree that was read, the largest of its checkpoints, also of those of before (history.h), whose
 * tiles are all there takes the place of @note; a larger one goes to @newest. Where there is none such,
 * or somebody has the log open, which is then no copy, all stays as it is. */
MUST enum err covered_choose(int root, int trees, struct published *list);
/* Has a log that nobody has open a checkpoint whose tiles are not all there, as a copy of a live one may
 * have? No, where that can't be told. The reason of an error of before is gone then. */
bool covered_lacking(const char *path);

#endif

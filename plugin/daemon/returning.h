/* returning.h - what an execution leaves to its caller: the set of its results, and the answer.
 *
 * Bytes are moved, not copied: from x->run and the proof into x->set, which the partition's results hold
 * once it is answered. Handlers' threads.
 */
#ifndef PLUGIN_DAEMON_RETURNING_H
#define PLUGIN_DAEMON_RETURNING_H

#include "plugin/daemon/execution.h"

/* Makes the set: proof and keys, and, unless the run was ended or is kept back, its output and stderr. */
MUST enum err returning_collect(const struct order *order, struct execution *x, struct buf *proof);
/* What is over the quota alone leaves its proof and keys at least: then ERR_LIMIT. */
MUST enum err returning_shrink(struct call *call, struct execution *x);
/* Labels the set, puts it among the partition's results, and writes the answer: of a run that failed
 * (x->end) the label alone. */
MUST enum err returning_answer(struct call *call, const struct order *order, struct execution *x);

#endif

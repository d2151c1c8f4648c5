/* recording.h - the record of an execution, and its proof. Handlers' threads.
 *
 * Until the record is durable, and then the proof of a request with an id (answering.h), nothing of the
 * run may leave this process. What the policy wants sealed is sealed before the record names it.
 */
#ifndef PLUGIN_DAEMON_RECORDING_H
#define PLUGIN_DAEMON_RECORDING_H

#include "plugin/daemon/execution.h"

/* Makes the commitment keys, writes the record of x->run, and appends the proof. x->withheld and
 * x->unsigned_compact say what failed beside it: then there is a record all the same. */
MUST enum err recording_write(struct call *call, const struct order *order, struct execution *x,
			      struct buf *proof);
/* After a launcher that was lost the run may or may not have happened: its record has no status, which
 * says so. Gives @e, whose reason err_reason() has, unless the record fails. */
MUST enum err recording_unknown(struct call *call, const struct order *order, struct execution *x,
				enum err e);

#endif

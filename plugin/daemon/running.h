/* running.h - the program of an execution: its image, and its run, for as long as it is wanted.
 *
 * What was granted before is looked at again while the run waits for a cell, when it has one, while it
 * goes on and after its end: partition, grant, application and policy must still stand. Handlers' threads.
 */
#ifndef PLUGIN_DAEMON_RUNNING_H
#define PLUGIN_DAEMON_RUNNING_H

#include "plugin/daemon/execution.h"

/* The application's image, which stays until app_done (x->unpacked). A partition with more than its share
 * gives up its own idle ones; where the launcher has no room, the one that anybody used longest ago goes.
 * ERR_IO: the package was changed or lost on disk, which is no fault of the caller's, nor of its input. */
MUST enum err running_unpack(struct call *call, struct execution *x, struct sandbox_image **image);

/* Runs it within the least of all limits, into x->run; x->cancelled says why it was ended, if it was.
 * After an error x->unwanted tells what was called off before anything ran. ERR_LIMIT: nothing ran either.
 * ERR_GONE and the like: nothing ran, or how it went can't be known. */
MUST enum err running_run(struct call *call, struct sandbox_image *image, const struct order *order,
			  struct execution *x);
/* The run's end as the caller's error, in words. */
MUST enum err running_end(const struct order *order, const struct execution *x);

#endif

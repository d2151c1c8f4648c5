/* step.h - what launcher and init of the tests do where the product just takes a step: they let it fail,
 * or leave it out, when told to. Included by the compiler ahead of everything else.
 */
#ifndef TESTBED_ESCAPE_FAULTS_STEP_H
#define TESTBED_ESCAPE_FAULTS_STEP_H

#include <stdbool.h>
#include <string.h>

#define step_taken(launcher, step) (!has_word((launcher)->without, step))
#define step_enter(launcher, step) \
	(has_word((launcher)->fault, step) ? failed(ERR_IO, "step %s: fault", step) : OK)

#define step_take(step)                                                       \
	(strcmp((step)->name, setup.head.fault) == 0      ? (errno = EIO, -1) \
	 : step_without(setup.head.without, (step)->name) ? 0                 \
							  : (step)->take())

static inline bool step_without(const char *list, const char *name)
{
	const char *at = strstr(list, name);

	return at && strchr(" ", at[strlen(name)]);
}

#endif

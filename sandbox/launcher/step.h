/* step.h - the steps of steps.def by name, so that a build for tests, in a place of its own, can let
 * one fail or leave some out. In the product both answers are constant.
 */
#ifndef SANDBOX_LAUNCHER_STEP_H
#define SANDBOX_LAUNCHER_STEP_H

#include "sandbox/launcher/launcher.h"

#ifdef ASSAY_FAULTS
static inline bool step_taken(const struct launcher *launcher, const char *step)
{
	return !has_word(launcher->without, step);
}

static inline enum err step_enter(const struct launcher *launcher, const char *step)
{
	return has_word(launcher->fault, step) ? failed(ERR_IO, "step %s: fault", step) : OK;
}
#else
static inline bool step_taken(const struct launcher *launcher, const char *step)
{
	(void)launcher, (void)step;
	return true;
}

static inline enum err step_enter(const struct launcher *launcher, const char *step)
{
	(void)launcher, (void)step;
	return OK;
}
#endif

#endif

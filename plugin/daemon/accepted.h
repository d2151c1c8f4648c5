/* accepted.h - the programs and libraries that an administrator accepted, by name and digest: a
 * record of the state directory, authenticated like the others (state.h).
 *
 * What is missing from a platform is no difference: a library that isn't mapped runs nothing.
 */
#ifndef PLUGIN_DAEMON_ACCEPTED_H
#define PLUGIN_DAEMON_ACCEPTED_H

#include "audit/leaf.h"
#include "plugin/daemon/state.h"

struct accepted {
	struct buf raw; /* what names point to */
	struct leaf_component list[LEAF_COMPONENTS_MAX];
	size_t n;
};

/* ERR_NOT_FOUND: nothing was accepted yet. */
MUST enum err accepted_read(const struct state *state, struct accepted *out);
/* Takes of a platform's parts those that are programs or libraries. */
MUST enum err accepted_write(const struct state *state, const struct leaf_component *parts,
			     size_t n);
/* Is this part a program that was accepted otherwise, or not at all? */
bool accepted_differs(const struct accepted *accepted, const struct leaf_component *part);
/* ERR_MISMATCH names the parts that differ. */
MUST enum err accepted_check(const struct accepted *accepted, const struct leaf_component *parts,
			     size_t n);
void accepted_cleanup(struct accepted *accepted);

#endif

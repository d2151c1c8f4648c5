/* accepted.h - the programs and libraries that an administrator accepted, by name and digest: a
 * record of the state directory, authenticated like the others (state.h). Lists are counted, and the
 * anchor on the token remembers the newest one (anchor.h): an older one is not put back unseen.
 *
 * What is missing from a platform is no difference: a library that isn't mapped runs nothing.
 */
#ifndef PLUGIN_DAEMON_ACCEPTED_H
#define PLUGIN_DAEMON_ACCEPTED_H

#include "audit/leaf.h"
#include "plugin/daemon/state.h"

/* Which list it is. */
struct accepted_mark {
	uint64_t number; /* from 1; 0: none, or one of before they were counted */
	uint8_t digest[SHA256_SIZE];
};

struct accepted {
	struct buf raw; /* what names point to */
	struct accepted_mark mark;
	struct leaf_component list[LEAF_COMPONENTS_MAX];
	size_t n;
};

/* ERR_NOT_FOUND: nothing was accepted yet. */
MUST enum err accepted_read(const struct state *state, struct accepted *out);
/* Takes of a platform's parts those that are programs or libraries; of @mark, the number. Gives the
 * digest. */
MUST enum err accepted_write(const struct state *state, const struct leaf_component *parts,
			     size_t n, struct accepted_mark *mark);
/* Is this part a program that was accepted otherwise, or not at all? */
bool accepted_differs(const struct accepted *accepted, const struct leaf_component *part);
/* ERR_MISMATCH names the parts that differ. */
MUST enum err accepted_check(const struct accepted *accepted, const struct leaf_component *parts,
			     size_t n);
/* Against the newest list that the token knows: ERR_STATE when this one is older, or another of the same
 * number. One that is ahead was written just before a crash. */
MUST enum err accepted_check_mark(const struct accepted_mark *mark,
				  const struct accepted_mark *newest);
void accepted_cleanup(struct accepted *accepted);

#endif

/* witnesses.h - has the log's checkpoints cosigned by the witnesses of the policy (audit.witnesses).
 *
 * A thread of its own goes round every audit.witness_seconds: of each tree that has grown it takes
 * the published checkpoint, asks every witness for it, all at a time, and adds what verifies to what
 * is published. A witness that can't be reached is asked again the next time. One that remembers
 * more of a tree than there is, or says that this is another history, is an alarm: a record in the
 * log, once, and an error for the operator.
 */
#ifndef PLUGIN_DAEMON_WITNESSES_H
#define PLUGIN_DAEMON_WITNESSES_H

#include "plugin/daemon/daemon.h"

struct witnesses;

/* Gives NULL when no policy is configured. The policy can't be read, or others may write it:
 * ERR_NOT_FOUND, ERR_DENIED, ERR_FORMAT. */
MUST enum err witnesses_start(struct daemon *daemon, struct witnesses **out);
/* Whether the policy's quorum needs anybody at all; false for NULL. */
bool witnesses_matter(const struct witnesses *witnesses);
/* How many records of a tree a quorum is known to have cosigned; 0 for NULL. Any thread. */
uint64_t witnesses_covered(struct witnesses *witnesses, const char *origin);
/* Waits at most so long until that is @size or more, while the witnesses are asked at once, whatever
 * audit.witness_seconds says. Any thread. */
bool witnesses_await(struct witnesses *witnesses, const char *origin, uint64_t size, uint64_t ms);
/* Waits for what is being asked, and ends the thread. NULL is allowed. */
void witnesses_stop(struct witnesses *witnesses);

#endif

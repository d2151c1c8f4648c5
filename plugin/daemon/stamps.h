/* stamps.h - time anchors: a third party's word on when a log was at least so far (time.tsa).
 *
 * A thread of its own goes round every time.tsa_seconds: for each tree that has grown it takes the
 * newest signed head, asks the authority for a time stamp (RFC 3161) over the head's signature (RFC
 * 9921), verifies it, publishes it (audit/stamped.c), and writes a record of it into the appliance's
 * tree. Nothing waits for that; an authority that can't be reached is asked again the next time.
 */
#ifndef PLUGIN_DAEMON_STAMPS_H
#define PLUGIN_DAEMON_STAMPS_H

#include "plugin/daemon/daemon.h"

struct stamps;

/* Gives NULL when no authority is configured. Its certificate is missing, or others may write it:
 * ERR_USAGE, ERR_NOT_FOUND, ERR_DENIED, ERR_FORMAT. */
MUST enum err stamps_start(struct daemon *daemon, struct stamps **out);
/* Waits for what is being asked, and ends the thread. NULL is allowed. */
void stamps_stop(struct stamps *stamps);

#endif

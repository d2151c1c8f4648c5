/* witness_post.h - one request to one witness, carried by the feeder (feeder/): the daemon itself
 * speaks no HTTP. Any thread; blocks it.
 */
#ifndef PLUGIN_DAEMON_WITNESS_POST_H
#define PLUGIN_DAEMON_WITNESS_POST_H

#include "config/config.h"

struct witness_reply {
	int status;      /* HTTP's */
	struct buf body; /* nothing of it has been judged */
};
void witness_reply_cleanup(struct witness_reply *reply);

/* POST <prefix>/add-checkpoint, for at most audit.witness_ms. ERR_GONE, ERR_TIMEOUT: no answer. */
MUST enum err witness_post(const struct config *config, const char *self, const char *prefix,
			   struct slice request, struct witness_reply *reply);

#endif

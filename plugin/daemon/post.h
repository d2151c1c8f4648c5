/* post.h - one HTTP request, carried by the feeder (feeder/): the daemon itself speaks no HTTP. Any
 * thread; blocks it.
 */
#ifndef PLUGIN_DAEMON_POST_H
#define PLUGIN_DAEMON_POST_H

#include "config/config.h"

struct post {
	const char *url; /* from a file of the configuration, never from what anybody sent */
	const char *type;
	struct slice body;
	const char *ca; /* certificates that TLS must lead to; "": those of the system */
	uint64_t ms;    /* to answer within */
	size_t answer_max;
};

struct post_reply {
	int status;      /* HTTP's */
	struct buf body; /* nothing of it has been judged */
};
void post_reply_cleanup(struct post_reply *reply);

/* ERR_GONE, ERR_TIMEOUT: no answer. */
MUST enum err post_run(const struct config *config, const char *self, const struct post *post,
		       struct post_reply *reply);

#endif

/* ask.h - how service.c and ask.c share one conversation with the daemon. */
#ifndef PLUGIN_ASK_H
#define PLUGIN_ASK_H

#include "plugin/service.h"

/* Proves the role of whoever is logged in, if need be, and sends @request; a request of which the
 * daemon says ERR_LOGIN is sent once more after another proof. Nobody logged in: it is sent as it
 * is, so that the refusal is recorded, and @role is 0. */
MUST enum err ask_as_role(struct session *session, const struct partition *p,
			  struct wire_message *request, struct wire_message *answer,
			  struct slice *in, enum wire_role *role);

/* The number of the link over which whoever is logged in has proved the role, and which stands; else 0. */
uint64_t ask_granted(struct session *session, const struct partition *p);

#endif

/* contact.h - the process's link to the daemon: found when needed, given up when it ends.
 *
 * Nobody waits for a daemon that is not there: it is looked for at most once a second, by one
 * thread, and calls that need it answer ERR_GONE meanwhile.
 */
#ifndef PLUGIN_CONTACT_H
#define PLUGIN_CONTACT_H

#include "plugin/link.h"

struct contact;

/* The link in use, to be put back; NULL when there is none. */
struct contact *contact_get(void);
void contact_put(struct contact *contact);
void contact_cleanup(struct contact **contact);
struct link *contact_link(const struct contact *contact);
/* Differs for every link that the process has had. */
uint64_t contact_number(const struct contact *contact);

/* Opens a link unless there is one. In development mode starts a daemon for a state directory that
 * was initialised. */
MUST enum err contact_open(void);
/* The daemon at the other end is gone, or can't be told: the link ends, and its grants with it. */
void contact_lost(struct contact *contact);
void contact_close(void);
void contact_forked(void);

/* As link_call, over the link in use; a broken one is given up. */
MUST enum err contact_call(struct wire_message *request, struct wire_message *answer,
			   struct slice *in);

#endif

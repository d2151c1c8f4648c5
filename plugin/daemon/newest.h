/* newest.h - the newest version of each application that a partition's generation loaded, also of those
 * that are loaded no more: a policy may refuse to go back behind it. A part of the registry's index.
 * No function here is for two threads on one object.
 */
#ifndef PLUGIN_DAEMON_NEWEST_H
#define PLUGIN_DAEMON_NEWEST_H

#include "config/base/bytes.h"

#define NEWEST_MAX 1024 /* applications that a generation ever loads */
#define APP_ID 65
#define APP_VERSION 33

struct newest {
	struct newest_version {
		char id[APP_ID], version[APP_VERSION];
	} * list;
	size_t n;
};

/* Of this application; "": none was loaded. */
const char *newest_of(const struct newest *newest, const char *id);
/* Makes @out of @from and one version more. ERR_LIMIT: too many applications. */
MUST enum err newest_with(const struct newest *from, const char *id, const char *version,
			  struct newest *out);
/* As CBOR; taken into an empty one. */
void newest_put(const struct newest *newest, struct buf *out);
MUST enum err newest_take(struct slice *in, struct newest *out);
void newest_free(struct newest *newest);
void newest_cleanup(struct newest *newest);

#endif

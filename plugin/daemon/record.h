/* record.h - the claims that every leaf has in common, filled in one place; and short records.
 *
 * Slices in a filled leaf point into daemon, partition and caller. Any thread; a record waits for
 * the disk, so no lock but daemon->managing may be held.
 */
#ifndef PLUGIN_DAEMON_RECORD_H
#define PLUGIN_DAEMON_RECORD_H

#include "plugin/daemon/daemon.h"

/* On whose behalf; NULL where the daemon acts by itself. */
struct record_caller {
	uid_t uid; /* of the peer */
	enum leaf_role role;
	enum leaf_roleproof proof;
	bool has_frontend;
	uint8_t frontend[SHA256_SIZE];
};

/* @partition NULL: the appliance. */
MUST enum err record_fill(struct daemon *daemon, const struct partition *partition,
			  const struct record_caller *caller, enum leaf_type type,
			  struct leaf *leaf);
/* The application's: subject, name, version, image (with who approved it, as authorities) and profile,
 * and the epoch. */
void record_fill_app(const struct app *app, uint64_t epoch, struct slice authorities,
		     struct leaf *leaf);
struct audit_tree *record_tree(struct daemon *daemon, const struct partition *partition);

/* One durable record of few claims; @subject may be empty; the words become claim -70019. */
MUST enum err record_write(struct daemon *daemon, const struct partition *partition,
			   const struct record_caller *caller, enum leaf_type type,
			   struct slice subject, const char *format, ...)
	__attribute__((format(printf, 6, 7)));

/* A record where the system clock is behind @newest, the newest time that was in the log when it was
 * opened; and, once a second, where it was set meanwhile. */
MUST enum err record_clock_behind(struct daemon *daemon, int64_t newest);
void record_clock(struct daemon *daemon);

/* Whether what is done for this peer can only count as development evidence. */
bool record_development(const struct daemon *daemon, const struct record_caller *caller);

#endif

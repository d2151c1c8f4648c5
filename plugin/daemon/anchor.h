/* anchor.h - what the daemon's token remembers of the state directory, so that log and records can't
 * be put back to an earlier day by themselves: size and root of every tree, generation, epoch, policy
 * and suspension of every partition, and which list of accepted programs is the newest.
 *
 * Everything in it only grows, so a state that is ahead of its anchor is right (the daemon was
 * killed), and one that is behind is refused. It is renewed when something changed, at most every
 * audit.anchor_seconds, when programs are accepted, and when the daemon ends: what was done since can
 * be cut off by whoever kills the daemon and can write the state directory. Who puts disk and token
 * back together is only noticed by somebody with a later checkpoint or proof.
 *
 * One thread: that of the start, then the server's; but for the list of programs and anchor_renew(),
 * which are for any thread.
 */
#ifndef PLUGIN_DAEMON_ANCHOR_H
#define PLUGIN_DAEMON_ANCHOR_H

#include "plugin/daemon/accepted.h"
#include "plugin/daemon/attest.h"
#include "plugin/daemon/partition.h"

struct anchored_partition {
	char serial[WIRE_SERIAL_MAX + 1];
	uint64_t generation, epoch;
	bool active;
	uint64_t policy; /* number of its last change */
};

struct anchor {
	struct attest *attest;
	/* As read at the start: */
	struct audit_head *heads; /* for audit_options */
	size_t heads_n;
	struct anchored_partition *partitions;
	size_t partitions_n;
	pthread_mutex_t lock;          /* guards what follows */
	struct accepted_mark accepted; /* the newest list that is known */
	/* Held over calls into the token, by whoever writes the anchor; it guards what follows. */
	pthread_mutex_t writing;
	/* As written last: */
	struct buf body;
	uint64_t written_ms;
	bool failing; /* told the operator */
};

void anchor_init(struct anchor *anchor);
/* Reads it. ERR_NOT_FOUND: the token has none, so it is not the one of this state. */
MUST enum err anchor_open(struct anchor *anchor, struct attest *attest);
/* ERR_MISMATCH when a partition's record is behind. One that is suspended there is suspended here. */
MUST enum err anchor_check(const struct anchor *anchor, struct partitions *partitions);
/* The newest list of accepted programs that is known; and one that may be newer, and is then what the
 * next writing tells the token. */
void anchor_accepted(struct anchor *anchor, struct accepted_mark *out);
void anchor_accept(struct anchor *anchor, const struct accepted_mark *list);
/* Writes it anew, if anything changed and @every_ms have passed since it was written. */
MUST enum err anchor_renew(struct anchor *anchor, struct audit *audit,
			   struct partitions *partitions, uint64_t now_ms, uint64_t every_ms);
void anchor_close(struct anchor *anchor);

#endif

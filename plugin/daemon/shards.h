/* shards.h - retention: a tree goes on in a new shard when the one of now has enough records, or is old
 * enough (audit.shard_records, audit.shard_days); request PRUNE.
 *
 * Each waits for the disk, so no lock but daemon->managing may be held.
 */
#ifndef PLUGIN_DAEMON_SHARDS_H
#define PLUGIN_DAEMON_SHARDS_H

#include "plugin/daemon/daemon.h"

/* After a tree was opened: makes the next shard where a crash came before it. @partition NULL: the
 * appliance's. */
MUST enum err shards_resume(struct daemon *daemon, const struct partition *partition,
			    struct audit_tree *tree);
/* Once in a while; the server's thread. */
void shards_tick(struct daemon *daemon, uint64_t now_ms);

#endif

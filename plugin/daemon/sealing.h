/* sealing.h - what is kept of an execution by its policy, and for how long.
 *
 * Any thread, but sealing_tick: the server's. Each waits for the disk, so no lock but
 * daemon->managing may be held.
 */
#ifndef PLUGIN_DAEMON_SEALING_H
#define PLUGIN_DAEMON_SEALING_H

#include "plugin/daemon/daemon.h"

/* Before anything runs: whether it could be sealed, where these rules want it. */
MUST enum err sealing_ready(struct daemon *daemon, const struct partition *partition,
			    const struct rules *rules);
/* Seals input, output, messages and commitment keys, and puts claim -70010 into the leaf, where these
 * rules want it. Durable when OK. @ran: without it there are no output and messages. */
struct proof_keys;
MUST enum err sealing_keep(struct daemon *daemon, const struct partition *partition,
			   const struct rules *rules, struct slice input, const struct run *ran,
			   const struct proof_keys *keys, struct leaf *leaf);
/* Once in a while: shreds what is older than its time, records what was shredded, and removes its
 * files. */
void sealing_tick(struct daemon *daemon, uint64_t now_ms);

#endif

/* witnessing.h - executions whose partition's policy wants witnesses (witness.required).
 *
 * The record is in the log, and nothing of the result leaves the daemon before a quorum has cosigned a
 * checkpoint that covers it. When that takes too long the call fails, and the results stay where they
 * are: they can be listed and fetched as soon as the quorum is there, while they last. Any thread.
 */
#ifndef PLUGIN_DAEMON_WITNESSING_H
#define PLUGIN_DAEMON_WITNESSING_H

#include "plugin/daemon/request.h"

/* Before anything runs: whether there are witnesses, where these rules want them. */
MUST enum err witnessing_ready(const struct daemon *daemon, const struct rules *rules);
/* Waits, where these rules want it, for witnesses of the record that the set's proof is about. Until
 * they are there the set is not shown, whoever holds it. ERR_TIMEOUT: no quorum in time. ERR_GONE:
 * the client has gone, or the daemon ends. */
MUST enum err witnessing_await(struct call *call, const struct rules *rules,
			       struct result_set *set);
/* Whether the set may be shown. */
bool witnessing_shows(struct daemon *daemon, const struct result_set *set);

#endif

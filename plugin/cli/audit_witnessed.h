/* audit_witnessed.h - how far witnesses vouch for a log: which of its checkpoints have the quorum of
 * somebody's policy. One thread.
 */
#ifndef PLUGIN_CLI_AUDIT_WITNESSED_H
#define PLUGIN_CLI_AUDIT_WITNESSED_H

#include "plugin/cli/audit.h"
#include "plugin/cli/audit_against.h"

/* The newest checkpoint of a tree that the log's own policy found enough witnesses for;
 * ERR_NOT_FOUND: there is none. */
MUST enum err trail_witnessed(const struct trail *trail, const char *origin, struct buf *note);

/* Reads the policy, and adds the witnessed checkpoints that the log itself keeps. Before any other
 * checkpoint is added, and before the log is read. */
MUST enum err witnessed_read(const struct trail *trail, const char *policy,
			     struct against *against);
/* Once the log was found to go on from all of @against: does each tree that the policy is about have a
 * checkpoint with the quorum? ERR_MISMATCH says which has none. A tree of one record has no
 * checkpoint yet. */
MUST enum err witnessed_check(const struct against *against, const struct auditor_report *report);
/* Appends how far each tree is vouched for; nothing when there is no policy. */
void witnessed_print(const struct against *against, const struct auditor_report *report, bool json,
		     struct buf *out);

#endif

/* audit_export.h - a closed shard outside of its log: DIRECTORY/trees/<hex>, as an auditor reads it.
 * One thread. */
#ifndef PLUGIN_CLI_AUDIT_EXPORT_H
#define PLUGIN_CLI_AUDIT_EXPORT_H

#include "audit/audit.h"
#include "plugin/cli/audit.h"

/* Checks all that is in @directory, as trail_walk() does with a copy; and is there all of the closed
 * shard @origin? ERR_NOT_FOUND: it is not there. ERR_MISMATCH: it is not closed, or not whole. */
MUST enum err export_check(const char *directory, const char *origin, struct slice ca,
			   struct audit_head *out);

#endif

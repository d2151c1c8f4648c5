/* audit_against.h - heads of trees that somebody kept, and whether a log goes on from each of them:
 * nothing of what it had was removed or changed. Who gives a head vouches for it: a checkpoint's
 * signature is not looked at, but by a policy's rules where one is given. One thread.
 */
#ifndef PLUGIN_CLI_AUDIT_AGAINST_H
#define PLUGIN_CLI_AUDIT_AGAINST_H

#include "audit/auditor.h"
#include "audit/note.h"
#include "audit/trust.h"
#include "plugin/cli/audit_peaks.h"
#include "plugin/cli/cli.h"

struct against_head {
	char origin[AUDITOR_ORIGIN];
	uint64_t size;
	tree_hash root;
	struct peaks seen; /* the records that were told so far */
	bool quorum;       /* it meets the policy; then by whom, and when last: */
	struct trust_count count;
};

struct against {
	struct trust *trust; /* the policy; NULL: signatures are not looked at */
	struct against_head *heads;
	size_t n;
};

/* Adds the checkpoints of a file: one, or several with an empty line between them. */
MUST enum err against_read(struct against *against, const char *path);
/* Those of the command line, and of one file more, whose name may be empty. */
MUST enum err against_read_all(struct against *against, const struct cli_list *paths,
			       const char *remembered);
/* ERR_CRYPTO, ERR_DENIED: by the policy's rules it is no checkpoint at all; that it lacks the quorum is
 * no error here. */
MUST enum err against_add(struct against *against, const struct note *note);
/* To be told of every record, in the order of its tree. */
void against_record(struct against *against, const char *origin, uint64_t index, struct slice raw);
/* Once all were told: ERR_MISMATCH, and which head the log does not go on from. */
MUST enum err against_check(const struct against *against);
void against_cleanup(struct against *against);

#endif

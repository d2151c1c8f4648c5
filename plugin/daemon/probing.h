/* probing.h - what a partition's token holds, read by a process of its own, the probe (probe/).
 *
 * The probe runs with the partitions' environment (config hsm.environment) and nothing else: one
 * process can initialise some HSM modules with one configuration only, and the daemon's own token
 * has this process. It logs in to nothing. Blocks for at most PROBING_MS; any thread.
 */
#ifndef PLUGIN_DAEMON_PROBING_H
#define PLUGIN_DAEMON_PROBING_H

#include "config/config.h"

#define PROBING_MS 4000

/* Is there a certificate object with this CKA_ID and CKA_TRUSTED whose value is the challenge?
 * ERR_NOT_FOUND, ERR_DENIED (not trusted), ERR_MISMATCH (another challenge). */
MUST enum err probing_trusted(const struct config *config, const char *self, const char *serial,
			      struct slice id, const uint8_t digest[32]);
/* Is the public half of this role key on the token? ERR_NOT_FOUND: the token was read, and has
 * nothing of that CKA_ID. Whatever else is not OK leaves it open: ERR_MISMATCH, when objects that
 * anyone may have put there bear the id. */
MUST enum err probing_role_key(const struct config *config, const char *self, const char *serial,
			       struct slice id, const uint8_t point[65]);

#endif

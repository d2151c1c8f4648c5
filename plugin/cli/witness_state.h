/* witness_state.h - what a witness keeps in its directory, and the one rule that it lives by: no
 * signature gets out before the checkpoint that it is for is durable as the newest of its origin.
 *
 *   key       its private key (audit/cosignature.h), mode 0600
 *   logs      the logs that it watches: lines "log VKEY" (audit/trust.h)
 *   seen/     for each origin, under the SHA-256 of it, the newest checkpoint that it signed
 *   lock      held while a process works here
 *
 * Calls are safe from any thread.
 */
#ifndef PLUGIN_CLI_WITNESS_STATE_H
#define PLUGIN_CLI_WITNESS_STATE_H

#include "audit/cosignature.h"
#include "audit/witness.h"

#define WITNESS_BROKEN \
	500 /* besides enum witness_verdict: this machine failed, nothing is signed */

struct witness;

/* Makes directory and key. ERR_EXISTS when there is a key: whoever made another one would lose the
 * name that others know. */
MUST enum err witness_make(const char *path, const char *name, struct vkey *key);
/* ERR_STATE when another process is at work there. */
MUST enum err witness_open(const char *path, struct witness **out);
const struct vkey *witness_key(const struct witness *witness);
void witness_close(struct witness *witness);
void witness_cleanup(struct witness **witness);

/* Answers the body of a request to sign: an enum witness_verdict or WITNESS_BROKEN. @answer gets
 * the signature line, or with a conflict the size; the words for any refusal are in err_reason(). */
int witness_answer(struct witness *witness, struct slice body, struct buf *answer);
/* The newest checkpoint that was signed of the origin with this SHA-256 (64 lower-case digits);
 * ERR_NOT_FOUND when there is none. */
MUST enum err witness_newest(struct witness *witness, const char *origin_hash, struct buf *note);

#endif

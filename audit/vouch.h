/* vouch.h - do enough witnesses vouch for the log that a proof is from? Pure. */
#ifndef AUDIT_VOUCH_H
#define AUDIT_VOUCH_H

#include "audit/trust.h"

/* Of a proof that was verified: is the tree that its receipt is about the one of @checkpoint, or one
 * that goes on to it (witness.h: a checkpoint, or a request with a proof), and has that the quorum?
 * ERR_MISMATCH, ERR_CRYPTO or ERR_FORMAT say in words what does not match. */
MUST enum err vouch_check(const struct trust *trust, struct slice checkpoint, struct slice proof,
			  struct trust_count *count);

#endif

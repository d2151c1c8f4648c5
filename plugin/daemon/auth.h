/* auth.h - what one link may do: challenges that it was given, grants that it earned.
 *
 * Pure bookkeeping: the caller passes the time (milliseconds of a clock that never goes back) and
 * checks the signature or the object itself. A struct auth belongs to one link; its lanes may call
 * at once.
 *
 * A challenge is good once and for AUTH_CHALLENGE_MS, and binds origin, serial, generation, role,
 * boot, connection, login epoch and both nonces: whatever is relayed from another link, another
 * partition or another generation gives another digest. A revocation also ends proofs that are
 * being checked at that moment.
 */
#ifndef PLUGIN_DAEMON_AUTH_H
#define PLUGIN_DAEMON_AUTH_H

#include <pthread.h>

#include "audit/leaf.h"
#include "plugin/wire.h"

#define AUTH_CHALLENGE_MS 5000
#define AUTH_GRANT_MS 60000
#define AUTH_PLACES 16 /* partitions times roles that one link may deal with at a time */

/* Which role of which partition. */
struct auth_role {
	char serial[WIRE_SERIAL_MAX + 1];
	uint64_t generation;
	enum wire_role role;
};

struct auth_place {
	bool used;
	struct auth_role who;
	bool challenged;
	uint8_t digest[32];
	uint64_t challenged_ms;
	bool granted;
	enum leaf_roleproof proof;
	uint64_t granted_ms;
	uint64_t grant; /* its number; kept when it is renewed, never used again */
	uint64_t touched_ms;
};

struct auth {
	pthread_mutex_t lock; /* guards what follows */
	uint64_t revocations, grants;
	struct auth_place places[AUTH_PLACES];
};

void auth_init(struct auth *auth);

/* Keeps @digest, the challenge, in place of an earlier one for that role. */
void auth_challenge(struct auth *auth, const struct auth_role *who, const uint8_t digest[32],
		    uint64_t now_ms);
/* Takes the challenge out: whatever becomes of it, it is spent. @ticket goes to auth_grant.
 * ERR_STATE: none was given, or it was used; ERR_TIMEOUT: it is too old. */
MUST enum err auth_spend(struct auth *auth, const struct auth_role *who, uint64_t now_ms,
			 uint8_t digest[32], uint64_t *ticket);
/* Grants the role, unless the link revoked one since auth_spend: ERR_STATE. */
MUST enum err auth_grant(struct auth *auth, const struct auth_role *who, enum leaf_roleproof proof,
			 uint64_t ticket, uint64_t now_ms);
/* Is it granted now? @proof may be NULL. */
bool auth_allows(struct auth *auth, const struct auth_role *who, uint64_t now_ms,
		 enum leaf_roleproof *proof);
/* The number of the grant in force, or 0; and whether it was not revoked since, whatever its age:
 * what began under it may come to its end. */
uint64_t auth_grant_number(struct auth *auth, const struct auth_role *who, uint64_t now_ms);
bool auth_stands(struct auth *auth, const struct auth_role *who, uint64_t grant, uint64_t now_ms);
/* Ends grants and challenges for a partition, whatever the generation; @role 0: both. */
void auth_revoke(struct auth *auth, const char *serial, unsigned role);
/* Copies some role of any partition that is granted now; false when there is none. */
bool auth_any(struct auth *auth, uint64_t now_ms, struct auth_role *out);

#endif

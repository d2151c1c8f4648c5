/* approvals.h - who approved an application: the signatures that came with its package, and which of
 * them count under a partition's policy.
 *
 * OpenSSL is shown the keys that a policy lists, and no others. What it said of a signature is kept: a
 * policy's are checked before it is in force, so that counting costs nothing. Any thread may count
 * while another one checks.
 */
#ifndef PLUGIN_DAEMON_APPROVALS_H
#define PLUGIN_DAEMON_APPROVALS_H

#include <stdatomic.h>

#include "config/policy.h"
#include "sandbox/trailer.h"

struct approvals {
	struct buf raw;         /* the trailer; empty: nobody signed */
	struct trailer trailer; /* points into it */
	atomic_bool holds[TRAILER_SIGNATURES_MAX];
};

/* Copies @signers into zeroed @out; nothing is checked yet. */
MUST enum err approvals_init(struct approvals *out, const struct trailer *signers);
void approvals_free(struct approvals *approvals);

/* Checks the signatures, over a package of this SHA-256, by those whom the policy lists, revoked ones
 * left out. ERR_MISMATCH: one of them does not hold; it will not count, the others will. */
MUST enum err approvals_check(struct approvals *approvals, const uint8_t package[SHA256_SIZE],
			      const struct partition_policy *says);
/* How many count. */
size_t approvals_count(const struct approvals *approvals, const struct partition_policy *says);
/* Appends these as a leaf's authorities (audit/leaf.h). */
void approvals_put(const struct approvals *approvals, const struct partition_policy *says,
		   struct buf *authorities);
/* The first signer whom the policy revokes; NULL: none. */
const uint8_t *approvals_revoked(const struct approvals *approvals,
				 const struct partition_policy *says);

#endif

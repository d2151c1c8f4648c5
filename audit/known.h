/* known.h - what a verifier has checked before, and need not check again: signatures, chains of
 * certificates, keys taken out of certificates, and the TCB record. Proofs of one batch share all of
 * these.
 *
 * Only what held is kept, under the SHA-256 of everything that it was checked on; a chain, with the
 * time for which it holds. So nothing passes from here that would not pass a check. Bounded: what
 * comes new takes the place of what is there. One thread at a time. With NULL in place of a struct
 * known, all is checked and nothing is kept.
 */
#ifndef AUDIT_KNOWN_H
#define AUDIT_KNOWN_H

#include <stdatomic.h>

#include "audit/chain.h"
#include "audit/leaf.h"

struct known;
MUST enum err known_new(struct known **out);
void known_free(struct known *known);

/* As ecdsa_verify(). */
MUST enum err known_signature(struct known *known, struct slice certificate,
			      const uint8_t digest[SHA256_SIZE], struct slice raw);
/* As chain_verify(). */
MUST enum err known_chain(struct known *known, struct slice certificate, const struct chain *chain,
			  struct slice ca, const char *origin, int64_t at);

/* Is it one? Then it is at hand when it is needed. */
MUST enum err known_certificate(struct known *known, struct slice certificate);

/* A TCB record as it is read: nothing is checked of it but its form. Read-only, shared by all who hold
 * it; any thread may let go of it. */
struct known_tcb {
	atomic_uint refs;
	struct buf raw;
	struct leaf *leaf;                                  /* points into raw */
	uint8_t hash[SHA256_SIZE], components[SHA256_SIZE]; /* leaf_hash, leaf_components_digest */
};
/* The one that was read last, if it is the same to the byte, or a new one. */
MUST enum err known_tcb(struct known *known, struct slice raw, struct known_tcb **out);
void known_tcb_release(struct known_tcb *tcb); /* NULL is allowed */

#endif

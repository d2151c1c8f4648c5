/* known.h - what a verifier has checked before, and need not check again: signatures, chains of
 * certificates, and keys taken out of certificates. Proofs of one batch share all of these.
 *
 * Only what held is kept, under the SHA-256 of everything that it was checked on; a chain, with the
 * time for which it holds. So nothing passes from here that would not pass a check. Bounded: what
 * comes new takes the place of what is there. One thread at a time. With NULL in place of a struct
 * known, all is checked and nothing is kept.
 */
#ifndef AUDIT_KNOWN_H
#define AUDIT_KNOWN_H

#include "audit/chain.h"

struct known;
MUST enum err known_new(struct known **out);
void known_free(struct known *known);

/* As ecdsa_verify(). */
MUST enum err known_signature(struct known *known, struct slice certificate,
			      const uint8_t digest[SHA256_SIZE], struct slice raw);
/* As chain_verify(). */
MUST enum err known_chain(struct known *known, struct slice certificate, const struct chain *chain,
			  struct slice ca, const char *origin, int64_t at);

#endif

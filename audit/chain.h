/* chain.h - who issued a key's certificate: the appliance's CA, and where a vendor's PKI stands above
 * it, that one's CAs up to its root. Pure; any thread.
 *
 * A chain is DER certificates one after another, each signed by the next, the last one by itself: so
 * each byte of it is under somebody's signature. It leaves out the key's own certificate.
 */
#ifndef AUDIT_CHAIN_H
#define AUDIT_CHAIN_H

#include "audit/certificate.h"

#define CHAIN_MAX 4 /* certificates above the key's own */

#define CHAIN_ALL (CHAIN_MAX + 1) /* with the key's own, as files may have it */

struct certificates; /* certificates.h */

struct chain {
	struct slice of[CHAIN_ALL]; /* [0]: the appliance's CA */
	size_t n;
};

/* Takes one certificate off the front; ERR_FORMAT when there is no whole DER sequence. */
MUST enum err chain_take(struct slice *der, struct slice *certificate);
/* Takes it apart; ERR_FORMAT when it is empty, over CHAIN_ALL, or anything but whole DER sequences. */
MUST enum err chain_read(struct slice der, struct chain *out);
/* A file with certificates, PEM one after another or one in DER: appends their DER, in their order. */
MUST enum err chain_from_file(struct slice contents, struct buf *der);
/* Appends PEM. */
MUST enum err chain_put_pem(struct slice der, struct buf *out);

/* Where in a chain the CA is that somebody trusts: the same certificate, or one of the same name and
 * key, for a certificate may be renewed. ERR_CRYPTO: nowhere. */
MUST enum err chain_find(const struct chain *chain, struct slice ca, size_t *at);
/* Does each certificate sign the one before, up to a last one that signs itself, and was each of
 * them that of a CA and valid at the time @at? ERR_CRYPTO says in words what does not hold. */
MUST enum err chain_check(const struct chain *chain, int64_t at);

/* Is @certificate one for signing for @origin (NULL: any), valid at the time @at (seconds since 1970)
 * with all above it, up to @ca (DER), whichever of the chain that is, renewed or not? Without a chain (NULL), @ca must
 * have issued it. ERR_CRYPTO says in words what does not hold. */
MUST enum err chain_verify(struct slice certificate, const struct chain *chain, struct slice ca,
			   const char *origin, int64_t at);
/* The same, with certificates that were parsed before. */
MUST enum err chain_verify_kept(struct certificates *kept, struct slice certificate,
				const struct chain *chain, struct slice ca, const char *origin,
				int64_t at);

#endif

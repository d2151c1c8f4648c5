/* revocation.h - what CAs took back (CRLs, RFC 5280 section 5), and whether that was before a proof was
 * made. Pure; any thread.
 */
#ifndef AUDIT_REVOCATION_H
#define AUDIT_REVOCATION_H

#include "audit/chain.h"

#define REVOCATION_MAX ((size_t)4 << 20) /* a file's bytes */
#define REVOCATION_LISTS 8

/* A file of CRLs, PEM one after another or one in DER: appends their DER, one after another. */
MUST enum err revocation_from_file(struct slice contents, struct buf *der);

struct revocation {
	struct slice lists; /* as revocation_from_file() gives them */
	struct slice certificate;
	const struct chain *chain; /* NULL: @ca issued it */
	struct slice ca;
	int64_t at;   /* when the proof was made */
	bool stamped; /* somebody else than the key's holder says so */
};
/* Was none of the certificates revoked when the proof was made? Each list must be by a CA among them
 * and, if it says until when it counts, count then. What was revoked later is no refusal, and told in
 * @words (appended) with the rest; only if a key got into other hands, its holder's own time shows
 * nothing. ERR_CRYPTO: revoked, or a list that can't be judged by; ERR_FORMAT: no list. */
MUST enum err revocation_check(const struct revocation *revocation, struct buf *words);

#endif

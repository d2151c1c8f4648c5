/* timestamp.h - time stamps by a third party (RFC 3161), over the signature of a COSE message (RFC
 * 9921: "COSE, then time stamp"): who holds one can show that the signature existed before the time
 * in it, whatever the signer's own clock said. Pure; nothing is kept between calls.
 */
#ifndef AUDIT_TIMESTAMP_H
#define AUDIT_TIMESTAMP_H

#include "config/base/bytes.h"

#define TIMESTAMP_MAX ((size_t)32 << 10) /* of a response or a token */

/* Appends a TimeStampReq (DER) for @signature, raw r || s as COSE has it: SHA-256, with a random
 * nonce, asking for the authority's certificate. */
MUST enum err timestamp_request(struct slice signature, struct buf *out);
/* Appends the token of a TimeStampResp; one that is a token already is copied. ERR_CRYPTO: the
 * authority refused, or it is neither. */
MUST enum err timestamp_take(struct slice response, struct buf *token);

struct timestamp {
	int64_t time;        /* seconds since 1970: the signature is not younger */
	char authority[128]; /* common name of who signed the token, as its certificate has it */
};
/* Is it a token over @signature, by an authority that @ca (DER) issued for time stamping, or that
 * @ca is? Certificates are judged at the token's time: an authority whose certificate ran out later
 * was one then. ERR_CRYPTO says in words what does not hold. */
MUST enum err timestamp_verify(struct slice token, struct slice signature, struct slice ca,
			       struct timestamp *out);

#endif

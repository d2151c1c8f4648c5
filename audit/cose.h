/* cose.h - COSE_Sign1 (RFC 9052): the pieces that receipts and compact proofs share. Pure.
 *
 * Key ids: kid is the first 8 bytes of the certificate's SHA-256, x5t (RFC 9360) all of it.
 */
#ifndef AUDIT_COSE_H
#define AUDIT_COSE_H

#include "config/base/cbor.h"
#include "config/base/sha256.h"

#define COSE_SIGN1_TAG 18
#define COSE_ES256 (-7)
#define COSE_SHA256 (-16)
#define COSE_HMAC256 5

#define COSE_HEADER_ALG 1
#define COSE_HEADER_KID 4
#define COSE_HEADER_CWT_CLAIMS 15
#define COSE_HEADER_X5BAG 32
#define COSE_HEADER_X5CHAIN 33
#define COSE_HEADER_X5T 34
#define COSE_HEADER_TIMESTAMP 270 /* 3161-ctt, RFC 9921 */
#define COSE_HEADER_VDS 395       /* verifiable data structure: 1 = RFC 9162 SHA-256 */
#define COSE_HEADER_VDP 396       /* its proofs */
#define COSE_HEADER_TREE_SIZE (-70101)

#define COSE_KID 8

/* SHA-256 of the Sig_structure ["Signature1", protected, h'', payload]: what ES256 signs. */
MUST enum err cose_digest(struct slice protected, struct slice payload,
			  uint8_t digest[SHA256_SIZE]);

/* The four parts of a tagged COSE_Sign1. A nil payload has p NULL; the unprotected header is given
 * as its encoded map. */
struct cose_sign1 {
	struct slice protected, unprotected, payload, signature;
};
void cose_put(struct buf *out, const struct cose_sign1 *parts);
MUST enum err cose_take(struct slice raw, struct cose_sign1 *parts);

#endif

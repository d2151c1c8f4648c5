/* ecdsa.h - ECDSA on P-256 over a SHA-256 digest: checking, and the two ways to write a signature
 * (raw r || s for COSE and PKCS#11; DER for notes and X.509). Pure.
 */
#ifndef AUDIT_ECDSA_H
#define AUDIT_ECDSA_H

#include "config/base/bytes.h"
#include "config/base/sha256.h"

#define ECDSA_RAW 64
#define ECDSA_DER_MAX 72
#define ECDSA_POINT 65

MUST enum err ecdsa_to_der(struct slice raw, struct buf *der);
/* Strict DER, nothing after it, both numbers under 2^256. */
MUST enum err ecdsa_from_der(struct slice der, uint8_t raw[ECDSA_RAW]);
/* ERR_CRYPTO when the signature is not by the certificate's key. */
MUST enum err ecdsa_verify(struct slice certificate, const uint8_t digest[SHA256_SIZE],
			   struct slice raw);
/* The same for a bare public key: 04 || x || y. */
MUST enum err ecdsa_verify_point(const uint8_t point[ECDSA_POINT],
				 const uint8_t digest[SHA256_SIZE], struct slice raw);

#endif

/* seal.h - a payload that only its auditor can read: CMS AuthEnvelopedData (RFC 5083) with
 * AES-256-GCM (RFC 5084) under a fresh key, for one certificate: RSA-OAEP with SHA-256, or ECDH
 * with the KDF over SHA-256. What is inside is a tar archive, so that
 *
 *   openssl cms -decrypt -inform DER -in F -recip auditor.pem -inkey auditor.key | tar -x
 *
 * reads it. Nothing is held twice: the payload passes through in pieces. Any thread.
 */
#ifndef AUDIT_SEAL_H
#define AUDIT_SEAL_H

#include "config/base/bytes.h"

/* One file of the archive; its name has at most 99 bytes. */
struct seal_part {
	const char *name;
	struct slice data;
};

/* Where the sealed bytes go, piece by piece. */
struct seal_sink {
	enum err (*put)(void *context, struct slice piece);
	void *context;
};

/* Whether @certificate (DER) can be sealed to at the time @at (seconds since 1970): RSA of 2048 to
 * 8192 bits, or EC on P-256, P-384 or P-521, a key usage that allows it, and valid then. ERR_CRYPTO
 * says in words what does not hold. */
MUST enum err seal_check(struct slice certificate, int64_t at);

/* Seals @parts, as files of the time @at. An error of the sink is handed up; after any, what went
 * into the sink is no payload. */
MUST enum err seal_write(struct slice certificate, int64_t at, const struct seal_part *parts,
			 size_t n, const struct seal_sink *sink);

#endif

/* devkey.h - keys of developers, who approve packages by signing them (sandbox/trailer.h): ECDSA on
 * P-256 or P-384, or RSA (PKCS #1 v1.5) of 2048 to 4096 bits with an exponent from 65537, over a
 * SHA-256. That is what `openssl dgst -sha256 -sign` makes, and an HSM's ECDSA (in DER) and RSA
 * mechanisms. Any thread.
 */
#ifndef AUDIT_DEVKEY_H
#define AUDIT_DEVKEY_H

#include "config/base/bytes.h"
#include "config/base/secret.h"
#include "config/base/sha256.h"

#define DEVKEY_MAX 1024 /* of a public key, and of a signature */

/* @key: DER of a SubjectPublicKeyInfo, in the one form that it has here. ERR_CRYPTO: the signature is
 * not its; ERR_FORMAT, ERR_UNSUPPORTED: no key, or one of another kind. */
MUST enum err devkey_verify(struct slice key, const uint8_t digest[SHA256_SIZE],
			    struct slice signature);
/* Reads a public key, PEM or DER, and appends its DER. */
MUST enum err devkey_public(struct slice contents, struct buf *key);

/* Asks for the passphrase of a key that has one. */
struct devkey_passphrase {
	enum err (*ask)(void *context, struct secret *passphrase);
	void *context;
};
/* Signs with a private key in PEM; appends its public half's DER, and the signature. */
MUST enum err devkey_sign(const struct secret *pem, const struct devkey_passphrase *passphrase,
			  const uint8_t digest[SHA256_SIZE], struct buf *key,
			  struct buf *signature);

#endif

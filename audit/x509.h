/* x509.h - certificates as OpenSSL's types, for the files of this folder that need them. */
#ifndef AUDIT_X509_H
#define AUDIT_X509_H

#include "audit/openssl.h"
#include "config/base/bytes.h"
#include "config/base/sha256.h"

#define ORIGIN_SCHEME "assay:" /* of the URI that names a log */

/* One certificate and nothing after it; ERR_CRYPTO otherwise. */
MUST enum err x509_parse(struct slice der, X509 **out);
/* Appends its DER. */
MUST enum err x509_put(X509 *certificate, struct buf *out);
/* Appends PEM: "CERTIFICATE", or what else it is. */
void x509_put_pem(const char *what, struct slice der, struct buf *out);
/* Is it for signing for this log (NULL: any)? ERR_CRYPTO: no. */
MUST enum err x509_names_origin(X509 *certificate, const char *origin);
void x509_cleanup(X509 **certificate);
/* Its public key, which must be on P-256 (ERR_UNSUPPORTED); owned by the certificate. */
MUST enum err x509_key(X509 *certificate, EVP_PKEY **key);
/* Is it the key's signature, raw r || s, over this digest? ERR_CRYPTO: no. */
MUST enum err x509_check_signature(EVP_PKEY *key, const uint8_t digest[SHA256_SIZE],
				   struct slice raw);
/* As certificate_period(). */
MUST enum err x509_period(X509 *certificate, int64_t *from, int64_t *to);
/* Appends what the next certificate in PEM may be; false: there is none, and OpenSSL's queue says why. */
MUST bool x509_take_pem(BIO *bio, struct buf *der);
/* The reason in OpenSSL's error queue, which is emptied. */
const char *x509_reason(void);

#endif

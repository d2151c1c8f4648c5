/* x509.h - certificates as OpenSSL's types, for the files of this folder that need them. */
#ifndef AUDIT_X509_H
#define AUDIT_X509_H

#include "audit/openssl.h"
#include "config/base/bytes.h"

/* One certificate and nothing after it; ERR_CRYPTO otherwise. */
MUST enum err x509_parse(struct slice der, X509 **out);
/* Appends its DER. */
MUST enum err x509_put(X509 *certificate, struct buf *out);
/* Is it for signing for this log (NULL: any)? ERR_CRYPTO: no. */
MUST enum err x509_names_origin(X509 *certificate, const char *origin);
void x509_cleanup(X509 **certificate);
/* Its public key, which must be on P-256 (ERR_UNSUPPORTED); owned by the certificate. */
MUST enum err x509_key(X509 *certificate, EVP_PKEY **key);
/* The reason in OpenSSL's error queue, which is emptied. */
const char *x509_reason(void);

#endif

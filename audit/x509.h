/* x509.h - certificates as OpenSSL's types, for the files of this folder that need them. */
#ifndef AUDIT_X509_H
#define AUDIT_X509_H

#include "audit/openssl.h"
#include "config/base/bytes.h"

/* One certificate and nothing after it; ERR_CRYPTO otherwise. */
MUST enum err x509_parse(struct slice der, X509 **out);
void x509_cleanup(X509 **certificate);
/* Its public key, which must be on P-256 (ERR_UNSUPPORTED); owned by the certificate. */
MUST enum err x509_key(X509 *certificate, EVP_PKEY **key);
/* The reason in OpenSSL's error queue, which is emptied. */
const char *x509_reason(void);

#endif

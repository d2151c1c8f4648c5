/* openssl.h - OpenSSL's headers, with its typedef ERR_STATE (of <openssl/types.h>) out of the way of
 * ours in errors.def. Include this in place of any <openssl/...>.
 */
#ifndef AUDIT_OPENSSL_H
#define AUDIT_OPENSSL_H

#define ERR_STATE OPENSSL_ERR_STATE
#include <openssl/asn1.h>
#include <openssl/bn.h>
#include <openssl/cms.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/sha.h>
#include <openssl/ts.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#undef ERR_STATE

#endif

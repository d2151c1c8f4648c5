#include "testbed/softhsm/p256.h"

#define ERR_STATE OPENSSL_ERR_STATE
#include <openssl/core_names.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#undef ERR_STATE

static EVP_PKEY *key_of(const uint8_t point[65])
{
	EVP_PKEY *key = NULL;
	EVP_PKEY_CTX *make = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
	OSSL_PARAM parts[] = {
		OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, "P-256", 0),
		OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, (void *)point, 65),
		OSSL_PARAM_construct_end(),
	};

	if (EVP_PKEY_fromdata_init(make) > 0)
		(void)EVP_PKEY_fromdata(make, &key, EVP_PKEY_PUBLIC_KEY, parts);
	EVP_PKEY_CTX_free(make);
	return key;
}

bool p256_verifies(const uint8_t point[65], const uint8_t digest[32], struct slice rs)
{
	EVP_PKEY *key = key_of(point);
	EVP_PKEY_CTX *verify = key ? EVP_PKEY_CTX_new(key, NULL) : NULL;
	ECDSA_SIG *sig = ECDSA_SIG_new();
	unsigned char *der = NULL;
	bool good = false;

	if (verify && rs.left == 64 &&
	    ECDSA_SIG_set0(sig, BN_bin2bn(rs.p, 32, NULL), BN_bin2bn(rs.p + 32, 32, NULL))) {
		int n = i2d_ECDSA_SIG(sig, &der);

		good = EVP_PKEY_verify_init(verify) > 0 &&
		       EVP_PKEY_verify(verify, der, (size_t)n, digest, 32) == 1;
	}
	OPENSSL_free(der);
	ECDSA_SIG_free(sig);
	EVP_PKEY_CTX_free(verify);
	EVP_PKEY_free(key);
	return good;
}

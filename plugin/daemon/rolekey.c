#include "plugin/daemon/rolekey.h"

#include "audit/ecdsa.h"
#include "audit/openssl.h"

static void key_cleanup(EVP_PKEY **key)
{
	EVP_PKEY_free(*key);
}

static void context_cleanup(EVP_PKEY_CTX **context)
{
	EVP_PKEY_CTX_free(*context);
}

/* OpenSSL refuses a point that is not on the curve here. */
static enum err import(const uint8_t point[ROLEKEY_POINT], EVP_PKEY **key)
{
	CLEANUP(context) EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
	OSSL_PARAM parameters[] = {
		OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, (char *)"prime256v1",
						 0),
		OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, (void *)point,
						  ROLEKEY_POINT),
		OSSL_PARAM_construct_end(),
	};

	if (!context || EVP_PKEY_fromdata_init(context) != 1 ||
	    EVP_PKEY_fromdata(context, key, EVP_PKEY_PUBLIC_KEY, parameters) != 1) {
		ERR_clear_error();
		return failed(ERR_CRYPTO, "the role key's point is not on P-256");
	}
	return OK;
}

enum err rolekey_verify(const uint8_t point[ROLEKEY_POINT], const uint8_t digest[32],
			struct slice signature)
{
	CLEANUP(key) EVP_PKEY *key = NULL;
	CLEANUP(buf) struct buf der = BUF_INIT;
	enum err e;

	if (point[0] != 0x04)
		return failed(ERR_CRYPTO, "the role key's point is not uncompressed");
	if ((e = import(point, &key)) || (e = ecdsa_to_der(signature, &der)))
		return e;
	CLEANUP(context) EVP_PKEY_CTX *context = EVP_PKEY_CTX_new(key, NULL);
	if (!context || EVP_PKEY_verify_init(context) != 1 ||
	    EVP_PKEY_verify(context, der.data, der.len, digest, 32) != 1) {
		ERR_clear_error();
		return failed(ERR_CRYPTO,
			      "the signature is not by the role key over this challenge");
	}
	return OK;
}

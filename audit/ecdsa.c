#include "audit/ecdsa.h"

#include "audit/x509.h"

static void signature_cleanup(ECDSA_SIG **s)
{
	ECDSA_SIG_free(*s);
}

static void context_cleanup(EVP_PKEY_CTX **c)
{
	EVP_PKEY_CTX_free(*c);
}

enum err ecdsa_to_der(struct slice raw, struct buf *der)
{
	if (raw.left != ECDSA_RAW)
		return failed(ERR_CRYPTO, "an ECDSA signature of %zu bytes, 64 expected", raw.left);

	CLEANUP(signature) ECDSA_SIG *s = ECDSA_SIG_new();
	BIGNUM *r = BN_bin2bn(raw.p, ECDSA_RAW / 2, NULL);
	BIGNUM *v = BN_bin2bn(raw.p + ECDSA_RAW / 2, ECDSA_RAW / 2, NULL);
	if (!s || !r || !v || !ECDSA_SIG_set0(s, r, v)) {
		BN_free(r);
		BN_free(v);
		return failed(ERR_MEMORY, "no memory for a signature");
	}
	uint8_t bytes[ECDSA_DER_MAX], *p = bytes;
	int n = i2d_ECDSA_SIG(s, NULL);
	if (n <= 0 || n > ECDSA_DER_MAX || i2d_ECDSA_SIG(s, &p) != n)
		return failed(ERR_CRYPTO, "ECDSA signature: %s", x509_reason());
	buf_put(der, bytes, (size_t)n);
	return buf_check(der);
}

enum err ecdsa_from_der(struct slice der, uint8_t raw[ECDSA_RAW])
{
	CLEANUP(buf) struct buf again = BUF_INIT;
	const uint8_t *p = der.p;

	if (der.left > ECDSA_DER_MAX)
		return failed(ERR_FORMAT, "an ECDSA signature of %zu bytes", der.left);
	CLEANUP(signature) ECDSA_SIG *s = d2i_ECDSA_SIG(NULL, &p, (long)der.left);
	if (!s || BN_bn2binpad(ECDSA_SIG_get0_r(s), raw, ECDSA_RAW / 2) < 0 ||
	    BN_bn2binpad(ECDSA_SIG_get0_s(s), raw + ECDSA_RAW / 2, ECDSA_RAW / 2) < 0)
		return failed(ERR_FORMAT, "ECDSA signature: %s", x509_reason());
	/* OpenSSL reads some BER; one signature has one form here. It also drops signs. */
	enum err e = ecdsa_to_der(slice_of(raw, ECDSA_RAW), &again);
	if (e)
		return e;
	return slice_equal(buf_slice(&again), der)
		       ? OK
		       : failed(ERR_FORMAT, "an ECDSA signature that is not DER");
}

static void key_cleanup(EVP_PKEY **key)
{
	EVP_PKEY_free(*key);
}

static enum err verify(EVP_PKEY *key, const uint8_t digest[SHA256_SIZE], struct slice raw,
		       const char *whose)
{
	CLEANUP(buf) struct buf der = BUF_INIT;
	enum err e = ecdsa_to_der(raw, &der);

	if (e)
		return e;
	CLEANUP(context) EVP_PKEY_CTX *c = EVP_PKEY_CTX_new(key, NULL);
	if (!c || EVP_PKEY_verify_init(c) != 1)
		return failed(ERR_CRYPTO, "ECDSA: %s", x509_reason());
	if (EVP_PKEY_verify(c, der.data, der.len, digest, SHA256_SIZE) != 1) {
		(void)x509_reason();
		return failed(ERR_CRYPTO,
			      "the signature is not by %s key, or what it signs was changed",
			      whose);
	}
	return OK;
}

enum err x509_check_signature(EVP_PKEY *key, const uint8_t digest[SHA256_SIZE], struct slice raw)
{
	return verify(key, digest, raw, "the certificate's");
}

enum err ecdsa_verify(struct slice certificate, const uint8_t digest[SHA256_SIZE], struct slice raw)
{
	CLEANUP(x509) X509 *x = NULL;
	EVP_PKEY *key;
	enum err e;

	if ((e = x509_parse(certificate, &x)) || (e = x509_key(x, &key)))
		return e;
	return x509_check_signature(key, digest, raw);
}

enum err ecdsa_verify_point(const uint8_t point[ECDSA_POINT], const uint8_t digest[SHA256_SIZE],
			    struct slice raw)
{
	char group[] = SN_X9_62_prime256v1;
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, group, 0),
		OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, (void *)(uintptr_t)point,
						  ECDSA_POINT),
		OSSL_PARAM_construct_end(),
	};
	CLEANUP(context) EVP_PKEY_CTX *c = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
	CLEANUP(key) EVP_PKEY *key = NULL;

	if (!c || EVP_PKEY_fromdata_init(c) != 1 ||
	    EVP_PKEY_fromdata(c, &key, EVP_PKEY_PUBLIC_KEY, params) != 1)
		return failed(ERR_CRYPTO, "a public key: %s", x509_reason());
	return verify(key, digest, raw, "this");
}

#include "audit/devkey.h"

#include <string.h>

#include "audit/x509.h"

#define FILE_MAX 16384
#define RSA_BITS_LEAST 2048
#define RSA_BITS_MOST 4096
#define RSA_EXPONENT_LEAST 17 /* bits; FIPS 186-5 takes no less, and with 1 everybody could sign */
#define RSA_EXPONENT_MOST 64  /* a longer one only costs time */
/* Of a named curve and an uncompressed point: a key has one encoding, and so one name. */
#define SPKI_P256 91
#define SPKI_P384 120

static void key_cleanup(EVP_PKEY **key)
{
	EVP_PKEY_free(*key);
}

static void context_cleanup(EVP_PKEY_CTX **context)
{
	EVP_PKEY_CTX_free(*context);
}

static void bio_cleanup(BIO **bio)
{
	BIO_free(*bio);
}

static enum err put_public(EVP_PKEY *key, struct buf *out)
{
	int n = i2d_PUBKEY(key, NULL);
	uint8_t *p = n > 0 && n <= DEVKEY_MAX ? buf_add(out, (size_t)n) : NULL;

	if (!p || i2d_PUBKEY(key, &p) != n)
		return failed(ERR_CRYPTO, "a public key: %s", x509_reason());
	return OK;
}

static bool text_is(EVP_PKEY *key, const char *what, const char *wanted)
{
	char text[32] = "";

	return EVP_PKEY_get_utf8_string_param(key, what, text, sizeof text, NULL) == 1 &&
	       !strcmp(text, wanted);
}

/* A hybrid point is as long as an uncompressed one. */
static bool curve_suits(EVP_PKEY *key, size_t der)
{
	return EVP_PKEY_is_a(key, "EC") &&
	       text_is(key, OSSL_PKEY_PARAM_EC_POINT_CONVERSION_FORMAT, "uncompressed") &&
	       ((text_is(key, OSSL_PKEY_PARAM_GROUP_NAME, SN_X9_62_prime256v1) &&
		 der == SPKI_P256) ||
		(text_is(key, OSSL_PKEY_PARAM_GROUP_NAME, SN_secp384r1) && der == SPKI_P384));
}

static bool rsa_suits(EVP_PKEY *key)
{
	int bits = EVP_PKEY_get_bits(key);
	BIGNUM *e = NULL;

	if (!EVP_PKEY_is_a(key, "RSA") || bits < RSA_BITS_LEAST || bits > RSA_BITS_MOST ||
	    EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_RSA_E, &e) != 1)
		return false;
	bool good = BN_is_odd(e) && BN_num_bits(e) >= RSA_EXPONENT_LEAST &&
		    BN_num_bits(e) <= RSA_EXPONENT_MOST;
	BN_free(e);
	return good;
}

static enum err check_kind(EVP_PKEY *key, size_t der)
{
	if (curve_suits(key, der) || rsa_suits(key))
		return OK;
	(void)x509_reason();
	return failed(ERR_UNSUPPORTED,
		      "a key on P-256 or P-384 (uncompressed), or RSA of %d to %d bits with an "
		      "exponent from 65537, expected",
		      RSA_BITS_LEAST, RSA_BITS_MOST);
}

static enum err open_key(struct slice der, EVP_PKEY **out)
{
	CLEANUP(buf) struct buf again = BUF_INIT;
	const uint8_t *p = der.p;
	enum err e;

	if (der.left == 0 || der.left > DEVKEY_MAX)
		return failed(ERR_FORMAT, "a public key of %zu bytes", der.left);
	CLEANUP(key) EVP_PKEY *key = d2i_PUBKEY(NULL, &p, (long)der.left);
	if (!key)
		return failed(ERR_FORMAT, "no SubjectPublicKeyInfo: %s", x509_reason());
	if ((e = check_kind(key, der.left)) || (e = put_public(key, &again)))
		return e;
	if (!slice_equal(buf_slice(&again), der))
		return failed(ERR_FORMAT, "a public key that is not DER, or with more after it");
	*out = STEAL(key);
	return OK;
}

enum err devkey_verify(struct slice der, const uint8_t digest[SHA256_SIZE], struct slice signature)
{
	CLEANUP(key) EVP_PKEY *key = NULL;
	enum err e = open_key(der, &key);

	if (e)
		return e;
	CLEANUP(context) EVP_PKEY_CTX *c = EVP_PKEY_CTX_new(key, NULL);
	if (!c || EVP_PKEY_verify_init(c) != 1 ||
	    EVP_PKEY_CTX_set_signature_md(c, EVP_sha256()) != 1)
		return failed(ERR_MEMORY, "signature: %s", x509_reason());
	if (EVP_PKEY_verify(c, signature.p, signature.left, digest, SHA256_SIZE) != 1) {
		(void)x509_reason();
		return failed(ERR_CRYPTO, "the signature is not by this key over this package");
	}
	return OK;
}

enum err devkey_public(struct slice contents, struct buf *out)
{
	const uint8_t *p = contents.p;
	CLEANUP(key) EVP_PKEY *key = NULL;
	enum err e;

	if (contents.left == 0 || contents.left > FILE_MAX)
		return failed(ERR_FORMAT, "a public key in %zu bytes", contents.left);
	if (*p == 0x30) {
		key = d2i_PUBKEY(NULL, &p, (long)contents.left);
	} else {
		CLEANUP(bio) BIO *bio = BIO_new_mem_buf(p, (int)contents.left);
		key = bio ? PEM_read_bio_PUBKEY(bio, NULL, NULL, NULL) : NULL;
	}
	if (!key)
		return failed(ERR_FORMAT, "no public key in PEM or DER: %s", x509_reason());
	size_t start = out->len;
	return (e = put_public(key, out)) ? e : check_kind(key, out->len - start);
}

/* OpenSSL's way to ask; -1: there is none to be had. */
static int ask(char *to, int room, int writing, void *context)
{
	const struct devkey_passphrase *passphrase = context;
	CLEANUP(secret) struct secret given = { 0 };

	if (writing || room < 0 || passphrase->ask(passphrase->context, &given) ||
	    given.len > (size_t)room)
		return -1;
	memcpy(to, given.p, given.len);
	return (int)given.len;
}

static enum err sign(EVP_PKEY *key, const uint8_t digest[SHA256_SIZE], struct buf *out)
{
	CLEANUP(context) EVP_PKEY_CTX *c = EVP_PKEY_CTX_new(key, NULL);
	uint8_t bytes[DEVKEY_MAX];
	size_t n = sizeof bytes;

	if (!c || EVP_PKEY_sign_init(c) != 1 ||
	    EVP_PKEY_CTX_set_signature_md(c, EVP_sha256()) != 1 ||
	    EVP_PKEY_sign(c, bytes, &n, digest, SHA256_SIZE) != 1)
		return failed(ERR_CRYPTO, "signature: %s", x509_reason());
	buf_put(out, bytes, n);
	return buf_check(out);
}

enum err devkey_sign(const struct secret *pem, const struct devkey_passphrase *passphrase,
		     const uint8_t digest[SHA256_SIZE], struct buf *public, struct buf *signature)
{
	CLEANUP(bio) BIO *bio = BIO_new_mem_buf(pem->p, (int)pem->len);
	CLEANUP(key)
	EVP_PKEY *key =
		bio ? PEM_read_bio_PrivateKey(bio, NULL, ask, (void *)(uintptr_t)passphrase) : NULL;
	size_t start = public->len;
	enum err e;

	if (!key)
		return failed(ERR_CRYPTO, "no private key in PEM, or another passphrase: %s",
			      x509_reason());
	if ((e = put_public(key, public)) || (e = check_kind(key, public->len - start)))
		return e;
	return sign(key, digest, signature);
}

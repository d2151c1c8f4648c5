/* devkey_test.c - developers' keys: which are taken, whose signature is whose. */
#include "testbed/unit/check.h"

#include <string.h>

#include "audit/devkey.h"
#include "audit/openssl.h"
#include <openssl/param_build.h>

static const uint8_t digest[SHA256_SIZE] = { 1, 2, 3 };

static const struct kind {
	const char *type, *curve;
	int bits;
	bool taken;
} kinds[] = {
	{ "EC", "P-256", 0, true },    { "EC", "P-384", 0, true },
	{ "RSA", NULL, 2048, true },   { "RSA", NULL, 3072, true },
	{ "EC", "P-521", 0, false },   { "EC", "secp256k1", 0, false },
	{ "RSA", NULL, 1024, false },  { "RSA-PSS", NULL, 2048, false },
	{ "ED25519", NULL, 0, false },
};

static EVP_PKEY *make_key(const struct kind *kind)
{
	EVP_PKEY_CTX *c = EVP_PKEY_CTX_new_from_name(NULL, kind->type, NULL);
	EVP_PKEY *key = NULL;

	ck_assert(c && EVP_PKEY_keygen_init(c) == 1);
	if (kind->bits)
		ck_assert_int_eq(EVP_PKEY_CTX_set_rsa_keygen_bits(c, kind->bits), 1);
	if (kind->curve)
		ck_assert_int_eq(EVP_PKEY_CTX_set_group_name(c, kind->curve), 1);
	ck_assert_int_eq(EVP_PKEY_generate(c, &key), 1);
	EVP_PKEY_CTX_free(c);
	return key;
}

static void put_bio(BIO *bio, struct buf *out)
{
	char *bytes;
	long n = BIO_get_mem_data(bio, &bytes);

	buf_put(out, bytes, (size_t)n);
	BIO_free(bio);
}

/* Its two halves in PEM; @word: the passphrase of the private one. */
static void write_key(EVP_PKEY *key, const char *word, struct secret *private, struct buf *public)
{
	CLEANUP(buf) struct buf pem = BUF_INIT;
	BIO *a = BIO_new(BIO_s_mem()), *b = BIO_new(BIO_s_mem());

	ck_assert_int_eq(PEM_write_bio_PKCS8PrivateKey(a, key, word ? EVP_aes_256_cbc() : NULL,
						       word, word ? (int)strlen(word) : 0, NULL,
						       NULL),
			 1);
	ck_assert_int_eq(PEM_write_bio_PUBKEY(b, key), 1);
	put_bio(a, &pem);
	put_bio(b, public);
	ck_assert_ok(secret_new(private, pem.len));
	memcpy(private->p, pem.data, pem.len);
}

struct answer {
	const char *word;
	unsigned asked;
};

static enum err tell(void *context, struct secret *out)
{
	struct answer *answer = context;
	size_t n = strlen(answer->word);

	answer->asked++;
	ck_assert_ok(secret_new(out, n));
	memcpy(out->p, answer->word, n);
	return OK;
}

static struct answer answer;
static const struct devkey_passphrase passphrase = { tell, &answer };

struct made {
	struct buf key, signature;
};

static void made_cleanup(struct made *m)
{
	buf_free(&m->key);
	buf_free(&m->signature);
}

static enum err sign_by(const struct kind *kind, const char *word, struct made *out)
{
	CLEANUP(secret) struct secret private = { 0 };
	CLEANUP(buf) struct buf public = BUF_INIT, der = BUF_INIT;
	EVP_PKEY *key = make_key(kind);

	write_key(key, word, &private, &public);
	EVP_PKEY_free(key);
	enum err e = devkey_public(buf_slice(&public), &der);
	ck_assert_int_eq(e, kind->taken ? OK : ERR_UNSUPPORTED);
	e = devkey_sign(&private, &passphrase, digest, &out->key, &out->signature);
	if (!e)
		ck_assert(slice_equal(buf_slice(&der), buf_slice(&out->key)));
	return e;
}

static enum err verify(const struct made *m)
{
	return devkey_verify(buf_slice(&m->key), digest, buf_slice(&m->signature));
}

START_TEST(signature_of_a_key_holds_and_no_other_does)
{
	CLEANUP(made) struct made m = { BUF_INIT, BUF_INIT };
	uint8_t other[SHA256_SIZE] = { 9 };

	ck_assert_ok(sign_by(&kinds[_i], NULL, &m));
	ck_assert_ok(verify(&m));
	ck_assert_err(devkey_verify(buf_slice(&m.key), other, buf_slice(&m.signature)), ERR_CRYPTO);
	for (size_t i = 0; i < m.signature.len; i++) {
		m.signature.data[i] ^= 1;
		ck_assert_msg(verify(&m) == ERR_CRYPTO, "byte %zu", i);
		m.signature.data[i] ^= 1;
	}
	buf_put_u8(&m.signature, 0);
	ck_assert_err(verify(&m), ERR_CRYPTO);
}
END_TEST

START_TEST(key_of_another_kind_is_refused)
{
	CLEANUP(made) struct made m = { BUF_INIT, BUF_INIT };

	ck_assert_err(sign_by(&kinds[_i], NULL, &m), ERR_UNSUPPORTED);
	/* Also where it only verifies. */
	ck_assert_err(devkey_verify(buf_slice(&m.key), digest, slice_text("x")), ERR_UNSUPPORTED);
}
END_TEST

START_TEST(damaged_key_is_refused_and_has_one_encoding)
{
	CLEANUP(made) struct made m = { BUF_INIT, BUF_INIT };
	CLEANUP(buf) struct buf read = BUF_INIT;

	ck_assert_ok(sign_by(&kinds[0], NULL, &m));
	ck_assert_ok(devkey_public(buf_slice(&m.key), &read));
	ck_assert(slice_equal(buf_slice(&read), buf_slice(&m.key)));
	for (size_t i = 0; i < m.key.len; i++) {
		m.key.data[i] ^= 1;
		ck_assert_msg(verify(&m) != OK, "byte %zu", i);
		m.key.data[i] ^= 1;
	}
	buf_put_u8(&m.key, 0);
	ck_assert_err(verify(&m), ERR_UNSUPPORTED);
	m.key.len = 0;
	ck_assert_err(verify(&m), ERR_FORMAT);
}
END_TEST

static const struct {
	const char *form;
	uint8_t first; /* of the point */
} forms[] = { { "compressed", 0 }, { "hybrid", 6 }, { "hybrid", 7 } };

START_TEST(the_same_point_written_otherwise_is_no_second_key)
{
	CLEANUP(buf) struct buf der = BUF_INIT, out = BUF_INIT;
	uint8_t *p, first = forms[_i].first;

	/* Until its point is of that kind. */
	for (size_t at = 0; !der.len || (first && der.data[at] != first);) {
		EVP_PKEY *key = make_key(&kinds[0]);

		ck_assert_int_eq(
			EVP_PKEY_set_utf8_string_param(
				key, OSSL_PKEY_PARAM_EC_POINT_CONVERSION_FORMAT, forms[_i].form),
			1);
		int n = i2d_PUBKEY(key, NULL);
		buf_reset(&der);
		p = buf_add(&der, (size_t)n);
		ck_assert_int_eq(i2d_PUBKEY(key, &p), n);
		at = (size_t)n - 65;
		EVP_PKEY_free(key);
	}
	ck_assert_err(devkey_verify(buf_slice(&der), digest, slice_text("x")), ERR_UNSUPPORTED);
	ck_assert_err(devkey_public(buf_slice(&der), &out), ERR_UNSUPPORTED);
}
END_TEST

static const unsigned long exponents[] = { 1, 3, 65536 };

/* With 1 everybody can sign; the rest is what NIST leaves out (FIPS 186-5, 5.1). */
START_TEST(rsa_key_with_an_exponent_out_of_range_is_refused)
{
	CLEANUP(buf) struct buf der = BUF_INIT, out = BUF_INIT;
	EVP_PKEY *whole = make_key(&kinds[2]), *key = NULL;
	EVP_PKEY_CTX *c = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
	OSSL_PARAM_BLD *parts = OSSL_PARAM_BLD_new();
	BIGNUM *n = NULL, *e = BN_new();

	ck_assert_int_eq(EVP_PKEY_get_bn_param(whole, OSSL_PKEY_PARAM_RSA_N, &n), 1);
	ck_assert(BN_set_word(e, exponents[_i]) && OSSL_PARAM_BLD_push_BN(parts, "n", n) &&
		  OSSL_PARAM_BLD_push_BN(parts, "e", e));
	OSSL_PARAM *list = OSSL_PARAM_BLD_to_param(parts);
	ck_assert(list && EVP_PKEY_fromdata_init(c) == 1 &&
		  EVP_PKEY_fromdata(c, &key, EVP_PKEY_PUBLIC_KEY, list) == 1);
	int size = i2d_PUBKEY(key, NULL);
	uint8_t *p = buf_add(&der, (size_t)size);
	ck_assert_int_eq(i2d_PUBKEY(key, &p), size);
	ck_assert_err(devkey_verify(buf_slice(&der), digest, slice_text("x")), ERR_UNSUPPORTED);
	ck_assert_err(devkey_public(buf_slice(&der), &out), ERR_UNSUPPORTED);
	OSSL_PARAM_free(list);
	OSSL_PARAM_BLD_free(parts);
	EVP_PKEY_CTX_free(c);
	EVP_PKEY_free(key);
	EVP_PKEY_free(whole);
	BN_free(n);
	BN_free(e);
}
END_TEST

START_TEST(passphrase_is_asked_for_where_there_is_one)
{
	CLEANUP(made) struct made m = { BUF_INIT, BUF_INIT }, n = { BUF_INIT, BUF_INIT };

	answer = (struct answer){ "swordfish", 0 };
	ck_assert_ok(sign_by(&kinds[0], "swordfish", &m));
	ck_assert_uint_eq(answer.asked, 1);
	ck_assert_ok(verify(&m));
	answer.word = "sturgeon";
	ck_assert_err(sign_by(&kinds[0], "swordfish", &n), ERR_CRYPTO);
}
END_TEST

START_TEST(what_is_no_key_is_refused)
{
	CLEANUP(made) struct made m = { BUF_INIT, BUF_INIT };
	CLEANUP(secret) struct secret none = { 0 };
	static uint8_t zeros[20000];

	ck_assert_ok(secret_new(&none, 64));
	ck_assert_err(devkey_sign(&none, &passphrase, digest, &m.key, &m.signature), ERR_CRYPTO);
	ck_assert_err(devkey_public(slice_text("hello"), &m.key), ERR_FORMAT);
	ck_assert_err(devkey_public(slice_text("0"), &m.key), ERR_FORMAT);
	ck_assert_err(devkey_public(SLICE(zeros), &m.key), ERR_FORMAT);
}
END_TEST

static void add(TCase *t)
{
	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, signature_of_a_key_holds_and_no_other_does, 0, 4);
	tcase_add_loop_test(t, key_of_another_kind_is_refused, 4, sizeof kinds / sizeof *kinds);
	tcase_add_test(t, damaged_key_is_refused_and_has_one_encoding);
	tcase_add_table(t, the_same_point_written_otherwise_is_no_second_key, forms);
	tcase_add_table(t, rsa_key_with_an_exponent_out_of_range_is_refused, exponents);
	tcase_add_test(t, passphrase_is_asked_for_where_there_is_one);
	tcase_add_test(t, what_is_no_key_is_refused);
}

int main(void)
{
	return check_run("devkey", add);
}

/* token_test.c - a SoftHSM token through token.h. */
#include "testbed/unit/check.h"

#include <pthread.h>
#include <string.h>

#include "audit/openssl.h"
#include "pkcs11/token.h"
#include "testbed/mock/mock.h"
#include "testbed/softhsm/harness.h"
#include "testbed/softhsm/p256.h"

#define LABEL "assay"

static struct softhsm golden, store;

/* In the test's own process: SoftHSM takes one directory per process. */
static struct token *opened(void)
{
	struct token *t = NULL;

	softhsm_copy(&golden, &store);
	softhsm_use(&store);
	ck_assert_ok(token_open(softhsm_module(), LABEL, NULL, &t));
	return t;
}

static void login(struct token *t, CK_USER_TYPE role, const char *pin)
{
	CLEANUP(secret) struct secret s = { 0 };

	ck_assert(secret_new(&s, strlen(pin)) == OK);
	memcpy(s.p, pin, s.len);
	ck_assert_ok(token_login(t, role, &s));
}

static void closed(struct token *t)
{
	token_close(t);
	softhsm_remove(&store);
}

START_TEST(says_what_it_is)
{
	struct token *t = opened(), *again = NULL;
	struct token_info info;

	token_info(t, &info);
	ck_assert_str_eq(info.label, LABEL);
	ck_assert_str_eq(info.manufacturer, "SoftHSM project");
	ck_assert_uint_eq(strlen(info.serial), 16);
	ck_assert_str_eq(info.firmware, "2.6");
	ck_assert(token_open(softhsm_module(), NULL, info.serial, &again) == OK);
	token_close(again);
	ck_assert(token_open(softhsm_module(), "nobody", NULL, &again) == ERR_NOT_FOUND);
	ck_assert(token_open("/lib/x86_64-linux-gnu/libc.so.6", LABEL, NULL, &again) == ERR_FORMAT);
	ck_assert(token_open("/nonexistent.so", LABEL, NULL, &again) == ERR_NOT_FOUND);
	closed(t);
}
END_TEST

START_TEST(a_wrong_pin_is_a_matter_of_login)
{
	struct token *t = opened();
	CLEANUP(secret) struct secret pin = { 0 };

	ck_assert(secret_new(&pin, 8) == OK);
	memcpy(pin.p, "00000000", 8);
	ck_assert(token_login(t, CKU_USER, &pin) == ERR_LOGIN);
	ck_assert_ptr_nonnull(strstr(err_reason(), "CKR_PIN_INCORRECT"));
	ck_assert_ptr_null(strstr(err_reason(), "00000000"));
	login(t, CKU_USER, HARNESS_PIN);
	closed(t);
}
END_TEST

START_TEST(makes_finds_and_uses_a_signing_key)
{
	struct token *t = opened();
	struct slice id = slice_text("key-1");
	CLEANUP(buf) struct buf sig = BUF_INIT, value = BUF_INIT;
	CK_OBJECT_HANDLE made, found, public_half;
	uint8_t point[65], read_back[65], digest[32] = { 1, 2, 3 };

	ck_assert(token_make_ec(t, "k", id, &made, point) == ERR_CRYPTO); /* read-only session */
	login(t, CKU_USER, HARNESS_PIN);
	ck_assert(token_find(t, CKO_PRIVATE_KEY, id, &found) == ERR_NOT_FOUND);
	ck_assert_ok(token_make_ec(t, "k", id, &made, point));
	ck_assert(token_find(t, CKO_PRIVATE_KEY, id, &found) == OK);
	ck_assert(found == made);
	ck_assert(token_find(t, CKO_PUBLIC_KEY, id, &public_half) == OK);
	ck_assert(token_ec_point(t, public_half, read_back) == OK);
	ck_assert_mem_eq(point, read_back, sizeof point);
	ck_assert(token_sign(t, made, digest, &sig) == OK);
	ck_assert(p256_verifies(point, digest, buf_slice(&sig)));
	digest[0] ^= 1;
	ck_assert(!p256_verifies(point, digest, buf_slice(&sig)));
	ck_assert(token_get_value(t, made, CKA_VALUE, 64, &value) == ERR_CRYPTO);
	ck_assert(token_make_ec(t, "k", id, &made, point) == OK);
	ck_assert(token_find(t, CKO_PRIVATE_KEY, id, &found) == ERR_EXISTS);
	ck_assert(token_logout(t) == OK);
	ck_assert(token_sign(t, made, digest, &sig) != OK);
	closed(t);
}
END_TEST

/* By another implementation, from the public key's bytes alone. */
static bool ed25519_verifies(const uint8_t public_key[32], struct slice message, struct slice sig)
{
	EVP_PKEY *key = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, public_key, 32);
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	bool good = EVP_DigestVerifyInit(context, NULL, NULL, NULL, key) == 1 &&
		    EVP_DigestVerify(context, sig.p, sig.left, message.p, message.left) == 1;

	EVP_MD_CTX_free(context);
	EVP_PKEY_free(key);
	return good;
}

START_TEST(makes_an_ed25519_key_and_signs_messages)
{
	struct token *t = opened();
	struct slice id = slice_text("key-1 ed25519"), message = slice_text("origin\n1\nroot\n");
	CLEANUP(buf) struct buf sig = BUF_INIT, value = BUF_INIT;
	CK_OBJECT_HANDLE made, found;
	uint8_t public_key[32], other[32] = { 9 };

	login(t, CKU_USER, HARNESS_PIN);
	ck_assert_ok(token_make_ed25519(t, "k", id, &made, public_key));
	ck_assert_ok(token_find(t, CKO_PRIVATE_KEY, id, &found));
	ck_assert_uint_eq(found, made);
	ck_assert_ok(token_find(t, CKO_PUBLIC_KEY, id, &found));
	ck_assert_ok(token_sign_ed25519(t, made, message, &sig));
	ck_assert_uint_eq(sig.len, 64);
	ck_assert(ed25519_verifies(public_key, message, buf_slice(&sig)));
	ck_assert(!ed25519_verifies(public_key, slice_text("another"), buf_slice(&sig)));
	ck_assert(!ed25519_verifies(other, message, buf_slice(&sig)));
	ck_assert_err(token_get_value(t, made, CKA_VALUE, 64, &value), ERR_CRYPTO);
	ck_assert_err(token_sign(t, made, other, &sig), ERR_CRYPTO);
	closed(t);
}
END_TEST

static void makes_no_ed25519_key(struct token *t)
{
	struct slice id = slice_text("none");
	CK_OBJECT_HANDLE key;
	uint8_t public_key[32];

	ck_assert_err(token_make_ed25519(t, "k", id, &key, public_key), ERR_UNSUPPORTED);
	ck_assert_err(token_find(t, CKO_PRIVATE_KEY, id, &key), ERR_NOT_FOUND);
}

START_TEST(a_token_without_ed25519_says_so_and_makes_nothing)
{
	static const char *const without[] = { "CKM_EDDSA", "CKM_EC_EDWARDS_KEY_PAIR_GEN" };
	struct token *t = NULL;

	softhsm_copy(&golden, &store);
	softhsm_without(&store, without[_i]);
	softhsm_use(&store);
	ck_assert_ok(token_open(softhsm_module(), LABEL, NULL, &t));
	login(t, CKU_USER, HARNESS_PIN);
	makes_no_ed25519_key(t);
	closed(t);
}
END_TEST

START_TEST(a_module_of_few_mechanisms_gives_no_ed25519_key)
{
	const char *build = getenv("BUILD");
	struct token *t = NULL;
	char module[512];

	snprintf(module, sizeof module, "%s/mock/mock_hsm.so", build ? build : "build");
	ck_assert_ok(token_open(module, NULL, MOCK_SERIAL, &t));
	makes_no_ed25519_key(t);
	token_close(t);
}
END_TEST

START_TEST(seals_and_unseals)
{
	struct token *t = opened();
	CLEANUP(buf) struct buf sealed = BUF_INIT;
	static const uint8_t plain[32] = { 7, 7, 7 };
	uint8_t out[32];
	CK_OBJECT_HANDLE key;

	login(t, CKU_USER, HARNESS_PIN);
	ck_assert_ok(token_make_aes(t, "w", slice_text("wrap"), &key));
	ck_assert_ok(token_seal(t, key, SLICE(plain), &sealed));
	ck_assert_uint_eq(sealed.len, 12 + 32 + 16);
	ck_assert_ok(token_unseal(t, key, buf_slice(&sealed), out, 32));
	ck_assert_mem_eq(out, plain, 32);
	ck_assert(token_unseal(t, key, buf_slice(&sealed), out, 31) == ERR_FORMAT);
	for (size_t i = 0; i < sealed.len; i += 7) {
		sealed.data[i] ^= 0x10;
		ck_assert(token_unseal(t, key, buf_slice(&sealed), out, 32) != OK);
		sealed.data[i] ^= 0x10;
	}
	ck_assert(token_unseal(t, key, buf_slice(&sealed), out, 32) == OK);
	closed(t);
}
END_TEST

START_TEST(data_is_put_listed_and_destroyed)
{
	struct token *t = opened();
	CLEANUP(buf) struct buf value = BUF_INIT;
	CK_OBJECT_HANDLE made[2], found[4];
	size_t n;

	login(t, CKU_USER, HARNESS_PIN);
	ck_assert_ok(token_list_data(t, "anchor", found, 4, &n));
	ck_assert_uint_eq(n, 0);
	ck_assert_ok(token_put_data(t, "anchor", slice_text("one"), &made[0]));
	ck_assert_ok(token_put_data(t, "anchor", slice_text("two"), &made[1]));
	ck_assert_ok(token_list_data(t, "anchor", found, 4, &n));
	ck_assert_uint_eq(n, 2);
	ck_assert_ok(token_destroy(t, made[0]));
	ck_assert_ok(token_list_data(t, "anchor", found, 4, &n));
	ck_assert_uint_eq(n, 1);
	ck_assert_ok(token_get_value(t, found[0], CKA_VALUE, 64, &value));
	ck_assert(slice_is(buf_slice(&value), "two"));
	ck_assert_ok(token_logout(t));
	ck_assert_ok(token_list_data(t, "anchor", found, 4, &n));
	ck_assert_uint_eq(n, 0);
	closed(t);
}
END_TEST

START_TEST(only_the_so_makes_a_trusted_certificate)
{
	struct token *t = opened();
	CLEANUP(buf) struct buf value = BUF_INIT;
	CK_OBJECT_HANDLE object;
	struct slice id = slice_text("cert"), der = slice_text("0\0");

	login(t, CKU_USER, HARNESS_PIN);
	ck_assert(token_put_certificate(t, id, "c", der, true, &object) == ERR_CRYPTO);
	ck_assert_ptr_nonnull(strstr(err_reason(), "CKR_ATTRIBUTE_READ_ONLY"));
	ck_assert_ok(token_put_certificate(t, id, "c", der, false, &object));
	ck_assert(token_destroy(t, object) == OK);
	ck_assert(token_logout(t) == OK);
	login(t, CKU_SO, HARNESS_SO_PIN);
	ck_assert_ok(token_put_certificate(t, id, "c", der, true, &object));
	ck_assert(token_get_value(t, object, CKA_VALUE, der.left - 1, &value) == ERR_RANGE);
	ck_assert(token_get_value(t, object, CKA_VALUE, 64, &value) == OK);
	ck_assert(slice_equal(buf_slice(&value), der));
	ck_assert(token_destroy(t, object) == OK);
	ck_assert(token_find(t, CKO_CERTIFICATE, id, &object) == ERR_NOT_FOUND);
	closed(t);
}
END_TEST

static struct token *shared;
static CK_OBJECT_HANDLE shared_key;

static void *sign_many(void *unused)
{
	uint8_t digest[32] = { 9 };

	for (int i = 0; i < 20; i++) {
		CLEANUP(buf) struct buf sig = BUF_INIT;

		if (token_sign(shared, shared_key, digest, &sig) || sig.len != 64)
			return shared;
	}
	return unused;
}

START_TEST(more_threads_than_sessions_sign_together)
{
	pthread_t threads[24];
	uint8_t point[65];

	shared = opened();
	login(shared, CKU_USER, HARNESS_PIN);
	ck_assert(token_make_ec(shared, "k", slice_text("k"), &shared_key, point) == OK);
	for (size_t i = 0; i < 24; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, sign_many, NULL), 0);
	for (size_t i = 0; i < 24; i++) {
		void *bad;

		pthread_join(threads[i], &bad);
		ck_assert_ptr_null(bad);
	}
	closed(shared);
}
END_TEST

START_TEST(results_have_names)
{
	ck_assert_str_eq(ckr_name(CKR_OK), "CKR_OK");
	ck_assert_str_eq(ckr_name(CKR_USER_ANOTHER_ALREADY_LOGGED_IN),
			 "CKR_USER_ANOTHER_ALREADY_LOGGED_IN");
	ck_assert_str_eq(ckr_name(0x80000001), "CKR_0x80000001");
}
END_TEST

static void add(TCase *t)
{
	tcase_add_test(t, says_what_it_is);
	tcase_add_test(t, a_wrong_pin_is_a_matter_of_login);
	tcase_add_test(t, makes_finds_and_uses_a_signing_key);
	tcase_add_test(t, makes_an_ed25519_key_and_signs_messages);
	tcase_add_loop_test(t, a_token_without_ed25519_says_so_and_makes_nothing, 0, 2);
	tcase_add_test(t, a_module_of_few_mechanisms_gives_no_ed25519_key);
	tcase_add_test(t, seals_and_unseals);
	tcase_add_test(t, data_is_put_listed_and_destroyed);
	tcase_add_test(t, only_the_so_makes_a_trusted_certificate);
	tcase_add_test(t, more_threads_than_sessions_sign_together);
	tcase_add_test(t, results_have_names);
}

int main(void)
{
	softhsm_make(&golden);
	softhsm_token(&golden, LABEL);
	int result = check_run("token", add);
	softhsm_remove(&golden);
	return result;
}

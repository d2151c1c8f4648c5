/* A TPM's quote, put together from its structures with a key of this test: it holds, and nothing of
 * it can be changed. testbed/e2e/tpm_test.sh has one that a TPM made. */
#include "testbed/unit/check.h"

#include <stdlib.h>
#include <string.h>

#include "audit/ecdsa.h"
#include "audit/openssl.h"
#include "audit/quote.h"

static EVP_PKEY *key;
static struct leaf *tcb;
static struct buf public, attest, signature, quote;
static const struct slice certificate = { (const uint8_t *)"certificate", 11 };

static void put_sized(struct buf *out, const void *p, size_t n)
{
	buf_put_u16(out, (uint16_t)n);
	buf_put(out, p, n);
}

static void make_public(void)
{
	uint8_t point[ECDSA_POINT];
	size_t n;

	ck_assert_int_eq(EVP_PKEY_get_octet_string_param(key, OSSL_PKEY_PARAM_PUB_KEY, point,
							 sizeof point, &n),
			 1);
	ck_assert_uint_eq(n, sizeof point);
	buf_put(&public,
		"\x00\x23\x00\x0b\x00\x05\x00\x72\x00\x00\x00\x10\x00\x18\x00\x0b\x00\x03\x00\x10",
		20);
	put_sized(&public, point + 1, 32);
	put_sized(&public, point + 33, 32);
}

static void make_attest(void)
{
	uint8_t challenge[SHA256_SIZE], digest[SHA256_SIZE], values[QUOTE_REGISTERS][SHA256_SIZE];

	for (size_t i = 0; i < QUOTE_REGISTERS; i++)
		memset(values[i], (int)i + 1, SHA256_SIZE);
	sha256_once(SLICE(values), digest);
	ck_assert_ok(quote_challenge(tcb->cti, tcb->origin, certificate, challenge));
	buf_put(&attest, "\xff\x54\x43\x47\x80\x18", 6);
	put_sized(&attest, "signer", 6);
	put_sized(&attest, challenge, sizeof challenge);
	buf_put(&attest,
		"clockclockclockcl"
		"firmware",
		25);
	buf_put(&attest, "\0\0\0\1\x00\x0b\3\xff\0\0", 10);
	put_sized(&attest, digest, sizeof digest);
}

static void make_signature(void)
{
	uint8_t digest[SHA256_SIZE], der[ECDSA_DER_MAX], raw[ECDSA_RAW];
	size_t n = sizeof der;
	EVP_PKEY_CTX *c = EVP_PKEY_CTX_new(key, NULL);

	sha256_once(buf_slice(&attest), digest);
	ck_assert(c && EVP_PKEY_sign_init(c) == 1 &&
		  EVP_PKEY_sign(c, der, &n, digest, sizeof digest) == 1);
	EVP_PKEY_CTX_free(c);
	ck_assert_ok(ecdsa_from_der(slice_of(der, n), raw));
	buf_put(&signature, "\x00\x18\x00\x0b", 4);
	put_sized(&signature, raw, 32);
	put_sized(&signature, raw + 32, 32);
}

static void put_quote(void)
{
	buf_reset(&quote);
	quote_write(&(struct quote_parts){ buf_slice(&public), buf_slice(&attest),
					   buf_slice(&signature) },
		    &quote);
	tcb->hsm.tpm = buf_slice(&quote);
}

static void set_up(void)
{
	static char names[QUOTE_REGISTERS][16];

	key = EVP_EC_gen("P-256");
	tcb = calloc(1, sizeof *tcb);
	memcpy(tcb->cti, "0123456789abcdef", 16);
	tcb->origin = slice_text("assay.dev/x");
	tcb->has_hsm = true;
	public = attest = signature = quote = BUF_INIT;
	make_public();
	make_attest();
	make_signature();
	for (size_t i = 0; i < QUOTE_REGISTERS; i++) {
		(void)snprintf(names[i], sizeof names[i], QUOTE_REGISTER, (unsigned)i);
		tcb->components[i].name = slice_text(names[i]);
		memset(tcb->components[i].sha256, (int)i + 1, SHA256_SIZE);
	}
	tcb->components[QUOTE_REGISTERS].name = slice_text(QUOTE_KEY);
	sha256_once(buf_slice(&public), tcb->components[QUOTE_REGISTERS].sha256);
	tcb->components_n = QUOTE_REGISTERS + 1;
	put_quote();
}

static void tear_down(void)
{
	EVP_PKEY_free(key);
	free(tcb);
	buf_free(&public);
	buf_free(&attest);
	buf_free(&signature);
	buf_free(&quote);
}

START_TEST(a_quote_holds_for_its_record)
{
	ck_assert_ok(quote_verify(tcb, certificate));
	tcb->hsm.tpm = slice_of(NULL, 0);
	ck_assert_err(quote_verify(tcb, certificate), ERR_NOT_FOUND);
}
END_TEST

/* The signer's name, clock and firmware are the TPM's own affair, but signed like the rest. */
START_TEST(no_byte_of_a_quote_can_be_changed)
{
	for (size_t i = 0; i < quote.len; i++) {
		quote.data[i] ^= 1;
		ck_assert_msg(quote_verify(tcb, certificate) != OK, "byte %zu", i);
		quote.data[i] ^= 1;
	}
	ck_assert_ok(quote_verify(tcb, certificate));
	for (size_t n = 0; n < quote.len; n++) {
		tcb->hsm.tpm = slice_of(quote.data, n ? n : 1);
		ck_assert_msg(quote_verify(tcb, certificate) != OK, "cut to %zu", n);
	}
}
END_TEST

START_TEST(a_quote_is_for_one_record_of_one_log_under_one_key)
{
	tcb->cti[3] ^= 1;
	ck_assert_err(quote_verify(tcb, certificate), ERR_MISMATCH);
	tcb->cti[3] ^= 1;
	ck_assert_err(quote_verify(tcb, slice_text("another")), ERR_MISMATCH);
	tcb->origin = slice_text("assay.dev/y");
	ck_assert_err(quote_verify(tcb, certificate), ERR_MISMATCH);
}
END_TEST

START_TEST(registers_and_key_are_those_that_the_record_lists)
{
	for (size_t i = 0; i < tcb->components_n; i++) {
		tcb->components[i].sha256[5] ^= 1;
		ck_assert_err(quote_verify(tcb, certificate), ERR_MISMATCH);
		tcb->components[i].sha256[5] ^= 1;
	}
	tcb->components_n = QUOTE_REGISTERS;
	ck_assert_err(quote_verify(tcb, certificate), ERR_MISMATCH);
	tcb->components_n = 3;
	ck_assert_err(quote_verify(tcb, certificate), ERR_MISMATCH);
}
END_TEST

START_TEST(a_quote_for_a_tree_holds_in_all_its_shards)
{
	tcb->origin = slice_text("assay.dev/x/s2");
	ck_assert_ok(quote_verify(tcb, certificate));
	tcb->origin = slice_text("assay.dev/x/s3");
	ck_assert_ok(quote_verify(tcb, certificate));
	tcb->origin = slice_text("assay.dev/x/t3");
	ck_assert_err(quote_verify(tcb, certificate), ERR_MISMATCH);
}
END_TEST

static const struct {
	const char *why;
	size_t at;
	uint8_t byte;
} keys[] = {
	{ "not restricted: it would sign anything", 5, 0x04 },
	{ "not fixed to its TPM", 7, 0x70 },
	{ "an RSA key", 1, 0x01 },
	{ "another curve", 17, 0x04 },
};

START_TEST(a_key_that_could_sign_what_no_tpm_said_is_refused)
{
	public.data[keys[_i].at] = keys[_i].byte;
	sha256_once(buf_slice(&public), tcb->components[QUOTE_REGISTERS].sha256);
	put_quote();
	ck_assert_msg(quote_verify(tcb, certificate) == ERR_FORMAT, "%s", keys[_i].why);
}
END_TEST

START_TEST(what_a_tpm_signed_for_another_purpose_is_no_quote)
{
	attest.data[5] = 0x17; /* TPM_ST_ATTEST_CERTIFY */
	buf_reset(&signature);
	make_signature();
	put_quote();
	ck_assert_err(quote_verify(tcb, certificate), ERR_FORMAT);
}
END_TEST

static void add(TCase *t)
{
	tcase_add_checked_fixture(t, set_up, tear_down);
	tcase_add_test(t, a_quote_holds_for_its_record);
	tcase_add_test(t, no_byte_of_a_quote_can_be_changed);
	tcase_add_test(t, a_quote_is_for_one_record_of_one_log_under_one_key);
	tcase_add_test(t, a_quote_for_a_tree_holds_in_all_its_shards);
	tcase_add_test(t, registers_and_key_are_those_that_the_record_lists);
	tcase_add_table(t, a_key_that_could_sign_what_no_tpm_said_is_refused, keys);
	tcase_add_test(t, what_a_tpm_signed_for_another_purpose_is_no_quote);
}

int main(void)
{
	return check_run("quote", add);
}

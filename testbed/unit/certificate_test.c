#include "audit/certificates.h"
#include "testbed/unit/appliance.h"
#include "testbed/unit/check.h"

static struct certificate_spec key_spec(struct appliance *a)
{
	struct certificate_spec spec = { .name = "attestation key",
					 .origin = APPLIANCE_ORIGIN,
					 .issuer = buf_slice(&a->ca),
					 .not_before = APPLIANCE_TIME,
					 .not_after = APPLIANCE_TIME + 1000 };

	appliance_point(a, APPLIANCE_KEY, spec.point);
	return spec;
}

START_TEST(a_certificate_of_the_ca_verifies_for_its_log_and_time)
{
	struct appliance a;
	CLEANUP(buf) struct buf der = BUF_INIT;

	appliance_init(&a);
	struct certificate_spec spec = key_spec(&a);
	ck_assert_ok(certificate_make(&spec, &a.signer, APPLIANCE_CA, &der));
	struct slice certificate = buf_slice(&der), ca = buf_slice(&a.ca);
	ck_assert_ok(chain_verify(certificate, NULL, ca, APPLIANCE_ORIGIN, APPLIANCE_TIME + 1));
	ck_assert_ok(chain_verify(certificate, NULL, ca, NULL, APPLIANCE_TIME + 1));
	ck_assert_err(chain_verify(certificate, NULL, ca, "elsewhere", APPLIANCE_TIME + 1),
		      ERR_CRYPTO);
	ck_assert_err(chain_verify(certificate, NULL, ca, APPLIANCE_ORIGIN, APPLIANCE_TIME - 1),
		      ERR_CRYPTO);
	ck_assert_err(chain_verify(certificate, NULL, ca, APPLIANCE_ORIGIN, APPLIANCE_TIME + 1001),
		      ERR_CRYPTO);
	appliance_free(&a);
}
END_TEST

START_TEST(the_point_is_the_keys)
{
	struct appliance a;
	uint8_t wanted[CERTIFICATE_POINT], found[CERTIFICATE_POINT];

	appliance_init(&a);
	appliance_point(&a, APPLIANCE_KEY, wanted);
	ck_assert_ok(certificate_point(buf_slice(&a.certificate), found));
	ck_assert_mem_eq(wanted, found, sizeof wanted);
	appliance_free(&a);
}
END_TEST

START_TEST(an_ed25519_key_has_a_certificate_that_is_good_for_no_proof)
{
	static const uint8_t digest[SHA256_SIZE], raw[ECDSA_RAW] = { 1 };
	CLEANUP(buf) struct buf der = BUF_INIT;
	uint8_t key[CERTIFICATE_ED25519], point[CERTIFICATE_POINT];
	struct appliance a;
	struct vkey vkey;

	appliance_init(&a);
	appliance_ed25519(&a, APPLIANCE_ORIGIN, &vkey);
	struct certificate_spec spec = key_spec(&a);
	spec.ed25519 = vkey.key;
	ck_assert_ok(certificate_make(&spec, &a.signer, APPLIANCE_CA, &der));
	struct slice certificate = buf_slice(&der), ca = buf_slice(&a.ca);
	ck_assert_ok(chain_verify(certificate, NULL, ca, APPLIANCE_ORIGIN, APPLIANCE_TIME + 1));
	ck_assert_ok(certificate_ed25519(certificate, key));
	ck_assert_mem_eq(key, vkey.key, sizeof key);
	ck_assert_err(certificate_point(certificate, point), ERR_UNSUPPORTED);
	ck_assert_err(ecdsa_verify(certificate, digest, SLICE(raw)), ERR_UNSUPPORTED);
	ck_assert_err(certificate_ed25519(buf_slice(&a.certificate), key), ERR_UNSUPPORTED);
	appliance_free(&a);
}
END_TEST

START_TEST(the_ca_itself_or_a_strangers_certificate_is_refused)
{
	struct appliance a, b;

	appliance_init(&a);
	appliance_init(&b);
	ck_assert_err(chain_verify(buf_slice(&a.ca), NULL, buf_slice(&a.ca), NULL, APPLIANCE_TIME),
		      ERR_CRYPTO);
	ck_assert_err(chain_verify(buf_slice(&b.certificate), NULL, buf_slice(&a.ca), NULL,
				   APPLIANCE_TIME),
		      ERR_CRYPTO);
	/* A key's certificate is no CA, whatever it signs. */
	ck_assert_err(chain_verify(buf_slice(&a.certificate), NULL, buf_slice(&a.certificate), NULL,
				   APPLIANCE_TIME),
		      ERR_CRYPTO);
	appliance_free(&a);
	appliance_free(&b);
}
END_TEST

START_TEST(a_key_that_is_not_the_issuers_makes_no_certificate)
{
	struct appliance a;
	CLEANUP(buf) struct buf der = BUF_INIT;

	appliance_init(&a);
	struct certificate_spec spec = key_spec(&a);
	ck_assert_err(certificate_make(&spec, &a.signer, APPLIANCE_KEY, &der), ERR_CRYPTO);
	ck_assert_uint_eq(der.len, 0);
	appliance_free(&a);
}
END_TEST

START_TEST(a_spec_without_name_origin_or_time_is_refused)
{
	struct appliance a;
	CLEANUP(buf) struct buf der = BUF_INIT;

	appliance_init(&a);
	struct certificate_spec spec = key_spec(&a);
	spec.origin = NULL;
	ck_assert_err(certificate_make(&spec, &a.signer, APPLIANCE_CA, &der), ERR_RANGE);
	spec = key_spec(&a);
	spec.name = "";
	ck_assert_err(certificate_make(&spec, &a.signer, APPLIANCE_CA, &der), ERR_RANGE);
	spec.name = "a name that is longer than the 64 characters which X.520 allows a common name";
	ck_assert_err(certificate_make(&spec, &a.signer, APPLIANCE_CA, &der), ERR_RANGE);
	spec = key_spec(&a);
	spec.not_after = spec.not_before;
	ck_assert_err(certificate_make(&spec, &a.signer, APPLIANCE_CA, &der), ERR_RANGE);
	spec = key_spec(&a);
	memset(spec.point + 1, 1, 64); /* not on the curve */
	ck_assert_err(certificate_make(&spec, &a.signer, APPLIANCE_CA, &der), ERR_CRYPTO);
	appliance_free(&a);
}
END_TEST

START_TEST(an_origin_is_not_read_as_openssl_configuration)
{
	static const char odd[] = "example/a,DNS:evil.example,@section";
	struct appliance a;

	appliance_init_for(&a, odd);
	ck_assert_ok(chain_verify(buf_slice(&a.certificate), NULL, buf_slice(&a.ca), odd,
				  APPLIANCE_TIME));
	appliance_free(&a);
}
END_TEST

START_TEST(no_changed_certificate_verifies)
{
	struct appliance a;

	appliance_init(&a);
	for (size_t at = 0; at < a.certificate.len; at++) {
		a.certificate.data[at] ^= (uint8_t)(1 << at % 8);
		ck_assert_msg(chain_verify(buf_slice(&a.certificate), NULL, buf_slice(&a.ca),
					   APPLIANCE_ORIGIN, APPLIANCE_TIME) != OK,
			      "byte %zu", at);
		a.certificate.data[at] ^= (uint8_t)(1 << at % 8);
	}
	appliance_free(&a);
}
END_TEST

START_TEST(pem_and_der_files_are_read)
{
	struct appliance a;
	CLEANUP(buf) struct buf pem = BUF_INIT;
	CLEANUP(buf) struct buf der = BUF_INIT;

	appliance_init(&a);
	certificate_put_pem(buf_slice(&a.ca), &pem);
	ck_assert_ok(certificate_from_file(buf_slice(&pem), &der));
	ck_assert(slice_equal(buf_slice(&der), buf_slice(&a.ca)));
	buf_reset(&der);
	ck_assert_ok(certificate_from_file(buf_slice(&a.ca), &der));
	ck_assert(slice_equal(buf_slice(&der), buf_slice(&a.ca)));
	buf_reset(&der);
	ck_assert_err(certificate_from_file(slice_text("nonsense"), &der), ERR_CRYPTO);
	ck_assert_err(certificate_from_file(slice_of("", 0), &der), ERR_CRYPTO);
	ck_assert_err(certificate_from_file(slice_of(a.ca.data, a.ca.len - 1), &der), ERR_CRYPTO);
	appliance_free(&a);
}
END_TEST

/* OpenSSL takes a signature whose last byte has an unused bit, and writes it without. */
START_TEST(a_certificate_has_one_der_form)
{
	CLEANUP(buf) struct buf pem = BUF_INIT;
	static const uint8_t bit_string[] = { 0x03, 0x00, 0x00,
					      0x30 }; /* tag, length, unused, SEQUENCE */
	struct appliance a;
	CLEANUP(buf) struct buf der = BUF_INIT;
	uint8_t *unused = NULL;

	appliance_init(&a);
	for (uint8_t *p = a.ca.data; p + sizeof bit_string <= a.ca.data + a.ca.len; p++)
		if (p[0] == bit_string[0] && p[2] == bit_string[2] && p[3] == bit_string[3])
			unused = p + 2;
	ck_assert_ptr_nonnull(unused);
	ck_assert_uint_eq(unused[-1], (size_t)(a.ca.data + a.ca.len - unused));
	*unused = 1;
	a.ca.data[a.ca.len - 1] |= 1; /* the bit that is not used: where it is 0, this is DER */
	ck_assert_err(certificate_from_file(buf_slice(&a.ca), &der), ERR_CRYPTO);
	ck_assert_ptr_nonnull(strstr(err_reason(), "not in DER"));
	/* Nor in PEM, where OpenSSL would write it anew. */
	certificate_put_pem(buf_slice(&a.ca), &pem);
	ck_assert_err(certificate_from_file(buf_slice(&pem), &der), ERR_CRYPTO);
	ck_assert_err(chain_from_file(buf_slice(&pem), &der), ERR_CRYPTO);
	appliance_free(&a);
}
END_TEST

START_TEST(signatures_have_one_der_form)
{
	struct appliance a;
	uint8_t digest[SHA256_SIZE] = { 1 }, raw[ECDSA_RAW];

	appliance_init(&a);
	for (int i = 0; i < 200; i++) {
		CLEANUP(buf) struct buf signature = BUF_INIT;
		CLEANUP(buf) struct buf der = BUF_INIT;

		ck_assert_ok(appliance_sign(&a, APPLIANCE_KEY, digest, &signature));
		ck_assert_ok(
			ecdsa_verify(buf_slice(&a.certificate), digest, buf_slice(&signature)));
		ck_assert_ok(ecdsa_to_der(buf_slice(&signature), &der));
		ck_assert_ok(ecdsa_from_der(buf_slice(&der), raw));
		ck_assert_mem_eq(raw, signature.data, sizeof raw);
		buf_put_u8(&der, 0);
		ck_assert_err(ecdsa_from_der(buf_slice(&der), raw), ERR_FORMAT);
	}
	/* r = -1: OpenSSL would read it, and drop the sign. */
	static const uint8_t negative[] = { 0x30, 6, 2, 1, 0xff, 2, 1, 1 };
	static const uint8_t padded[] = { 0x30, 7, 2, 2, 0, 1, 2, 1, 1 };
	ck_assert_err(ecdsa_from_der(SLICE(negative), raw), ERR_FORMAT);
	ck_assert_err(ecdsa_from_der(SLICE(padded), raw), ERR_FORMAT);
	appliance_free(&a);
}
END_TEST

/* Parsing costs more than a signature: it happens once, as long as there is room. */
START_TEST(a_certificate_is_parsed_once)
{
	struct certificates kept = { 0 };
	struct appliance a[CERTIFICATES_KEPT + 1];
	X509 *first = NULL, *again = NULL, *none = NULL;

	for (size_t i = 0; i < sizeof a / sizeof *a; i++)
		appliance_init(&a[i]);
	ck_assert_ok(certificates_take(&kept, buf_slice(&a[0].ca), &first));
	ck_assert_ok(certificates_take(&kept, buf_slice(&a[0].ca), &again));
	ck_assert_ptr_eq(first, again);
	X509_free(again);
	for (size_t i = 1; i < sizeof a / sizeof *a; i++) {
		ck_assert_ok(certificates_take(&kept, buf_slice(&a[i].ca), &again));
		ck_assert_ptr_ne(first, again);
		X509_free(again);
	}
	ck_assert_ok(certificates_take(&kept, buf_slice(&a[0].ca), &again));
	ck_assert_ptr_ne(first, again);
	ck_assert_int_eq(X509_cmp(first, again), 0);
	ck_assert_err(certificates_take(&kept, slice_text("nonsense"), &none), ERR_CRYPTO);
	ck_assert_err(certificates_take(&kept, slice_of(a[0].ca.data, a[0].ca.len - 1), &none),
		      ERR_CRYPTO);
	X509_free(first);
	X509_free(again);
	certificates_free(&kept);
	for (size_t i = 0; i < sizeof a / sizeof *a; i++)
		appliance_free(&a[i]);
}
END_TEST

static void add(TCase *t)
{
	tcase_add_test(t, a_certificate_is_parsed_once);
	tcase_add_test(t, a_certificate_of_the_ca_verifies_for_its_log_and_time);
	tcase_add_test(t, the_point_is_the_keys);
	tcase_add_test(t, an_ed25519_key_has_a_certificate_that_is_good_for_no_proof);
	tcase_add_test(t, the_ca_itself_or_a_strangers_certificate_is_refused);
	tcase_add_test(t, a_key_that_is_not_the_issuers_makes_no_certificate);
	tcase_add_test(t, a_spec_without_name_origin_or_time_is_refused);
	tcase_add_test(t, an_origin_is_not_read_as_openssl_configuration);
	tcase_add_test(t, no_changed_certificate_verifies);
	tcase_add_test(t, pem_and_der_files_are_read);
	tcase_add_test(t, a_certificate_has_one_der_form);
	tcase_add_test(t, signatures_have_one_der_form);
}

int main(void)
{
	return check_run("certificate", add);
}

#include "testbed/unit/check.h"
#include "testbed/unit/sample.h"

#include "audit/chain.h"
#include "audit/revocation.h"
#include "audit/x509.h"

/* A vendor: a root that certifies the sample's CA, and takes certificates back. */
struct vendor {
	struct sample s;
	EVP_PKEY *key;
	X509 *root;
	struct buf root_der, above; /* @above: the appliance's CA, then the root */
};

static void add(X509 *x, X509 *issuer, int nid, const char *value)
{
	X509V3_CTX c;

	X509V3_set_ctx(&c, issuer, x, NULL, NULL, 0);
	X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &c, nid, value);
	ck_assert(extension && X509_add_ext(x, extension, -1) == 1);
	X509_EXTENSION_free(extension);
}

/* A CA's certificate; @issuer NULL: by itself. */
static X509 *certify(const char *name, EVP_PKEY *key, X509 *issuer, EVP_PKEY *by, int pathlen,
		     int64_t from, int64_t to)
{
	X509 *x = X509_new();
	X509_NAME *subject = X509_get_subject_name(x);
	char basic[64];

	issuer = issuer ? issuer : x;
	snprintf(basic, sizeof basic, "critical,CA:TRUE,pathlen:%d", pathlen);
	X509_set_version(x, X509_VERSION_3);
	ASN1_INTEGER_set(X509_get_serialNumber(x), 4711);
	X509_NAME_add_entry_by_NID(subject, NID_commonName, MBSTRING_UTF8, (const void *)name, -1,
				   -1, 0);
	X509_set_issuer_name(x, X509_get_subject_name(issuer));
	ASN1_TIME_set(X509_getm_notBefore(x), from);
	ASN1_TIME_set(X509_getm_notAfter(x), to);
	X509_set_pubkey(x, key);
	add(x, issuer, NID_basic_constraints, basic);
	add(x, issuer, NID_key_usage, "critical,keyCertSign,cRLSign");
	add(x, issuer, NID_subject_key_identifier, "hash");
	add(x, issuer, NID_authority_key_identifier, "keyid:always");
	ck_assert_int_gt(X509_sign(x, by, EVP_sha256()), 0);
	return x;
}

/* The sample's CA under a vendor's root, and its key's certificate anew; then the proof. */
static void vendor_init(struct vendor *v, int64_t from, int64_t to)
{
	struct appliance *a = &v->s.appliance;

	memset(v, 0, sizeof *v);
	sample_init(&v->s);
	v->key = EVP_RSA_gen(2048);
	v->root = certify("Vendor", v->key, NULL, v->key, 1, from, to);
	appliance_must(x509_put(v->root, &v->root_der));
	X509 *ca = certify("Device", a->keys[APPLIANCE_CA], v->root, v->key, 0, from, to);
	buf_reset(&a->ca);
	buf_reset(&a->certificate);
	appliance_must(x509_put(ca, &a->ca));
	X509_free(ca);
	struct certificate_spec spec = { .name = "key",
					 .unit = "bank-a",
					 .serial = "serial #1",
					 .origin = APPLIANCE_ORIGIN,
					 .issuer = buf_slice(&a->ca),
					 .not_before = from,
					 .not_after = to + 1000 };
	appliance_point(a, APPLIANCE_KEY, spec.point);
	appliance_must(certificate_make(&spec, &a->signer, APPLIANCE_CA, &a->certificate));
	buf_put_slice(&v->above, buf_slice(&a->ca));
	buf_put_slice(&v->above, buf_slice(&v->root_der));
	a->key.certificate = buf_slice(&a->certificate);
	a->key.chain = buf_slice(&v->above);
	v->s.expect.ca = buf_slice(&v->root_der);
	sample_seal(&v->s);
}

static void vendor_free(struct vendor *v)
{
	sample_free(&v->s);
	EVP_PKEY_free(v->key);
	X509_free(v->root);
	buf_free(&v->root_der);
	buf_free(&v->above);
}

static enum err verify(struct vendor *v, char words[256])
{
	CLEANUP(proof_report) struct proof_report report;
	enum err e = proof_verify(buf_slice(&v->s.proof), &v->s.expect, &report);

	for (size_t i = 0; i < report.n; i++)
		if (!strcmp(report.checks[i].name, "revocation"))
			snprintf(words, 256, "%s", report.checks[i].words);
	return e;
}

#define DAY 86400

/* A list of the vendor's, or of the appliance's CA, with one certificate in it (@der) or none. */
struct list {
	bool by_ca;
	struct slice der;
	int64_t revoked, invalid; /* 0: no invalidityDate */
	int64_t issued, next;
	long reason;
};

static void put_list(struct vendor *v, const struct list *list, struct buf *out)
{
	struct appliance *a = &v->s.appliance;
	X509_CRL *crl = X509_CRL_new();
	ASN1_TIME *t = ASN1_TIME_new();
	CLEANUP(x509) X509 *ca = NULL;
	CLEANUP(x509) X509 *x = NULL;
	uint8_t *der = NULL;

	appliance_must(x509_parse(buf_slice(&a->ca), &ca));
	X509_CRL_set_version(crl, X509_CRL_VERSION_2);
	X509_CRL_set_issuer_name(crl, X509_get_subject_name(list->by_ca ? ca : v->root));
	X509_CRL_set1_lastUpdate(crl, ASN1_TIME_set(t, list->issued));
	X509_CRL_set1_nextUpdate(crl, ASN1_TIME_set(t, list->next));
	if (list->der.left) {
		X509_REVOKED *entry = X509_REVOKED_new();
		ASN1_ENUMERATED *reason = ASN1_ENUMERATED_new();
		ASN1_GENERALIZEDTIME *g = ASN1_GENERALIZEDTIME_set(NULL, list->invalid);

		appliance_must(x509_parse(list->der, &x));
		X509_REVOKED_set_serialNumber(entry, X509_get_serialNumber(x));
		X509_REVOKED_set_revocationDate(entry, ASN1_TIME_set(t, list->revoked));
		ASN1_ENUMERATED_set(reason, list->reason);
		if (list->reason)
			X509_REVOKED_add1_ext_i2d(entry, NID_crl_reason, reason, 0, 0);
		if (list->invalid)
			X509_REVOKED_add1_ext_i2d(entry, NID_invalidity_date, g, 0, 0);
		X509_CRL_add0_revoked(crl, entry);
		ASN1_ENUMERATED_free(reason);
		ASN1_GENERALIZEDTIME_free(g);
	}
	X509_CRL_sort(crl);
	ck_assert_int_gt(
		X509_CRL_sign(crl, list->by_ca ? a->keys[APPLIANCE_CA] : v->key, EVP_sha256()), 0);
	int n = i2d_X509_CRL(crl, &der);
	ck_assert_int_gt(n, 0);
	buf_put(out, der, (size_t)n);
	OPENSSL_free(der);
	ASN1_TIME_free(t);
	X509_CRL_free(crl);
}

START_TEST(a_proof_holds_by_any_certificate_of_its_chain)
{
	struct vendor v;
	char words[256];

	vendor_init(&v, APPLIANCE_TIME - DAY, APPLIANCE_TIME + DAY);
	ck_assert_ok(verify(&v, words));
	v.s.expect.ca = buf_slice(&v.s.appliance.ca);
	ck_assert_ok(verify(&v, words));
	v.s.expect.ca = buf_slice(&v.s.appliance.certificate);
	ck_assert_err(verify(&v, words), ERR_CRYPTO);
	vendor_free(&v);
}
END_TEST

START_TEST(no_byte_of_a_longer_chain_can_be_changed)
{
	struct vendor v;
	char words[256];

	vendor_init(&v, APPLIANCE_TIME - DAY, APPLIANCE_TIME + DAY);
	for (size_t by = 0; by < 2; by++) {
		v.s.expect.ca = buf_slice(by ? &v.s.appliance.ca : &v.root_der);
		for (size_t at = 0; at < v.s.proof.len; at += 3) {
			v.s.proof.data[at] ^= (uint8_t)(1 << at % 8);
			ck_assert_msg(verify(&v, words) != OK, "byte %zu", at);
			v.s.proof.data[at] ^= (uint8_t)(1 << at % 8);
		}
	}
	vendor_free(&v);
}
END_TEST

START_TEST(a_renewed_ca_of_the_same_key_will_do)
{
	struct vendor v;
	struct appliance *a = &v.s.appliance;
	CLEANUP(buf) struct buf der = BUF_INIT;
	char words[256];

	vendor_init(&v, APPLIANCE_TIME - DAY, APPLIANCE_TIME + DAY);
	X509 *renewed = certify("Device", a->keys[APPLIANCE_CA], v.root, v.key, 0,
				APPLIANCE_TIME - DAY, APPLIANCE_TIME + 9 * DAY);
	appliance_must(x509_put(renewed, &der));
	v.s.expect.ca = buf_slice(&der);
	ck_assert_ok(verify(&v, words));
	X509_free(renewed);
	EVP_PKEY *other = EVP_EC_gen("P-256");
	X509 *forged = certify("Device", other, NULL, other, 0, APPLIANCE_TIME - DAY,
			       APPLIANCE_TIME + 9 * DAY);
	buf_reset(&der);
	appliance_must(x509_put(forged, &der));
	v.s.expect.ca = buf_slice(&der);
	ck_assert_err(verify(&v, words), ERR_CRYPTO);
	ck_assert(strstr(err_reason(), "another CA than the one given") != NULL);
	X509_free(forged);
	EVP_PKEY_free(other);
	vendor_free(&v);
}
END_TEST

/* All of it ended a day after the proof, in 2025. */
START_TEST(an_expired_chain_is_judged_at_the_time_of_the_proof)
{
	struct vendor v;
	char words[256];

	vendor_init(&v, APPLIANCE_TIME - DAY, APPLIANCE_TIME + DAY);
	ck_assert_ok(verify(&v, words));
	vendor_free(&v);
	vendor_init(&v, APPLIANCE_TIME - 2 * DAY, APPLIANCE_TIME - DAY);
	ck_assert_err(verify(&v, words), ERR_CRYPTO);
	ck_assert(strstr(err_reason(), "expired") != NULL);
	vendor_free(&v);
}
END_TEST

START_TEST(a_certificate_ends_no_later_than_its_issuer)
{
	struct vendor v;
	CLEANUP(x509) X509 *x = NULL;

	vendor_init(&v, APPLIANCE_TIME - DAY, APPLIANCE_TIME + DAY);
	ck_assert_ok(x509_parse(buf_slice(&v.s.appliance.certificate), &x));
	ck_assert_int_eq(ASN1_TIME_compare(X509_get0_notAfter(x), X509_get0_notAfter(v.root)), 0);
	vendor_free(&v);
}
END_TEST

START_TEST(a_chain_has_bounds_and_a_root)
{
	struct vendor v;
	CLEANUP(buf) struct buf many = BUF_INIT;
	struct chain chain;

	vendor_init(&v, APPLIANCE_TIME - DAY, APPLIANCE_TIME + DAY);
	ck_assert_ok(chain_read(buf_slice(&v.above), &chain));
	ck_assert_uint_eq(chain.n, 2);
	ck_assert_ok(chain_check(&chain, APPLIANCE_TIME));
	chain.n = 1;
	ck_assert_err(chain_check(&chain, APPLIANCE_TIME), ERR_CRYPTO);
	for (size_t n = 0; n < v.above.len; n++)
		if (n != v.s.appliance.ca.len)
			ck_assert_err(chain_read(slice_of(v.above.data, n), &chain), ERR_FORMAT);
	for (int i = 0; i <= CHAIN_ALL; i++)
		buf_put_slice(&many, buf_slice(&v.s.appliance.ca));
	ck_assert_err(chain_read(buf_slice(&many), &chain), ERR_FORMAT);
	vendor_free(&v);
}
END_TEST

#define LATER (APPLIANCE_TIME + 30 * DAY)

static const struct {
	const char *why;
	struct list list; /* its certificate: the key's if by_ca, else the CA's */
	enum err wanted;
	const char *words;
} lists[] = {
	{ "revoked before the proof",
	  { .revoked = APPLIANCE_TIME - 1, .next = LATER },
	  ERR_CRYPTO,
	  "before the proof" },
	{ "and that for its key",
	  { .by_ca = true, .revoked = APPLIANCE_TIME, .next = LATER },
	  ERR_CRYPTO,
	  "before the proof" },
	{ "revoked after it",
	  { .revoked = APPLIANCE_TIME + 1, .next = LATER },
	  OK,
	  "revoked LATER" },
	{ "superseded after it",
	  { .by_ca = true,
	    .revoked = APPLIANCE_TIME + 9,
	    .next = LATER,
	    .reason = CRL_REASON_SUPERSEDED },
	  OK,
	  "revoked LATER" },
	{ "doubted since before it",
	  { .revoked = APPLIANCE_TIME + 9, .invalid = APPLIANCE_TIME - 9, .next = LATER },
	  ERR_CRYPTO,
	  "before the proof" },
	{ "stolen after it, and no time stamp",
	  { .by_ca = true,
	    .revoked = APPLIANCE_TIME + 9,
	    .next = LATER,
	    .reason = CRL_REASON_KEY_COMPROMISE },
	  ERR_CRYPTO,
	  "only a time stamp" },
	{ "a list of before the proof",
	  { .revoked = APPLIANCE_TIME - 9, .next = APPLIANCE_TIME - 1 },
	  ERR_CRYPTO,
	  "older than the proof" },
};

START_TEST(what_was_revoked_is_judged_at_the_time_of_the_proof)
{
	struct list list = lists[_i].list;
	CLEANUP(buf) struct buf der = BUF_INIT;
	struct vendor v;
	char words[256] = "";

	vendor_init(&v, APPLIANCE_TIME - DAY, APPLIANCE_TIME + DAY);
	list.der = buf_slice(list.by_ca ? &v.s.appliance.certificate : &v.s.appliance.ca);
	list.issued = APPLIANCE_TIME - 10;
	put_list(&v, &list, &der);
	v.s.expect.crls = buf_slice(&der);
	ck_assert_msg(verify(&v, words) == lists[_i].wanted, "%s: %s", lists[_i].why, err_reason());
	ck_assert_msg(strstr(words, lists[_i].words) != NULL, "%s: %s", lists[_i].why, words);
	vendor_free(&v);
}
END_TEST

/* A stamp says that the proof was there before its key was stolen. */
START_TEST(a_stolen_keys_proof_needs_somebody_elses_time)
{
	struct list list = { .by_ca = true,
			     .revoked = APPLIANCE_TIME + 9,
			     .issued = APPLIANCE_TIME,
			     .next = LATER,
			     .reason = CRL_REASON_KEY_COMPROMISE };
	CLEANUP(buf) struct buf der = BUF_INIT, words = BUF_INIT;
	struct vendor v;
	struct chain chain;

	vendor_init(&v, APPLIANCE_TIME - DAY, APPLIANCE_TIME + DAY);
	list.der = buf_slice(&v.s.appliance.certificate);
	put_list(&v, &list, &der);
	appliance_must(chain_read(buf_slice(&v.above), &chain));
	struct revocation question = { buf_slice(&der), list.der,       &chain,
				       { 0 },           APPLIANCE_TIME, false };
	ck_assert_err(revocation_check(&question, &words), ERR_CRYPTO);
	question.stamped = true;
	ck_assert_ok(revocation_check(&question, &words));
	question.at = APPLIANCE_TIME + 10;
	ck_assert_err(revocation_check(&question, &words), ERR_CRYPTO);
	vendor_free(&v);
}
END_TEST

START_TEST(a_list_that_is_changed_foreign_or_none_is_refused)
{
	struct list list = { .issued = APPLIANCE_TIME, .next = LATER };
	CLEANUP(buf) struct buf der = BUF_INIT;
	struct vendor v, other;
	char words[256] = "";

	vendor_init(&v, APPLIANCE_TIME - DAY, APPLIANCE_TIME + DAY);
	put_list(&v, &list, &der);
	v.s.expect.crls = buf_slice(&der);
	ck_assert_ok(verify(&v, words));
	ck_assert(strstr(words, "nothing revoked before") != NULL);
	for (size_t at = 0; at < der.len; at += 5) {
		der.data[at] ^= (uint8_t)(1 << at % 8);
		ck_assert_msg(verify(&v, words) != OK, "byte %zu", at);
		der.data[at] ^= (uint8_t)(1 << at % 8);
	}
	v.s.expect.crls = slice_of(der.data, der.len - 1);
	ck_assert_err(verify(&v, words), ERR_FORMAT);
	vendor_init(&other, APPLIANCE_TIME - DAY, APPLIANCE_TIME + DAY);
	buf_reset(&der);
	put_list(&other, &list, &der);
	v.s.expect.crls = buf_slice(&der);
	ck_assert_err(verify(&v, words), ERR_CRYPTO);
	vendor_free(&other);
	vendor_free(&v);
}
END_TEST

START_TEST(a_request_asks_for_what_a_ca_needs)
{
	struct appliance a;
	CLEANUP(buf) struct buf pem = BUF_INIT;

	appliance_init(&a);
	struct certificate_spec spec = { .ca = true, .name = "assay-ca", .serial = "01" };
	appliance_point(&a, APPLIANCE_CA, spec.point);
	ck_assert_ok(certificate_request(&spec, &a.signer, APPLIANCE_CA, &pem));
	BIO *bio = BIO_new_mem_buf(pem.data, (int)pem.len);
	X509_REQ *request = PEM_read_bio_X509_REQ(bio, NULL, NULL, NULL);
	ck_assert_ptr_nonnull(request);
	ck_assert_int_eq(X509_REQ_verify(request, a.keys[APPLIANCE_CA]), 1);
	X509_EXTENSIONS *wishes = X509_REQ_get_extensions(request);
	ck_assert_int_eq(X509v3_get_ext_count(wishes), 3);
	BASIC_CONSTRAINTS *basic = X509V3_get_d2i(wishes, NID_basic_constraints, NULL, NULL);
	ck_assert(basic && basic->ca && ASN1_INTEGER_get(basic->pathlen) == 0);
	BASIC_CONSTRAINTS_free(basic);
	sk_X509_EXTENSION_pop_free(wishes, X509_EXTENSION_free);
	X509_REQ_free(request);
	BIO_free(bio);
	buf_reset(&pem);
	ck_assert_err(certificate_request(&spec, &a.signer, APPLIANCE_KEY, &pem), ERR_CRYPTO);
	appliance_free(&a);
}
END_TEST

static void add_tests(TCase *t)
{
	tcase_add_test(t, a_proof_holds_by_any_certificate_of_its_chain);
	tcase_add_test(t, no_byte_of_a_longer_chain_can_be_changed);
	tcase_add_test(t, a_renewed_ca_of_the_same_key_will_do);
	tcase_add_test(t, an_expired_chain_is_judged_at_the_time_of_the_proof);
	tcase_add_test(t, a_certificate_ends_no_later_than_its_issuer);
	tcase_add_test(t, a_chain_has_bounds_and_a_root);
	tcase_add_loop_test(t, what_was_revoked_is_judged_at_the_time_of_the_proof, 0,
			    sizeof lists / sizeof *lists);
	tcase_add_test(t, a_stolen_keys_proof_needs_somebody_elses_time);
	tcase_add_test(t, a_list_that_is_changed_foreign_or_none_is_refused);
	tcase_add_test(t, a_request_asks_for_what_a_ca_needs);
}

int main(void)
{
	return check_run("chain", add_tests);
}

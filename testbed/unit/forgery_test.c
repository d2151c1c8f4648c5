/* forgery_test.c - evidence that was changed, or put together from other evidence, is refused. */
#include "testbed/unit/sealed.h"

START_TEST(no_changed_proof_verifies)
{
	sample_seal(&s);
	for (size_t at = 0; at < s.proof.len; at++) {
		uint8_t change = (uint8_t)(1 << at % 8);

		s.proof.data[at] ^= change;
		ck_assert_msg(verify() != OK, "byte %zu", at);
		s.proof.data[at] ^= change;
	}
	ck_assert_ok(verify());
}
END_TEST

START_TEST(no_cut_or_longer_proof_verifies)
{
	CLEANUP(proof_report) struct proof_report report;

	sample_seal(&s);
	for (size_t n = 0; n < s.proof.len; n++)
		ck_assert_err(proof_verify(slice_of(s.proof.data, n), &s.expect, &report),
			      ERR_FORMAT);
	buf_put_u8(&s.proof, 0);
	assert_refused(ERR_FORMAT, "damaged or not a proof");
}
END_TEST

START_TEST(a_record_of_another_place_is_refused)
{
	CLEANUP(buf) struct buf receipt = BUF_INIT;

	sample_seal(&s);
	appliance_receipt(&s.appliance, APPLIANCE_ORIGIN, 1, &receipt);
	buf_reset(&s.proof);
	proof_write(&(struct proof_parts){ .leaf = buf_slice(&s.leaf_raw),
					   .receipt = buf_slice(&receipt) },
		    &s.proof);
	assert_refused(ERR_MISMATCH, "the receipt does not match: it is for leaf 1");
	buf_reset(&receipt);
	appliance_receipt(&s.appliance, "assay.example/test/bank-b/1", s.leaf->pos, &receipt);
	buf_reset(&s.proof);
	proof_write(&(struct proof_parts){ .leaf = buf_slice(&s.leaf_raw),
					   .receipt = buf_slice(&receipt) },
		    &s.proof);
	assert_refused(ERR_MISMATCH, "it is for log \"assay.example/test/bank-b/1\"");
}
END_TEST

/* The key of one partition's log can't sign for another's. */
START_TEST(a_certificate_for_another_log_is_refused)
{
	appliance_free(&s.appliance);
	appliance_init_for(&s.appliance, "assay.example/test/bank-b/1");
	appliance_grow(&s.appliance, 1);
	s.expect.ca = buf_slice(&s.appliance.ca);
	sample_seal(&s);
	assert_refused(ERR_CRYPTO, "the certificate is not for the log " APPLIANCE_ORIGIN);
}
END_TEST

START_TEST(another_tcb_record_is_refused)
{
	struct leaf *tcb = calloc(1, sizeof *tcb);
	CLEANUP(buf) struct buf raw = BUF_INIT;

	sample_seal(&s);
	ck_assert_ok(leaf_decode(buf_slice(&s.tcb_raw), tcb));
	tcb->components[1].sha256[0] ^= 1;
	ck_assert_ok(leaf_encode(tcb, &raw));
	buf_reset(&s.proof);
	proof_write(&(struct proof_parts){ buf_slice(&s.leaf_raw), buf_slice(&s.receipt),
					   buf_slice(&raw), buf_slice(&s.tcb_receipt) },
		    &s.proof);
	assert_refused(ERR_MISMATCH, "the TCB record does not match");
	free(tcb);
}
END_TEST

/* Under one vendor's root there are many appliances. */
static X509 *issue(EVP_PKEY *key, const char *name, X509 *issuer, EVP_PKEY *by)
{
	static long serial;
	X509 *x = X509_new();
	X509V3_CTX c;

	ASN1_INTEGER_set(X509_get_serialNumber(x), ++serial);
	X509_set_version(x, X509_VERSION_3);
	ASN1_TIME_set(X509_getm_notBefore(x), APPLIANCE_TIME - 2000);
	ASN1_TIME_set(X509_getm_notAfter(x), APPLIANCE_TIME + 1000000000);
	X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN", MBSTRING_ASC,
				   (const unsigned char *)name, -1, -1, 0);
	X509_set_issuer_name(x, X509_get_subject_name(issuer ? issuer : x));
	X509_set_pubkey(x, key);
	X509V3_set_ctx(&c, issuer ? issuer : x, x, NULL, NULL, 0);
	static const int nids[] = { NID_basic_constraints, NID_key_usage,
				    NID_subject_key_identifier, NID_authority_key_identifier };
	static const char *const values[] = { "critical,CA:TRUE", "critical,keyCertSign,cRLSign",
					      "hash", "keyid" };
	for (size_t i = 0; i < 4; i++) {
		X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, &c, nids[i], values[i]);

		ck_assert(e && X509_add_ext(x, e, -1) == 1);
		X509_EXTENSION_free(e);
	}
	ck_assert_int_gt(X509_sign(x, by, EVP_sha256()), 0);
	return x;
}

static void put_x509(X509 *x, struct buf *out)
{
	uint8_t *der = NULL;
	int n = i2d_X509(x, &der);

	ck_assert_int_gt(n, 0);
	buf_put(out, der, (size_t)n);
	OPENSSL_free(der);
}

/* The appliance's CA becomes one that the vendor issued, with the same key. */
static void put_under(struct appliance *a, X509 *root, EVP_PKEY *root_key, struct buf *chain)
{
	X509 *ca = issue(a->keys[APPLIANCE_CA], "Assay test CA", root, root_key);

	put_x509(ca, chain);
	put_x509(root, chain);
	a->key.chain = buf_slice(chain);
	X509_free(ca);
}

START_TEST(another_appliances_tcb_record_is_refused_under_a_common_root)
{
	EVP_PKEY *root_key = EVP_EC_gen("P-256");
	X509 *root = issue(root_key, "Vendor", NULL, root_key);
	CLEANUP(buf) struct buf root_der = BUF_INIT, chain = BUF_INIT, other_chain = BUF_INIT;
	struct sample other;

	put_x509(root, &root_der);
	sample_init(&other);
	put_under(&s.appliance, root, root_key, &chain);
	put_under(&other.appliance, root, root_key, &other_chain);
	sample_seal(&s);
	sample_seal(&other);
	s.expect.ca = buf_slice(&root_der);
	ck_assert_ok(verify());
	buf_reset(&s.tcb_raw);
	buf_reset(&s.tcb_receipt);
	buf_put_slice(&s.tcb_raw, buf_slice(&other.tcb_raw));
	buf_put_slice(&s.tcb_receipt, buf_slice(&other.tcb_receipt));
	sample_write(&s);
	assert_refused(ERR_MISMATCH,
		       "the TCB record's receipt does not hold: it is another appliance's");
	sample_free(&other);
	X509_free(root);
	EVP_PKEY_free(root_key);
}
END_TEST

START_TEST(registers_of_a_tpm_without_its_quote_are_refused)
{
	s.tcb->components[2].name = slice_text("tpm:pcr-0");
	s.tcb->components_n = 3;
	sample_seal(&s);
	assert_refused(ERR_MISMATCH, "lists a TPM's registers, and has no quote");
}
END_TEST

START_TEST(a_swapped_leaf_is_refused)
{
	CLEANUP(buf) struct buf raw = BUF_INIT;

	sample_seal(&s);
	s.leaf->output[0] ^= 1;
	ck_assert_ok(leaf_encode(s.leaf, &raw));
	buf_reset(&s.leaf_raw);
	buf_put_slice(&s.leaf_raw, buf_slice(&raw));
	sample_write(&s);
	assert_refused(ERR_CRYPTO, "the signature does not match the record");
}
END_TEST

/* A record beside it in the same tree: the receipt holds, for that one. */
START_TEST(a_receipt_of_another_leaf_is_refused)
{
	sample_seal(&s);
	buf_reset(&s.receipt);
	buf_put_slice(&s.receipt, buf_slice(&s.tcb_receipt));
	sample_write(&s);
	assert_refused(ERR_MISMATCH, "the receipt does not match: it is for leaf 1, the record "
				     "says 4");
}
END_TEST

/* The one place in the receipt where these bytes stand. */
static uint8_t *in_receipt(const void *bytes, size_t n)
{
	uint8_t *at = memmem(s.receipt.data, s.receipt.len, bytes, n);

	ck_assert_ptr_nonnull(at);
	return at;
}

START_TEST(a_changed_index_is_refused)
{
	sample_seal(&s);
	in_receipt("\x83\x08\x04", 3)[2] = 5;
	sample_write(&s);
	assert_refused(ERR_MISMATCH, "the receipt does not match: it is for leaf 5, the record "
				     "says 4");
}
END_TEST

/* In the proof alone, and in the signed header too. */
START_TEST(a_changed_tree_size_is_refused)
{
	sample_seal(&s);
	in_receipt("\x83\x08\x04", 3)[1] = 7;
	sample_write(&s);
	assert_refused(ERR_FORMAT, "the receipt is damaged: receipt: tree size 7 in the proof, 8 "
				   "signed");
	in_receipt("\x3a\x00\x01\x11\xd4\x08", 6)[5] = 7;
	sample_write(&s);
	assert_refused(ERR_CRYPTO, "the signature does not match the record");
}
END_TEST

/* RFC 9052 section 3.1: who does not know what is critical must refuse the message. */
START_TEST(a_critical_header_that_is_not_known_is_refused)
{
	CLEANUP(buf) struct buf header = BUF_INIT, changed = BUF_INIT;
	struct cose_sign1 parts;

	sample_seal(&s);
	ck_assert_ok(cose_take(buf_slice(&s.receipt), &parts));
	buf_put(&header, "\xa7\x01\x26\x02\x81\x39\x03\xe7", 8); /* crit: [-1000] */
	buf_put(&header, parts.protected.p + 3, parts.protected.left - 3);
	parts.protected = buf_slice(&header);
	cose_put(&changed, &parts);
	buf_reset(&s.receipt);
	buf_put_slice(&s.receipt, buf_slice(&changed));
	sample_write(&s);
	assert_refused(ERR_FORMAT, "the receipt is damaged");
}
END_TEST

/* One byte more than the shortest head, at the beginning: the rest is the same. */
START_TEST(encoding_that_is_not_deterministic_is_refused)
{
	CLEANUP(buf) struct buf longer = BUF_INIT;

	sample_seal(&s);
	ck_assert_uint_eq(s.proof.data[0], 0x85);
	buf_put(&longer, "\x98\x05", 2);
	buf_put(&longer, s.proof.data + 1, s.proof.len - 1);
	buf_reset(&s.proof);
	buf_put_slice(&s.proof, buf_slice(&longer));
	assert_refused(ERR_FORMAT, "damaged or not a proof: not an assay-proof-1: CBOR");
}
END_TEST

static void add(TCase *t)
{
	tcase_add_checked_fixture(t, make_sample, free_sample);
	tcase_add_test(t, no_changed_proof_verifies);
	tcase_add_test(t, no_cut_or_longer_proof_verifies);
	tcase_add_test(t, a_record_of_another_place_is_refused);
	tcase_add_test(t, a_certificate_for_another_log_is_refused);
	tcase_add_test(t, another_tcb_record_is_refused);
	tcase_add_test(t, another_appliances_tcb_record_is_refused_under_a_common_root);
	tcase_add_test(t, registers_of_a_tpm_without_its_quote_are_refused);
	tcase_add_test(t, a_swapped_leaf_is_refused);
	tcase_add_test(t, a_receipt_of_another_leaf_is_refused);
	tcase_add_test(t, a_changed_index_is_refused);
	tcase_add_test(t, a_changed_tree_size_is_refused);
	tcase_add_test(t, a_critical_header_that_is_not_known_is_refused);
	tcase_add_test(t, encoding_that_is_not_deterministic_is_refused);
}

int main(void)
{
	return check_run("forgery", add);
}

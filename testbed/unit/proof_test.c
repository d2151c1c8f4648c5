/* proof_test.c - a proof holds if it is what a relying party expects; the files that it comes in. */
#include "testbed/unit/sealed.h"

START_TEST(a_proof_verifies_with_every_check_passed)
{
	CLEANUP(proof_report) struct proof_report report;

	sample_seal(&s);
	ck_assert_ok(proof_verify(buf_slice(&s.proof), &s.expect, &report));
	ck_assert_uint_eq(report.n, 19);
	size_t skipped = 0; /* time stamp, CRL, the TPM's quote and witnesses: there are none */
	for (size_t i = 0; i < report.n; i++) {
		ck_assert_msg(report.checks[i].verdict != PROOF_FAILED, "%s",
			      report.checks[i].name);
		skipped += report.checks[i].verdict == PROOF_SKIPPED;
	}
	ck_assert_uint_eq(skipped, 4);
	ck_assert_uint_eq(report.leaf->pos, s.leaf->pos);
}
END_TEST

START_TEST(what_was_not_asked_is_skipped_and_said)
{
	CLEANUP(proof_report) struct proof_report report;

	sample_seal(&s);
	s.expect = (struct proof_expect){ .ca = buf_slice(&s.appliance.ca) };
	ck_assert_ok(proof_verify(buf_slice(&s.proof), &s.expect, &report));
	size_t skipped = 0;
	for (size_t i = 0; i < report.n; i++)
		skipped += report.checks[i].verdict == PROOF_SKIPPED;
	/* Nonce, application, origin, time stamp, CRL, TPM, witnesses, input, output, stderr. */
	ck_assert_uint_eq(skipped, 10);
}
END_TEST

START_TEST(another_payload_does_not_match)
{
	sample_seal(&s);
	s.expect.output = slice_text("accepted");
	assert_refused(ERR_MISMATCH,
		       "the output does not match the proof: its HMAC differs from claim output");
	s.expect.output = slice_text(OUTPUT);
	s.expect.input = slice_of("", 0);
	assert_refused(ERR_MISMATCH, "the input does not match the proof");
	s.expect.input = slice_text(INPUT);
	s.expect.messages = slice_text(INPUT);
	assert_refused(ERR_MISMATCH, "the stderr does not match the proof");
	s.expect.messages = slice_text(MESSAGES);
	s.expect.keys = slice_of("", 0);
	assert_refused(ERR_FORMAT, "commitment keys");
}
END_TEST

START_TEST(another_application_does_not_match)
{
	sample_seal(&s);
	s.measurement[31] ^= 1;
	assert_refused(ERR_MISMATCH, "the application does not match: the proof names measurement");
}
END_TEST

START_TEST(a_record_of_a_load_is_no_proof_of_a_run)
{
	s.leaf->type = LEAF_MANAGEMENT;
	sample_seal(&s);
	assert_refused(ERR_MISMATCH, "nothing ran, the record is of type management");
	s.expect.measurement = NULL;
	assert_refused(ERR_MISMATCH, "nothing ran, the record is of type management");
	s.expect.receipt = true;
	ck_assert_ok(verify());
}
END_TEST

START_TEST(a_run_is_no_receipt_of_a_load)
{
	sample_seal(&s);
	s.expect.receipt = true;
	assert_refused(ERR_MISMATCH, "no receipt of a load: the record is of type execution");
}
END_TEST

START_TEST(another_partition_does_not_match)
{
	sample_seal(&s);
	s.expect.partition = "0123456789abcde";
	assert_refused(ERR_MISMATCH, "the partition does not match");
	s.expect.origin = "assay.example/test/bank-a/2";
	assert_refused(ERR_MISMATCH, "the log does not match");
}
END_TEST

START_TEST(a_failed_run_fails_unless_it_is_allowed)
{
	s.leaf->status_code = 3;
	sample_seal(&s);
	assert_refused(ERR_FAILED, "the application failed: exit status 3");
	s.expect.allow_failure = true;
	ck_assert_ok(verify());
}
END_TEST

START_TEST(a_run_without_an_outcome_fails)
{
	s.leaf->has_status = false;
	sample_seal(&s);
	s.expect.allow_failure = true;
	assert_refused(ERR_MISMATCH, "does not say how it ended");
}
END_TEST

START_TEST(another_nonce_or_none_does_not_match)
{
	sample_seal(&s);
	s.expect.nonce.left--;
	assert_refused(ERR_MISMATCH, "the nonce does not match");
}
END_TEST

START_TEST(another_appliance_does_not_match)
{
	struct appliance other;

	sample_seal(&s);
	appliance_init(&other);
	s.expect.ca = buf_slice(&other.ca);
	assert_refused(ERR_CRYPTO, "another CA than the one given");
	appliance_free(&other);
}
END_TEST

START_TEST(development_evidence_is_refused_unless_allowed)
{
	s.leaf->profile = slice_text(LEAF_PROFILE_DEVELOPMENT);
	s.leaf->dbgstat = LEAF_DEBUG_ENABLED;
	sample_seal(&s);
	assert_refused(ERR_MISMATCH, "development evidence");
	s.expect.allow_development = true;
	ck_assert_ok(verify());
}
END_TEST

START_TEST(a_run_that_could_be_debugged_is_no_real_one)
{
	s.leaf->dbgstat = LEAF_DEBUG_ENABLED;
	sample_seal(&s);
	s.expect.allow_development = true;
	assert_refused(ERR_MISMATCH, "could be debugged");
}
END_TEST

START_TEST(an_unknown_profile_is_refused)
{
	s.leaf->profile = slice_text("tag:assay.dev,2026:es256/2");
	sample_seal(&s);
	assert_refused(ERR_FORMAT, "unknown profile");
}
END_TEST

START_TEST(a_record_without_the_nonce_that_was_asked_for_is_refused)
{
	s.leaf->nonce = slice_of(NULL, 0);
	sample_seal(&s);
	assert_refused(ERR_MISMATCH, "the nonce does not match: the proof holds none");
}
END_TEST

START_TEST(files_are_read_back)
{
	struct proof_keys keys;
	struct slice proof, output, messages, keys_file;
	CLEANUP(buf) struct buf result = BUF_INIT;

	sample_seal(&s);
	ck_assert_ok(proof_keys_read(buf_slice(&s.keys), &keys));
	ck_assert_mem_eq(&keys, &s.key, sizeof keys);
	proof_result_write(buf_slice(&s.proof), slice_text(OUTPUT), slice_text(MESSAGES),
			   buf_slice(&s.keys), &result);
	ck_assert_ok(proof_result_read(buf_slice(&result), &proof, &output, &messages, &keys_file));
	ck_assert(slice_equal(proof, buf_slice(&s.proof)));
	ck_assert(slice_is(output, OUTPUT));
	ck_assert(slice_is(messages, MESSAGES));
	ck_assert(slice_equal(keys_file, buf_slice(&s.keys)));
	for (size_t n = 0; n < s.keys.len; n++)
		ck_assert_err(proof_keys_read(slice_of(s.keys.data, n), &keys), ERR_FORMAT);
	ck_assert_err(proof_keys_read(buf_slice(&s.proof), &keys), ERR_FORMAT);
}
END_TEST

/* Values of Python's hmac. */
START_TEST(commitments_are_hmac_sha256)
{
	uint8_t key[32], found[32], wanted[32];

	memset(key, 0x11, sizeof key);
	ck_assert_ok(hex_take("616dc78b051f8d9873378280357897e10a7625f40d96dc2590e73073bf71ebdf",
			      wanted, 32));
	ck_assert_ok(proof_commit(key, slice_text(INPUT), found));
	ck_assert_mem_eq(found, wanted, 32);
	ck_assert_ok(hex_take("02c2cae45f82ce4b76cc75a18b9af0d67ec9b2eae1695d0480f3422533bb06d2",
			      wanted, 32));
	ck_assert_ok(proof_commit(key, slice_of(NULL, 0), found));
	ck_assert_mem_eq(found, wanted, 32);
}
END_TEST

/* SHA-256 of "assay-application-1" 00 image profile, as package.h defines it. */
START_TEST(the_measurement_is_the_packages)
{
	struct leaf *leaf = appliance_leaf();
	uint8_t found[32], wanted[32];

	ck_assert_ok(hex_take("3a798268ea729a723d5f3e02920f016ecea1b8934867eb2d0b53d44fe436c527",
			      wanted, 32));
	ck_assert_ok(proof_measurement(leaf, found));
	ck_assert_mem_eq(found, wanted, 32);
	leaf->components_n = 1;
	ck_assert_err(proof_measurement(leaf, found), ERR_NOT_FOUND);
	free(leaf);
}
END_TEST

static void add(TCase *t)
{
	tcase_add_checked_fixture(t, make_sample, free_sample);
	tcase_add_test(t, a_proof_verifies_with_every_check_passed);
	tcase_add_test(t, what_was_not_asked_is_skipped_and_said);
	tcase_add_test(t, another_payload_does_not_match);
	tcase_add_test(t, another_application_does_not_match);
	tcase_add_test(t, a_record_of_a_load_is_no_proof_of_a_run);
	tcase_add_test(t, a_run_is_no_receipt_of_a_load);
	tcase_add_test(t, another_partition_does_not_match);
	tcase_add_test(t, a_failed_run_fails_unless_it_is_allowed);
	tcase_add_test(t, a_run_without_an_outcome_fails);
	tcase_add_test(t, another_nonce_or_none_does_not_match);
	tcase_add_test(t, another_appliance_does_not_match);
	tcase_add_test(t, development_evidence_is_refused_unless_allowed);
	tcase_add_test(t, a_run_that_could_be_debugged_is_no_real_one);
	tcase_add_test(t, an_unknown_profile_is_refused);
	tcase_add_test(t, a_record_without_the_nonce_that_was_asked_for_is_refused);
	tcase_add_test(t, files_are_read_back);
	tcase_add_test(t, commitments_are_hmac_sha256);
	tcase_add_test(t, the_measurement_is_the_packages);
}

int main(void)
{
	return check_run("proof", add);
}

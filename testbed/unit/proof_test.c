#include "testbed/unit/appliance.h"
#include "testbed/unit/check.h"

#define INPUT "<Document>pain.001</Document>"
#define OUTPUT "accepted\n"
#define MESSAGES "1 transfer\n"

/* A whole proof, its keys, and what a relying party expects of it. */
struct sample {
	struct appliance appliance;
	struct leaf *leaf;
	struct buf leaf_raw, receipt, tcb_raw, tcb_receipt, proof, keys;
	struct proof_keys key;
	uint8_t measurement[32];
	struct proof_expect expect;
};

static void make_tcb(struct sample *s)
{
	struct leaf *tcb = calloc(1, sizeof *tcb);
	uint8_t hash[SHA256_SIZE];

	*tcb = (struct leaf){ .type = LEAF_TCB,
			      .issuer = slice_text(APPLIANCE_NAME),
			      .time = APPLIANCE_TIME,
			      .dbgstat = s->leaf->dbgstat,
			      .profile = s->leaf->profile,
			      .components = { { .name = slice_text("daemon"), .sha256 = { 1 } },
					      { .name = slice_text("kernel"),
						.version = slice_text("6.1"),
						.sha256 = { 2 } } },
			      .components_n = 2,
			      .pos = s->appliance.tree.size,
			      .origin = slice_text(APPLIANCE_ORIGIN) };
	ck_assert_ok(leaf_encode(tcb, &s->tcb_raw));
	ck_assert_ok(leaf_components_digest(tcb, s->leaf->tcb));
	leaf_hash(buf_slice(&s->tcb_raw), hash);
	ck_assert_ok(tree_append(&s->appliance.tree, hash));
	free(tcb);
}

/* Encodes the leaf as it is now, puts it into the tree and makes the proof. */
static void sample_seal(struct sample *s)
{
	uint8_t hash[SHA256_SIZE];
	uint64_t tcb_index = s->appliance.tree.size;

	make_tcb(s);
	appliance_grow(&s->appliance, 2);
	s->leaf->pos = s->appliance.tree.size;
	buf_reset(&s->leaf_raw);
	ck_assert_ok(leaf_encode(s->leaf, &s->leaf_raw));
	leaf_hash(buf_slice(&s->leaf_raw), hash);
	ck_assert_ok(tree_append(&s->appliance.tree, hash));
	appliance_grow(&s->appliance, 3);
	appliance_receipt(&s->appliance, APPLIANCE_ORIGIN, s->leaf->pos, &s->receipt);
	appliance_receipt(&s->appliance, APPLIANCE_ORIGIN, tcb_index, &s->tcb_receipt);
	proof_write(&(struct proof_parts){ buf_slice(&s->leaf_raw), buf_slice(&s->receipt),
					   buf_slice(&s->tcb_raw), buf_slice(&s->tcb_receipt) },
		    &s->proof);
	ck_assert_ok(buf_check(&s->proof));
}

static void sample_init(struct sample *s)
{
	memset(s, 0, sizeof *s);
	appliance_init(&s->appliance);
	appliance_grow(&s->appliance, 1);
	s->leaf = appliance_leaf();
	memset(s->key.input, 0x11, 32);
	memset(s->key.output, 0x22, 32);
	memset(s->key.messages, 0x33, 32);
	ck_assert_ok(proof_commit(s->key.input, slice_text(INPUT), s->leaf->input));
	ck_assert_ok(proof_commit(s->key.output, slice_text(OUTPUT), s->leaf->output));
	ck_assert_ok(proof_commit(s->key.messages, slice_text(MESSAGES), s->leaf->messages));
	proof_keys_write(&s->key, &s->keys);
	ck_assert_ok(proof_measurement(s->leaf, s->measurement));
	s->expect = (struct proof_expect){ .ca = buf_slice(&s->appliance.ca),
					   .measurement = s->measurement,
					   .origin = APPLIANCE_ORIGIN,
					   .partition = "0123456789abcdef",
					   .nonce = s->leaf->nonce,
					   .keys = buf_slice(&s->keys),
					   .has_input = true,
					   .has_output = true,
					   .has_messages = true,
					   .input = slice_text(INPUT),
					   .output = slice_text(OUTPUT),
					   .messages = slice_text(MESSAGES) };
}

static void sample_free(struct sample *s)
{
	appliance_free(&s->appliance);
	free(s->leaf);
	buf_free(&s->leaf_raw);
	buf_free(&s->receipt);
	buf_free(&s->tcb_raw);
	buf_free(&s->tcb_receipt);
	buf_free(&s->proof);
	buf_free(&s->keys);
}

static enum err verify(struct sample *s)
{
	CLEANUP(proof_report) struct proof_report report;

	return proof_verify(buf_slice(&s->proof), &s->expect, &report);
}

/* Verification must end with this result, and with a reason that says this. */
static void assert_refused(struct sample *s, enum err wanted, const char *words)
{
	CLEANUP(proof_report) struct proof_report report;

	ck_assert_err(proof_verify(buf_slice(&s->proof), &s->expect, &report), wanted);
	ck_assert_msg(strstr(err_reason(), words) != NULL, "\"%s\" expected in \"%s\"", words,
		      err_reason());
	ck_assert_int_eq(report.checks[report.n - 1].verdict, PROOF_FAILED);
	ck_assert_msg(strstr(report.checks[report.n - 1].words, words) != NULL, "%s",
		      report.checks[report.n - 1].words);
}

START_TEST(a_proof_verifies_with_every_check_passed)
{
	struct sample s;
	CLEANUP(proof_report) struct proof_report report;

	sample_init(&s);
	sample_seal(&s);
	ck_assert_ok(proof_verify(buf_slice(&s.proof), &s.expect, &report));
	ck_assert_uint_eq(report.n, 17);
	size_t skipped = 0; /* the time stamp and the TPM's quote: there are none */
	for (size_t i = 0; i < report.n; i++) {
		ck_assert_msg(report.checks[i].verdict != PROOF_FAILED, "%s",
			      report.checks[i].name);
		skipped += report.checks[i].verdict == PROOF_SKIPPED;
	}
	ck_assert_uint_eq(skipped, 2);
	ck_assert_uint_eq(report.leaf->pos, s.leaf->pos);
	sample_free(&s);
}
END_TEST

START_TEST(what_was_not_asked_is_skipped_and_said)
{
	struct sample s;
	CLEANUP(proof_report) struct proof_report report;

	sample_init(&s);
	sample_seal(&s);
	s.expect = (struct proof_expect){ .ca = buf_slice(&s.appliance.ca) };
	ck_assert_ok(proof_verify(buf_slice(&s.proof), &s.expect, &report));
	size_t skipped = 0;
	for (size_t i = 0; i < report.n; i++)
		skipped += report.checks[i].verdict == PROOF_SKIPPED;
	/* Nonce, application, origin, time stamp, TPM, input, output, stderr. */
	ck_assert_uint_eq(skipped, 8);
	sample_free(&s);
}
END_TEST

START_TEST(no_changed_proof_verifies)
{
	struct sample s;

	sample_init(&s);
	sample_seal(&s);
	for (size_t at = 0; at < s.proof.len; at++) {
		uint8_t change = (uint8_t)(1 << at % 8);

		s.proof.data[at] ^= change;
		ck_assert_msg(verify(&s) != OK, "byte %zu", at);
		s.proof.data[at] ^= change;
	}
	ck_assert_ok(verify(&s));
	sample_free(&s);
}
END_TEST

START_TEST(no_cut_or_longer_proof_verifies)
{
	struct sample s;
	CLEANUP(proof_report) struct proof_report report;

	sample_init(&s);
	sample_seal(&s);
	for (size_t n = 0; n < s.proof.len; n++)
		ck_assert_err(proof_verify(slice_of(s.proof.data, n), &s.expect, &report),
			      ERR_FORMAT);
	buf_put_u8(&s.proof, 0);
	assert_refused(&s, ERR_FORMAT, "damaged or not a proof");
	sample_free(&s);
}
END_TEST

START_TEST(another_payload_does_not_match)
{
	struct sample s;

	sample_init(&s);
	sample_seal(&s);
	s.expect.output = slice_text("accepted");
	assert_refused(&s, ERR_MISMATCH,
		       "the output does not match the proof: its HMAC differs from claim output");
	s.expect.output = slice_text(OUTPUT);
	s.expect.input = slice_of("", 0);
	assert_refused(&s, ERR_MISMATCH, "the input does not match the proof");
	s.expect.input = slice_text(INPUT);
	s.expect.messages = slice_text(INPUT);
	assert_refused(&s, ERR_MISMATCH, "the stderr does not match the proof");
	s.expect.messages = slice_text(MESSAGES);
	s.expect.keys = slice_of("", 0);
	assert_refused(&s, ERR_FORMAT, "commitment keys");
	sample_free(&s);
}
END_TEST

START_TEST(another_application_does_not_match)
{
	struct sample s;

	sample_init(&s);
	sample_seal(&s);
	s.measurement[31] ^= 1;
	assert_refused(&s, ERR_MISMATCH,
		       "the application does not match: the proof names measurement");
	sample_free(&s);
}
END_TEST

START_TEST(a_record_of_a_load_is_no_proof_of_a_run)
{
	struct sample s;

	sample_init(&s);
	s.leaf->type = LEAF_MANAGEMENT;
	sample_seal(&s);
	assert_refused(&s, ERR_MISMATCH, "nothing ran, the record is of type management");
	s.expect.measurement = NULL;
	assert_refused(&s, ERR_MISMATCH, "nothing ran, the record is of type management");
	s.expect.receipt = true;
	ck_assert_ok(verify(&s));
	sample_free(&s);
}
END_TEST

START_TEST(a_run_is_no_receipt_of_a_load)
{
	struct sample s;

	sample_init(&s);
	sample_seal(&s);
	s.expect.receipt = true;
	assert_refused(&s, ERR_MISMATCH, "no receipt of a load: the record is of type execution");
	sample_free(&s);
}
END_TEST

START_TEST(another_partition_does_not_match)
{
	struct sample s;

	sample_init(&s);
	sample_seal(&s);
	s.expect.partition = "0123456789abcde";
	assert_refused(&s, ERR_MISMATCH, "the partition does not match");
	s.expect.origin = "assay.example/test/bank-a/2";
	assert_refused(&s, ERR_MISMATCH, "the log does not match");
	sample_free(&s);
}
END_TEST

START_TEST(a_failed_run_fails_unless_it_is_allowed)
{
	struct sample s;

	sample_init(&s);
	s.leaf->status_code = 3;
	sample_seal(&s);
	assert_refused(&s, ERR_FAILED, "the application failed: exit status 3");
	s.expect.allow_failure = true;
	ck_assert_ok(verify(&s));
	sample_free(&s);
}
END_TEST

START_TEST(a_run_without_an_outcome_fails)
{
	struct sample s;

	sample_init(&s);
	s.leaf->has_status = false;
	sample_seal(&s);
	s.expect.allow_failure = true;
	assert_refused(&s, ERR_MISMATCH, "does not say how it ended");
	sample_free(&s);
}
END_TEST

START_TEST(another_nonce_or_none_does_not_match)
{
	struct sample s;

	sample_init(&s);
	sample_seal(&s);
	s.expect.nonce.left--;
	assert_refused(&s, ERR_MISMATCH, "the nonce does not match");
	sample_free(&s);
}
END_TEST

START_TEST(another_appliance_does_not_match)
{
	struct sample s;
	struct appliance other;

	sample_init(&s);
	sample_seal(&s);
	appliance_init(&other);
	s.expect.ca = buf_slice(&other.ca);
	assert_refused(&s, ERR_CRYPTO, "another CA than the one given");
	appliance_free(&other);
	sample_free(&s);
}
END_TEST

START_TEST(development_evidence_is_refused_unless_allowed)
{
	struct sample s;

	sample_init(&s);
	s.leaf->profile = slice_text(LEAF_PROFILE_DEVELOPMENT);
	s.leaf->dbgstat = LEAF_DEBUG_ENABLED;
	sample_seal(&s);
	assert_refused(&s, ERR_MISMATCH, "development evidence");
	s.expect.allow_development = true;
	ck_assert_ok(verify(&s));
	sample_free(&s);
}
END_TEST

START_TEST(a_run_that_could_be_debugged_is_no_real_one)
{
	struct sample s;

	sample_init(&s);
	s.leaf->dbgstat = LEAF_DEBUG_ENABLED;
	sample_seal(&s);
	s.expect.allow_development = true;
	assert_refused(&s, ERR_MISMATCH, "could be debugged");
	sample_free(&s);
}
END_TEST

START_TEST(an_unknown_profile_is_refused)
{
	struct sample s;

	sample_init(&s);
	s.leaf->profile = slice_text("tag:assay.dev,2026:es256/2");
	sample_seal(&s);
	assert_refused(&s, ERR_FORMAT, "unknown profile");
	sample_free(&s);
}
END_TEST

START_TEST(a_record_of_another_place_is_refused)
{
	struct sample s;
	CLEANUP(buf) struct buf receipt = BUF_INIT;

	sample_init(&s);
	sample_seal(&s);
	appliance_receipt(&s.appliance, APPLIANCE_ORIGIN, 1, &receipt);
	buf_reset(&s.proof);
	proof_write(&(struct proof_parts){ .leaf = buf_slice(&s.leaf_raw),
					   .receipt = buf_slice(&receipt) },
		    &s.proof);
	assert_refused(&s, ERR_MISMATCH, "the receipt does not match: it is for leaf 1");
	buf_reset(&receipt);
	appliance_receipt(&s.appliance, "assay.example/test/bank-b/1", s.leaf->pos, &receipt);
	buf_reset(&s.proof);
	proof_write(&(struct proof_parts){ .leaf = buf_slice(&s.leaf_raw),
					   .receipt = buf_slice(&receipt) },
		    &s.proof);
	assert_refused(&s, ERR_MISMATCH, "it is for log \"assay.example/test/bank-b/1\"");
	sample_free(&s);
}
END_TEST

/* The key of one partition's log can't sign for another's. */
START_TEST(a_certificate_for_another_log_is_refused)
{
	struct sample s;

	sample_init(&s);
	appliance_free(&s.appliance);
	appliance_init_for(&s.appliance, "assay.example/test/bank-b/1");
	appliance_grow(&s.appliance, 1);
	s.expect.ca = buf_slice(&s.appliance.ca);
	sample_seal(&s);
	assert_refused(&s, ERR_CRYPTO, "the certificate is not for the log " APPLIANCE_ORIGIN);
	sample_free(&s);
}
END_TEST

START_TEST(another_tcb_record_is_refused)
{
	struct sample s;
	struct leaf *tcb = calloc(1, sizeof *tcb);
	CLEANUP(buf) struct buf raw = BUF_INIT;

	sample_init(&s);
	sample_seal(&s);
	ck_assert_ok(leaf_decode(buf_slice(&s.tcb_raw), tcb));
	tcb->components[1].sha256[0] ^= 1;
	ck_assert_ok(leaf_encode(tcb, &raw));
	buf_reset(&s.proof);
	proof_write(&(struct proof_parts){ buf_slice(&s.leaf_raw), buf_slice(&s.receipt),
					   buf_slice(&raw), buf_slice(&s.tcb_receipt) },
		    &s.proof);
	assert_refused(&s, ERR_MISMATCH, "the TCB record does not match");
	free(tcb);
	sample_free(&s);
}
END_TEST

START_TEST(files_are_read_back)
{
	struct sample s;
	struct proof_keys keys;
	struct slice proof, output, messages, keys_file;
	CLEANUP(buf) struct buf result = BUF_INIT;

	sample_init(&s);
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
	sample_free(&s);
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
	tcase_add_test(t, a_proof_verifies_with_every_check_passed);
	tcase_add_test(t, what_was_not_asked_is_skipped_and_said);
	tcase_add_test(t, no_changed_proof_verifies);
	tcase_add_test(t, no_cut_or_longer_proof_verifies);
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
	tcase_add_test(t, a_record_of_another_place_is_refused);
	tcase_add_test(t, a_certificate_for_another_log_is_refused);
	tcase_add_test(t, another_tcb_record_is_refused);
	tcase_add_test(t, files_are_read_back);
	tcase_add_test(t, commitments_are_hmac_sha256);
	tcase_add_test(t, the_measurement_is_the_packages);
}

int main(void)
{
	return check_run("proof", add);
}

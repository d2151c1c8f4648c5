#include "testbed/unit/appliance.h"
#include "testbed/unit/check.h"
#include "testbed/unit/evidence_golden.h"

struct sample {
	struct appliance appliance;
	struct buf leaf, compact;
};

static void sample_init(struct sample *s)
{
	struct leaf *leaf = appliance_leaf();

	memset(s, 0, sizeof *s);
	appliance_init(&s->appliance);
	ck_assert_ok(leaf_encode(leaf, &s->leaf));
	appliance_compact(&s->appliance, buf_slice(&s->leaf), &s->compact);
	free(leaf);
}

static void sample_free(struct sample *s)
{
	buf_free(&s->leaf);
	buf_free(&s->compact);
	appliance_free(&s->appliance);
}

/* With the key's certificate and CA, and this in mind; NULL: nothing. */
static enum err verify_with(const struct appliance *a, struct slice compact,
			    const struct appliance *issuer, const struct proof_expect *asked)
{
	CLEANUP(proof_report) struct proof_report report = { 0 };
	struct proof_expect expect = asked ? *asked : (struct proof_expect){ 0 };

	expect.ca = buf_slice(&issuer->ca);
	return proof_verify_compact(compact, buf_slice(&a->certificate), &expect, &report);
}

/* What no evidence but this is made of: a record, one claim of it changed. */
static enum err verify_leaf(const struct leaf *leaf, const struct proof_expect *asked)
{
	struct appliance a;
	CLEANUP(buf) struct buf raw = BUF_INIT;
	CLEANUP(buf) struct buf compact = BUF_INIT;

	appliance_init(&a);
	ck_assert_ok(leaf_encode(leaf, &raw));
	appliance_compact(&a, buf_slice(&raw), &compact);
	enum err e = verify_with(&a, buf_slice(&compact), &a, asked);
	appliance_free(&a);
	return e;
}

START_TEST(the_payload_is_what_another_encoder_makes_of_it)
{
	struct sample s;
	struct compact c;
	CLEANUP(buf) struct buf text = BUF_INIT;

	sample_init(&s);
	ck_assert_ok(compact_read(buf_slice(&s.compact), &c));
	buf_put_hex(&text, c.payload);
	ck_assert_str_eq(buf_text(&text), golden_compact_payload);
	sample_free(&s);
}
END_TEST

START_TEST(a_compact_proof_says_what_its_leaf_says)
{
	struct sample s;
	struct compact c;
	uint8_t hash[SHA256_SIZE];
	struct leaf *leaf = appliance_leaf();

	sample_init(&s);
	ck_assert_ok(compact_read(buf_slice(&s.compact), &c));
	ck_assert_ok(compact_verify(&c, buf_slice(&s.appliance.certificate)));
	ck_assert_ok(verify_with(&s.appliance, buf_slice(&s.compact), &s.appliance, NULL));
	leaf_hash(buf_slice(&s.leaf), hash);
	ck_assert_mem_eq(c.leaf_hash, hash, sizeof hash);
	ck_assert_mem_eq(c.cti, leaf->cti, sizeof c.cti);
	ck_assert_mem_eq(c.image, leaf->components[0].sha256, 32);
	ck_assert_mem_eq(c.output, leaf->output, 32);
	ck_assert(c.has_status && c.has_tcb && c.has_epoch && c.has_image);
	ck_assert_uint_eq(c.epoch, leaf->epoch);
	ck_assert(slice_equal(c.nonce, leaf->nonce));
	free(leaf);
	sample_free(&s);
}
END_TEST

START_TEST(no_changed_compact_proof_verifies)
{
	struct sample s;

	sample_init(&s);
	for (size_t at = 0; at < s.compact.len; at++) {
		s.compact.data[at] ^= (uint8_t)(1 << at % 8);
		ck_assert_msg(
			verify_with(&s.appliance, buf_slice(&s.compact), &s.appliance, NULL) != OK,
			"byte %zu", at);
		s.compact.data[at] ^= (uint8_t)(1 << at % 8);
	}
	for (size_t n = 0; n < s.compact.len; n++)
		ck_assert_err(
			verify_with(&s.appliance, slice_of(s.compact.data, n), &s.appliance, NULL),
			ERR_FORMAT);
	sample_free(&s);
}
END_TEST

START_TEST(the_largest_compact_proof_fits)
{
	static uint8_t nonce[64];
	struct appliance a;
	struct leaf *leaf = appliance_leaf();
	struct compact c;
	CLEANUP(buf) struct buf raw = BUF_INIT;
	CLEANUP(buf) struct buf compact = BUF_INIT;

	appliance_init(&a);
	leaf->time = INT64_MAX;
	leaf->nonce = SLICE(nonce);
	leaf->pos = INT64_MAX;
	leaf->status_kind = 5;
	leaf->status_code = UINT64_MAX;
	leaf->epoch = UINT64_MAX;
	ck_assert_ok(leaf_encode(leaf, &raw));
	appliance_compact(&a, buf_slice(&raw), &compact);
	/* ES384 has a signature of 32 bytes more. */
	ck_assert_uint_le(compact.len + 32, COMPACT_MAX);
	ck_assert_ok(compact_read(buf_slice(&compact), &c));
	free(leaf);
	appliance_free(&a);
}
END_TEST

START_TEST(a_record_without_a_run_has_a_compact_proof_too)
{
	struct appliance a;
	struct leaf leaf = { .type = LEAF_MANAGEMENT,
			     .issuer = slice_text("bank-a"),
			     .profile = slice_text(LEAF_PROFILE_ES256),
			     .dbgstat = LEAF_DEBUG_DISABLED,
			     .origin = slice_text(APPLIANCE_ORIGIN),
			     .time = APPLIANCE_TIME };
	struct compact c;
	CLEANUP(buf) struct buf raw = BUF_INIT;
	CLEANUP(buf) struct buf compact = BUF_INIT;

	appliance_init(&a);
	ck_assert_ok(leaf_encode(&leaf, &raw));
	appliance_compact(&a, buf_slice(&raw), &compact);
	ck_assert_ok(compact_read(buf_slice(&compact), &c));
	ck_assert(!c.has_image && !c.has_output && !c.has_status && !c.nonce.left);
	ck_assert_err(verify_with(&a, buf_slice(&compact), &a, NULL), ERR_MISMATCH);
	appliance_free(&a);
}
END_TEST

START_TEST(another_appliance_does_not_verify_it)
{
	struct sample s;
	struct appliance other;
	struct slice compact;

	sample_init(&s);
	appliance_init(&other);
	compact = buf_slice(&s.compact);
	ck_assert_err(verify_with(&other, compact, &other, NULL), ERR_MISMATCH);
	ck_assert_err(verify_with(&s.appliance, compact, &other, NULL), ERR_CRYPTO);
	appliance_free(&other);
	sample_free(&s);
}
END_TEST

START_TEST(development_evidence_is_no_compact_proof_unless_allowed)
{
	struct proof_expect development = { .allow_development = true };
	struct leaf *leaf = appliance_leaf();

	leaf->profile = slice_text(LEAF_PROFILE_DEVELOPMENT);
	leaf->dbgstat = LEAF_DEBUG_ENABLED;
	ck_assert_err(verify_leaf(leaf, NULL), ERR_MISMATCH);
	ck_assert_ptr_nonnull(strstr(err_reason(), "development evidence"));
	ck_assert_ok(verify_leaf(leaf, &development));
	free(leaf);
}
END_TEST

START_TEST(a_receipt_of_a_load_is_no_compact_proof_of_a_run)
{
	struct proof_expect receipt = { .receipt = true };
	struct leaf *leaf = appliance_leaf();

	ck_assert_ok(verify_leaf(leaf, NULL));
	ck_assert_err(verify_leaf(leaf, &receipt), ERR_MISMATCH);
	leaf->type = LEAF_MANAGEMENT;
	leaf->has_status = false;
	ck_assert_ok(verify_leaf(leaf, &receipt));
	ck_assert_err(verify_leaf(leaf, NULL), ERR_MISMATCH);
	ck_assert_ptr_nonnull(strstr(err_reason(), "of type management"));
	free(leaf);
}
END_TEST

START_TEST(a_compact_proof_is_of_the_nonce_and_image_asked_for)
{
	uint8_t nonce[8] = { 1 }, image[32] = { 1 };
	struct leaf *leaf = appliance_leaf();
	struct proof_expect expect = { .nonce = leaf->nonce,
				       .image = leaf->components[0].sha256,
				       .origin = APPLIANCE_ORIGIN };

	ck_assert_ok(verify_leaf(leaf, &expect));
	expect.nonce = SLICE(nonce);
	ck_assert_err(verify_leaf(leaf, &expect), ERR_MISMATCH);
	expect.nonce = leaf->nonce;
	expect.image = image;
	ck_assert_err(verify_leaf(leaf, &expect), ERR_MISMATCH);
	expect.image = NULL;
	expect.origin = "assay.example/test/bank-b/1";
	ck_assert_err(verify_leaf(leaf, &expect), ERR_CRYPTO);
	free(leaf);
}
END_TEST

START_TEST(a_compact_proof_of_a_failed_run_fails_unless_allowed)
{
	struct proof_expect failure = { .allow_failure = true };
	struct leaf *leaf = appliance_leaf();

	leaf->status_kind = 1;
	leaf->status_code = 9;
	ck_assert_err(verify_leaf(leaf, NULL), ERR_FAILED);
	ck_assert_str_eq(err_reason(), "the application failed: signal 9");
	ck_assert_ok(verify_leaf(leaf, &failure));
	leaf->has_status = false;
	ck_assert_err(verify_leaf(leaf, &failure), ERR_MISMATCH);
	free(leaf);
}
END_TEST

static void add(TCase *t)
{
	tcase_add_test(t, development_evidence_is_no_compact_proof_unless_allowed);
	tcase_add_test(t, a_receipt_of_a_load_is_no_compact_proof_of_a_run);
	tcase_add_test(t, a_compact_proof_is_of_the_nonce_and_image_asked_for);
	tcase_add_test(t, a_compact_proof_of_a_failed_run_fails_unless_allowed);
	tcase_add_test(t, the_payload_is_what_another_encoder_makes_of_it);
	tcase_add_test(t, a_compact_proof_says_what_its_leaf_says);
	tcase_add_test(t, no_changed_compact_proof_verifies);
	tcase_add_test(t, the_largest_compact_proof_fits);
	tcase_add_test(t, a_record_without_a_run_has_a_compact_proof_too);
	tcase_add_test(t, another_appliance_does_not_verify_it);
}

int main(void)
{
	return check_run("compact", add);
}

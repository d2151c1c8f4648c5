/* The library as relying parties call it, on results that were tampered with. */
#include "audit/library/assay-verify.h"
#include "testbed/unit/sample.h"

static struct sample s;
static struct assay_expect expect;
static struct assay_outcome *outcome;

static struct assay_bytes given(struct slice bytes)
{
	return (struct assay_bytes){ bytes.p, bytes.left };
}

static void set_up(void)
{
	sample_init(&s);
	sample_seal(&s);
	expect = (struct assay_expect){ .size = sizeof expect,
					.ca = given(buf_slice(&s.appliance.ca)) };
	outcome = NULL;
}

static void tear_down(void)
{
	assay_outcome_free(outcome);
	sample_free(&s);
}

static enum assay_verdict verify(struct slice bytes)
{
	assay_outcome_free(outcome);
	return assay_verify(bytes.p, bytes.left, &expect, &outcome);
}

static enum assay_verdict verify_result(const char *output, const char *messages,
					const struct proof_keys *keys, struct slice raw_keys)
{
	CLEANUP(buf) struct buf result = BUF_INIT;
	CLEANUP(buf) struct buf written = BUF_INIT;

	if (keys)
		proof_keys_write(keys, &written);
	proof_result_write(buf_slice(&s.proof), slice_text(output), slice_text(messages),
			   keys ? buf_slice(&written) : raw_keys, &result);
	return verify(buf_slice(&result));
}

static void says(const char *words)
{
	ck_assert_msg(strstr(assay_outcome_reason(outcome), words) != NULL, "%s",
		      assay_outcome_reason(outcome));
}

START_TEST(a_result_is_compared_with_its_own_keys)
{
	const struct slice none = { 0 };

	ck_assert_int_eq(verify_result(OUTPUT, MESSAGES, &s.key, none), ASSAY_HOLDS);
	ck_assert_int_eq(verify_result("refused\n", MESSAGES, &s.key, none), ASSAY_DOES_NOT_HOLD);
	says("the output does not match the proof");
	ck_assert_int_eq(verify_result(OUTPUT, "2 transfers\n", &s.key, none), ASSAY_DOES_NOT_HOLD);
	says("the stderr does not match the proof");
}
END_TEST

START_TEST(a_redacted_result_holds_without_what_was_cut)
{
	struct proof_keys keys = s.key;

	memset(keys.output, 0, sizeof keys.output);
	ck_assert_int_eq(verify_result("", MESSAGES, &keys, slice_of(NULL, 0)), ASSAY_HOLDS);
	for (size_t i = 0; i < assay_outcome_checks(outcome); i++)
		if (!strcmp(assay_outcome_check(outcome, i).name, "output"))
			ck_assert_int_eq(assay_outcome_check(outcome, i).state,
					 ASSAY_CHECK_SKIPPED);
}
END_TEST

START_TEST(a_redacted_result_with_a_foreign_key_is_refused)
{
	struct proof_keys keys = s.key;

	memset(keys.output, 0x77, sizeof keys.output);
	ck_assert_int_eq(verify_result("refused\n", MESSAGES, &keys, slice_of(NULL, 0)),
			 ASSAY_DOES_NOT_HOLD);
	says("the output does not match the proof: its HMAC differs");
	ck_assert_int_eq(verify_result("", MESSAGES, &keys, slice_of(NULL, 0)),
			 ASSAY_DOES_NOT_HOLD);
	says("the output does not match the proof: its HMAC differs");
}
END_TEST

START_TEST(output_whose_key_was_cut_is_not_taken_for_checked)
{
	struct proof_keys keys = s.key;

	memset(keys.output, 0, sizeof keys.output);
	ck_assert_int_eq(verify_result("refused\n", MESSAGES, &keys, slice_of(NULL, 0)),
			 ASSAY_DOES_NOT_HOLD);
	says("holds none for the output");
}
END_TEST

START_TEST(output_beside_damaged_keys_is_not_taken_for_checked)
{
	ck_assert_int_eq(verify_result("refused\n", "", NULL, slice_text("keys")),
			 ASSAY_DOES_NOT_HOLD);
	says("the file of commitment keys is damaged");
	ck_assert_int_eq(verify_result("refused\n", "", NULL, slice_of(NULL, 0)),
			 ASSAY_DOES_NOT_HOLD);
	says("the file of commitment keys is damaged");
}
END_TEST

START_TEST(expectations_of_no_size_are_the_callers_mistake)
{
	expect.size = 0;
	ck_assert_int_eq(verify(buf_slice(&s.proof)), ASSAY_MISUSED);
	expect.size = SIZE_MAX;
	ck_assert_int_eq(verify(buf_slice(&s.proof)), ASSAY_MISUSED);
}
END_TEST

START_TEST(a_cache_changes_no_verdict)
{
	struct sample other;

	sample_init(&other);
	sample_seal(&other);
	expect.cache = assay_cache_new();
	for (int i = 0; i < 3; i++) {
		expect.ca = given(buf_slice(&s.appliance.ca));
		ck_assert_int_eq(verify(buf_slice(&s.proof)), ASSAY_HOLDS);
		ck_assert_int_eq(verify(buf_slice(&other.proof)), ASSAY_DOES_NOT_HOLD);
		says("another CA than the one given");
		expect.ca = given(slice_text("no certificate"));
		ck_assert_int_eq(verify(buf_slice(&s.proof)), ASSAY_MISUSED);
		expect.ca = given(buf_slice(&other.appliance.ca));
		ck_assert_int_eq(verify(buf_slice(&s.proof)), ASSAY_DOES_NOT_HOLD);
		ck_assert_int_eq(verify(buf_slice(&other.proof)), ASSAY_HOLDS);
	}
	assay_cache_free(expect.cache);
	sample_free(&other);
}
END_TEST

START_TEST(an_outcome_outlives_its_cache)
{
	expect.cache = assay_cache_new();
	ck_assert_int_eq(verify(buf_slice(&s.proof)), ASSAY_HOLDS);
	ck_assert_int_eq(verify(buf_slice(&s.proof)), ASSAY_HOLDS);
	assay_cache_free(expect.cache);
	ck_assert_ptr_nonnull(strstr(assay_outcome_policy(outcome), "kernel="));
}
END_TEST

START_TEST(a_cached_policy_is_the_one_that_is_given)
{
	expect.cache = assay_cache_new();
	for (int i = 0; i < 3; i++) {
		expect.policy = given(slice_text("origin: " APPLIANCE_ORIGIN "\n"));
		ck_assert_int_eq(verify(buf_slice(&s.proof)), ASSAY_HOLDS);
		ck_assert_int_eq(verify(buf_slice(&s.proof)), ASSAY_HOLDS);
		expect.policy = given(slice_text("origin: elsewhere\n"));
		ck_assert_int_eq(verify(buf_slice(&s.proof)), ASSAY_REFUSED);
		expect.policy = given(slice_text("origins: elsewhere\n"));
		expect.policy_name = i ? "a file" : NULL;
		ck_assert_int_eq(verify(buf_slice(&s.proof)), ASSAY_MISUSED);
	}
	assay_cache_free(expect.cache);
}
END_TEST

static void add(TCase *t)
{
	tcase_add_checked_fixture(t, set_up, tear_down);
	tcase_add_test(t, a_result_is_compared_with_its_own_keys);
	tcase_add_test(t, a_redacted_result_holds_without_what_was_cut);
	tcase_add_test(t, a_redacted_result_with_a_foreign_key_is_refused);
	tcase_add_test(t, output_whose_key_was_cut_is_not_taken_for_checked);
	tcase_add_test(t, output_beside_damaged_keys_is_not_taken_for_checked);
	tcase_add_test(t, a_cache_changes_no_verdict);
	tcase_add_test(t, an_outcome_outlives_its_cache);
	tcase_add_test(t, a_cached_policy_is_the_one_that_is_given);
	tcase_add_test(t, expectations_of_no_size_are_the_callers_mistake);
}

int main(void)
{
	return check_run("library", add);
}

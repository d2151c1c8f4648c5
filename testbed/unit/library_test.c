/* The library as relying parties call it, on results that were tampered with. */
#include "audit/library/assay-verify.h"

#include "audit/cosignature.h"
#include "audit/note.h"
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

/* A witness; its policy; and the checkpoint of the proof's tree, which it cosigned. */
struct scene {
	struct cosigner *witness;
	struct buf lines, note;
};

static void scene_open(struct scene *scene)
{
	struct secret text;
	struct note note;

	*scene = (struct scene){ .lines = BUF_INIT, .note = BUF_INIT };
	ck_assert_ok(cosigner_make(slice_text("w.example/1"), &text));
	ck_assert_ok(cosigner_open(&text, &scene->witness));
	secret_free(&text);
	buf_put_text(&scene->lines, "witness one ");
	vkey_write(cosigner_vkey(scene->witness), &scene->lines);
	buf_put_text(&scene->lines, "\nquorum one\n");
	appliance_note(&s.appliance, APPLIANCE_ORIGIN, &scene->note);
	ck_assert_ok(note_read(buf_slice(&scene->note), &note));
	CLEANUP(buf) struct buf line = BUF_INIT;
	ck_assert_ok(cosigner_sign(scene->witness, note.text, 1764000001, &line));
	buf_put_slice(&scene->note, buf_slice(&line));
}

static void scene_close(struct scene *scene)
{
	cosigner_free(scene->witness);
	buf_free(&scene->lines);
	buf_free(&scene->note);
}

START_TEST(a_quorum_that_was_asked_for_must_vouch_for_the_log)
{
	struct scene scene;

	scene_open(&scene);
	expect.witnesses = given(buf_slice(&scene.lines));
	ck_assert_int_eq(verify(buf_slice(&s.proof)), ASSAY_MISUSED);
	says("a checkpoint that witnesses cosigned is missing");
	expect.checkpoint = given(buf_slice(&scene.note));
	ck_assert_int_eq(verify(buf_slice(&s.proof)), ASSAY_HOLDS);
	expect.witnesses = given(slice_text("quorum nobody\n"));
	ck_assert_int_eq(verify(buf_slice(&s.proof)), ASSAY_MISUSED);
	expect.witnesses = given(buf_slice(&scene.lines));
	appliance_grow(&s.appliance, 1);
	buf_reset(&scene.note);
	appliance_note(&s.appliance, APPLIANCE_ORIGIN, &scene.note);
	expect.checkpoint = given(buf_slice(&scene.note));
	ck_assert_int_eq(verify(buf_slice(&s.proof)), ASSAY_DOES_NOT_HOLD);
	says("witnesses do not vouch for the log");
	scene_close(&scene);
}
END_TEST

/* What a policy says about witnesses is a rule like any other: missed without a checkpoint. */
START_TEST(a_policy_can_require_the_quorum_of_witnesses)
{
	CLEANUP(buf) struct buf policy = BUF_INIT;
	struct scene scene;

	scene_open(&scene);
	buf_put_text(&policy, "witnesses:\n    - witness one ");
	vkey_write(cosigner_vkey(scene.witness), &policy);
	buf_put_text(&policy, "\n    - quorum one\n");
	expect.policy = given(buf_slice(&policy));
	ck_assert_int_eq(verify(buf_slice(&s.proof)), ASSAY_REFUSED);
	says("the policy refuses it: witnesses: no checkpoint came with the proof");
	expect.checkpoint = given(buf_slice(&scene.note));
	ck_assert_int_eq(verify(buf_slice(&s.proof)), ASSAY_HOLDS);
	ck_assert_uint_eq(assay_outcome_rules(outcome), 2);
	struct slice alone = buf_slice(&scene.note);
	do
		alone.left--;
	while (alone.p[alone.left - 1] != '\n');
	expect.checkpoint = given(alone);
	ck_assert_int_eq(verify(buf_slice(&s.proof)), ASSAY_REFUSED);
	says("witnesses: ");
	expect.policy = given(slice_text("witnesses: [quorum nobody]"));
	ck_assert_int_eq(verify(buf_slice(&s.proof)), ASSAY_MISUSED);
	scene_close(&scene);
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
	tcase_add_test(t, a_quorum_that_was_asked_for_must_vouch_for_the_log);
	tcase_add_test(t, a_policy_can_require_the_quorum_of_witnesses);
	tcase_add_test(t, an_outcome_outlives_its_cache);
	tcase_add_test(t, a_cached_policy_is_the_one_that_is_given);
	tcase_add_test(t, expectations_of_no_size_are_the_callers_mistake);
}

int main(void)
{
	return check_run("library", add);
}

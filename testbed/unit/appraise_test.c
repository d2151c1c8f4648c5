/* Rules of an appraisal policy, one by one, on a record that this test fills in. */
#include "testbed/unit/check.h"

#include <stdlib.h>
#include <string.h>

#include "audit/appraise.h"
#include "sandbox/manifest.h"

#define A64 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define C64 "cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc"
#define B64 "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

static struct leaf *leaf, *tcb;
static struct appraise_evidence evidence;
static struct manifest manifest;
static struct buf profile = BUF_INIT, approved = BUF_INIT; /* by A64 and B64 */

/* The leaf is about @manifest, whose bytes are at hand. */
static void set_profile(void)
{
	buf_reset(&profile);
	ck_assert_ok(manifest_profile_put(&manifest, &profile));
	ck_assert_ok(manifest_profile(&manifest, leaf->components[1].sha256));
	evidence.profile = buf_slice(&profile);
}

static void set_up(void)
{
	uint8_t signer[SHA256_SIZE];

	memset(signer, 0xaa, sizeof signer);
	leaf_put_authority(&approved, signer);
	memset(signer, 0xbb, sizeof signer);
	leaf_put_authority(&approved, signer);
	leaf = calloc(1, sizeof *leaf);
	tcb = calloc(1, sizeof *tcb);
	leaf->type = LEAF_EXECUTION;
	leaf->time = 1000000;
	leaf->origin = slice_text("assay.dev/x");
	leaf->partition_serial = slice_text("5e1");
	leaf->subject = slice_text("screen");
	leaf->swversion = slice_text("1.10");
	leaf->components_n = 2;
	leaf->components[0].name = slice_text("image");
	leaf->components[1].name = slice_text("profile");
	leaf->components[0].authorities = buf_slice(&approved);
	memset(leaf->components[0].sha256, 0x11, 32);
	leaf->components[1].version = slice_text("pure but for clock, random");
	leaf->has_hsm = true;
	leaf->hsm.manufacturer = slice_text("Maker");
	leaf->hsm.model = slice_text("Model");
	leaf->hsm.firmware = slice_text("2.6");
	leaf->has_caller = leaf->has_roleproof = true;
	leaf->role = LEAF_ROLE_USER;
	leaf->roleproof = LEAF_PROOF_ROLE_KEY;
	leaf->has_tcb = leaf->has_policy = leaf->has_epoch = true;
	memset(leaf->tcb, 0xaa, 32);
	memset(leaf->policy, 0xaa, 32);
	leaf->epoch = 7;
	leaf->has_confinement = leaf->has_times = leaf->has_status = true;
	leaf->absent_steps = slice_text("mdwe memfd_noexec");
	leaf->start_kind = 1;
	leaf->time_source = 1;
	leaf->time_error_us = 9000;
	tcb->components_n = 1;
	tcb->components[0].name = slice_text("kernel:version");
	memset(tcb->components[0].sha256, 0xbb, 32);
	leaf->dbgstat = LEAF_DEBUG_DISABLED;
	tcb->dbgstat = LEAF_DEBUG_DISABLED;
	evidence = (struct appraise_evidence){ .leaf = leaf, .tcb = tcb, .now = 1000060 };
	manifest_default(&manifest);
	manifest.argv[0] = slice_text("/app");
	manifest.argc = 1;
	manifest.limits.scratch_bytes = 65536;
	set_profile();
}

static void tear_down(void)
{
	free(leaf);
	free(tcb);
	buf_free(&profile);
	buf_free(&approved);
}

/* Reads the policy, appraises, and gives the outcome; the number of rules in @rules. */
static enum err outcome(const char *text, size_t *rules)
{
	CLEANUP(appraisal) struct appraisal *policy = NULL;
	CLEANUP(appraise_report) struct appraise_report report = { 0 };

	ck_assert_ok(appraisal_parse(slice_text(text), "policy", &policy));
	enum err e = appraise(policy, &evidence, &report);
	if (rules)
		*rules = report.n;
	return e;
}

static const struct {
	const char *met, *missed, *words;
} rules[] = {
	{ "origin: assay.dev/x", "origin: assay.dev/y", "expected \"assay.dev/y\"" },
	{ "partition: '5e1'", "partition: '5e2'", "expected \"5e2\"" },
	{ "application: { ids: [other, screen] }", "application: { ids: [other] }", "\"screen\"" },
	{ "application: { least_version: '1.9.3' }", "application: { least_version: '1.10.1' }",
	  "1.10, least 1.10.1" },
	{ "application: { least_version: '1.10' }", "application: { least_version: '2' }",
	  "least 2" },
	{ "platform: { records: [" A64 ", " B64 "] }", "platform: { records: [" B64 "] }", A64 },
	{ "platform: { parts: ['kernel:version=" B64 "'] }",
	  "platform: { parts: ['kernel:version=" A64 "'] }", "kernel:version: " B64 },
	{ "platform: { parts: ['kernel:version=" A64 "', 'kernel:version=" B64 "'] }",
	  "platform: { parts: ['launcher=" B64 "'] }", "launcher: not among the measured parts" },
	{ "hsm: { manufacturers: [Maker] }", "hsm: { manufacturers: [Other] }", "\"Maker\"" },
	{ "hsm: { models: [Model] }", "hsm: { models: [Other] }", "\"Model\"" },
	{ "hsm: { firmware: ['2.6'] }", "hsm: { firmware: ['2.7'] }", "\"2.6\"" },
	{ "caller: { roles: [user] }", "caller: { roles: [SO] }", "\"user\"" },
	{ "caller: { proofs: [role key] }", "caller: { proofs: [none] }", "\"role key\"" },
	{ "policies: [" A64 "]", "policies: [" B64 "]", A64 },
	{ "least_epoch: 7", "least_epoch: 8", "7, least 8" },
	{ "confinement: { steps: all, may_lack: [mdwe, memfd_noexec] }",
	  "confinement: { steps: all, may_lack: [mdwe] }", "step memfd_noexec was absent" },
	{ "confinement: { starts: [fresh, reused] }", "confinement: { starts: [parked] }",
	  "\"reused\"" },
	{ "fresh: { age_seconds: 60 }", "fresh: { age_seconds: 59 }",
	  "60 seconds old, at most 59" },
	{ "time: { source: synchronised }", "fresh: { nonce: required }", "none was given" },
	{ "time: { error_ms: 9 }", "time: { error_ms: 8 }", "9000 us" },
	{ "application: { signers: [" A64 "] }", "application: { signers: [" C64 "] }",
	  "approved by 0 of those listed, least 1, and by 2 others" },
	{ "application: { signers: [" B64 ", " C64 ", " A64 "], approvals: 2 }",
	  "application: { signers: [" B64 ", " C64 "], approvals: 2 }",
	  "approved by 1 of those listed, least 2, and by 1 others" },
	{ "application: { purity: pure, may_need: [random, clock] }",
	  "application: { purity: pure, may_need: [clock] }",
	  "pure but for clock, random, and it may not need random" },
	{ "limits: { memory_bytes: 268435456 }", "limits: { memory_bytes: 268435455 }",
	  "268435456, at most 268435455" },
	{ "limits: { output_bytes: 16777216 }", "limits: { output_bytes: 1 }", "16777216" },
	{ "limits: { wall_ms: 10000 }", "limits: { wall_ms: 9999 }", "10000, at most 9999" },
	{ "limits: { cpu_ms: 10000 }", "limits: { cpu_ms: 9999 }", "10000, at most 9999" },
	{ "limits: { processes: 16 }", "limits: { processes: 15 }", "16, at most 15" },
	{ "limits: { open_files: 64 }", "limits: { open_files: 63 }", "64, at most 63" },
	{ "limits: { scratch_bytes: 65536 }", "limits: { scratch_bytes: 1 }", "65536" },
	{ "debug: never", "witnesses: [quorum none]", "no checkpoint came" },
	{ "failures: accepted", "origin: nowhere", "assay.dev" },
};

START_TEST(a_rule_is_met_or_missed)
{
	ck_assert_msg(outcome(rules[_i].met, NULL) == OK, "%s: %s", rules[_i].met, err_reason());
	ck_assert_msg(outcome(rules[_i].missed, NULL) == ERR_MISMATCH, "%s", rules[_i].missed);
	ck_assert_msg(strstr(err_reason(), rules[_i].words) != NULL, "%s: %s", rules[_i].missed,
		      err_reason());
}
END_TEST

START_TEST(an_empty_policy_wants_success_and_nothing_else)
{
	size_t n;

	ck_assert_ok(outcome("", &n));
	ck_assert_uint_eq(n, 1);
	leaf->status_code = 3;
	ck_assert_err(outcome("", NULL), ERR_MISMATCH);
	ck_assert_ok(outcome("failures: accepted", &n));
	ck_assert_uint_eq(n, 0);
}
END_TEST

START_TEST(every_rule_is_told_also_after_the_first_that_was_missed)
{
	size_t n;

	ck_assert_err(outcome("origin: a\npartition: b\nleast_epoch: 1\n", &n), ERR_MISMATCH);
	ck_assert_uint_eq(n, 4);
}
END_TEST

START_TEST(a_claim_that_is_absent_meets_no_rule)
{
	static const char *const texts[] = {
		"platform: { records: [" A64 "] }",
		"policies: [" A64 "]",
		"least_epoch: 1",
		"confinement: { launcher: privileged }",
		"confinement: { steps: all }",
		"confinement: { starts: [fresh] }",
		"time: { source: synchronised }",
		"time: { error_ms: 1000 }",
		"caller: { roles: [user] }",
		"caller: { proofs: [role key] }",
		"application: { measurements: [" A64 "] }",
		"application: { signers: [" A64 "] }",
		"platform: { parts: ['kernel:version=" B64 "'] }",
		"failures: refused",
		"application: { purity: pure }",
		"limits: { wall_ms: 10000 }",
		"witnesses: [quorum none]",
	};

	leaf->has_tcb = leaf->has_policy = leaf->has_epoch = leaf->has_confinement = false;
	leaf->has_times = leaf->has_caller = leaf->has_roleproof = leaf->has_status = false;
	leaf->components_n = 0;
	evidence.tcb = NULL;
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
		ck_assert_msg(outcome(texts[i], NULL) == ERR_MISMATCH, "%s", texts[i]);
}
END_TEST

START_TEST(an_application_that_does_not_say_so_is_not_pure)
{
	static const char *const others[] = { "",
					      "1.0",
					      "not pure",
					      "pure for sure",
					      "purely",
					      "pure but for , clock",
					      "pure but for clock," };

	for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
		leaf->components[1].version = slice_text(others[i]);
		enum err e = outcome("application: { purity: pure, may_need: [clock] }", NULL);
		ck_assert_msg(i == 6 ? e == OK : e == ERR_MISMATCH, "%s", others[i]);
	}
}
END_TEST

/* Whatever a package claims, in the words that its record has. */
START_TEST(every_purity_is_appraised_as_it_was_claimed)
{
	for (unsigned needs = 0; needs <= NEED_ALL; needs += 2) {
		CLEANUP(buf) struct buf words = BUF_INIT;
		CLEANUP(appraisal) struct appraisal *learned = NULL;
		CLEANUP(buf) struct buf text = BUF_INIT;

		manifest_purity_put((uint8_t)(PURE | needs), &words);
		leaf->components[1].version = buf_slice(&words);
		enum err bare = outcome("application: { purity: pure }", NULL);
		ck_assert_int_eq(bare, needs ? ERR_MISMATCH : OK);
		ck_assert_ok(outcome("application: { purity: pure, may_need: "
				     "[clock, random, machine] }",
				     NULL));
		ck_assert_ok(appraise_learn(&evidence, &learned));
		appraisal_show(learned, false, &text);
		ck_assert_ok(outcome(buf_text(&text), NULL));
		leaf->components[1].version = slice_text("");
		ck_assert_err(outcome(buf_text(&text), NULL), ERR_MISMATCH);
	}
}
END_TEST

START_TEST(limits_that_nobody_can_show_meet_no_rule)
{
	evidence.profile = slice_of(NULL, 0);
	ck_assert_err(outcome("limits: { wall_ms: 10000 }", NULL), ERR_MISMATCH);
	ck_assert_msg(strstr(err_reason(), "nobody knows them") != NULL, "%s", err_reason());
}
END_TEST

START_TEST(limits_of_another_profile_meet_no_rule)
{
	leaf->components[1].sha256[0] ^= 1;
	ck_assert_err(outcome("limits: { wall_ms: 10000 }", NULL), ERR_MISMATCH);
	ck_assert_msg(strstr(err_reason(), "not the one that the proof names") != NULL, "%s",
		      err_reason());
	leaf->components_n = 1;
	ck_assert_err(outcome("limits: { wall_ms: 10000 }", NULL), ERR_MISMATCH);
}
END_TEST

/* Whatever else is in a profile, its limits are found. */
START_TEST(limits_are_those_of_the_package)
{
	manifest.argv[1] = slice_text("--wall_ms=1");
	manifest.argc = 2;
	manifest.env[0] = slice_text("A=B");
	manifest.envc = 1;
	manifest.limits = (struct limits){ 1 << 20, 2, 3, 4, 5, 6, 0 };
	manifest.purity = PURE;
	manifest.park = PARK_ON;
	set_profile();
	ck_assert_ok(outcome("limits: { memory_bytes: 1048576, output_bytes: 2, wall_ms: 3, "
			     "cpu_ms: 4, processes: 5, open_files: 6, scratch_bytes: 1 }",
			     NULL));
	ck_assert_err(outcome("limits: { open_files: 5 }", NULL), ERR_MISMATCH);
}
END_TEST

START_TEST(no_debug_evidence_where_the_policy_says_never)
{
	tcb->dbgstat = LEAF_DEBUG_ENABLED;
	ck_assert_err(outcome("debug: never", NULL), ERR_MISMATCH);
	tcb->dbgstat = LEAF_DEBUG_DISABLED;
	ck_assert_ok(outcome("debug: never", NULL));
	leaf->profile = slice_text(LEAF_PROFILE_DEVELOPMENT);
	ck_assert_err(outcome("debug: never", NULL), ERR_MISMATCH);
	ck_assert_ok(outcome("debug: any", NULL));
}
END_TEST

START_TEST(lines_that_are_no_policy_of_witnesses_are_the_callers_mistake)
{
	ck_assert_err(outcome("witnesses: [quorum nobody]", NULL), ERR_USAGE);
	ck_assert_msg(strstr(err_reason(), "witnesses:1") != NULL, "%s", err_reason());
	ck_assert_err(outcome("witnesses: ['witness w w.example/0+740fad11+BDtqJ7zOtqQtYqOo0CpvDX"
			      "NlMhV3HeJDpjrASKGLWdop']",
			      NULL),
		      ERR_USAGE);
}
END_TEST

START_TEST(a_proof_from_the_future_is_not_fresh)
{
	evidence.now = leaf->time - 301;
	ck_assert_err(outcome("fresh: { age_seconds: 1000 }", NULL), ERR_MISMATCH);
	evidence.now = leaf->time - 299;
	ck_assert_ok(outcome("fresh: { age_seconds: 1000 }", NULL));
	leaf->time = INT64_MIN;
	ck_assert_err(outcome("fresh: { age_seconds: 1000 }", NULL), ERR_MISMATCH);
}
END_TEST

START_TEST(a_clock_that_nothing_holds_has_no_small_error)
{
	leaf->time_source = 0;
	leaf->time_error_us = 0;
	ck_assert_err(outcome("time: { error_ms: 1000 }", NULL), ERR_MISMATCH);
	leaf->time_source = 1;
	leaf->time_error_us = 1000001;
	ck_assert_err(outcome("time: { error_ms: 1000 }", NULL), ERR_MISMATCH);
	leaf->time_error_us = 1000000;
	ck_assert_ok(outcome("time: { error_ms: 1000 }", NULL));
}
END_TEST

START_TEST(a_good_part_does_not_speak_for_another_of_its_name)
{
	size_t n;

	tcb->components[1] = tcb->components[0];
	tcb->components_n = 2;
	ck_assert_ok(outcome("platform: { parts: ['kernel:version=" B64 "'] }", NULL));
	memset(tcb->components[1].sha256, 0xaa, 32);
	ck_assert_err(outcome("platform: { parts: ['kernel:version=" B64 "'] }", &n), ERR_MISMATCH);
	ck_assert_uint_eq(n, 3);
	ck_assert_ok(outcome(
		"platform: { parts: ['kernel:version=" B64 "', 'kernel:version=" A64 "'] }", NULL));
}
END_TEST

START_TEST(a_learned_policy_wants_as_many_approvals_as_there_were)
{
	CLEANUP(appraisal) struct appraisal *learned = NULL;
	CLEANUP(buf) struct buf text = BUF_INIT;

	ck_assert_ok(appraise_learn(&evidence, &learned));
	ck_assert_uint_eq(learned->application_signers.n, 2);
	ck_assert_str_eq(learned->application_signers.items[1], B64);
	ck_assert_uint_eq(learned->application_approvals, 2);
	appraisal_show(learned, false, &text);
	ck_assert_ok(outcome(buf_text(&text), NULL));
	leaf->components[0].authorities.left /= 2;
	ck_assert_err(outcome(buf_text(&text), NULL), ERR_MISMATCH);
	ck_assert_ptr_nonnull(strstr(err_reason(), "application.signers: approved by 1 of"));
}
END_TEST

START_TEST(a_record_without_a_version_has_not_the_least_one)
{
	leaf->swversion = slice_of(NULL, 0);
	ck_assert_err(outcome("application: { least_version: '0' }", NULL), ERR_MISMATCH);
}
END_TEST

START_TEST(a_learned_policy_accepts_its_own_proof_and_no_other)
{
	CLEANUP(appraisal) struct appraisal *learned = NULL;
	CLEANUP(buf) struct buf text = BUF_INIT;

	ck_assert_ok(appraise_learn(&evidence, &learned));
	appraisal_show(learned, false, &text);
	ck_assert_msg(outcome(buf_text(&text), NULL) == OK, "%s\n%s", err_reason(),
		      buf_text(&text));
	leaf->components[0].sha256[0] ^= 1;
	ck_assert_err(outcome(buf_text(&text), NULL), ERR_MISMATCH);
	leaf->components[0].sha256[0] ^= 1;
	tcb->components[0].sha256[31] ^= 1;
	ck_assert_err(outcome(buf_text(&text), NULL), ERR_MISMATCH);
}
END_TEST

static const struct {
	const char *why, *text, *says;
} refused[] = {
	{ "an unknown rule", "colour: red", "policy:1: one of the settings" },
	{ "no digest", "policies: [abc]", "64 hexadecimal digits" },
	{ "upper case",
	  "platform: { records: [AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA] "
	  "}",
	  "lower case" },
	{ "a part without a name", "platform: { parts: ['=" A64 "'] }", "NAME=" },
	{ "a part without a digest", "platform: { parts: ['kernel:version'] }", "NAME=" },
	{ "exceptions to no rule", "confinement: { may_lack: [mdwe] }", "because of may_lack" },
	{ "more approvals than signers", "application: { signers: [" A64 "], approvals: 2 }",
	  "as many signers" },
	{ "approvals by nobody", "application: { approvals: 2 }", "as many signers" },
	{ "needs of what need not be pure", "application: { may_need: [clock] }",
	  "because of may_need" },
};

START_TEST(a_policy_that_says_nothing_clear_is_refused)
{
	struct appraisal *policy = NULL;

	ck_assert_msg(appraisal_parse(slice_text(refused[_i].text), "policy", &policy) != OK, "%s",
		      refused[_i].why);
	ck_assert_msg(strstr(err_reason(), refused[_i].says) != NULL, "%s: %s", refused[_i].why,
		      err_reason());
}
END_TEST

static void add(TCase *t)
{
	tcase_add_checked_fixture(t, set_up, tear_down);
	tcase_add_table(t, a_rule_is_met_or_missed, rules);
	tcase_add_test(t, an_empty_policy_wants_success_and_nothing_else);
	tcase_add_test(t, every_rule_is_told_also_after_the_first_that_was_missed);
	tcase_add_test(t, a_claim_that_is_absent_meets_no_rule);
	tcase_add_test(t, an_application_that_does_not_say_so_is_not_pure);
	tcase_add_test(t, every_purity_is_appraised_as_it_was_claimed);
	tcase_add_test(t, limits_that_nobody_can_show_meet_no_rule);
	tcase_add_test(t, limits_of_another_profile_meet_no_rule);
	tcase_add_test(t, limits_are_those_of_the_package);
	tcase_add_test(t, no_debug_evidence_where_the_policy_says_never);
	tcase_add_test(t, lines_that_are_no_policy_of_witnesses_are_the_callers_mistake);
	tcase_add_test(t, a_proof_from_the_future_is_not_fresh);
	tcase_add_test(t, a_clock_that_nothing_holds_has_no_small_error);
	tcase_add_test(t, a_good_part_does_not_speak_for_another_of_its_name);
	tcase_add_test(t, a_record_without_a_version_has_not_the_least_one);
	tcase_add_test(t, a_learned_policy_accepts_its_own_proof_and_no_other);
	tcase_add_test(t, a_learned_policy_wants_as_many_approvals_as_there_were);
	tcase_add_table(t, a_policy_that_says_nothing_clear_is_refused, refused);
}

int main(void)
{
	return check_run("appraise", add);
}

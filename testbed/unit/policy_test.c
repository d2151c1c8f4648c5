/* policy_test.c - a partition's policy as it is written: what is read, and what is refused. */
#include "config/policy.h"
#include "config/base/io.h"
#include "testbed/unit/check.h"

#include <string.h>

#define DIGEST "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
#define OTHER "ff112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"

static const uint8_t *digest(const char *hex)
{
	static uint8_t bytes[SHA256_SIZE];

	ck_assert_ok(hex_take(hex, bytes, sizeof bytes));
	return bytes;
}

static const struct {
	const char *text, *reason;
} refused[] = {
	{ "kept: sealed\n",
	  "p:1: one of the settings keep, sealed, execute, limits, witness, packages, "
	  "revoked expected, found \"kept\"" },
	{ "keep: everything\n", "p:1: keep: nothing or sealed expected, found \"everything\"" },
	{ "limits: {memory_bytes: 1}\n",
	  "p:1: limits: one of the settings input_bytes, output_bytes, wall_ms expected, "
	  "found \"memory_bytes\"" },
	{ "keep: sealed\n",
	  "p:1: sealed.auditor: a certificate's file expected, because of keep: sealed" },
	{ "keep: nothing\nsealed:\n  auditor: /etc/a.pem\n",
	  "p:2: sealed: expected with keep: sealed only" },
	{ "sealed: {retention_days: 5}\n", "p:1: sealed: expected with keep: sealed only" },
	{ "keep: sealed\nsealed: {auditor: a.pem}\n",
	  "p:2: sealed.auditor: an absolute path without \"..\", at most 4095 bytes expected, "
	  "found \"a.pem\"" },
	{ "revoked: [" DIGEST "0]\n",
	  "p:1: revoked: 64 hexadecimal digits in lower case "
	  "expected, found \"00112233445566778899aabbccddeeff00112233...\"" },
	{ "packages: {signers: [" DIGEST "]}\n",
	  "p:1: packages.approvals: 1 or more expected, because of signers" },
	{ "packages:\n  approvals: 2\n  signers: [" DIGEST "]\n",
	  "p:3: packages.signers: as many signers as approvals expected" },
	{ "packages: {approvals: 1}\n",
	  "p:1: packages.signers: as many signers as approvals expected" },
	{ "packages: {revoked_signers: [" DIGEST "]}\n",
	  "p:1: packages.signers: expected, because of revoked_signers" },
	{ "packages: {approvals: 17}\n",
	  "p:1: packages.approvals: a whole number from 0 to 16 expected, found \"17\"" },
	{ "packages: {rollback: no}\n",
	  "p:1: packages.rollback: allowed or refused expected, found \"no\"" },
	{ "packages: {revoked_signers: [abc]}\n",
	  "p:1: packages.revoked_signers: 64 hexadecimal digits in lower case expected, found "
	  "\"abc\"" },
	{ "execute: {applications: [\"\"]}\n",
	  "p:1: execute.applications: a text of 1 to 64 bytes expected, found \"\"" },
	{ "execute: {per_minute: -1}\n", "p:1: execute.per_minute: a whole number from 0 to "
					 "100000000 expected, found \"-1\"" },
};

START_TEST(policy_is_refused_with_its_reason)
{
	struct partition_policy *policy = NULL;
	enum err e = partition_policy_parse(slice_text(refused[_i].text), "p", &policy);

	ck_assert_msg(e == ERR_FORMAT || e == ERR_RANGE, "%s", refused[_i].text);
	ck_assert_str_eq(err_reason(), refused[_i].reason);
}
END_TEST

START_TEST(nothing_is_the_policy_of_a_partition_that_was_given_none)
{
	CLEANUP(partition_policy) struct partition_policy *policy = NULL;

	ck_assert_ok(partition_policy_parse(slice_of(NULL, 0), "p", &policy));
	ck_assert_int_eq(policy->keep, KEEP_NOTHING);
	ck_assert_uint_eq(policy->execute_applications.n, 0);
	ck_assert_uint_eq(policy->execute_per_minute, 0);
	ck_assert_uint_eq(policy->revoked.n, 0);
}
END_TEST

START_TEST(policy_is_read_whole_and_shown_as_it_reads)
{
	CLEANUP(partition_policy) struct partition_policy *policy = NULL, *again = NULL;
	CLEANUP(buf) struct buf shown = BUF_INIT, twice = BUF_INIT;
	const char *text = "keep: sealed\n"
			   "sealed: {auditor: /etc/a.pem, retention_days: 7}\n"
			   "execute: {applications: [screen, screen-awk], users: [1000], "
			   "per_minute: 60}\n"
			   "limits: {input_bytes: 4096}\n"
			   "packages: {signers: [" DIGEST ", " OTHER "], approvals: 2, "
			   "revoked_signers: [" OTHER "], rollback: refused}\n"
			   "revoked: [" DIGEST "]\n";

	ck_assert_ok(partition_policy_parse(slice_text(text), "p", &policy));
	ck_assert_int_eq(policy->keep, KEEP_SEALED);
	ck_assert_str_eq(policy->sealed_auditor, "/etc/a.pem");
	ck_assert_uint_eq(policy->sealed_retention_days, 7);
	ck_assert_str_eq(policy->execute_applications.items[1], "screen-awk");
	ck_assert_uint_eq(policy->execute_users.ids[0], 1000);
	ck_assert_uint_eq(policy->limits_input_bytes, 4096);
	ck_assert_str_eq(policy->revoked.items[0], DIGEST);
	ck_assert_uint_eq(policy->packages_approvals, 2);
	ck_assert_int_eq(policy->packages_rollback, ROLLBACK_REFUSED);
	ck_assert(policy_lists(&policy->packages_signers, digest(OTHER)));
	ck_assert(policy_lists(&policy->packages_revoked_signers, digest(OTHER)));
	ck_assert(!policy_lists(&policy->packages_revoked_signers, digest(DIGEST)));
	partition_policy_show(policy, false, &shown);
	ck_assert_ok(partition_policy_parse(buf_slice(&shown), "q", &again));
	partition_policy_show(again, false, &twice);
	ck_assert(slice_equal(buf_slice(&shown), buf_slice(&twice)));
}
END_TEST

START_TEST(example_names_every_setting_with_its_default)
{
	CLEANUP(buf) struct buf text = BUF_INIT, shown = BUF_INIT, standard = BUF_INIT;
	CLEANUP(partition_policy) struct partition_policy *policy = NULL, *none = NULL;
	static const char *const keys[] = {
#define SETTING(key, field, type, least, most, value, help) key,
#include "config/policy.def"
#undef SETTING
	};

	ck_assert_ok(io_read_file("config/policy.yaml", PARTITION_POLICY_MAX, &text));
	ck_assert_ok(partition_policy_parse(buf_slice(&text), "example", &policy));
	ck_assert_ok(partition_policy_parse(slice_of(NULL, 0), "none", &none));
	partition_policy_show(policy, false, &shown);
	partition_policy_show(none, false, &standard);
	ck_assert(slice_equal(buf_slice(&shown), buf_slice(&standard)));
	for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
		const char *dot = strrchr(keys[i], '.');

		ck_assert_msg(strstr(buf_text(&text), dot ? dot + 1 : keys[i]) != NULL, "%s",
			      keys[i]);
	}
}
END_TEST

START_TEST(policy_that_is_too_long_is_refused)
{
	CLEANUP(buf) struct buf text = BUF_INIT;
	struct partition_policy *policy = NULL;

	memset(buf_add(&text, PARTITION_POLICY_MAX + 1), '#', PARTITION_POLICY_MAX + 1);
	ck_assert_err(partition_policy_parse(buf_slice(&text), "p", &policy), ERR_RANGE);
}
END_TEST

static void add(TCase *t)
{
	tcase_add_table(t, policy_is_refused_with_its_reason, refused);
	tcase_add_test(t, nothing_is_the_policy_of_a_partition_that_was_given_none);
	tcase_add_test(t, policy_is_read_whole_and_shown_as_it_reads);
	tcase_add_test(t, example_names_every_setting_with_its_default);
	tcase_add_test(t, policy_that_is_too_long_is_refused);
}

int main(void)
{
	return check_run("policy", add);
}

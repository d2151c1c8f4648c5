/* approvals_test.c - whose signature counts under which policy; and what a policy lets be loaded. */
#include "audit/leaf.h"
#include "plugin/daemon/rules.h"
#include "testbed/unit/developer.h"
#include "testbed/unit/statedir.h"

static struct developer ada, bob;
static struct buf package;
static struct app *app;

static void setup(void)
{
	package = BUF_INIT;
	developer_make(&ada);
	developer_make(&bob);
	statedir_package("screen", "1.10", &package);
	app = NULL;
}

static void teardown(void)
{
	app_release(app);
	developer_free(&ada);
	developer_free(&bob);
	buf_free(&package);
}

static struct trailer by(bool a, bool b)
{
	struct trailer t = { .n = 0 };

	if (a)
		developer_sign(&ada, buf_slice(&package), &t);
	if (b)
		developer_sign(&bob, buf_slice(&package), &t);
	return t;
}

static void examine(const struct trailer *t)
{
	app_release(app);
	ck_assert_ok(app_examine(buf_slice(&package), t, NULL, &app));
}

/* What a policy of this text says; A and B in it are the developers' names. */
static struct rules *rules_of(const char *text)
{
	CLEANUP(buf) struct buf out = BUF_INIT;
	struct rules *rules;

	for (; *text; text++) {
		if (*text == 'A' || *text == 'B')
			buf_put_text(&out, *text == 'A' ? ada.name : bob.name);
		else
			buf_put_u8(&out, (uint8_t)*text);
	}
	ck_assert_ok(rules_new(buf_slice(&out), slice_of(NULL, 0), 1, 0, &rules));
	return rules;
}

static enum err check(const char *text)
{
	CLEANUP(rules) struct rules *rules = rules_of(text);

	return approvals_check(&app->approvals, app->package, rules->says);
}

static size_t count(const char *text)
{
	CLEANUP(rules) struct rules *rules = rules_of(text);

	return approvals_count(&app->approvals, rules->says);
}

/* As when the policy is set: checked first, then judged by. */
static enum err may_load(const char *text, const char *newest)
{
	CLEANUP(rules) struct rules *rules = rules_of(text);

	(void)!approvals_check(&app->approvals, app->package, rules->says);
	enum err e = rules_may_load(rules, app, newest);
	if (!*newest)
		ck_assert_int_eq(rules_may_run(rules, 0, app), e);
	return e;
}

static const struct {
	const char *policy;
	bool a, b;
	enum err result;
	const char *words;
} cases[] = {
	{ "", false, false, OK, "" },
	{ "", true, true, OK, "" },
	{ "packages: {signers: [A, B], approvals: 1}", false, false, ERR_DENIED,
	  "screen 1.10 has 0 of 1 approvals" },
	{ "packages: {signers: [A, B], approvals: 1}", false, true, OK, "" },
	{ "packages: {signers: [A, B], approvals: 2}", true, false, ERR_DENIED,
	  "has 1 of 2 approvals that the policy asks for" },
	{ "packages: {signers: [A, B], approvals: 2}", true, true, OK, "" },
	{ "packages: {signers: [A], approvals: 1}", false, true, ERR_DENIED, "0 of 1" },
	{ "packages: {signers: [A, A], approvals: 2}", true, true, ERR_DENIED, "1 of 2" },
	{ "packages: {signers: [A, B], approvals: 1, revoked_signers: [A]}", true, true, OK, "" },
	{ "packages: {signers: [A, B], approvals: 1, revoked_signers: [A]}", true, false,
	  ERR_DENIED, "is revoked" },
	{ "packages: {signers: [A], approvals: 1, revoked_signers: [A]}", true, true, ERR_DENIED,
	  "0 of 1" },
};

START_TEST(as_many_listed_signers_must_have_signed_as_the_policy_says)
{
	struct trailer t = by(cases[_i].a, cases[_i].b);

	examine(&t);
	ck_assert_msg(may_load(cases[_i].policy, "") == cases[_i].result, "%s: %s",
		      cases[_i].policy, err_reason());
	if (cases[_i].result)
		ck_assert_ptr_nonnull(strstr(err_reason(), cases[_i].words));
}
END_TEST

START_TEST(signature_that_was_not_checked_does_not_count)
{
	struct trailer t = by(true, true);

	examine(&t);
	ck_assert_ok(check("packages: {signers: [A], approvals: 1}"));
	ck_assert_uint_eq(count("packages: {signers: [A, B], approvals: 1}"), 1);
	ck_assert_ok(check("packages: {signers: [A, B], approvals: 1}"));
	ck_assert_uint_eq(count("packages: {signers: [A, B], approvals: 1}"), 2);
}
END_TEST

START_TEST(a_listed_signers_signature_over_something_else_is_refused)
{
	struct trailer t = by(true, false), other = { .n = 0 };

	developer_sign(&bob, slice_text("another package"), &other);
	ck_assert_ok(trailer_add(&t, other.list[0].key, other.list[0].signature));
	examine(&t);
	ck_assert_err(check("packages: {signers: [A, B], approvals: 1}"), ERR_MISMATCH);
	ck_assert_ptr_nonnull(strstr(err_reason(), bob.name));
	ck_assert_uint_eq(count("packages: {signers: [A, B], approvals: 1}"), 1);
	/* Whom nobody lists is not looked at. */
	examine(&t);
	ck_assert_ok(check("packages: {signers: [A], approvals: 1}"));
}
END_TEST

START_TEST(a_key_that_no_policy_lists_is_never_parsed)
{
	struct trailer t = by(true, false);

	ck_assert_ok(trailer_add(&t, slice_text("no key at all"), slice_text("no signature")));
	examine(&t);
	ck_assert_ok(check("packages: {signers: [A, B], approvals: 1}"));
	ck_assert_uint_eq(count("packages: {signers: [A, B], approvals: 1}"), 1);
}
END_TEST

START_TEST(a_record_names_those_who_count_and_no_others)
{
	CLEANUP(rules)
	struct rules *both = rules_of("packages: {signers: [A, B], approvals: 1}"),
		     *one = rules_of("packages: {signers: [A, B], approvals: 1, "
				     "revoked_signers: [B]}");
	CLEANUP(buf) struct buf two = BUF_INIT, single = BUF_INIT;
	struct trailer t = by(true, true);
	char hex[2 * SHA256_SIZE + 1];

	examine(&t);
	ck_assert_ok(approvals_check(&app->approvals, app->package, both->says));
	approvals_put(&app->approvals, both->says, &two);
	approvals_put(&app->approvals, one->says, &single);
	struct slice list = buf_slice(&two);
	const uint8_t *first = leaf_next_authority(&list), *second = leaf_next_authority(&list);
	ck_assert(first && second && memcmp(first, second, SHA256_SIZE) < 0);
	ck_assert_uint_eq(list.left, 0);
	list = buf_slice(&single);
	hex_put(hex, leaf_next_authority(&list), SHA256_SIZE);
	ck_assert_str_eq(hex, ada.name);
	ck_assert_uint_eq(list.left, 0);
}
END_TEST

START_TEST(an_older_version_is_refused_where_the_policy_says_so)
{
	examine(NULL);
	ck_assert_ok(may_load("packages: {rollback: refused}", ""));
	ck_assert_ok(may_load("packages: {rollback: refused}", "1.9"));
	ck_assert_ok(may_load("packages: {rollback: refused}", "1.10"));
	ck_assert_ok(may_load("packages: {rollback: allowed}", "1.11"));
	ck_assert_err(may_load("packages: {rollback: refused}", "1.11"), ERR_DENIED);
	ck_assert_str_eq(err_reason(), "screen 1.10 is older than 1.11, which was loaded before");
}
END_TEST

static void add(TCase *t)
{
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_table(t, as_many_listed_signers_must_have_signed_as_the_policy_says, cases);
	tcase_add_test(t, signature_that_was_not_checked_does_not_count);
	tcase_add_test(t, a_listed_signers_signature_over_something_else_is_refused);
	tcase_add_test(t, a_key_that_no_policy_lists_is_never_parsed);
	tcase_add_test(t, a_record_names_those_who_count_and_no_others);
	tcase_add_test(t, an_older_version_is_refused_where_the_policy_says_so);
}

int main(void)
{
	return check_run("approvals", add);
}

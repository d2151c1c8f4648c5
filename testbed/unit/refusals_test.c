/* refusals_test.c - how long a refusal waits, and which of them are records. */
#include "plugin/daemon/refusals.h"
#include "testbed/unit/check.h"

static struct refusals refusals;
static const struct refusal login = { .e = ERR_LOGIN, .request = 10, .uid = 1000 };

static void setup(void)
{
	refusals_init(&refusals);
}

START_TEST(a_few_refusals_are_answered_at_once)
{
	bool patient;

	for (unsigned i = 0; i < 32; i++) {
		ck_assert_uint_eq(refusals_charge(&refusals, 1000, 5000, &patient), 0);
		ck_assert(patient);
	}
	ck_assert_uint_gt(refusals_charge(&refusals, 1000, 5000, &patient), 50);
	ck_assert(!patient);
	/* Another user's patience is its own, and time gives it back. */
	ck_assert_uint_eq(refusals_charge(&refusals, 1001, 5000, &patient), 0);
	ck_assert_uint_eq(refusals_charge(&refusals, 1000, 9000, &patient), 0);
}
END_TEST

START_TEST(refusals_at_one_time_wait_one_after_the_other)
{
	uint64_t last = 0;
	bool patient;

	for (unsigned i = 0; i < 32; i++)
		refusals_charge(&refusals, 1000, 5000, &patient);
	for (unsigned i = 0; i < 15; i++) {
		uint64_t wait = refusals_charge(&refusals, 1000, 5000, &patient);

		ck_assert_uint_ge(wait, last + 90);
		last = wait;
	}
	for (unsigned i = 0; i < 100; i++)
		last = refusals_charge(&refusals, 1000, 5000, &patient);
	ck_assert_uint_eq(last, REFUSAL_WAIT_MAX_MS);
}
END_TEST

START_TEST(many_users_together_have_a_limit_too)
{
	bool patient = true;

	for (unsigned i = 0; i < 128; i++)
		refusals_charge(&refusals, 1000 + i, 5000, &patient);
	ck_assert(patient);
	refusals_charge(&refusals, 5000, 5000, &patient);
	ck_assert(!patient);
}
END_TEST

START_TEST(repeated_refusals_are_one_record_and_a_count)
{
	struct refusal other = login, out;
	uint64_t more;

	other.request = 9;
	ck_assert(refusals_first(&refusals, &login, 5000));
	for (unsigned i = 0; i < 500; i++)
		ck_assert(!refusals_first(&refusals, &login, 5000 + i));
	ck_assert(refusals_first(&refusals, &other, 5500));
	ck_assert(!refusals_take(&refusals, 5900, false, &out, &more));
	ck_assert(refusals_take(&refusals, 6000, false, &out, &more));
	ck_assert_uint_eq(more, 500);
	ck_assert_uint_eq(out.request, 10);
	/* What came once is a record already. */
	ck_assert(!refusals_take(&refusals, 9000, true, &out, &more));
	ck_assert(refusals_first(&refusals, &login, 9000));
}
END_TEST

static void add(TCase *t)
{
	tcase_add_checked_fixture(t, setup, NULL);
	tcase_add_test(t, a_few_refusals_are_answered_at_once);
	tcase_add_test(t, refusals_at_one_time_wait_one_after_the_other);
	tcase_add_test(t, many_users_together_have_a_limit_too);
	tcase_add_test(t, repeated_refusals_are_one_record_and_a_count);
}

int main(void)
{
	return check_run("refusals", add);
}

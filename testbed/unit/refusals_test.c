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
	struct refusal other = login;
	struct refusal_count out;

	other.request = 9;
	ck_assert(refusals_first(&refusals, &login, false, 5000));
	for (unsigned i = 0; i < 500; i++)
		ck_assert(!refusals_first(&refusals, &login, false, 5000 + i));
	ck_assert(refusals_first(&refusals, &other, false, 5500));
	ck_assert(!refusals_take(&refusals, 5900, false, &out));
	ck_assert(refusals_take(&refusals, 6000, false, &out));
	ck_assert_uint_eq(out.n, 500);
	ck_assert_uint_eq(out.what.request, 10);
	ck_assert(!out.mixed);
	/* What came once is a record already. */
	ck_assert(!refusals_take(&refusals, 9000, true, &out));
	ck_assert(refusals_first(&refusals, &login, false, 9000));
}
END_TEST

START_TEST(patient_refusals_are_records_of_their_own)
{
	struct refusal_count out;

	for (unsigned i = 0; i < 20; i++)
		ck_assert(refusals_first(&refusals, &login, true, 5000));
	ck_assert(!refusals_take(&refusals, 9000, true, &out));
}
END_TEST

/* One that varies whatever it can, as fast as it can, for an hour: 64 causes find a place, the others
 * are counted together, none is forgotten, and the disk sees few. */
START_TEST(storm_of_ever_new_causes_is_few_records_and_none_is_forgotten)
{
	struct refusal_count out;
	uint64_t sent = 0, records = 0, counted = 0;
	uint64_t now_ms = 5000, end_ms = now_ms + 3600 * 1000;

	for (; now_ms < end_ms; now_ms += 10) {
		struct refusal what = login;

		what.uid = (uid_t)(sent % 1000);
		what.request = (unsigned)(sent / 1000 % 20);
		what.e = (enum err)(1 + sent / 20000 % 17);
		sent++;
		records += refusals_first(&refusals, &what, sent % 3 == 0, now_ms);
		while (refusals_take(&refusals, now_ms, false, &out)) {
			records++;
			counted += out.n - 1;
		}
	}
	ck_assert_uint_le(records, REFUSAL_RECORDS + 3600 * 1000 / REFUSAL_RECORD_MS + 1);
	while (refusals_take(&refusals, now_ms, true, &out)) {
		records++;
		counted += out.n - 1;
	}
	ck_assert_uint_eq(records + counted, sent);
	ck_assert_uint_le(records, REFUSAL_RECORDS + 3600 * 1000 / REFUSAL_RECORD_MS + 1 +
					   REFUSAL_CAUSES + 1);
}
END_TEST

START_TEST(cause_that_waits_longest_is_recorded_first)
{
	struct refusal what = login;
	struct refusal_count out;

	for (unsigned i = 0; i < REFUSAL_RECORDS; i++)
		ck_assert(refusals_first(&refusals, &what, true, 5000));
	for (unsigned i = 0; i < REFUSAL_CAUSES + 10; i++) {
		what.request = 100 + i;
		ck_assert(!refusals_first(&refusals, &what, true, 5000 + i));
	}
	ck_assert(!refusals_take(&refusals, 5000 + REFUSAL_FOLD_MS + 100, false, &out));
	for (unsigned i = 0; i < 3; i++) {
		uint64_t now_ms = 6000 + (i + 1) * REFUSAL_RECORD_MS;

		ck_assert(refusals_take(&refusals, now_ms, false, &out));
		ck_assert_uint_eq(out.what.request, 100 + i);
		ck_assert_uint_eq(out.n, 1);
		ck_assert(!refusals_take(&refusals, now_ms, false, &out));
	}
	unsigned mixed = 0;
	while (refusals_take(&refusals, 90000, true, &out))
		if (out.mixed) {
			mixed++;
			ck_assert_uint_eq(out.n, 10);
		}
	ck_assert_uint_eq(mixed, 1);
}
END_TEST

static void add(TCase *t)
{
	tcase_add_checked_fixture(t, setup, NULL);
	tcase_add_test(t, a_few_refusals_are_answered_at_once);
	tcase_add_test(t, refusals_at_one_time_wait_one_after_the_other);
	tcase_add_test(t, many_users_together_have_a_limit_too);
	tcase_add_test(t, repeated_refusals_are_one_record_and_a_count);
	tcase_add_test(t, patient_refusals_are_records_of_their_own);
	tcase_add_test(t, storm_of_ever_new_causes_is_few_records_and_none_is_forgotten);
	tcase_add_test(t, cause_that_waits_longest_is_recorded_first);
}

int main(void)
{
	return check_run("refusals", add);
}

/* results_test.c - what can be fetched, for how long, by whom, and how much of it. */
#include <string.h>

#include "plugin/daemon/results.h"
#include "testbed/unit/check.h"

#define NOW 1000000
#define TTL 10000
#define QUOTA 100000

static struct results results;

static void setup(void)
{
	results_init(&results, QUOTA, TTL);
}

static void teardown(void)
{
	results_purge(&results);
	ck_assert_uint_eq(results.bytes, 0);
}

static enum err put(const char *label, enum wire_role role, size_t bytes, uint64_t now,
		    uint64_t *id)
{
	struct result_set *set;

	ck_assert_ok(result_set_new(role, slice_text(label), &set));
	set->has[RESULT_OUTPUT] = set->has[RESULT_PROOF] = true;
	memset(buf_add(&set->parts[RESULT_OUTPUT], bytes), 'x', bytes);
	buf_put_text(&set->parts[RESULT_PROOF], "proof");
	if (id)
		*id = results.next_id;
	return results_put(&results, set, now);
}

static enum err get(enum wire_role role, uint64_t id, uint64_t now)
{
	CLEANUP(result_set) struct result_set *set = NULL;

	return results_get(&results, role, id, now, &set);
}

static bool count(void *context, const struct result_set *set, enum result_part part)
{
	(void)set;
	(void)part;
	++*(size_t *)context;
	return true;
}

static size_t listed(enum wire_role role, const char *label, uint64_t now)
{
	size_t n = 0;

	results_each(&results, role, slice_text(label), now, count, &n);
	return n;
}

START_TEST(parts_are_fetched_by_their_ids)
{
	CLEANUP(result_set) struct result_set *set = NULL;
	uint64_t id;

	ck_assert_ok(put("a", WIRE_USER, 3, NOW, &id));
	ck_assert_ok(results_get(&results, WIRE_USER, id + RESULT_PROOF, NOW, &set));
	ck_assert(slice_is(buf_slice(&set->parts[RESULT_PROOF]), "proof"));
	ck_assert_err(get(WIRE_USER, id + RESULT_KEYS, NOW), ERR_NOT_FOUND);
	ck_assert_err(get(WIRE_USER, id + RESULT_PARTS, NOW), ERR_NOT_FOUND);
	ck_assert_err(get(WIRE_USER, 0, NOW), ERR_NOT_FOUND);
}
END_TEST

START_TEST(another_role_finds_nothing)
{
	uint64_t id;

	ck_assert_ok(put("a", WIRE_USER, 3, NOW, &id));
	ck_assert_err(get(WIRE_SO, id, NOW), ERR_NOT_FOUND);
	ck_assert_uint_eq(listed(WIRE_SO, "", NOW), 0);
	ck_assert_uint_eq(listed(WIRE_USER, "", NOW), 2);
}
END_TEST

START_TEST(results_last_their_time)
{
	uint64_t id;

	ck_assert_ok(put("a", WIRE_USER, 3, NOW, &id));
	ck_assert_ok(get(WIRE_USER, id, NOW + TTL));
	ck_assert_err(get(WIRE_USER, id, NOW + TTL + 1), ERR_NOT_FOUND);
	ck_assert_uint_eq(results.bytes, 0);
}
END_TEST

START_TEST(quota_drops_the_oldest)
{
	uint64_t first, last = 0;

	ck_assert_ok(put("a", WIRE_USER, QUOTA / 4, NOW, &first));
	for (unsigned i = 0; i < 4; i++)
		ck_assert_ok(put("b", WIRE_USER, QUOTA / 4, NOW + 1 + i, &last));
	ck_assert_uint_le(results.bytes, QUOTA);
	ck_assert_err(get(WIRE_USER, first, NOW + 5), ERR_NOT_FOUND);
	ck_assert_ok(get(WIRE_USER, last, NOW + 5));
}
END_TEST

START_TEST(result_over_the_quota_is_refused_and_drops_nothing)
{
	uint64_t id;

	ck_assert_ok(put("a", WIRE_USER, 3, NOW, &id));
	ck_assert_err(put("b", WIRE_USER, QUOTA, NOW, NULL), ERR_LIMIT);
	ck_assert_ok(get(WIRE_USER, id, NOW));
}
END_TEST

START_TEST(set_that_is_held_outlives_its_removal)
{
	CLEANUP(result_set) struct result_set *set = NULL;
	uint64_t id;

	ck_assert_ok(put("a", WIRE_USER, 3, NOW, &id));
	ck_assert_ok(results_get(&results, WIRE_USER, id, NOW, &set));
	results_purge(&results);
	ck_assert(slice_is(buf_slice(&set->parts[RESULT_OUTPUT]), "xxx"));
}
END_TEST

static bool first_label(void *context, const struct result_set *set, enum result_part part)
{
	(void)part;
	strcpy(context, set->label);
	return false;
}

START_TEST(listing_is_newest_first_and_by_label)
{
	char label[RESULT_LABEL_MAX + 1] = "";

	ck_assert_ok(put("old", WIRE_USER, 3, NOW, NULL));
	ck_assert_ok(put("new", WIRE_USER, 3, NOW + 1, NULL));
	results_each(&results, WIRE_USER, slice_of(NULL, 0), NOW + 1, first_label, label);
	ck_assert_str_eq(label, "new");
	ck_assert_uint_eq(listed(WIRE_USER, "old", NOW + 1), 2);
	ck_assert_uint_eq(listed(WIRE_USER, "none", NOW + 1), 0);
}
END_TEST

START_TEST(label_has_a_largest_size)
{
	char label[RESULT_LABEL_MAX + 2];
	CLEANUP(result_set) struct result_set *set = NULL;

	memset(label, 'l', sizeof label);
	ck_assert_err(result_set_new(WIRE_USER, slice_of(label, sizeof label), &set), ERR_RANGE);
	ck_assert_ok(result_set_new(WIRE_USER, slice_of(label, RESULT_LABEL_MAX), &set));
}
END_TEST

static void add(TCase *t)
{
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, parts_are_fetched_by_their_ids);
	tcase_add_test(t, another_role_finds_nothing);
	tcase_add_test(t, results_last_their_time);
	tcase_add_test(t, quota_drops_the_oldest);
	tcase_add_test(t, result_over_the_quota_is_refused_and_drops_nothing);
	tcase_add_test(t, set_that_is_held_outlives_its_removal);
	tcase_add_test(t, listing_is_newest_first_and_by_label);
	tcase_add_test(t, label_has_a_largest_size);
}

int main(void)
{
	return check_run("results", add);
}

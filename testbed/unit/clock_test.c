/* clock_test.c - times of a log never go back, whatever the system clock does, and say so. */
#include "audit/leaf.h"
#include "audit/receipt.h"
#include "audit/times.h"
#include "plugin/daemon/clock.h"
#include "testbed/crash/shim.h"
#include "testbed/unit/promised.h"

#define HOUR 3600

static char log_path[100];

/* What one more record of the first tree says, and the head that it was released under. */
struct told {
	int64_t leaf, head;
	uint64_t source, error_us, start_us, end_us;
};

static struct told tell(void)
{
	CLEANUP(audit_ticket) struct audit_ticket *ticket = NULL;
	CLEANUP(leaf) struct leaf *read = NULL;
	CLEANUP(buf) struct buf bytes = BUF_INIT;
	struct leaf *leaf = malloc(sizeof *leaf);
	struct receipt receipt;

	promised_leaf(leaf, false);
	leaf->time = (int64_t)(io_realtime_us() / 1000000);
	leaf->has_times = true;
	leaf->time_source = 1;
	leaf->time_error_us = 5;
	leaf->end_us = io_realtime_us();
	leaf->start_us = leaf->end_us - 1000;
	ck_assert_ok(audit_begin(trees[0], leaf, &ticket));
	free(leaf);
	ck_assert_ok(audit_finish(ticket, &bytes));
	ck_assert_ok(leaf_read(audit_ticket_leaf(ticket), &read));
	ck_assert_ok(receipt_read(buf_slice(&bytes), &receipt));
	ck_assert_int_eq(times_leaf(audit_ticket_leaf(ticket)), read->time);
	ck_assert_int_eq(times_head(receipt.protected), receipt.time);
	ck_assert_int_ge(receipt.time, read->time);
	ck_assert_uint_eq(read->end_us - read->start_us, 1000);
	return (struct told){ read->time,          receipt.time,   read->time_source,
			      read->time_error_us, read->start_us, read->end_us };
}

static void start(void)
{
	promised_start();
	promised_path(log_path, "log");
	shim_spare_syncs(true);
	ck_assert_ok(promised_open(log_path));
}

static void end(void)
{
	audit_close(audit);
	shim_clock(0);
	ck_assert_ok(found_read(log_path, buf_slice(&signer.ca)));
	promised_end();
}

static void check_held(const struct told *before, const struct told *after, int64_t by)
{
	ck_assert_int_eq(after->leaf, before->leaf);
	ck_assert_int_ge(after->head, before->head);
	ck_assert_uint_eq(after->source, 0);
	ck_assert_uint_ge(after->error_us, (uint64_t)(by - 60) * 1000000);
	ck_assert_uint_le(after->error_us, (uint64_t)by * 1000000 + 5);
	ck_assert_uint_ge(after->end_us, (uint64_t)before->leaf * 1000000);
}

START_TEST(a_record_stays_at_the_time_of_the_one_before_and_says_by_how_much)
{
	start();
	struct told before = tell();
	ck_assert_uint_eq(before.source, 1);
	ck_assert_uint_eq(before.error_us, 5);
	shim_clock(-HOUR);
	struct told after = tell();
	check_held(&before, &after, HOUR);
	shim_clock(0);
	struct told later = tell();
	ck_assert_uint_eq(later.source, 1);
	ck_assert_uint_eq(later.error_us, 5);
	end();
}
END_TEST

START_TEST(times_stay_across_a_restart_with_an_earlier_clock)
{
	start();
	struct told before = tell();
	audit_close(audit);
	shim_clock(-HOUR);
	ck_assert_ok(promised_open(log_path));
	ck_assert_int_ge(audit_newest(audit), before.leaf);
	struct told after = tell();
	ck_assert_int_ge(after.leaf, before.leaf);
	ck_assert_uint_eq(after.source, 0);
	ck_assert_int_ge(after.head, before.head);
	end();
}
END_TEST

/* Those segments of the write-ahead log are gone by then: the last head knows. */
START_TEST(times_stay_when_the_newest_record_is_in_tiles_alone)
{
	start();
	struct told before = tell();
	for (int i = 0; i < 40; i++) /* eight records fill a segment */
		ck_assert_ok(promised_write(1, true));
	audit_close(audit);
	ck_assert_ok(promised_open(log_path));
	audit_close(audit);
	shim_clock(-HOUR);
	ck_assert_ok(promised_open(log_path));
	struct told after = tell();
	ck_assert_int_ge(after.leaf, before.leaf);
	ck_assert_int_ge(after.head, before.head);
	end();
}
END_TEST

START_TEST(the_next_shard_does_not_begin_before_the_end_of_the_last_one)
{
	struct leaf *leaves = calloc(2, sizeof *leaves);

	start();
	struct told before = tell();
	shim_clock(-HOUR);
	for (int i = 0; i < 2; i++) {
		promised_leaf(&leaves[i], false);
		leaves[i].time = (int64_t)(io_realtime_us() / 1000000);
	}
	leaves[1].type = LEAF_OPEN;
	ck_assert_ok(audit_turn(trees[0], &leaves[0], &leaves[1]));
	struct told after = tell();
	check_held(&before, &after, HOUR);
	free(leaves);
	end();
}
END_TEST

START_TEST(each_tree_has_times_of_its_own)
{
	start();
	shim_clock(HOUR);
	(void)tell();
	shim_clock(0);
	ck_assert_ok(promised_write(PROMISED_TREES, false));
	audit_close(audit);
	ck_assert_ok(promised_open(log_path));
	struct leaf *leaf = malloc(sizeof *leaf);
	promised_leaf(leaf, false);
	int64_t time = leaf->time;
	ck_assert_ok(audit_record(trees[1], leaf));
	ck_assert_int_eq(leaf->time, time);
	ck_assert_ok(audit_record(trees[0], leaf));
	ck_assert_int_gt(leaf->time, time + HOUR / 2);
	free(leaf);
	end();
}
END_TEST

/* --- the pure part --- */

static const struct {
	const char *why;
	int64_t time, newest, held;
	uint64_t source, error_us;
} holds[] = {
	{ "in order", 101, 100, 101, 1, 7 },
	{ "the same second", 100, 100, 100, 1, 7 },
	{ "threads that took turns", 99, 100, 100, 1, 1000007 },
	{ "a clock that went back", 90, 100, 100, 0, 10000007 },
	{ "by decades", 1, INT64_C(4000000000), INT64_C(4000000000), 0,
	  UINT64_C(3999999999000007) },
};

START_TEST(a_time_that_is_held_is_claimed_with_its_error)
{
	struct leaf leaf = { .time = holds[_i].time, .time_source = 1, .time_error_us = 7 };
	int64_t newest = holds[_i].newest;
	bool changed = times_hold(&leaf, &newest);

	ck_assert_msg(changed == (holds[_i].time < holds[_i].newest), "%s", holds[_i].why);
	ck_assert_int_eq(leaf.time, holds[_i].held);
	ck_assert_int_eq(newest, holds[_i].held);
	ck_assert_uint_eq(leaf.time_source, holds[_i].source);
	ck_assert_uint_eq(leaf.time_error_us, holds[_i].error_us);
}
END_TEST

START_TEST(what_is_no_leaf_and_no_head_has_no_time)
{
	static const uint8_t not_a_leaf[] = { 0xd9, 0x02, 0x59, 0xa1, 0x06, 0x20 };

	ck_assert_int_eq(times_leaf(slice_of(NULL, 0)), 0);
	ck_assert_int_eq(times_leaf(SLICE(not_a_leaf)), 0);
	ck_assert_int_eq(times_head(slice_of(NULL, 0)), 0);
	ck_assert_int_eq(times_head(SLICE(not_a_leaf)), 0);
}
END_TEST

/* --- noticing --- */

START_TEST(a_clock_that_was_set_is_noticed_once)
{
	static const int64_t sets[] = { -HOUR, 2 * HOUR, -2 };
	struct clock_watch watch = { 0 };
	int64_t by_us, now = 0;

	ck_assert(!clock_was_set(&watch, &by_us));
	for (size_t i = 0; i < sizeof sets / sizeof *sets; i++) {
		now += sets[i];
		shim_clock(now);
		ck_assert(clock_was_set(&watch, &by_us));
		ck_assert_int_lt(llabs(by_us - sets[i] * 1000000), 500000);
		ck_assert(!clock_was_set(&watch, &by_us));
	}
	shim_clock(now - 1); /* a leap second */
	ck_assert(!clock_was_set(&watch, &by_us));
	shim_clock(0);
}
END_TEST

START_TEST(a_clock_is_steady_an_hour_after_its_last_step)
{
	struct clock_steadiness s = { 0 };
	uint64_t now_ms = 5000;

	ck_assert(!clock_is_steady(&s, now_ms));
	ck_assert(!clock_is_steady(&s, now_ms + CLOCK_STEADY_MS - 1));
	ck_assert(clock_is_steady(&s, now_ms + CLOCK_STEADY_MS));
	shim_clock(400 * 24 * HOUR);
	now_ms += CLOCK_STEADY_MS + 1;
	ck_assert(!clock_is_steady(&s, now_ms));
	ck_assert(!clock_is_steady(&s, now_ms + CLOCK_STEADY_MS / 2));
	shim_clock(0);
	ck_assert(!clock_is_steady(&s, now_ms + CLOCK_STEADY_MS));
	ck_assert(clock_is_steady(&s, now_ms + 2 * CLOCK_STEADY_MS));
}
END_TEST

static void add(TCase *t)
{
	tcase_set_timeout(t, 60);
	tcase_add_test(t, a_record_stays_at_the_time_of_the_one_before_and_says_by_how_much);
	tcase_add_test(t, times_stay_across_a_restart_with_an_earlier_clock);
	tcase_add_test(t, times_stay_when_the_newest_record_is_in_tiles_alone);
	tcase_add_test(t, the_next_shard_does_not_begin_before_the_end_of_the_last_one);
	tcase_add_test(t, each_tree_has_times_of_its_own);
	tcase_add_loop_test(t, a_time_that_is_held_is_claimed_with_its_error, 0,
			    sizeof holds / sizeof *holds);
	tcase_add_test(t, what_is_no_leaf_and_no_head_has_no_time);
	tcase_add_test(t, a_clock_that_was_set_is_noticed_once);
	tcase_add_test(t, a_clock_is_steady_an_hour_after_its_last_step);
}

int main(void)
{
	return check_run("clock", add);
}

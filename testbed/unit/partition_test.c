/* partition_test.c - enrolments: durable, authenticated, one generation at a time. */
#include "plugin/daemon/partition.h"
#include "config/base/cbor.h"
#include "testbed/unit/statedir.h"

#define SERIAL "0123456789abcdef"
#define RECORD "30313233343536373839616263646566"

static struct partitions all;

static void setup(void)
{
	statedir_make();
	partitions_init(&all, state, 1 << 20, 1000);
}

static void teardown(void)
{
	partitions_close(&all);
	statedir_remove();
}

static enum err restart(void)
{
	partitions_close(&all);
	statedir_reopen();
	partitions_init(&all, state, 1 << 20, 1000);
	return partitions_load(&all);
}

static struct partition *enrol(const char *serial)
{
	struct slice name = slice_text(serial);
	struct partition *p;

	ck_assert_ok(partition_new(&all, name, slice_text("bank-a"),
				   partition_next_generation(&all, name), &p));
	snprintf(p->origin, sizeof p->origin, "assay/test/%s", serial);
	p->point[0] = 4;
	p->key_id_n = 3;
	memcpy(p->key_id, "key", 3);
	buf_put_text(&p->certificate, "certificate");
	ck_assert_ok(partition_publish(&all, p));
	return p;
}

static struct partition *find(void)
{
	struct partition *p;

	ck_assert_ok(partition_find(&all, slice_text(SERIAL), &p));
	return p;
}

START_TEST(enrolment_survives_a_restart)
{
	enrol(SERIAL);
	ck_assert_ok(restart());
	struct partition *p = find();
	ck_assert_str_eq(p->label, "bank-a");
	ck_assert_str_eq(p->origin, "assay/test/" SERIAL);
	ck_assert_uint_eq(p->generation, 1);
	ck_assert_uint_eq(p->point[0], 4);
	ck_assert(slice_is(slice_of(p->key_id, p->key_id_n), "key"));
	ck_assert(slice_is(buf_slice(&p->certificate), "certificate"));
	ck_assert(atomic_load(&p->active));
}
END_TEST

START_TEST(unknown_token_is_not_found)
{
	struct partition *p;

	enrol(SERIAL);
	ck_assert_err(partition_find(&all, slice_text("0123"), &p), ERR_NOT_FOUND);
	ck_assert_err(partition_find(&all, slice_of(NULL, 0), &p), ERR_NOT_FOUND);
}
END_TEST

START_TEST(enrolling_again_raises_the_generation_and_ends_the_old_one)
{
	struct partition *old = enrol(SERIAL);
	struct result_set *set;

	ck_assert_ok(result_set_new(WIRE_USER, slice_text("r"), &set));
	ck_assert_ok(results_put(&old->results, set, 1));
	struct partition *new = enrol(SERIAL);
	ck_assert_uint_eq(new->generation, 2);
	ck_assert_ptr_eq(find(), new);
	ck_assert(!atomic_load(&old->active));
	ck_assert_uint_eq(old->results.bytes, 0);
	ck_assert_ok(restart());
	ck_assert_uint_eq(find()->generation, 2);
}
END_TEST

START_TEST(suspension_is_durable_and_purges_results)
{
	struct partition *p = enrol(SERIAL);
	struct result_set *set;

	ck_assert_ok(result_set_new(WIRE_USER, slice_text("r"), &set));
	ck_assert_ok(results_put(&p->results, set, 1));
	ck_assert_ok(partition_suspend(&all, p));
	ck_assert_uint_eq(p->results.bytes, 0);
	ck_assert_ok(restart());
	ck_assert(!atomic_load(&find()->active));
}
END_TEST

START_TEST(forged_enrolment_is_refused)
{
	enrol(SERIAL);
	statedir_spoil(STATE_PARTITIONS, RECORD, 5);
	ck_assert_err(restart(), ERR_CRYPTO);
}
END_TEST

START_TEST(half_written_file_of_a_crash_is_left_out)
{
	char path[256];

	enrol(SERIAL);
	snprintf(path, sizeof path, "%s/%s/.%s.0011", statedir, STATE_PARTITIONS, RECORD);
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	ck_assert_int_ge(fd, 0);
	close(fd);
	ck_assert_ok(restart());
	ck_assert_uint_eq(all.n, 1);
	ck_assert_int_ne(access(path, F_OK), 0);
}
END_TEST

static void rule(struct partition *p, const char *text)
{
	CLEANUP(rules) struct rules *old = partition_rules(p), *new = NULL;

	ck_assert_ok(rules_new(slice_text(text), slice_of(NULL, 0), old->number + 1, 0, &new));
	ck_assert_ok(partition_set_rules(&all, p, new));
}

static void check_rules(uint64_t number, const char *text)
{
	CLEANUP(rules) struct rules *rules = partition_rules(find());
	uint8_t digest[SHA256_SIZE];

	ck_assert_uint_eq(rules->number, number);
	ck_assert(slice_is(buf_slice(&rules->text), text));
	sha256_once(slice_text(text), digest);
	ck_assert_mem_eq(rules->digest, digest, SHA256_SIZE);
}

START_TEST(policy_survives_a_restart_and_a_new_generation)
{
	struct partition *p = enrol(SERIAL);

	check_rules(0, "");
	rule(p, "execute: {per_minute: 5}");
	rule(p, "execute: {per_minute: 6}");
	check_rules(2, "execute: {per_minute: 6}");
	ck_assert_ok(restart());
	check_rules(2, "execute: {per_minute: 6}");
	enrol(SERIAL);
	check_rules(2, "execute: {per_minute: 6}");
	ck_assert_ok(restart());
	ck_assert_uint_eq(find()->generation, 2);
	check_rules(2, "execute: {per_minute: 6}");
	ck_assert_ok(partition_suspend(&all, find()));
	ck_assert_ok(restart());
	check_rules(2, "execute: {per_minute: 6}");
}
END_TEST

START_TEST(enrolment_of_before_there_were_policies_is_read)
{
	CLEANUP(buf) struct buf record = BUF_INIT;
	uint8_t point[65] = { 4 };

	cbor_put_array(&record, 9);
	cbor_put_uint(&record, 1);
	cbor_put_text(&record, SERIAL);
	cbor_put_text(&record, "bank-a");
	cbor_put_uint(&record, 3);
	cbor_put_bool(&record, true);
	cbor_put_text(&record, "assay/test");
	cbor_put_bytes(&record, SLICE(point));
	cbor_put_bytes(&record, slice_text("key"));
	cbor_put_bytes(&record, slice_text("certificate"));
	ck_assert_ok(state_put(state, STATE_PARTITIONS, RECORD, buf_slice(&record)));
	ck_assert_ok(restart());
	ck_assert_uint_eq(find()->generation, 3);
	check_rules(0, "");
}
END_TEST

START_TEST(executions_in_a_minute_are_as_many_as_the_policy_says)
{
	struct partition *p = enrol(SERIAL);

	for (unsigned i = 0; i < 1000; i++)
		ck_assert_ok(partition_may_begin(p, 1000));
	rule(p, "execute: {per_minute: 60}");
	for (unsigned i = 0; i < 60; i++)
		ck_assert_ok(partition_may_begin(p, 1000));
	ck_assert_err(partition_may_begin(p, 1000), ERR_LIMIT);
	ck_assert_err(partition_may_begin(p, 1999), ERR_LIMIT);
	ck_assert_ok(partition_may_begin(p, 3000));
	ck_assert_ok(partition_may_begin(p, 3000));
	ck_assert_err(partition_may_begin(p, 3000), ERR_LIMIT);
	for (unsigned i = 0; i < 60; i++)
		ck_assert_ok(partition_may_begin(p, 9000000));
	ck_assert_err(partition_may_begin(p, 9000000), ERR_LIMIT);
}
END_TEST

static const struct {
	const char *why, *serial, *label;
} refused[] = {
	{ "no serial", "", "bank" },
	{ "a serial of 17 bytes", "0123456789abcdef0", "bank" },
	{ "a label of 33 bytes", "01", "0123456789abcdef0123456789abcdef0" },
};

START_TEST(name_out_of_range_is_refused)
{
	struct partition *p;

	ck_assert_msg(partition_new(&all, slice_text(refused[_i].serial),
				    slice_text(refused[_i].label), 1, &p) == ERR_RANGE,
		      "%s", refused[_i].why);
}
END_TEST

START_TEST(serial_may_hold_any_byte)
{
	enrol("../../etc");
	ck_assert_ok(restart());
	ck_assert_uint_eq(all.n, 1);
	ck_assert_str_eq(all.current[0]->serial, "../../etc");
}
END_TEST

static void add(TCase *t)
{
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, enrolment_survives_a_restart);
	tcase_add_test(t, unknown_token_is_not_found);
	tcase_add_test(t, enrolling_again_raises_the_generation_and_ends_the_old_one);
	tcase_add_test(t, suspension_is_durable_and_purges_results);
	tcase_add_test(t, forged_enrolment_is_refused);
	tcase_add_test(t, policy_survives_a_restart_and_a_new_generation);
	tcase_add_test(t, enrolment_of_before_there_were_policies_is_read);
	tcase_add_test(t, executions_in_a_minute_are_as_many_as_the_policy_says);
	tcase_add_test(t, half_written_file_of_a_crash_is_left_out);
	tcase_add_table(t, name_out_of_range_is_refused, refused);
	tcase_add_test(t, serial_may_hold_any_byte);
}

int main(void)
{
	return check_run("partition", add);
}

/* draining_test.c - through the daemon: no program that was started ahead gets its input after a change
 * of what may run, or how.
 */
#include "audit/proof.h"
#include "config/base/io.h"
#include "sandbox/sandbox.h"
#include "testbed/unit/world.h"

#define TRIES 200
#define TRY_US 20000

static void setup(void)
{
	world_make();
	ck_assert_ok(world_enrol(BANK_A));
	world.park = true;
	ck_assert_ok(world_load(BANK_A, "unruly"));
}

/* How its record says that it ran. */
static void run(struct leaf *leaf)
{
	CLEANUP(outcome) struct outcome out = { 0 };
	struct slice proof, output, messages, keys;
	struct proof_parts parts;

	ck_assert_ok(world_execute(world.link, BANK_A, "unruly", OP_EXECUTE_FULL,
				   slice_text("echo\nx"), &out));
	ck_assert_ok(
		proof_result_read(buf_slice(&out.returned), &proof, &output, &messages, &keys));
	ck_assert(slice_is(output, "x"));
	ck_assert_ok(proof_read(proof, &parts));
	ck_assert_ok(leaf_decode(parts.leaf, leaf));
}

/* Programs are started ahead when there is time. The next one waits when this returns, or soon. */
static uint64_t run_until_parked(void)
{
	struct leaf leaf = { 0 };

	world_become(BANK_A, WIRE_USER);
	for (int i = 0; i < TRIES && leaf.start_kind != RUN_PARKED; i++) {
		run(&leaf);
		usleep(TRY_US);
	}
	ck_assert_uint_eq(leaf.start_kind, RUN_PARKED);
	ck_assert_uint_lt(leaf.launched_us, leaf.start_us);
	usleep(5 * TRY_US);
	world_revoke(world.link, BANK_A, WIRE_USER);
	world_logout(BANK_A);
	return leaf.epoch;
}

/* Parked again or not: it was started under the new epoch. What waited before the change was started
 * before the call that brought it. */
static void check_started_since(uint64_t before_us, uint64_t epoch)
{
	world_become(BANK_A, WIRE_USER);
	for (int i = 0; i < 3; i++) {
		struct leaf leaf;

		run(&leaf);
		ck_assert_uint_ge(leaf.launched_us, before_us);
		ck_assert_uint_gt(leaf.epoch, epoch);
		usleep(5 * TRY_US);
	}
}

START_TEST(a_program_that_waits_is_gone_with_a_new_version)
{
	uint64_t epoch = run_until_parked(), before_us = io_realtime_us();

	ck_assert_ok(world_load(BANK_A, "unruly"));
	check_started_since(before_us, epoch);
}
END_TEST

START_TEST(a_program_that_waits_is_gone_with_a_load_of_another)
{
	uint64_t epoch = run_until_parked(), before_us = io_realtime_us();

	ck_assert_ok(world_load(BANK_A, "other"));
	check_started_since(before_us, epoch);
}
END_TEST

START_TEST(a_program_that_waits_is_gone_with_a_change_of_policy)
{
	CLEANUP(wire) struct wire_message m, answer;
	struct slice in;
	uint64_t epoch = run_until_parked(), before_us = io_realtime_us();

	wire_init(&m);
	wire_init(&answer);
	link_request(&m, REQ_POLICY_SET, 3);
	cbor_put_text(&m.bytes, world.banks[BANK_A].serial);
	cbor_put_bytes(&m.bytes, slice_text("limits: {input_bytes: 1000}\n"));
	cbor_put_bytes(&m.bytes, slice_of(NULL, 0));
	ck_assert_ok(link_call(world.link, &m, &answer, &in));
	check_started_since(before_us, epoch);
}
END_TEST

/* Of the launcher: the daemon, and the inits of cells. */
static int children(void)
{
	char path[64];
	int pid, n = 0;

	snprintf(path, sizeof path, "/proc/%d/task/%d/children", (int)world_launcher(),
		 (int)world_launcher());
	FILE *f = fopen(path, "re");
	ck_assert_ptr_nonnull(f);
	while (fscanf(f, "%d", &pid) == 1)
		n++;
	fclose(f);
	return n;
}

START_TEST(nothing_waits_for_an_application_that_was_unloaded)
{
	CLEANUP(wire) struct wire_message m, answer;
	CLEANUP(outcome) struct outcome out = { 0 };
	struct slice in;

	run_until_parked();
	int before = children();
	world_become(BANK_A, WIRE_SO);
	wire_init(&m);
	wire_init(&answer);
	link_request(&m, REQ_UNLOAD, 2);
	cbor_put_text(&m.bytes, world.banks[BANK_A].serial);
	cbor_put_text(&m.bytes, "unruly");
	ck_assert_ok(link_call(world.link, &m, &answer, &in));
	for (int i = 0; i < TRIES && children() == before; i++)
		usleep(TRY_US);
	ck_assert_int_eq(children(), before - 1);
	world_revoke(world.link, BANK_A, WIRE_SO);
	world_logout(BANK_A);
	world_become(BANK_A, WIRE_USER);
	ck_assert_err(
		world_execute(world.link, BANK_A, "unruly", OP_RUN, slice_text("echo\n"), &out),
		ERR_NOT_FOUND);
}
END_TEST

static void add(TCase *t)
{
	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, setup, world_end);
	tcase_add_test(t, a_program_that_waits_is_gone_with_a_new_version);
	tcase_add_test(t, a_program_that_waits_is_gone_with_a_load_of_another);
	tcase_add_test(t, a_program_that_waits_is_gone_with_a_change_of_policy);
	tcase_add_test(t, nothing_waits_for_an_application_that_was_unloaded);
}

int main(void)
{
	world_golden();
	return check_run("draining", add);
}

/* authorization_test.c - what the daemon refuses: who, what, when; each a record. */
#include "testbed/unit/banks.h"

START_TEST(nobody_logged_in_runs_nothing)
{
	ck_assert_err(run(world.link, BANK_A, "unruly"), ERR_LOGIN);
	ck_assert_uint_eq(refusals(BANK_A, "not logged in"), 1);
}
END_TEST

START_TEST(so_may_not_execute_and_user_may_not_load)
{
	CLEANUP(wire) struct wire_message request, answer;
	struct slice in;

	world_become(BANK_A, WIRE_SO);
	ck_assert_err(run(world.link, BANK_A, "unruly"), ERR_DENIED);
	world_logout(BANK_A);
	/* The SO's grant still stands for its time, since nobody revoked it; another link has none. */
	struct link *link = another_link();
	world_login(BANK_A, WIRE_USER);
	ck_assert_ok(world_prove(link, BANK_A, WIRE_USER));
	wire_init(&request);
	wire_init(&answer);
	link_request(&request, REQ_LOAD, 2);
	cbor_put_text(&request.bytes, world.banks[BANK_A].serial);
	cbor_put_bytes(&request.bytes, slice_text("no package"));
	ck_assert_err(link_call(link, &request, &answer, &in), ERR_DENIED);
	link_close(link);
	ck_assert_uint_eq(refusals(BANK_A, "may not do this"), 2);
}
END_TEST

START_TEST(unknown_application_is_not_found)
{
	world_become(BANK_A, WIRE_USER);
	ck_assert_err(run(world.link, BANK_A, "nothing"), ERR_NOT_FOUND);
	ck_assert_uint_eq(refusals(BANK_A, "no such application"), 1);
}
END_TEST

START_TEST(input_over_the_limit_is_refused)
{
	CLEANUP(outcome) struct outcome out = { 0 };
	CLEANUP(buf) struct buf input = BUF_INIT;

	memset(buf_add(&input, (1 << 20) + 1), 0, (1 << 20) + 1);
	world_become(BANK_A, WIRE_USER);
	ck_assert_err(world_execute(world.link, BANK_A, "unruly", OP_RUN, buf_slice(&input), &out),
		      ERR_RANGE);
	ck_assert_uint_eq(refusals(BANK_A, "at most 1048576 allowed"), 1);
}
END_TEST

START_TEST(another_partition_sees_nothing_and_its_attempts_stay_in_its_tree)
{
	world_become(BANK_B, WIRE_USER);
	ck_assert_err(run(world.link, BANK_B, "unruly"), ERR_NOT_FOUND);
	ck_assert_uint_eq(refusals(BANK_B, "no such application"), 1);
	/* Straight at the other partition. */
	ck_assert_err(run(world.link, BANK_A, "unruly"), ERR_LOGIN);
	ck_assert_uint_eq(refusals(BANK_B, world.banks[BANK_A].serial), 1);
	ck_assert_uint_eq(refusals(BANK_A, "unruly"), 0);
}
END_TEST

START_TEST(results_of_another_partition_or_without_a_role_are_out_of_reach)
{
	CLEANUP(outcome) struct outcome out = { 0 };
	CLEANUP(buf) struct buf got = BUF_INIT;

	world_become(BANK_A, WIRE_USER);
	ck_assert_ok(
		world_execute(world.link, BANK_A, "unruly", OP_RUN, slice_text("echo\n"), &out));
	struct link *link = another_link();
	ck_assert_err(world_fetch(link, BANK_A, out.label, "assay:output", &got), ERR_LOGIN);
	world_login(BANK_B, WIRE_USER);
	ck_assert_ok(world_prove(link, BANK_B, WIRE_USER));
	ck_assert_err(world_fetch(link, BANK_A, out.label, "assay:output", &got), ERR_LOGIN);
	ck_assert_err(world_fetch(link, BANK_B, out.label, "assay:output", &got), ERR_NOT_FOUND);
	/* Another process of the same role finds them. */
	ck_assert_ok(world_prove(link, BANK_A, WIRE_USER));
	ck_assert_ok(world_fetch(link, BANK_A, out.label, "assay:output", &got));
	link_close(link);
}
END_TEST

START_TEST(revoked_grant_is_over_at_once)
{
	world_become(BANK_A, WIRE_USER);
	ck_assert_ok(run(world.link, BANK_A, "unruly"));
	world_revoke(world.link, BANK_A, WIRE_USER);
	ck_assert_err(run(world.link, BANK_A, "unruly"), ERR_LOGIN);
}
END_TEST

START_TEST(grants_end_with_their_link)
{
	world_become(BANK_A, WIRE_USER);
	world_connect();
	ck_assert_err(run(world.link, BANK_A, "unruly"), ERR_LOGIN);
}
END_TEST

static void add(TCase *t)
{
	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, banks_setup, world_end);
	tcase_add_test(t, nobody_logged_in_runs_nothing);
	tcase_add_test(t, so_may_not_execute_and_user_may_not_load);
	tcase_add_test(t, unknown_application_is_not_found);
	tcase_add_test(t, input_over_the_limit_is_refused);
	tcase_add_test(t, another_partition_sees_nothing_and_its_attempts_stay_in_its_tree);
	tcase_add_test(t, results_of_another_partition_or_without_a_role_are_out_of_reach);
	tcase_add_test(t, revoked_grant_is_over_at_once);
	tcase_add_test(t, grants_end_with_their_link);
}

int main(void)
{
	world_golden();
	return check_run("authorization", add);
}

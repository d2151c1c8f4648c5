/* busy_test.c - what a client can do while an application runs: anything else, end it, or go. */
#include "testbed/unit/operation.h"

static CK_RV slow_rv;
static void *sign_slowly(void *unused)
{
	static CK_BYTE proof[512];
	CK_ULONG proof_n = sizeof proof;

	(void)unused;
	slow_rv = w.f->C_Sign(w.s, (CK_BYTE *)"slow", 4, proof, &proof_n);
	return NULL;
}

static pthread_t run_slowly(void)
{
	pthread_t thread;

	started(CKM_ASSAY_EXECUTE);
	fake.slow = true;
	ck_assert_int_eq(pthread_create(&thread, NULL, sign_slowly, NULL), 0);
	sem_wait(&fake_runs);
	fake.slow = false;
	return thread;
}

static void let_it_end(pthread_t thread)
{
	sem_post(&fake_go);
	pthread_join(thread, NULL);
}

/* While one application runs: everything else in the same slot, another run, and even the end of
 * the session that waits for it. */
START_TEST(a_run_holds_nobody_up)
{
	CK_MECHANISM ecdsa = { CKM_ECDSA, NULL, 0 }, execute = { CKM_ASSAY_EXECUTE, NULL, 0 };
	CK_SESSION_HANDLE slow_session, second;
	pthread_t thread = run_slowly();

	w.mock->objects[w.mock->objects_n++] = (struct mock_object){ .handle = 5 };
	ck_assert_rv(w.f->C_OpenSession(MOCK_SLOT, CKF_SERIAL_SESSION, NULL, NULL, &second),
		     CKR_OK);
	slow_session = w.s;
	w.s = second;
	CK_OBJECT_HANDLE app = world_app();
	ck_assert_rv(w.f->C_SignInit(second, &ecdsa, 5), CKR_OK);
	ck_assert_rv(sign("pay", out, sizeof out), CKR_OK);
	ck_assert_rv(w.f->C_SignInit(second, &execute, app), CKR_OK);
	ck_assert_rv(sign("pay", out, sizeof out), CKR_OK);
	ck_assert_rv(w.f->C_SignInit(slow_session, &execute, app), CKR_OPERATION_ACTIVE);
	ck_assert_rv(w.f->C_SignUpdate(slow_session, out, 1), CKR_OPERATION_ACTIVE);
	ck_assert_rv(w.f->C_Logout(second), CKR_OK);
	let_it_end(thread);
	ck_assert_rv(slow_rv, CKR_FUNCTION_CANCELED);
	world_end();
}
END_TEST

/* The same when the daemon grants no lane beside the one that the application runs on: ends of
 * grants, proofs and searches have one of their own. */
START_TEST(a_run_on_the_last_lane_holds_nobody_up)
{
	CK_MECHANISM ecdsa = { CKM_ECDSA, NULL, 0 }, execute = { CKM_ASSAY_EXECUTE, NULL, 0 };
	CK_SESSION_HANDLE second;
	pthread_t thread = run_slowly();
	uint64_t began = io_monotonic_ms();

	fake.alone = true;
	w.mock->objects[w.mock->objects_n++] = (struct mock_object){ .handle = 5 };
	ck_assert_rv(w.f->C_OpenSession(MOCK_SLOT, CKF_SERIAL_SESSION, NULL, NULL, &second),
		     CKR_OK);
	w.s = second;
	CK_OBJECT_HANDLE app = world_app();
	ck_assert_rv(w.f->C_SignInit(second, &execute, app), CKR_OK);
	ck_assert_rv(w.f->C_SignInit(second, NULL, 0), CKR_OK);
	ck_assert_rv(w.f->C_SignInit(second, &ecdsa, 5), CKR_OK);
	ck_assert_rv(sign("pay", out, sizeof out), CKR_OK);
	ck_assert_rv(w.f->C_Logout(second), CKR_OK);
	ck_assert_uint_eq(fake.asked[REQ_REVOKE], 1);
	ck_assert_rv(w.f->C_Login(second, CKU_USER, (CK_BYTE *)"1234", 4), CKR_OK);
	ck_assert_rv(w.f->C_SignInit(second, &execute, app), CKR_OK);
	ck_assert_rv(w.f->C_CloseSession(second), CKR_OK);
	ck_assert_uint_lt(io_monotonic_ms() - began, 1000);
	let_it_end(thread);
	ck_assert_rv(slow_rv, CKR_FUNCTION_CANCELED);
	world_end();
}
END_TEST

/* An unanswered end of a grant ends the link, and so the grant, under all that still use it. */
START_TEST(a_logout_that_the_daemon_does_not_answer_ends_the_link)
{
	pthread_t thread = run_slowly();

	fake.deaf = true;
	ck_assert_rv(w.f->C_Logout(w.s), CKR_OK);
	/* The daemon's thread still waits to go on; the client's does not wait for it. */
	pthread_join(thread, NULL);
	ck_assert_rv(slow_rv, CKR_FUNCTION_CANCELED);
	world_end();
}
END_TEST

static const enum ending hard_endings[] = { CLOSE, CLOSE_ALL, FINALIZE };

START_TEST(a_session_may_end_while_its_application_runs)
{
	pthread_t thread = run_slowly();

	if (hard_endings[_i] == CLOSE)
		ck_assert_rv(w.f->C_CloseSession(w.s), CKR_OK);
	else if (hard_endings[_i] == CLOSE_ALL)
		ck_assert_rv(w.f->C_CloseAllSessions(MOCK_SLOT), CKR_OK);
	else
		ck_assert_rv(w.f->C_Finalize(NULL), CKR_OK);
	let_it_end(thread);
	ck_assert_rv(slow_rv, CKR_FUNCTION_CANCELED);
	world_end();
}
END_TEST

enum cancelling { INIT_OF_NOTHING, SESSION_CANCEL, CLOSE_OF_ONE, CANCELLINGS };

/* The daemon is told which run it is, and ends it. */
START_TEST(whoever_cancels_ends_the_run)
{
	CK_SESSION_HANDLE second;
	pthread_t thread = run_slowly();

	ck_assert_rv(w.f->C_OpenSession(MOCK_SLOT, CKF_SERIAL_SESSION, NULL, NULL, &second),
		     CKR_OK);
	if (_i == INIT_OF_NOTHING)
		ck_assert_rv(w.f->C_SignInit(w.s, NULL, 0), CKR_OK);
	else if (_i == SESSION_CANCEL)
		ck_assert_rv(w.f30->C_SessionCancel(w.s, CKF_SIGN), CKR_OK);
	else
		ck_assert_rv(w.f->C_CloseSession(w.s), CKR_OK);
	ck_assert_uint_eq(fake.asked[REQ_CANCEL], 1);
	ck_assert_uint_ne(fake.last_run, 0);
	ck_assert_uint_eq(fake.last_cancelled, fake.last_run);
	let_it_end(thread);
	ck_assert_rv(slow_rv, CKR_FUNCTION_CANCELED);
	world_end();
}
END_TEST

static void add(TCase *t)
{
	tcase_add_test(t, a_run_holds_nobody_up);
	tcase_add_test(t, a_run_on_the_last_lane_holds_nobody_up);
	tcase_add_test(t, a_logout_that_the_daemon_does_not_answer_ends_the_link);
	tcase_add_table(t, a_session_may_end_while_its_application_runs, hard_endings);
	tcase_add_loop_test(t, whoever_cancels_ends_the_run, 0, CANCELLINGS);
}

int main(void)
{
	return check_run("busy", add);
}

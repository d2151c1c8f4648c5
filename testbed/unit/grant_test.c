/* grant_test.c - who may run is asked and proved once, and again where that may have changed. */
#include "testbed/unit/operation.h"

START_TEST(nobody_logged_in_is_recorded_and_refused_at_init)
{
	world_enrolled();
	fake.begin = ERR_LOGIN;
	ck_assert_rv(sign_init(CKM_ASSAY_EXECUTE), CKR_USER_NOT_LOGGED_IN);
	ck_assert_uint_eq(fake.asked[REQ_BEGIN], 1);
	ck_assert_uint_eq(fake.asked[REQ_PROVE], 0);
	world_end();
}
END_TEST

START_TEST(a_role_is_proved_once_and_again_when_asked)
{
	started(CKM_ASSAY_EXECUTE);
	ck_assert_rv(sign("pay", out, sizeof out), CKR_OK);
	ck_assert_uint_eq(fake.asked[REQ_PROVE], 1);
	ck_assert_rv(sign_init(CKM_ASSAY_EXECUTE), CKR_OK);
	fake.login_wanted = 1;
	ck_assert_rv(sign("pay", out, sizeof out), CKR_OK);
	ck_assert_uint_eq(fake.asked[REQ_PROVE], 2);
	ck_assert_rv(sign_init(CKM_ASSAY_EXECUTE), CKR_OK);
	fake.login_wanted = 2;
	ck_assert_rv(sign("pay", out, sizeof out), CKR_USER_NOT_LOGGED_IN);
	ck_assert_uint_eq(w.mock->sessions, 1);
	world_end();
}
END_TEST

START_TEST(runs_in_a_row_ask_once_whether_they_may_begin)
{
	started(CKM_ASSAY_EXECUTE);
	ck_assert_rv(sign("pay", out, sizeof out), CKR_OK);
	ck_assert_rv(sign_init(CKM_ASSAY_EXECUTE), CKR_OK);
	ck_assert_rv(sign("pay", out, sizeof out), CKR_OK);
	ck_assert_uint_eq(fake.asked[REQ_BEGIN], 1);
	ran(2);
	world_end();
}
END_TEST

enum doubt { FAILED_RUN, OTHER_MECHANISM, LOGGED_OUT, DOUBTS };

START_TEST(whoever_may_have_changed_is_asked_again)
{
	started(CKM_ASSAY_EXECUTE);
	fake.execute = _i == FAILED_RUN ? ERR_NOT_FOUND : OK;
	ck_assert_rv(sign("pay", out, sizeof out),
		     _i == FAILED_RUN ? CKR_KEY_HANDLE_INVALID : CKR_OK);
	if (_i == LOGGED_OUT)
		ck_assert_rv(w.f->C_Logout(w.s), CKR_OK);
	fake.begin = ERR_LOGIN;
	ck_assert_rv(sign_init(_i == OTHER_MECHANISM ? CKM_ASSAY_EXECUTE_FULL : CKM_ASSAY_EXECUTE),
		     CKR_USER_NOT_LOGGED_IN);
	world_end();
}
END_TEST

static unsigned revoked_before;
static void look(void)
{
	revoked_before = fake.asked[REQ_REVOKE];
}

START_TEST(a_grant_ends_before_the_hsm_is_told)
{
	CK_BYTE label[32] = "mock";

	started(CKM_ASSAY_EXECUTE);
	ck_assert_uint_eq(fake.asked[REQ_PROVE], 1);
	w.mock->on_logout = w.mock->on_close = w.mock->on_finalize = w.mock->on_init_token = look;
	if (_i == LOGOUT)
		ck_assert_rv(w.f->C_Logout(w.s), CKR_OK);
	else if (_i == CLOSE)
		ck_assert_rv(w.f->C_CloseSession(w.s), CKR_OK);
	else if (_i == CLOSE_ALL)
		ck_assert_rv(w.f->C_CloseAllSessions(MOCK_SLOT), CKR_OK);
	else if (_i == INIT_TOKEN)
		ck_assert_rv(w.f->C_InitToken(MOCK_SLOT, label, 4, label), CKR_OK);
	else
		ck_assert_rv(w.f->C_Finalize(NULL), CKR_OK);
	ck_assert_uint_eq(revoked_before, 1);
	ck_assert_uint_eq(fake.asked[REQ_REVOKE], 1);
	if (_i == LOGOUT)
		ck_assert_rv(sign("pay", out, sizeof out), CKR_OPERATION_NOT_INITIALIZED);
	world_end();
}
END_TEST

START_TEST(one_session_of_two_ends_no_grant)
{
	CK_SESSION_HANDLE second;

	started(CKM_ASSAY_EXECUTE);
	ck_assert_rv(w.f->C_OpenSession(MOCK_SLOT, CKF_SERIAL_SESSION, NULL, NULL, &second),
		     CKR_OK);
	ck_assert_rv(w.f->C_CloseSession(second), CKR_OK);
	ck_assert_uint_eq(fake.asked[REQ_REVOKE], 0);
	world_end();
}
END_TEST

static void add(TCase *t)
{
	tcase_add_test(t, nobody_logged_in_is_recorded_and_refused_at_init);
	tcase_add_test(t, a_role_is_proved_once_and_again_when_asked);
	tcase_add_test(t, runs_in_a_row_ask_once_whether_they_may_begin);
	tcase_add_loop_test(t, whoever_may_have_changed_is_asked_again, 0, DOUBTS);
	tcase_add_loop_test(t, a_grant_ends_before_the_hsm_is_told, 0, ENDINGS);
	tcase_add_test(t, one_session_of_two_ends_no_grant);
}

int main(void)
{
	return check_run("grant", add);
}

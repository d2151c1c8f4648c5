/* operation_test.c - an application runs once for what a client does with it, however it calls. */
#include "testbed/unit/operation.h"

START_TEST(execute_answers_for_its_length_without_running)
{
	started(CKM_ASSAY_EXECUTE);
	ck_assert_rv(sign("pay", NULL, 0), CKR_OK);
	ck_assert_uint_eq(n, 512);
	ran(0);
	ck_assert_rv(sign("pay", out, sizeof out), CKR_OK);
	ck_assert_uint_eq(n, strlen(FAKE_PROOF));
	ck_assert_mem_eq(out, FAKE_PROOF, n);
	ran(1);
	ck_assert_rv(sign("pay", out, sizeof out), CKR_OPERATION_NOT_INITIALIZED);
	world_end();
}
END_TEST

START_TEST(full_runs_once_for_a_question_and_a_small_buffer)
{
	started(CKM_ASSAY_EXECUTE_FULL);
	ck_assert_rv(sign("pay", NULL, 0), CKR_OK);
	ck_assert_uint_eq(n, strlen("full:3"));
	ck_assert_rv(sign("pay", out, 2), CKR_BUFFER_TOO_SMALL);
	ck_assert_uint_eq(n, strlen("full:3"));
	ck_assert_rv(sign("pay", out, n), CKR_OK);
	ck_assert_mem_eq(out, "full:3", n);
	ran(1);
	world_end();
}
END_TEST

/* What pkcs11-tool 0.23 does with a result that is larger than its buffer. A success is neither run
 * for again nor handed to another operation: the first one still holds it. */
START_TEST(a_second_try_in_parts_after_a_small_buffer_runs_nothing)
{
	started(CKM_ASSAY_EXECUTE_FULL);
	ck_assert_rv(sign("pay", out, 2), CKR_BUFFER_TOO_SMALL);
	ck_assert_rv(sign_init(CKM_ASSAY_EXECUTE_FULL), CKR_OPERATION_ACTIVE);
	ck_assert_rv(w.f->C_SignUpdate(w.s, (CK_BYTE *)"pay", 3), CKR_OPERATION_ACTIVE);
	ck_assert_rv(w.f->C_SignFinal(w.s, out, &n), CKR_OPERATION_ACTIVE);
	ran(1);
	ck_assert_rv(sign("pay", out, sizeof out), CKR_OK);
	ck_assert_mem_eq(out, "full:3", n);
	ran(1);
	world_end();
}
END_TEST

START_TEST(another_input_does_not_get_the_first_ones_result)
{
	started(CKM_ASSAY_EXECUTE_FULL);
	ck_assert_rv(sign("pay", NULL, 0), CKR_OK);
	ck_assert_rv(sign("PAY", out, sizeof out), CKR_DATA_INVALID);
	ck_assert_rv(sign("pay", out, sizeof out), CKR_OPERATION_NOT_INITIALIZED);
	ran(1);
	world_end();
}
END_TEST

START_TEST(two_equal_payments_are_two)
{
	started(CKM_ASSAY_EXECUTE);
	ck_assert_rv(sign("pay", out, sizeof out), CKR_OK);
	ck_assert_rv(sign_init(CKM_ASSAY_EXECUTE), CKR_OK);
	ck_assert_rv(sign("pay", out, sizeof out), CKR_OK);
	ran(2);
	world_end();
}
END_TEST

START_TEST(parts_are_one_input)
{
	started(CKM_ASSAY_EXECUTE);
	ck_assert_rv(w.f->C_SignUpdate(w.s, (CK_BYTE *)"one ", 4), CKR_OK);
	ck_assert_rv(w.f->C_SignUpdate(w.s, NULL, 0), CKR_OK);
	ck_assert_rv(w.f->C_SignUpdate(w.s, (CK_BYTE *)"two", 3), CKR_OK);
	ck_assert_rv(w.f->C_SignFinal(w.s, NULL, &n), CKR_OK);
	ck_assert_uint_eq(n, 512);
	ran(0);
	ck_assert_rv(w.f->C_SignFinal(w.s, out, &n), CKR_OK);
	ran(1);
	ck_assert_mem_eq(fake.last_input, "one two", 7);
	world_end();
}
END_TEST

START_TEST(no_part_at_all_is_an_empty_input)
{
	started(CKM_ASSAY_EXECUTE);
	n = sizeof out;
	ck_assert_rv(w.f->C_SignFinal(w.s, out, &n), CKR_OK);
	ck_assert_uint_eq(fake.last_input_n, 0);
	world_end();
}
END_TEST

/* What pkcs11-tool does after any error. */
START_TEST(a_failure_is_told_again_to_a_second_try_in_parts)
{
	started(CKM_ASSAY_EXECUTE);
	fake.execute = ERR_FAILED;
	ck_assert_rv(sign("pay", out, sizeof out), CKR_FUNCTION_FAILED);
	/* The first is told the failure, the next one runs: it may well succeed by now. */
	for (unsigned runs = 1; runs <= 2; runs++) {
		ck_assert_rv(sign_init(CKM_ASSAY_EXECUTE), CKR_OK);
		ck_assert_rv(w.f->C_SignUpdate(w.s, (CK_BYTE *)"pay", 3), CKR_OK);
		n = sizeof out;
		ck_assert_rv(w.f->C_SignFinal(w.s, out, &n), CKR_FUNCTION_FAILED);
		ran(runs);
	}
	world_end();
}
END_TEST

START_TEST(another_input_after_a_failure_runs)
{
	started(CKM_ASSAY_EXECUTE);
	fake.execute = ERR_FAILED;
	ck_assert_rv(sign("pay", out, sizeof out), CKR_FUNCTION_FAILED);
	fake.execute = OK;
	ck_assert_rv(sign_init(CKM_ASSAY_EXECUTE), CKR_OK);
	ck_assert_rv(sign("pays", out, sizeof out), CKR_OK);
	ran(2);
	world_end();
}
END_TEST

START_TEST(run_is_a_filter)
{
	started(CKM_ASSAY_RUN);
	n = 0;
	ck_assert_rv(w.f->C_EncryptUpdate(w.s, (CK_BYTE *)"abc", 3, NULL, &n), CKR_OK);
	ck_assert_uint_ge(n, 1);
	n = sizeof out;
	ck_assert_rv(w.f->C_EncryptUpdate(w.s, (CK_BYTE *)"abc", 3, out, &n), CKR_OK);
	ck_assert_uint_eq(n, 0);
	n = sizeof out;
	ck_assert_rv(w.f->C_EncryptUpdate(w.s, (CK_BYTE *)"de", 2, out, &n), CKR_OK);
	ck_assert_rv(w.f->C_EncryptFinal(w.s, NULL, &n), CKR_OK);
	ck_assert_uint_eq(n, strlen("ran:5"));
	ck_assert_rv(w.f->C_EncryptFinal(w.s, out, &n), CKR_OK);
	ck_assert_mem_eq(out, "ran:5", n);
	ran(1);
	world_end();
}
END_TEST

START_TEST(a_large_input_goes_by_descriptor_and_a_larger_one_not_at_all)
{
	static CK_BYTE big[WORLD_INPUT_MAX + 1];

	started(CKM_ASSAY_EXECUTE);
	n = sizeof out;
	ck_assert_rv(w.f->C_Sign(w.s, big, WORLD_INPUT_MAX, out, &n), CKR_OK);
	ck_assert_uint_eq(fake.last_input_n, WORLD_INPUT_MAX);
	ck_assert_rv(sign_init(CKM_ASSAY_EXECUTE), CKR_OK);
	ck_assert_rv(w.f->C_Sign(w.s, big, sizeof big, out, &n), CKR_DATA_LEN_RANGE);
	ck_assert_rv(sign_init(CKM_ASSAY_EXECUTE), CKR_OK);
	ck_assert_rv(w.f->C_SignUpdate(w.s, big, WORLD_INPUT_MAX), CKR_OK);
	ck_assert_rv(w.f->C_SignUpdate(w.s, big, 1), CKR_DATA_LEN_RANGE);
	ran(1);
	world_end();
}
END_TEST

static const struct {
	enum err said;
	CK_RV at_init, at_call;
} errors[] = {
	{ ERR_LOGIN, CKR_USER_NOT_LOGGED_IN, CKR_USER_NOT_LOGGED_IN },
	{ ERR_DENIED, CKR_KEY_FUNCTION_NOT_PERMITTED, CKR_KEY_FUNCTION_NOT_PERMITTED },
	{ ERR_NOT_FOUND, CKR_KEY_HANDLE_INVALID, CKR_KEY_HANDLE_INVALID },
	{ ERR_RANGE, CKR_DATA_LEN_RANGE, CKR_DATA_LEN_RANGE },
	{ ERR_INPUT, CKR_DATA_INVALID, CKR_DATA_INVALID },
	{ ERR_FAILED, CKR_FUNCTION_FAILED, CKR_FUNCTION_FAILED },
	{ ERR_TIMEOUT, CKR_FUNCTION_CANCELED, CKR_FUNCTION_CANCELED },
	{ ERR_LIMIT, CKR_DEVICE_MEMORY, CKR_DEVICE_MEMORY },
	{ ERR_MEMORY, CKR_DEVICE_MEMORY, CKR_DEVICE_MEMORY },
	{ ERR_GONE, CKR_DEVICE_ERROR, CKR_DEVICE_ERROR },
	{ ERR_IO, CKR_DEVICE_ERROR, CKR_DEVICE_ERROR },
	{ ERR_CRYPTO, CKR_DEVICE_REMOVED, CKR_DEVICE_REMOVED },
};

START_TEST(the_daemons_errors_have_their_codes)
{
	started(CKM_ASSAY_EXECUTE);
	fake.execute = errors[_i].said;
	ck_assert_rv(sign("pay", out, sizeof out), errors[_i].at_call);
	fake.begin = errors[_i].said;
	ck_assert_rv(sign_init(CKM_ASSAY_EXECUTE), errors[_i].at_init);
	world_end();
}
END_TEST

START_TEST(a_daemon_that_dies_is_an_error_of_ours_alone)
{
	CK_MECHANISM m = { CKM_ECDSA, NULL, 0 };

	started(CKM_ASSAY_EXECUTE);
	fake.broken = true;
	ck_assert_rv(sign("pay", out, sizeof out), CKR_DEVICE_ERROR);
	ck_assert_rv(w.f->C_SignInit(w.s, &m, 3), CKR_KEY_HANDLE_INVALID);
	w.mock->objects[w.mock->objects_n++] = (struct mock_object){ .handle = 5 };
	ck_assert_rv(w.f->C_SignInit(w.s, &m, 5), CKR_OK);
	ck_assert_rv(sign("pay", out, sizeof out), CKR_OK);
	fake.broken = false;
	ck_assert_rv(sign_init(CKM_ASSAY_EXECUTE), CKR_OK);
	ck_assert_rv(sign("other", out, sizeof out), CKR_OK);
	world_end();
}
END_TEST

START_TEST(keys_and_mechanisms_are_not_mixed)
{
	CK_MECHANISM ecdsa = { CKM_ECDSA, NULL, 0 }, execute = { CKM_ASSAY_EXECUTE, NULL, 0 },
		     run = { CKM_ASSAY_RUN, NULL, 0 }, load = { CKM_ASSAY_LOAD, NULL, 0 },
		     param = { CKM_ASSAY_EXECUTE, "x", 1 },
		     load_param = { CKM_ASSAY_LOAD, "\1\2\0\1x", 5 };

	started(0);
	CK_OBJECT_HANDLE app = world_app();
	w.mock->objects[w.mock->objects_n++] = (struct mock_object){ .handle = 5 };
	ck_assert_rv(w.f->C_SignInit(w.s, &ecdsa, app), CKR_KEY_TYPE_INCONSISTENT);
	ck_assert_rv(w.f->C_SignInit(w.s, &execute, 5), CKR_KEY_TYPE_INCONSISTENT);
	ck_assert_rv(w.f->C_SignInit(w.s, &execute, 6), CKR_KEY_HANDLE_INVALID);
	ck_assert_rv(w.f->C_SignInit(w.s, &execute, app + 1000), CKR_KEY_HANDLE_INVALID);
	ck_assert_rv(w.f->C_SignInit(w.s, &run, app), CKR_MECHANISM_INVALID);
	ck_assert_rv(w.f->C_SignInit(w.s, &load, app), CKR_KEY_TYPE_INCONSISTENT);
	ck_assert_rv(w.f->C_SignInit(w.s, &param, app), CKR_MECHANISM_PARAM_INVALID);
	ck_assert_rv(w.f->C_SignInit(w.s, &load_param, app), CKR_MECHANISM_PARAM_INVALID);
	ck_assert_rv(w.f->C_VerifyInit(w.s, &execute, app), CKR_KEY_FUNCTION_NOT_PERMITTED);
	ck_assert_uint_eq(fake.asked[REQ_BEGIN], 0);
	world_end();
}
END_TEST

START_TEST(one_operation_at_a_time_and_null_cancels_it)
{
	CK_MECHANISM ecdsa = { CKM_ECDSA, NULL, 0 };

	started(CKM_ASSAY_EXECUTE);
	w.mock->objects[w.mock->objects_n++] = (struct mock_object){ .handle = 5 };
	ck_assert_rv(sign_init(CKM_ASSAY_EXECUTE), CKR_OPERATION_ACTIVE);
	ck_assert_rv(w.f->C_SignInit(w.s, &ecdsa, 5), CKR_OPERATION_ACTIVE);
	ck_assert_rv(w.f->C_SignInit(w.s, NULL, 0), CKR_OK);
	ck_assert_rv(sign("pay", out, sizeof out), CKR_OPERATION_NOT_INITIALIZED);
	ck_assert_rv(sign_init(CKM_ASSAY_EXECUTE), CKR_OK);
	ck_assert_rv(w.f30->C_SessionCancel(w.s, CKF_SIGN), CKR_OK);
	ck_assert_rv(w.f->C_SignInit(w.s, &ecdsa, 5), CKR_OK);
	ran(0);
	world_end();
}
END_TEST

START_TEST(the_so_loads_through_the_loader)
{
	CK_MECHANISM load = { CKM_ASSAY_LOAD, NULL, 0 };
	CK_OBJECT_CLASS class = CKO_PRIVATE_KEY;
	CK_ATTRIBUTE templ[] = { { CKA_CLASS, &class, sizeof class }, { CKA_ID, "\xa5\x5a", 2 } };
	CK_OBJECT_HANDLE found[4];

	world_enrolled();
	ck_assert_uint_eq(world_find(templ, 2, found, 4), 0);
	world_login(CKU_SO);
	ck_assert_uint_eq(world_find(templ, 2, found, 4), 1);
	ck_assert_rv(w.f->C_SignInit(w.s, &load, found[0]), CKR_OK);
	ck_assert_rv(sign("package", NULL, 0), CKR_OK);
	ck_assert_uint_eq(fake.asked[REQ_LOAD], 0);
	ck_assert_rv(sign("package", out, sizeof out), CKR_OK);
	ck_assert_uint_eq(fake.asked[REQ_LOAD], 1);
	fake.load = ERR_FORMAT;
	ck_assert_rv(w.f->C_SignInit(w.s, &load, found[0]), CKR_OK);
	ck_assert_rv(sign("no package", out, sizeof out), CKR_DATA_INVALID);
	world_end();
}
END_TEST

static const enum wire_request garbled[] = { REQ_HELLO, REQ_PARTITIONS, REQ_CHALLENGE,
					     REQ_PROVE, REQ_APPS,       REQ_EXECUTE };

/* Ordinary calls go on; a run says that the device is out of order, or finds no application. */
START_TEST(answers_that_make_no_sense_are_errors_of_ours_alone)
{
	CK_MECHANISM ecdsa = { CKM_ECDSA, NULL, 0 }, execute = { CKM_ASSAY_EXECUTE, NULL, 0 };
	CK_OBJECT_HANDLE found[8] = { 0 };
	CK_ULONG found_n;

	fake.garbled = garbled[_i];
	world_enrolled();
	world_login(CKU_USER);
	w.mock->objects[w.mock->objects_n++] = (struct mock_object){ .handle = 5 };
	ck_assert_uint_ge(found_n = world_find(NULL, 0, found, 8), 1);
	ck_assert_uint_eq(found[0], 5);
	ck_assert_rv(w.f->C_SignInit(w.s, &ecdsa, 5), CKR_OK);
	ck_assert_rv(sign("pay", out, sizeof out), CKR_OK);
	CK_RV rv = w.f->C_SignInit(w.s, &execute, found_n > 1 ? found[1] : 5);
	if (rv == CKR_OK)
		rv = sign("pay", out, sizeof out);
	bool unknown = garbled[_i] == REQ_HELLO || garbled[_i] == REQ_PARTITIONS;
	ck_assert_uint_eq(found_n, unknown || garbled[_i] == REQ_APPS ? 1 : 2);
	ck_assert_rv(rv, garbled[_i] == REQ_APPS ? CKR_KEY_TYPE_INCONSISTENT : CKR_DEVICE_ERROR);
	world_end();
}
END_TEST

/* nonce, request id and a limit of one second */
#define OPTIONS_BLOB \
	"\1\1\0\x8"  \
	"12345678"   \
	"\2\0\3abc"  \
	"\3\0\4\0\0\x3\xe8"
static const CK_MECHANISM_TYPE with_options[] = { CKM_ASSAY_EXECUTE, CKM_ASSAY_EXECUTE_FULL,
						  CKM_ASSAY_RUN };

static CK_RV begin_with(CK_MECHANISM_TYPE type, void *parameter, CK_ULONG parameter_n)
{
	CK_MECHANISM m = { type, parameter, parameter_n };

	return type == CKM_ASSAY_RUN ? w.f->C_EncryptInit(w.s, &m, world_app())
				     : w.f->C_SignInit(w.s, &m, world_app());
}

/* What the client does with its bytes after Init is its own affair. */
START_TEST(a_parameter_is_copied_and_goes_with_the_execution)
{
	char blob[] = OPTIONS_BLOB;

	started(0);
	ck_assert_rv(begin_with(with_options[_i], blob, sizeof blob - 1), CKR_OK);
	memset(blob, 0xff, sizeof blob);
	n = sizeof out;
	if (with_options[_i] == CKM_ASSAY_RUN)
		ck_assert_rv(w.f->C_Encrypt(w.s, (CK_BYTE *)"pay", 3, out, &n), CKR_OK);
	else
		ck_assert_rv(sign("pay", out, sizeof out), CKR_OK);
	ck_assert_str_eq(fake.last_nonce, "12345678");
	ck_assert_str_eq(fake.last_request, "abc");
	ck_assert_uint_eq(fake.last_time_limit, 1000);
	ran(1);
	world_end();
}
END_TEST

static const struct {
	const char *blob;
	size_t n;
} bad_options[] = {
	{ "", 0 },
	{ "\2", 1 },
	{ "\1\1\0\7"
	  "1234567",
	  11 }, /* a nonce that is short */
	{ "\1\1\0\x8"
	  "12345678\0",
	  13 },
	{ "\1\1\0\x8"
	  "1234",
	  8 },
	{ NULL, 5 },
};

START_TEST(a_malformed_parameter_is_refused)
{
	started(0);
	for (size_t i = 0; i < sizeof with_options / sizeof *with_options; i++)
		ck_assert_rv(begin_with(with_options[i], (void *)bad_options[_i].blob,
					bad_options[_i].n),
			     CKR_MECHANISM_PARAM_INVALID);
	ran(0);
	world_end();
}
END_TEST

/* The daemon knows what became of a request; this session's memory is for those that can't say. */
START_TEST(a_failure_of_a_request_with_a_parameter_is_not_told_to_another)
{
	char blob[] = OPTIONS_BLOB;

	started(0);
	fake.execute = ERR_FAILED;
	ck_assert_rv(begin_with(CKM_ASSAY_EXECUTE, blob, sizeof blob - 1), CKR_OK);
	ck_assert_rv(sign("pay", out, sizeof out), CKR_FUNCTION_FAILED);
	fake.execute = OK;
	ck_assert_rv(begin_with(CKM_ASSAY_EXECUTE, blob, sizeof blob - 1), CKR_OK);
	ck_assert_rv(sign("pay", out, sizeof out), CKR_OK);
	ran(2);
	world_end();
}
END_TEST

static void add(TCase *t)
{
	tcase_add_table(t, a_parameter_is_copied_and_goes_with_the_execution, with_options);
	tcase_add_table(t, a_malformed_parameter_is_refused, bad_options);
	tcase_add_test(t, a_failure_of_a_request_with_a_parameter_is_not_told_to_another);
	tcase_add_test(t, execute_answers_for_its_length_without_running);
	tcase_add_test(t, full_runs_once_for_a_question_and_a_small_buffer);
	tcase_add_test(t, a_second_try_in_parts_after_a_small_buffer_runs_nothing);
	tcase_add_test(t, another_input_does_not_get_the_first_ones_result);
	tcase_add_test(t, two_equal_payments_are_two);
	tcase_add_test(t, parts_are_one_input);
	tcase_add_test(t, no_part_at_all_is_an_empty_input);
	tcase_add_test(t, a_failure_is_told_again_to_a_second_try_in_parts);
	tcase_add_test(t, another_input_after_a_failure_runs);
	tcase_add_test(t, run_is_a_filter);
	tcase_add_test(t, a_large_input_goes_by_descriptor_and_a_larger_one_not_at_all);
	tcase_add_table(t, the_daemons_errors_have_their_codes, errors);
	tcase_add_test(t, a_daemon_that_dies_is_an_error_of_ours_alone);
	tcase_add_test(t, keys_and_mechanisms_are_not_mixed);
	tcase_add_test(t, one_operation_at_a_time_and_null_cancels_it);
	tcase_add_test(t, the_so_loads_through_the_loader);
	tcase_add_table(t, answers_that_make_no_sense_are_errors_of_ours_alone, garbled);
}

int main(void)
{
	return check_run("operation", add);
}

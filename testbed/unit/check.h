/* check.h - the frame of a unit test program: one suite, one case per noun, check's own last line. */
#ifndef TESTBED_UNIT_CHECK_H
#define TESTBED_UNIT_CHECK_H

#include <check.h>
#include <stdlib.h>

#include "config/base/error.h"

/* Asserts a result, and shows the reason when it is another one. */
#define ck_assert_ok(call) ck_assert_err(call, OK)
#define ck_assert_err(call, wanted)                                                      \
	do {                                                                             \
		enum err got_ = (call);                                                  \
		ck_assert_msg(got_ == (wanted), "%s: %s expected, %s found (%s)", #call, \
			      err_name(wanted), err_name(got_), err_reason());           \
	} while (0)

/* A loop test over every row of a table; the test sees its index as _i. */
#define tcase_add_table(tcase, test, table) \
	tcase_add_loop_test(tcase, test, 0, (int)(sizeof(table) / sizeof *(table)))

static inline int check_run(const char *name, void (*add)(TCase *))
{
	Suite *suite = suite_create(name);
	TCase *tcase = tcase_create(name);

	tcase_set_timeout(tcase, 60);
	add(tcase);
	suite_add_tcase(suite, tcase);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	int failures = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failures ? EXIT_FAILURE : EXIT_SUCCESS;
}

#endif

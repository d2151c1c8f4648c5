/* check.h - as much of check's interface as the portable tests use, for processors for which Debian
 * has no check: each test in a process of its own, the same words and the same last line.
 */
#ifndef TESTBED_CROSS_CHECK_H
#define TESTBED_CROSS_CHECK_H

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define CHECK_TESTS_MAX 256

typedef struct check_test {
	const char *name;
	void (*run)(int);
} TTest;

typedef struct check_case {
	const char *name;
	void (*setup)(void), (*teardown)(void);
	double seconds;
	struct {
		const TTest *test;
		int first, end;
	} tests[CHECK_TESTS_MAX];
	size_t n;
	struct check_case *next;
} TCase;

typedef struct check_suite {
	const char *name;
	TCase *cases;
} Suite;

typedef struct check_runner {
	Suite *suite;
	int failures, errors, checks;
} SRunner;

enum print_output { CK_ENV };

#define START_TEST(test)                                        \
	static void test##_run(int);                            \
	static const TTest test##_test = { #test, test##_run }; \
	static const TTest *const test = &test##_test;          \
	static void test##_run(int _i __attribute__((unused)))
#define END_TEST

#define CHECK_FAILED 77 /* the exit status of a test whose assertion failed */

#define ck_abort_msg(...)                              \
	do {                                           \
		printf("%s:%d: ", __FILE__, __LINE__); \
		printf(__VA_ARGS__);                   \
		printf("\n");                          \
		fflush(stdout);                        \
		_exit(CHECK_FAILED);                   \
	} while (0)
#define ck_assert_msg(condition, ...)              \
	do {                                       \
		if (!(condition))                  \
			ck_abort_msg(__VA_ARGS__); \
	} while (0)
#define ck_assert(condition) ck_assert_msg(condition, "%s", #condition)

#define CHECK_NUMBERS(type, format, a, op, b)                                                    \
	do {                                                                                     \
		type a_ = (a), b_ = (b);                                                         \
		ck_assert_msg(a_ op b_, "%s %s %s: %" format ", %" format, #a, #op, #b, a_, b_); \
	} while (0)
#define ck_assert_int_eq(a, b) CHECK_NUMBERS(intmax_t, PRIdMAX, a, ==, b)
#define ck_assert_int_lt(a, b) CHECK_NUMBERS(intmax_t, PRIdMAX, a, <, b)
#define ck_assert_int_gt(a, b) CHECK_NUMBERS(intmax_t, PRIdMAX, a, >, b)
#define ck_assert_uint_eq(a, b) CHECK_NUMBERS(uintmax_t, PRIuMAX, a, ==, b)
#define ck_assert_uint_le(a, b) CHECK_NUMBERS(uintmax_t, PRIuMAX, a, <=, b)
#define ck_assert_uint_lt(a, b) CHECK_NUMBERS(uintmax_t, PRIuMAX, a, <, b)
#define ck_assert_mem_eq(a, b, n) ck_assert_msg(!memcmp(a, b, n), "%s differs from %s", #a, #b)
#define ck_assert_mem_ne(a, b, n) ck_assert_msg(memcmp(a, b, n), "%s equals %s", #a, #b)
#define ck_assert_str_eq(a, b)                                                                \
	do {                                                                                  \
		const char *a_ = (a), *b_ = (b);                                              \
		ck_assert_msg(a_ &&b_ && !strcmp(a_, b_), "%s == %s: \"%s\", \"%s\"", #a, #b, \
			      a_ ? a_ : "", b_ ? b_ : "");                                    \
	} while (0)
#define ck_assert_ptr_eq(a, b) ck_assert((const void *)(a) == (const void *)(b))
#define ck_assert_ptr_null(a) ck_assert((a) == NULL)
#define ck_assert_ptr_nonnull(a) ck_assert((a) != NULL)

static inline void *check_new(size_t n)
{
	void *p = calloc(1, n);

	if (!p)
		abort();
	return p;
}

static inline Suite *suite_create(const char *name)
{
	Suite *suite = check_new(sizeof *suite);

	suite->name = name;
	return suite;
}

static inline TCase *tcase_create(const char *name)
{
	TCase *tcase = check_new(sizeof *tcase);

	tcase->name = name;
	tcase->seconds = 60;
	return tcase;
}

static inline void suite_add_tcase(Suite *suite, TCase *tcase)
{
	tcase->next = suite->cases;
	suite->cases = tcase;
}

static inline void tcase_set_timeout(TCase *tcase, double seconds)
{
	tcase->seconds = seconds;
}

static inline void tcase_add_checked_fixture(TCase *tcase, void (*setup)(void),
					     void (*teardown)(void))
{
	tcase->setup = setup;
	tcase->teardown = teardown;
}

static inline void tcase_add_loop_test(TCase *tcase, const TTest *test, int first, int end)
{
	if (tcase->n == CHECK_TESTS_MAX)
		abort();
	tcase->tests[tcase->n].test = test;
	tcase->tests[tcase->n].first = first;
	tcase->tests[tcase->n++].end = end;
}

static inline void tcase_add_test(TCase *tcase, const TTest *test)
{
	tcase_add_loop_test(tcase, test, 0, 1);
}

static inline SRunner *srunner_create(Suite *suite)
{
	SRunner *runner = check_new(sizeof *runner);

	runner->suite = suite;
	return runner;
}

static inline void check_run_one(SRunner *runner, const TCase *tcase, const TTest *test, int i)
{
	int status = 0;

	fflush(stdout);
	pid_t child = fork();
	if (child < 0)
		abort();
	if (child == 0) {
		alarm((unsigned)tcase->seconds);
		if (tcase->setup)
			tcase->setup();
		test->run(i);
		if (tcase->teardown)
			tcase->teardown();
		fflush(stdout);
		_exit(0);
	}
	if (waitpid(child, &status, 0) != child)
		abort();
	runner->checks++;
	if (status == 0)
		return;
	if (WIFEXITED(status) && WEXITSTATUS(status) == CHECK_FAILED)
		runner->failures++;
	else
		runner->errors++;
	printf("%s:%s:%d failed (status 0x%x)\n", tcase->name, test->name, i, (unsigned)status);
}

static inline void srunner_run_all(SRunner *runner, enum print_output output)
{
	(void)output;
	printf("Running suite(s): %s\n", runner->suite->name);
	for (const TCase *tcase = runner->suite->cases; tcase; tcase = tcase->next)
		for (size_t t = 0; t < tcase->n; t++)
			for (int i = tcase->tests[t].first; i < tcase->tests[t].end; i++)
				check_run_one(runner, tcase, tcase->tests[t].test, i);
	int bad = runner->failures + runner->errors;
	printf("%d%%: Checks: %d, Failures: %d, Errors: %d\n",
	       runner->checks ? (runner->checks - bad) * 100 / runner->checks : 0, runner->checks,
	       runner->failures, runner->errors);
}

static inline int srunner_ntests_failed(SRunner *runner)
{
	return runner->failures + runner->errors;
}

static inline void srunner_free(SRunner *runner)
{
	while (runner->suite->cases) {
		TCase *tcase = runner->suite->cases;

		runner->suite->cases = tcase->next;
		free(tcase);
	}
	free(runner->suite);
	free(runner);
}

#endif

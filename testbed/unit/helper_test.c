/* helper_test.c - whatever a helper program does, the daemon waits no longer than it said, and its log
 * stays its own. The linker puts kill() of this file before the system's (helper.mk). */
#include "testbed/unit/check.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "config/base/io.h"
#include "config/base/log.h"
#include "plugin/daemon/helper.h"

static bool deaf; /* nothing dies of SIGKILL, as if it were stuck in the kernel */
static pid_t killed;

int __real_kill(pid_t pid, int number);
int __wrap_kill(pid_t pid, int number);
int __wrap_kill(pid_t pid, int number)
{
	killed = pid;
	return deaf ? 0 : __real_kill(pid, number);
}

static enum err run(const char *script, uint64_t within_ms, struct buf *answer, int *status)
{
	char *const argv[] = { (char *)"/bin/sh", (char *)"-c", (char *)script, NULL };
	char *const environment[] = { (char *)"PATH=/usr/bin:/bin", NULL };
	const struct helper helper = { .argv = argv,
				       .environment = environment,
				       .in = slice_text("input"),
				       .answer_max = 16,
				       .within_ms = within_ms,
				       .name = "the helper" };

	return helper_run(&helper, answer, status);
}

/* Fails with this error, and not later than so. */
static void fails(const char *script, uint64_t within_ms, enum err expected, uint64_t most_ms)
{
	CLEANUP(buf) struct buf answer = BUF_INIT;
	uint64_t start = io_monotonic_ms();
	int status;

	ck_assert_err(run(script, within_ms, &answer, &status), expected);
	ck_assert_uint_lt(io_monotonic_ms() - start, most_ms);
}

START_TEST(a_helper_gets_its_input_and_answers)
{
	CLEANUP(buf) struct buf answer = BUF_INIT;
	int status;

	ck_assert_ok(run("cat; exit 3", 10000, &answer, &status));
	ck_assert(slice_is(buf_slice(&answer), "input"));
	ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 3);
}
END_TEST

START_TEST(what_a_helper_says_is_bounded)
{
	CLEANUP(buf) struct buf answer = BUF_INIT;
	int status;

	ck_assert_ok(run("printf 0123456789abcdef", 10000, &answer, &status));
	fails("printf 0123456789abcdefg", 10000, ERR_FORMAT, 9000);
	fails("yes", 10000, ERR_FORMAT, 9000);
	buf_reset(&answer);
	ck_assert_ok(run("yes | head -c 1000000 >&2; echo ok", 10000, &answer, &status));
	ck_assert(slice_is(buf_slice(&answer), "ok\n"));
}
END_TEST

START_TEST(a_silent_helper_is_killed_in_time)
{
	fails("exec sleep 60", 300, ERR_TIMEOUT, 3000);
	ck_assert_int_eq(__real_kill(killed, 0), -1);
}
END_TEST

START_TEST(a_helper_that_lives_on_after_its_answer_is_killed_in_time)
{
	fails("exec >&- sleep 60", 300, ERR_TIMEOUT, 3000);
	fails("exec >&- 2>&- sleep 60", 300, ERR_TIMEOUT, 3000);
}
END_TEST

static void nothing(int number)
{
	(void)number;
}

START_TEST(signals_do_not_prolong_the_wait)
{
	struct sigaction action = { .sa_handler = nothing }, before;
	struct itimerval often = { { 0, 5000 }, { 0, 5000 } }, never = { 0 };

	sigaction(SIGALRM, &action, &before);
	setitimer(ITIMER_REAL, &often, NULL);
	fails("exec sleep 60", 500, ERR_TIMEOUT, 4000);
	setitimer(ITIMER_REAL, &never, NULL);
	sigaction(SIGALRM, &before, NULL);
}
END_TEST

START_TEST(a_helper_that_the_kernel_does_not_end_is_left_and_reaped_later)
{
	CLEANUP(buf) struct buf answer = BUF_INIT;
	int status;

	deaf = true;
	fails("exec sleep 3", 200, ERR_TIMEOUT, 2500);
	deaf = false;
	pid_t left = killed;
	ck_assert_int_eq(__real_kill(left, 0), 0);
	__real_kill(left, SIGKILL);
	for (int i = 0; i < 100 && !__real_kill(left, 0); i++) {
		io_pause(20);
		buf_reset(&answer);
		ck_assert_ok(run("echo ok", 10000, &answer, &status));
	}
	ck_assert_int_eq(__real_kill(left, 0), -1);
	ck_assert_int_eq(errno, ESRCH);
}
END_TEST

START_TEST(no_more_are_started_when_many_do_not_end)
{
	CLEANUP(buf) struct buf answer = BUF_INIT;
	pid_t left[HELPERS_STUCK_MAX];
	int status;

	deaf = true;
	for (size_t i = 0; i < HELPERS_STUCK_MAX; i++) {
		fails("exec sleep 60", 20, ERR_TIMEOUT, 2500);
		left[i] = killed;
	}
	deaf = false;
	ck_assert_err(run("echo ok", 10000, &answer, &status), ERR_LIMIT);
	for (size_t i = 0; i < HELPERS_STUCK_MAX; i++)
		__real_kill(left[i], SIGKILL);
	for (int i = 0; i < 100 && run("echo ok", 10000, &answer, &status); i++)
		io_pause(20);
	ck_assert(slice_is(buf_slice(&answer), "ok\n"));
}
END_TEST

/* Its standard error is a pipe to the daemon: a stranger's words forge no line and move no cursor. */
START_TEST(what_a_helper_complains_of_is_harmless_in_the_log)
{
	CLEANUP(buf) struct buf answer = BUF_INIT, said = BUF_INIT;
	int status, own = dup(STDERR_FILENO);
	CLEANUP(fd) int file = memfd_create("log", MFD_CLOEXEC);

	ck_assert(own >= 0 && file >= 0 && dup2(file, STDERR_FILENO) >= 0);
	log_start("assayd", LOG_LEVEL_INFO);
	enum err e = run("printf 'bad \\033[2J\\233m\\r\\nassayd: info: forged\\n' >&2; echo ok",
			 10000, &answer, &status);
	dup2(own, STDERR_FILENO);
	close(own);
	ck_assert_ok(e);
	ck_assert_int_eq(lseek(file, 0, SEEK_SET), 0);
	ck_assert_ok(io_read_all(file, 4096, &said));
	ck_assert_str_eq(buf_text(&said), "assayd: warning: bad ?[2J?m?\n"
					  "assayd: warning: assayd: info: forged\n");
}
END_TEST

static void add(TCase *t)
{
	tcase_set_timeout(t, 60);
	tcase_add_test(t, a_helper_gets_its_input_and_answers);
	tcase_add_test(t, what_a_helper_says_is_bounded);
	tcase_add_test(t, a_silent_helper_is_killed_in_time);
	tcase_add_test(t, a_helper_that_lives_on_after_its_answer_is_killed_in_time);
	tcase_add_test(t, signals_do_not_prolong_the_wait);
	tcase_add_test(t, a_helper_that_the_kernel_does_not_end_is_left_and_reaped_later);
	tcase_add_test(t, no_more_are_started_when_many_do_not_end);
	tcase_add_test(t, what_a_helper_complains_of_is_harmless_in_the_log);
}

int main(void)
{
	return check_run("helper", add);
}

/* restart_test.c - daemon and launcher killed at any moment: what was released is in the log.
 *
 * The daemon is never killed inside C_Login, which SoftHSM does not survive: it logs in once, at its
 * start, and the start is awaited.
 */
#include <pthread.h>
#include <signal.h>
#include <time.h>

#include "audit/auditor.h"
#include "audit/proof.h"
#include "testbed/unit/world.h"

#define THREADS 4
#define PROOFS_MAX 4096

static void setup(void)
{
	world_make();
	ck_assert_ok(world_enrol(BANK_A));
	ck_assert_ok(world_load(BANK_A, "unruly"));
	world_become(BANK_A, WIRE_USER);
}

/* The leaves that clients hold proofs of. */
static struct {
	pthread_mutex_t lock;
	struct buf leaves[PROOFS_MAX];
	size_t n, found;
} held = { .lock = PTHREAD_MUTEX_INITIALIZER };

static void hold(struct slice result)
{
	struct slice proof, output, messages, keys;
	struct proof_parts parts;

	pthread_mutex_lock(&held.lock);
	ck_assert_ok(proof_result_read(result, &proof, &output, &messages, &keys));
	ck_assert_ok(proof_read(proof, &parts));
	if (held.n < PROOFS_MAX)
		buf_put_slice(&held.leaves[held.n++], parts.leaf);
	pthread_mutex_unlock(&held.lock);
}

/* Runs until the daemon is gone. */
static void *run_on(void *context)
{
	(void)context;
	for (;;) {
		CLEANUP(outcome) struct outcome out = { 0 };
		enum err e = world_execute(world.link, BANK_A, "unruly", OP_EXECUTE_FULL,
					   slice_text("echo\nx"), &out);

		if (e)
			return NULL;
		hold(buf_slice(&out.returned));
	}
}

static enum err look(void *context, const char *origin, uint64_t index, struct slice raw,
		     const struct leaf *leaf)
{
	(void)context;
	(void)origin;
	(void)index;
	for (size_t i = 0; leaf->type == LEAF_EXECUTION && i < held.n; i++)
		held.found += slice_equal(raw, buf_slice(&held.leaves[i]));
	return OK;
}

static void check_log(void)
{
	struct auditor_report report;
	char path[256];

	held.found = 0;
	snprintf(path, sizeof path, "%s/state/log", world.dir);
	ck_assert_ok(auditor_verify(path, buf_slice(&world.ca), look, NULL, &report));
	auditor_report_free(&report);
	ck_assert_uint_eq(held.found, held.n);
}

static void kill_both(pid_t first)
{
	pid_t daemon = world_daemon(), launcher = world_launcher();

	kill(first, SIGKILL);
	world_await_end(daemon);
	world_await_end(launcher);
}

START_TEST(daemon_killed_between_executions_loses_nothing)
{
	CLEANUP(outcome) struct outcome out = { 0 };

	ck_assert_ok(world_execute(world.link, BANK_A, "unruly", OP_EXECUTE_FULL,
				   slice_text("echo\nx"), &out));
	hold(buf_slice(&out.returned));
	kill_both(world_daemon());
	check_log();
	world_start();
	check_log();
	world_logout(BANK_A);
	world_become(BANK_A, WIRE_USER);
	outcome_cleanup(&out);
	ck_assert_ok(
		world_execute(world.link, BANK_A, "unruly", OP_RUN, slice_text("echo\nx"), &out));
}
END_TEST

START_TEST(daemon_killed_during_executions_released_only_what_is_in_the_log)
{
	pthread_t threads[THREADS];

	for (size_t i = 0; i < THREADS; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, run_on, NULL), 0);
	nanosleep(&(struct timespec){ 0, 150000000 + _i * 41000000 }, NULL);
	kill_both(world_daemon());
	for (size_t i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	ck_assert_uint_gt(held.n, 0);
	check_log();
	world_start();
	check_log();
	world_stop();
	check_log();
}
END_TEST

static void *load_on(void *context)
{
	struct buf *package = context;

	while (!world_load_package(BANK_A, buf_slice(package)))
		;
	return NULL;
}

START_TEST(daemon_killed_during_loads_starts_with_a_whole_application)
{
	CLEANUP(outcome) struct outcome out = { 0 };
	CLEANUP(buf) struct buf package = BUF_INIT;
	pthread_t thread;

	world_package("unruly", &package);
	world_logout(BANK_A);
	world_become(BANK_A, WIRE_SO);
	ck_assert_int_eq(pthread_create(&thread, NULL, load_on, &package), 0);
	nanosleep(&(struct timespec){ 0, 50000000 + _i * 3700000 }, NULL);
	kill_both(world_daemon());
	pthread_join(thread, NULL);
	check_log();
	world_start();
	world_logout(BANK_A);
	world_become(BANK_A, WIRE_USER);
	ck_assert_ok(
		world_execute(world.link, BANK_A, "unruly", OP_RUN, slice_text("echo\nx"), &out));
	check_log();
}
END_TEST

static void *run_sleeper(void *context)
{
	CLEANUP(outcome) struct outcome out = { 0 };

	*(enum err *)context =
		world_execute(world.link, BANK_A, "unruly", OP_RUN, slice_text("sleep\n"), &out);
	return NULL;
}

START_TEST(lost_launcher_is_an_error_and_the_daemon_ends_with_a_closed_log)
{
	CLEANUP(outcome) struct outcome out = { 0 };
	pid_t daemon = world_daemon(), launcher = world_launcher();
	enum err e = OK;
	pthread_t thread;

	ck_assert_int_eq(pthread_create(&thread, NULL, run_sleeper, &e), 0);
	nanosleep(&(struct timespec){ 0, 200000000 }, NULL);
	kill(launcher, SIGKILL);
	pthread_join(thread, NULL);
	ck_assert_err(e, ERR_GONE);
	world_await_end(launcher);
	world_await_end(daemon);
	check_log();
	world_start();
	world_logout(BANK_A);
	world_become(BANK_A, WIRE_USER);
	ck_assert_ok(
		world_execute(world.link, BANK_A, "unruly", OP_RUN, slice_text("echo\nx"), &out));
}
END_TEST

static void add(TCase *t)
{
	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, setup, world_end);
	tcase_add_test(t, daemon_killed_between_executions_loses_nothing);
	tcase_add_loop_test(t, daemon_killed_during_executions_released_only_what_is_in_the_log, 0,
			    3);
	tcase_add_loop_test(t, daemon_killed_during_loads_starts_with_a_whole_application, 0, 3);
	tcase_add_test(t, lost_launcher_is_an_error_and_the_daemon_ends_with_a_closed_log);
}

int main(void)
{
	world_golden();
	return check_run("restart", add);
}

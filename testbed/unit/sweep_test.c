/* Each call by which a log changes its directory fails once, or from there on, or is the last one of
 * its process: what was released is in the log, which opens and goes on. */
#include "testbed/unit/promised.h"

#include <errno.h>
#include <signal.h>
#include <sys/wait.h>

#include "testbed/crash/shim.h"

#define CHILD_SECONDS 20

static char place[100], before[100], log_path[100];

/* What is done to the call, and whether the log must not even notice. */
static const struct way {
	const char *words;
	struct shim_plan plan;
	bool unnoticed;
} ways[] = {
	{ "fails with EIO", { .calls = SHIM_ALL, .times = 1, .error = EIO }, false },
	{ "and all after it fail with ENOSPC", { .calls = SHIM_ALL, .error = ENOSPC }, false },
	{ "fails with EINTR", { .calls = SHIM_ALL, .times = 1, .error = EINTR }, false },
	{ "is interrupted", { .calls = SHIM_BIT(SHIM_WRITE), .times = 1, .error = EINTR }, true },
	{ "writes a part", { .calls = SHIM_BIT(SHIM_WRITE), .times = 1, .half = true }, true },
	{ "is the last one", { .calls = SHIM_ALL, .times = 1, .last = true }, false },
};

static void copy_log(const char *from, const char *to)
{
	char command[400];

	signer_remove(to);
	snprintf(command, sizeof command, "test ! -e %s || cp -a %s %s", from, from, to);
	ck_assert_int_eq(system(command), 0);
}

/* Over the end of a segment, and over a closing and opening. */
static enum err work(void)
{
	enum err e = promised_open(log_path);

	for (int round = 0; !e && round < 2; round++) {
		for (int i = 0; !e && i < 2; i++)
			e = promised_write(PROMISED_TREES, round == 0);
		audit_close(audit);
		if (!e && round == 0)
			e = promised_open(log_path);
		if (e)
			return e;
	}
	return e;
}

/* How the child ended; @seen: how many calls the plan was about. */
static int work_in_child(const struct shim_plan *plan, unsigned *seen)
{
	static unsigned *shared;
	int status;

	if (!shared)
		shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE,
			      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t pid = fork();
	ck_assert_int_ge(pid, 0);
	if (!pid) {
		alarm(CHILD_SECONDS);
		if (!freopen("/dev/null", "w", stderr))
			_exit(2);
		shim_watch(place);
		shim_plan(plan);
		enum err e = work();
		*shared = shim_seen();
		_exit(e != OK);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	*seen = *shared;
	return status;
}

static void check_end(int status, const struct way *way, unsigned number)
{
	if (way->plan.last)
		ck_assert_msg(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL,
			      "call %u was not the last one: %x", number, (unsigned)status);
	else
		ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) < 2,
			      "call %u %s: the process ended with %x", number, way->words,
			      (unsigned)status);
	if (way->unnoticed)
		ck_assert_msg(WEXITSTATUS(status) == 0, "write %u %s: a record failed", number,
			      way->words);
}

/* Each @step-th call, all of them in make soak. */
static void sweep(const struct way *way, unsigned step)
{
	struct shim_plan plan = { .calls = way->plan.calls, .after = UINT32_MAX };
	size_t released = promised->n;
	unsigned calls, seen;

	copy_log(before, log_path);
	ck_assert_int_eq(work_in_child(&plan, &calls), 0);
	ck_assert_uint_gt(calls, 5);
	promised_check(log_path);
	/* Threads take turns as they like: the last few calls may not come every time. */
	for (unsigned i = 0; i + 4 < calls; i += step) {
		plan = way->plan;
		plan.after = i;
		promised->n = released;
		promised->heads_n = 0;
		copy_log(before, log_path);
		check_end(work_in_child(&plan, &seen), way, i);
		promised_check(log_path);
	}
	promised->n = released;
}

static void start(void)
{
	promised_start();
	promised_path(place, "live");
	promised_path(log_path, "live/log");
	promised_path(before, "before");
	ck_assert_int_eq(mkdir(place, 0700), 0);
	shim_spare_syncs(true);
}

static void end(void)
{
	promised_end();
}

static unsigned step_of(unsigned step)
{
	return getenv("ASSAY_STATES") ? 1 : step;
}

START_TEST(a_new_log_survives_each_call_that)
{
	start();
	sweep(&ways[_i], step_of(11));
	end();
}
END_TEST

START_TEST(a_log_survives_each_call_that)
{
	start();
	ck_assert_ok(promised_open(before));
	for (int i = 0; i < 7; i++)
		ck_assert_ok(promised_write(1, true));
	audit_close(audit);
	sweep(&ways[_i], step_of(5));
	end();
}
END_TEST

static void add(TCase *t)
{
	tcase_set_timeout(t, getenv("ASSAY_STATES") ? 3600 : 60);
	tcase_add_table(t, a_new_log_survives_each_call_that, ways);
	tcase_add_table(t, a_log_survives_each_call_that, ways);
}

int main(void)
{
	return check_run("sweep", add);
}

/* Each call by which a log changes its directory fails once, or from there on, or is the last one of
 * its process: what was released is in the log, which opens and goes on. In a turn, none is left out. */
#include "testbed/unit/promised.h"

#include <errno.h>
#include <signal.h>
#include <sys/wait.h>

#include "testbed/crash/shim.h"

#define CHILD_SECONDS 20

static char place[100], before[100], log_path[100];
static char watched[100]; /* calls that change what is below it */

/* What a child tells before it ends. */
static struct told {
	unsigned seen; /* how many calls the plan was about */
	bool turned;
} * told;

/* What a child does, the plan in force for a part of it. */
typedef enum err child_job(const struct shim_plan *plan);

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
static enum err work(const struct shim_plan *plan)
{
	shim_plan(plan);
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

/* How the child ended. */
static int work_in_child(child_job *job, const struct shim_plan *plan)
{
	int status;

	*told = (struct told){ 0 };
	pid_t pid = fork();
	ck_assert_int_ge(pid, 0);
	if (!pid) {
		alarm(CHILD_SECONDS);
		if (!freopen("/dev/null", "w", stderr))
			_exit(2);
		shim_watch(watched);
		enum err e = job(plan);
		told->seen = shim_seen();
		_exit(e != OK);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	return status;
}

static void check_end(int status, const struct way *way, unsigned number)
{
	/* Threads take turns as they like: there may be fewer calls than the first time. */
	if (way->plan.last && (WIFSIGNALED(status) || told->seen > number))
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

	copy_log(before, log_path);
	ck_assert_int_eq(work_in_child(work, &plan), 0);
	unsigned calls = told->seen;
	ck_assert_uint_gt(calls, 5);
	promised_check(log_path);
	for (unsigned i = 0; i + 4 < calls; i += step) {
		plan = way->plan;
		plan.after = i;
		promised->n = released;
		promised->heads_n = 0;
		copy_log(before, log_path);
		check_end(work_in_child(work, &plan), way, i);
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
	promised_path(watched, "live");
	ck_assert_int_eq(mkdir(place, 0700), 0);
	told = mmap(NULL, sizeof *told, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ck_assert_ptr_ne(told, MAP_FAILED);
	shim_spare_syncs(true);
}

static void end(void)
{
	munmap(told, sizeof *told);
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

/* --- each call of a turn that has the end of a segment in it --- */

#define TURNED 1 /* this tree's shard is closed */
#define SECOND "assay.example/promised/bank-a/1/s2"
#define FILL 8 /* large records, after which segment 0 has no room for another */

static void await_segment(unsigned number)
{
	char file[130];

	snprintf(file, sizeof file, "%s/wal/%08u", log_path, number);
	while (access(file, F_OK))
		usleep(500);
}

/* The record that closes the shard is the first one of segment 1; then there is a segment 2. */
static enum err turn(const struct shim_plan *plan)
{
	enum err e = promised_open(log_path);

	if (e)
		return e;
	await_segment(1);
	shim_plan(plan);
	if (!(e = promised_turn(TURNED, true))) {
		told->turned = true;
		e = promised_write(PROMISED_TREES, false);
	}
	await_segment(2);
	audit_close(audit);
	return e;
}

enum end { NOT_BEGUN, BEGUN, DONE };

/* How far the turn was; the log is good, and the turn is done when its caller was told so. */
static enum end check_turn(void)
{
	ck_assert_ok(found_read(log_path, buf_slice(&signer.ca)));
	bool done = found_of(SECOND) != NULL, resumed = promised_check(log_path);
	ck_assert(!told->turned || done);
	ck_assert(!(done && resumed));
	return done ? DONE : resumed ? BEGUN : NOT_BEGUN;
}

#define BIT(end) (1u << (end))

/* Calls that one thread makes, so that they come in one order: those who commit, who makes the next
 * segment, or who publishes. */
static const struct stop {
	const char *words, *folder;
	struct shim_plan plan;
	unsigned least; /* there are so many of them, or more */
	unsigned ends;  /* that there must have been */
} stops[] = {
	{ "frame",
	  "wal",
	  { .calls = SHIM_BIT(SHIM_WRITE), .most = PROMISED_SEGMENT - 1 },
	  4,
	  BIT(NOT_BEGUN) | BIT(BEGUN) | BIT(DONE) },
	{ "half frame",
	  "wal",
	  { .calls = SHIM_BIT(SHIM_WRITE), .most = PROMISED_SEGMENT - 1, .half = true },
	  4,
	  BIT(NOT_BEGUN) | BIT(BEGUN) },
	{ "sync of frames",
	  "wal",
	  { .calls = SHIM_BIT(SHIM_FDATASYNC) },
	  3,
	  BIT(NOT_BEGUN) | BIT(BEGUN) | BIT(DONE) },
	{ "step to the next segment",
	  "wal",
	  { .calls = SHIM_BIT(SHIM_OPEN) | SHIM_BIT(SHIM_WRITE) | SHIM_BIT(SHIM_FSYNC) |
		     SHIM_BIT(SHIM_RENAME),
	    .least = PROMISED_SEGMENT },
	  5,
	  0 },
	{ "publication", "trees", { .calls = SHIM_ALL }, 8, BIT(DONE) },
};

static void stop_at_each(const struct stop *stop)
{
	struct shim_plan plan = stop->plan;
	size_t released = promised->n;
	unsigned ends = 0, n = 0;

	plan.times = 1;
	plan.last = true;
	for (bool over = false; !over; n++) {
		plan.after = n;
		promised->n = released;
		promised->heads_n = 0;
		copy_log(before, log_path);
		int status = work_in_child(turn, &plan);
		over = WIFEXITED(status);
		ck_assert_msg(over ? !WEXITSTATUS(status) : WTERMSIG(status) == SIGKILL,
			      "%s %u: ended with %x", stop->words, n, (unsigned)status);
		ends |= over ? 0 : BIT(check_turn());
	}
	ck_assert(told->turned);
	ck_assert_int_eq(check_turn(), DONE);
	ck_assert_msg(n > stop->least, "%s: only %u stops", stop->words, n - 1);
	ck_assert_msg((ends & stop->ends) == stop->ends, "%s: ends %x", stop->words, ends);
}

START_TEST(a_turn_and_rotation_survive_a_stop_at_every)
{
	start();
	ck_assert_ok(promised_open(before));
	for (int i = 0; i < FILL; i++)
		ck_assert_ok(promised_write(1, true));
	audit_close(audit);
	snprintf(watched, sizeof watched, "%.80s/%s", log_path, stops[_i].folder);
	stop_at_each(&stops[_i]);
	end();
}
END_TEST

static void add(TCase *t)
{
	tcase_set_timeout(t, getenv("ASSAY_STATES") ? 3600 : 60);
	tcase_add_table(t, a_new_log_survives_each_call_that, ways);
	tcase_add_table(t, a_log_survives_each_call_that, ways);
	tcase_add_table(t, a_turn_and_rotation_survive_a_stop_at_every, stops);
}

int main(void)
{
	return check_run("sweep", add);
}

/* Each limit holds, has its own end, and costs the next run nothing. */
#include "testbed/unit/faults_bench.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/prctl.h>

#include "config/base/io.h"

#define MIB ((uint64_t)1 << 20)

static struct sandbox *box;

static void start(void)
{
	box = bench_start(3); /* two at once */
}

static void stop(void)
{
	sandbox_close(box);
	ck_assert(!bench_left_behind());
	ck_assert_int_eq(waitpid(-1, NULL, WNOHANG), -1);
}

static struct limits usual(void)
{
	return (struct limits){ .memory_bytes = 16 * MIB,
				.output_bytes = 100000,
				.wall_ms = 20000,
				.cpu_ms = 1000,
				.processes = 8,
				.open_files = 16 };
}

enum { ANY_USER, ROOT_ONLY };

static const struct {
	const char *what;
	struct limits more; /* what is not 0 takes the place of the usual */
	enum run_kind kind;
	uint32_t code;
	int who; /* ROOT_ONLY: it takes a cgroup */
} ends[] = {
	{ "children", { .cpu_ms = 100000 }, RUN_MEMORY, 0, ROOT_ONLY },
	{ "pipes", { .memory_bytes = 4 * MIB, .open_files = 512 }, RUN_MEMORY, 0, ROOT_ONLY },
	{ "scratch",
	  { .scratch_bytes = 64 * MIB, .memory_bytes = 8 * MIB },
	  RUN_MEMORY,
	  0,
	  ROOT_ONLY },
	{ "stack", { .memory_bytes = 64 * MIB }, RUN_SIGNAL, SIGSEGV, ANY_USER },
	{ "threads", { .memory_bytes = 64 * MIB }, RUN_PROCESSES, 0, ROOT_ONLY },
	{ "fork", { 0 }, RUN_PROCESSES, 0, ROOT_ONLY },
	{ "enough", { 0 }, RUN_EXIT, 0, ANY_USER },
	{ "files", { 0 }, RUN_EXIT, 13, ANY_USER },
	{ "loop", { 0 }, RUN_TIMEOUT, 1, ANY_USER },
	{ "loop", { .wall_ms = 400, .cpu_ms = 100000 }, RUN_TIMEOUT, 0, ANY_USER },
	{ "loops", { .wall_ms = 400, .cpu_ms = 100000 }, RUN_TIMEOUT, 0, ANY_USER },
	/* All processes together, none of which comes near to it. */
	{ "loops", { .cpu_ms = 600 }, RUN_TIMEOUT, 1, ROOT_ONLY },
	{ "turns", { .cpu_ms = 600 }, RUN_TIMEOUT, 1, ROOT_ONLY },
	{ "turns", { .cpu_ms = 60000 }, RUN_EXIT, 0, ANY_USER },
	{ "both", { 0 }, RUN_OUTPUT, 0, ANY_USER },
	{ "stop", { .wall_ms = 400 }, RUN_TIMEOUT, 0, ANY_USER },
	{ "silent", { .wall_ms = 400 }, RUN_TIMEOUT, 0, ANY_USER },
	{ "race", { 0 }, RUN_EXIT, 0, ANY_USER },
	{ "daemon", { 0 }, RUN_EXIT, 0, ANY_USER },
};

#define TAKE(field) (more->field ? more->field : base.field)

static struct limits with(const struct limits *more)
{
	struct limits base = usual();

	return (struct limits){ TAKE(memory_bytes), TAKE(output_bytes), TAKE(wall_ms),
				TAKE(cpu_ms),       TAKE(processes),    TAKE(open_files),
				TAKE(scratch_bytes) };
}

START_TEST(each_limit_that_strikes_has_its_end)
{
	struct limits limits = with(&ends[_i].more);
	CLEANUP(run) struct run run = { 0 };
	CLEANUP(run) struct run next = { 0 };

	if (ends[_i].who == ROOT_ONLY && !sandbox_facts(box)->privileged)
		return;
	struct sandbox_image *image = bench_image(box, "spend", ends[_i].what, NULL, &limits);
	enum err e = sandbox_run(image, slice_text("input"), NULL, &run);
	ck_assert_msg(e == OK, "%s: %s", ends[_i].what, err_reason());
	ck_assert_msg(run.kind == ends[_i].kind &&
			      (run.code == ends[_i].code || ends[_i].kind == RUN_OUTPUT),
		      "%s: kind %d, code %u", ends[_i].what, (int)run.kind, run.code);
	sandbox_image_drop(image);
	/* The next one is new to all of it. */
	limits = usual();
	image = bench_image(box, "act", "identify", NULL, &limits);
	ck_assert_int_eq(sandbox_run(image, slice_of(NULL, 0), NULL, &next), OK);
	ck_assert(slice_is(buf_slice(&next.output),
			   "pid 2 ppid 1 uid 1000 gid 1000 groups 0\nLANG=C\n"));
	sandbox_image_drop(image);
}
END_TEST

START_TEST(output_before_input_is_no_deadlock)
{
	struct limits limits = usual();
	static uint8_t input[4 << 20];
	CLEANUP(run) struct run run = { 0 };

	limits.output_bytes = 16 * MIB;
	limits.wall_ms = 20000;
	struct sandbox_image *image = bench_image(box, "spend", "shout", NULL, &limits);
	ck_assert_int_eq(sandbox_run(image, SLICE(input), NULL, &run), OK);
	ck_assert_int_eq(run.kind, RUN_EXIT);
	ck_assert_uint_eq(run.code, 0);
	ck_assert_uint_eq(run.output.len, (4 << 20) + sizeof input);
	ck_assert_uint_eq(run.messages.len, 4 << 20);
	sandbox_image_drop(image);
}
END_TEST

START_TEST(a_run_finds_nothing_of_the_one_before)
{
	struct limits limits = usual();

	limits.memory_bytes = 64 * MIB;
	limits.wall_ms = 10000;
	struct sandbox_image *image = bench_image(box, "spend", "remember", NULL, &limits);
	for (int i = 0; i < 4; i++) {
		CLEANUP(run) struct run run = { 0 };

		ck_assert_int_eq(sandbox_run(image,
					     slice_text("SECRET of an earlier run, which "
							"none may find again........."),
					     NULL, &run),
				 OK);
		ck_assert_msg(slice_is(buf_slice(&run.output), "0 kept\n"), "run %d: %s", i,
			      buf_text(&run.output));
	}
	sandbox_image_drop(image);
}
END_TEST

START_TEST(scratch_space_is_capped_and_new_each_time)
{
	struct limits limits = usual();

	limits.scratch_bytes = MIB;
	limits.wall_ms = 5000;
	struct sandbox_image *image = bench_image(box, "spend", "scratch", NULL, &limits);
	for (int i = 0; i < 3; i++) {
		CLEANUP(run) struct run run = { 0 };

		enum err e = sandbox_run(image, slice_of(NULL, 0), NULL, &run);
		ck_assert_msg(e == OK, "%s", err_reason());
		/* 16 blocks are all there is, however many files; none was there before. */
		ck_assert_msg(strncmp(buf_text(&run.output), "16 0 0 ", 7) == 0 ||
				      strncmp(buf_text(&run.output), "15 0 0 ", 7) == 0,
			      "%s", buf_text(&run.output));
		ck_assert_msg(run.kind == RUN_EXIT && run.code == 0, "%d %u", (int)run.kind,
			      run.code);
		ck_assert_int_eq(run.start, RUN_FRESH);
	}
	sandbox_image_drop(image);
}
END_TEST

START_TEST(without_scratch_space_there_is_no_place_to_write)
{
	struct limits limits = usual();
	CLEANUP(run) struct run run = { 0 };
	struct sandbox_image *image = bench_image(box, "spend", "scratch", NULL, &limits);

	ck_assert_int_eq(sandbox_run(image, slice_of(NULL, 0), NULL, &run), OK);
	ck_assert_msg(strncmp(buf_text(&run.output), "255 255 -1 ", 11) == 0, "%s",
		      buf_text(&run.output));
	sandbox_image_drop(image);
}
END_TEST

struct other {
	struct sandbox_image *image;
	struct run run;
	enum err e;
};

static void *run_other(void *p)
{
	struct other *o = p;

	o->e = sandbox_run(o->image, slice_text("x"), NULL, &o->run);
	return NULL;
}

/* Two partitions have images of their own, even of the same package. */
static void beside(const char *one, const struct limits *limits, const char *two,
		   struct other *first, struct other *second)
{
	struct limits plain = usual();
	pthread_t threads[2];

	plain.wall_ms = 8000;
	*first = (struct other){ .image = bench_image(box, "spend", one, NULL, limits) };
	*second = (struct other){ .image = bench_image(box, "spend", two, NULL, &plain) };
	ck_assert_int_eq(pthread_create(&threads[0], NULL, run_other, first), 0);
	usleep(200000);
	ck_assert_int_eq(pthread_create(&threads[1], NULL, run_other, second), 0);
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	sandbox_image_drop(first->image);
	sandbox_image_drop(second->image);
	ck_assert_int_eq(first->e, OK);
	ck_assert_int_eq(second->e, OK);
}

START_TEST(two_cells_neither_see_nor_signal_each_other)
{
	struct other waiting, looking;
	struct limits limits = usual();

	limits.wall_ms = 8000;
	beside("wait", &limits, "neighbours", &waiting, &looking);
	/* Itself and init; then it killed all that it could. */
	ck_assert_msg(slice_is(buf_slice(&looking.run.output), "2\n"), "%s",
		      buf_text(&looking.run.output));
	ck_assert_int_eq(waiting.run.kind, RUN_EXIT);
	ck_assert_uint_eq(waiting.run.code, 0);
	run_free(&waiting.run);
	run_free(&looking.run);
}
END_TEST

static const struct {
	const char *what;
	struct limits more;
} greedy[] = {
	{ "loops", { .wall_ms = 1600, .cpu_ms = 100000 } },
	{ "children", { .wall_ms = 1600, .memory_bytes = 128 * MIB } },
	{ "both", { .wall_ms = 1600 } },
	{ "threads", { .wall_ms = 1600, .processes = 200, .memory_bytes = 64 * MIB } },
};

START_TEST(a_greedy_cell_does_not_starve_another)
{
	struct limits limits = with(&greedy[_i].more);
	struct other greed, other;

	beside(greedy[_i].what, &limits, "wait", &greed, &other);
	/* It sleeps for a second, and has the rest to itself. */
	ck_assert_int_eq(other.run.kind, RUN_EXIT);
	ck_assert_uint_lt(other.run.end_us - other.run.start_us, 2500000);
	run_free(&greed.run);
	run_free(&other.run);
}
END_TEST

/* Of the launcher's two cells; false unless both run one. */
static bool two_programs(pid_t programs[2])
{
	char path[64];
	pid_t init;
	int n = 0;

	snprintf(path, sizeof path, "/proc/%d/task/%d/children", (int)bench_launcher(),
		 (int)bench_launcher());
	FILE *f = fopen(path, "re");
	while (f && n < 2 && fscanf(f, "%d", &init) == 1)
		if ((programs[n] = bench_child_of(init)) > 0)
			n++;
	if (f)
		fclose(f);
	return n == 2;
}

START_TEST(cells_have_host_users_of_their_own)
{
	struct limits limits = usual();
	struct other one = { .image = bench_image(box, "spend", "wait", NULL, &limits) };
	struct other two = { .image = bench_image(box, "spend", "wait", NULL, &limits) };
	pthread_t threads[2];
	pid_t programs[2];
	struct stat status[2];
	char path[64];
	bool both = false;

	pthread_create(&threads[0], NULL, run_other, &one);
	pthread_create(&threads[1], NULL, run_other, &two);
	for (int i = 0; i < 1000 && !(both = two_programs(programs)); i++)
		usleep(5000);
	for (int i = 0; i < 2 && both; i++) {
		snprintf(path, sizeof path, "/proc/%d", (int)programs[i]);
		both = stat(path, &status[i]) == 0;
	}
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	sandbox_image_drop(one.image);
	sandbox_image_drop(two.image);
	run_free(&one.run);
	run_free(&two.run);
	ck_assert(both);
	if (sandbox_facts(box)->privileged)
		ck_assert_uint_ne(status[0].st_uid, status[1].st_uid);
}
END_TEST

/* The program sleeps: it has come to its read. */
static bool asleep(pid_t pid)
{
	char path[64], line[256] = "";

	snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
	FILE *f = fopen(path, "re");
	char *end = f && fgets(line, sizeof line, f) ? strrchr(line, ')') : NULL;
	if (f)
		fclose(f);
	return end && end[2] == 'S';
}

/* It computes for 400 ms before it reads, and for as long again after. */
START_TEST(cpu_time_of_a_parked_program_counts_from_its_input)
{
	struct limits limits = usual();
	CLEANUP(run) struct run run = { 0 };
	CLEANUP(run) struct run parked = { 0 };

	if (!sandbox_facts(box)->privileged)
		return;
	limits.wall_ms = 20000;
	limits.cpu_ms = 600;
	bench_park = PARK_ON;
	struct sandbox_image *image = bench_image(box, "spend", "think", NULL, &limits);
	bench_park = PARK_OFF;
	ck_assert_int_eq(sandbox_run(image, slice_text("x"), NULL, &run), OK);
	ck_assert_msg(run.kind == RUN_TIMEOUT && run.code == 1, "%d %u", (int)run.kind, run.code);
	for (int i = 0; i < 1000 && !asleep(bench_child_of(bench_child_of(bench_launcher()))); i++)
		usleep(10000);
	ck_assert_int_eq(sandbox_run(image, slice_text("x"), NULL, &parked), OK);
	ck_assert_int_eq(parked.start, RUN_PARKED);
	ck_assert_msg(parked.kind == RUN_EXIT && parked.code == 0, "%d %u", (int)parked.kind,
		      parked.code);
	sandbox_image_drop(image);
}
END_TEST

static Suite *suite(const char *name)
{
	Suite *s = suite_create(name);
	TCase *t = tcase_create(name);

	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, start, stop);
	tcase_add_loop_test(t, each_limit_that_strikes_has_its_end, 0, sizeof ends / sizeof *ends);
	tcase_add_test(t, output_before_input_is_no_deadlock);
	tcase_add_test(t, a_run_finds_nothing_of_the_one_before);
	tcase_add_test(t, scratch_space_is_capped_and_new_each_time);
	tcase_add_test(t, without_scratch_space_there_is_no_place_to_write);
	tcase_add_test(t, two_cells_neither_see_nor_signal_each_other);
	tcase_add_loop_test(t, a_greedy_cell_does_not_starve_another, 0,
			    sizeof greedy / sizeof *greedy);
	tcase_add_test(t, cpu_time_of_a_parked_program_counts_from_its_input);
	tcase_add_test(t, cells_have_host_users_of_their_own);
	suite_add_tcase(s, t);
	return s;
}

int main(void)
{
	return bench_main(suite);
}

#include "testbed/unit/sandbox_common.h"

#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define INPUT_LARGE ((size_t)64 << 20)

static struct sandbox *box;

static void start(void)
{
	box = bench_start(1);
}

static void stop(void)
{
	sandbox_close(box);
	ck_assert_msg(!bench_left_behind(), "a cgroup is left");
}

static struct limits small(void)
{
	return (struct limits){ .memory_bytes = (uint64_t)32 << 20,
				.output_bytes = 100000,
				.wall_ms = 5000,
				.cpu_ms = 5000,
				.processes = 8,
				.open_files = 16 };
}

static const struct {
	const char *what, *argument;
	uint32_t wall_ms;
	enum run_kind kind;
	uint32_t code;
	bool privileged; /* only where the launcher is: it takes a cgroup */
} ends[] = {
	{ "exit", "0", 5000, RUN_EXIT, 0, false },
	{ "exit", "7", 5000, RUN_EXIT, 7, false },
	{ "exit", "255", 5000, RUN_EXIT, 255, false },
	{ "abort", NULL, 5000, RUN_SIGNAL, SIGABRT, false },
	{ "term", NULL, 5000, RUN_SIGNAL, SIGTERM, false },
	{ "loop", NULL, 300, RUN_TIMEOUT, 0, false },
	{ "sleep", NULL, 300, RUN_TIMEOUT, 0, false },
	{ "loop", NULL, 60000, RUN_TIMEOUT, 1, false },
	{ "flood", NULL, 5000, RUN_OUTPUT, 1, false },
	{ "flood-messages", NULL, 5000, RUN_OUTPUT, 2, false },
	{ "bomb", NULL, 5000, RUN_MEMORY, 0, true },
	{ "leave", NULL, 5000, RUN_EXIT, 0, false },
	{ "forks", NULL, 5000, RUN_EXIT, 0, false },
	{ "threads", NULL, 5000, RUN_EXIT, 0, false },
};

START_TEST(each_end_has_its_kind_and_code_and_the_next_run_works)
{
	struct limits limits = small();
	CLEANUP(run) struct run run = { 0 };
	CLEANUP(run) struct run next = { 0 };

	if (ends[_i].privileged && !sandbox_facts(box)->privileged)
		return;
	limits.wall_ms = ends[_i].wall_ms;
	limits.cpu_ms = 1000;
	struct sandbox_image *image =
		bench_image(box, "act", ends[_i].what, ends[_i].argument, &limits);
	for (int i = 0; i < 2; i++) {
		enum err e = sandbox_run(image, slice_text("input"), NULL, &run);

		ck_assert_msg(e == OK, "%s: %s", ends[_i].what, err_reason());
		ck_assert_msg(run.kind == ends[_i].kind && run.code == ends[_i].code,
			      "%s: kind %d, code %u", ends[_i].what, (int)run.kind, run.code);
		ck_assert_uint_le(run.output.len, limits.output_bytes);
		run_free(&run);
	}
	sandbox_image_drop(image);
	image = bench_image(box, "act", "cat", NULL, &limits);
	ck_assert_int_eq(sandbox_run(image, slice_text("next"), NULL, &next), OK);
	ck_assert(slice_is(buf_slice(&next.output), "next"));
	sandbox_image_drop(image);
}
END_TEST

START_TEST(input_of_any_size_comes_back_unchanged)
{
	const size_t sizes[] = { 0, 1, 65536, 65537, 1 << 20, INPUT_LARGE };
	struct limits limits = small();
	uint8_t *input = malloc(INPUT_LARGE);

	ck_assert_ptr_nonnull(input);
	for (size_t i = 0; i < INPUT_LARGE; i++)
		input[i] = (uint8_t)(i * 2654435761u >> 13);
	limits.output_bytes = INPUT_LARGE;
	struct sandbox_image *image = bench_image(box, "act", "cat", NULL, &limits);
	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		CLEANUP(run) struct run run = { 0 };
		struct slice all = slice_of(input, sizes[i]);

		ck_assert_int_eq(sandbox_run(image, all, NULL, &run), OK);
		ck_assert_int_eq(run.kind, RUN_EXIT);
		ck_assert(slice_equal(buf_slice(&run.output), all));
		ck_assert_int_eq(run.start, i ? RUN_REUSED : RUN_FRESH);
		ck_assert(run.start_us <= run.end_us);
	}
	sandbox_image_drop(image);
	free(input);
}
END_TEST

START_TEST(input_that_is_never_read_is_no_error)
{
	struct limits limits = small();
	struct sandbox_image *image = bench_image(box, "act", "exit", "3", &limits);
	uint8_t *input = calloc(1, INPUT_LARGE);

	for (int i = 0; i < 3; i++) {
		CLEANUP(run) struct run run = { 0 };

		ck_assert_int_eq(sandbox_run(image, slice_of(input, INPUT_LARGE), NULL, &run), OK);
		ck_assert_int_eq(run.kind, RUN_EXIT);
		ck_assert_uint_eq(run.code, 3);
	}
	sandbox_image_drop(image);
	free(input);
}
END_TEST

START_TEST(stdout_and_stderr_are_kept_apart)
{
	struct limits limits = small();
	struct sandbox_image *image = bench_image(box, "act", "both", NULL, &limits);
	CLEANUP(run) struct run run = { 0 };

	ck_assert_int_eq(sandbox_run(image, slice_of(NULL, 0), NULL, &run), OK);
	ck_assert(slice_is(buf_slice(&run.output), "out\n"));
	ck_assert(slice_is(buf_slice(&run.messages), "messages\n"));
	sandbox_image_drop(image);
}
END_TEST

START_TEST(every_run_sees_the_same_world)
{
	struct limits limits = small();
	struct sandbox_image *image = bench_image(box, "act", "identify", NULL, &limits);

	for (int i = 0; i < 5; i++) {
		CLEANUP(run) struct run run = { 0 };

		ck_assert_int_eq(sandbox_run(image, slice_of(NULL, 0), NULL, &run), OK);
		ck_assert_msg(slice_is(buf_slice(&run.output),
				       "pid 2 ppid 1 uid 1000 gid 1000 groups 0\nLANG=C\n"),
			      "%s", buf_text(&run.output));
	}
	sandbox_image_drop(image);
}
END_TEST

START_TEST(leftover_processes_cost_the_cell)
{
	struct limits limits = small();
	struct sandbox_image *image = bench_image(box, "act", "leave", NULL, &limits);

	for (int i = 0; i < 2; i++) {
		CLEANUP(run) struct run run = { 0 };

		ck_assert_int_eq(sandbox_run(image, slice_of(NULL, 0), NULL, &run), OK);
		ck_assert(slice_is(buf_slice(&run.output), "left\n"));
		ck_assert_int_eq(run.start, RUN_FRESH);
	}
	sandbox_image_drop(image);
}
END_TEST

START_TEST(narrower_limits_hold_and_wider_ones_do_not)
{
	struct limits limits = small(), narrow = small();
	CLEANUP(run) struct run run = { 0 };
	CLEANUP(run) struct run wide = { 0 };
	struct sandbox_image *image = bench_image(box, "act", "cat", NULL, &limits);
	static uint8_t input[200000];

	narrow.output_bytes = 10;
	ck_assert_int_eq(sandbox_run(image, slice_of(input, 11), &narrow, &run), OK);
	ck_assert_int_eq(run.kind, RUN_OUTPUT);
	ck_assert_uint_eq(run.output.len, 10);
	narrow.output_bytes = 1000000;
	narrow.memory_bytes *= 2;
	ck_assert_int_eq(sandbox_run(image, SLICE(input), &narrow, &wide), OK);
	ck_assert_int_eq(wide.kind, RUN_OUTPUT);
	ck_assert_uint_eq(wide.output.len, limits.output_bytes);
	sandbox_image_drop(image);
}
END_TEST

static void *run_until_dropped(void *image)
{
	struct run run;
	enum err e = sandbox_run(image, slice_text("x"), NULL, &run);

	run_free(&run);
	return (void *)(intptr_t)e;
}

START_TEST(the_least_memory_is_enough_for_a_small_program)
{
	struct limits limits = small();
	CLEANUP(run) struct run run = { 0 };

	limits.memory_bytes = 1 << 20;
	struct sandbox_image *image = bench_image(box, "act", "exit", "4", &limits);
	enum err e = sandbox_run(image, slice_text("x"), NULL, &run);
	ck_assert_msg(e == OK, "%s", err_reason());
	ck_assert_int_eq(run.kind, RUN_EXIT);
	ck_assert_uint_eq(run.code, 4);
	sandbox_image_drop(image);
}
END_TEST

START_TEST(a_missing_controller_is_refused_in_words)
{
	char launcher[PATH_MAX + 32], init[PATH_MAX + 32];
	const struct sandbox_options options = { .launcher = launcher,
						 .init = init,
						 .uid_base = BENCH_UID_BASE,
						 .name = "7e57",
						 .allow_missing = "pids",
						 .cells_max = 1 };
	struct sandbox *other;

	if (geteuid() == 0)
		return; /* has them all */
	snprintf(launcher, sizeof launcher, "%s/assay-launcher", bench_build);
	snprintf(init, sizeof init, "%s/assay-init", bench_build);
	ck_assert_int_eq(sandbox_start(&options, &other), ERR_UNSUPPORTED);
	ck_assert_msg(strstr(err_reason(), "\"memory\""), "%s", err_reason());
}
END_TEST

START_TEST(cells_weigh_as_many_processes_as_they_are)
{
	const struct {
		const char *group, *file;
		int each;
	} files[] = { { "/sys/fs/cgroup/cpu/assay-", "cpu.shares", 1024 },
		      { "/sys/fs/cgroup/assay-", "cpu.weight", 100 } };

	sandbox_close(box);
	box = bench_start(4);
	for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
		char path[128];
		int weight = 0;

		snprintf(path, sizeof path, "%s%s/%s", files[i].group, bench_name, files[i].file);
		FILE *f = fopen(path, "re");
		if (!f)
			continue; /* the other version's, or no root */
		ck_assert_int_eq(fscanf(f, "%d", &weight), 1);
		fclose(f);
		ck_assert_int_eq(weight, 4 * files[i].each);
	}
}
END_TEST

START_TEST(several_cells_run_side_by_side)
{
	struct limits limits = small();
	CLEANUP(run) struct run run = { 0 };
	struct sandbox_image *images[4];
	pthread_t threads[3];

	sandbox_close(box);
	box = bench_start(5); /* the last one is not for a group that has some */
	limits.wall_ms = 3600000;
	for (size_t i = 0; i < 4; i++)
		images[i] = bench_image(box, "act", i < 3 ? "sleep" : "cat", NULL, &limits);
	for (size_t i = 0; i < 3; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, run_until_dropped, images[i]),
				 0);
	/* Three sleep for as long as they may; the fourth comes and goes. */
	ck_assert_int_eq(sandbox_run(images[3], slice_text("x"), NULL, &run), OK);
	ck_assert_int_eq(run.kind, RUN_EXIT);
	usleep(300000); /* no thread may come to its image after the drop */
	for (size_t i = 0; i < 4; i++)
		sandbox_image_drop(images[i]);
	for (size_t i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
}
END_TEST

START_TEST(another_measurement_is_refused)
{
	struct limits limits = small();
	CLEANUP(buf) struct buf package = BUF_INIT;
	struct package parsed;
	struct sandbox_image *image;
	CLEANUP(fd) int fd = -1;
	CLEANUP(fd) int cut = -1;

	bench_package("act", "cat", NULL, &limits, &package);
	ck_assert_int_eq(package_parse(buf_slice(&package), &parsed), OK);
	ck_assert_int_eq(io_memfd("package", buf_slice(&package), &fd), OK);
	parsed.measurement[0] ^= 1;
	ck_assert_int_eq(sandbox_image_add(box, fd, parsed.measurement, &image), ERR_MISMATCH);
	parsed.measurement[0] ^= 1;
	ck_assert_int_eq(io_memfd("cut", slice_of(package.data, package.len - 1), &cut), OK);
	ck_assert_int_eq(sandbox_image_add(box, cut, parsed.measurement, &image), ERR_FORMAT);
}
END_TEST

static void *run_once(void *image)
{
	struct run run;
	enum err e = sandbox_run(image, slice_text("x"), NULL, &run);
	bool good = e == OK && run.kind == RUN_EXIT && slice_is(buf_slice(&run.output), "x");

	run_free(&run);
	return good ? image : NULL;
}

START_TEST(many_threads_share_the_cells)
{
	struct limits limits = small();
	struct sandbox_image *images[2] = { bench_image(box, "act", "cat", NULL, &limits),
					    bench_image(box, "act", "cat", NULL, &limits) };
	pthread_t threads[8];

	for (size_t i = 0; i < 8; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, run_once, images[i % 2]), 0);
	for (size_t i = 0; i < 8; i++) {
		void *good = NULL;

		pthread_join(threads[i], &good);
		ck_assert_ptr_nonnull(good);
	}
	sandbox_image_drop(images[0]);
	sandbox_image_drop(images[1]);
}
END_TEST

START_TEST(a_cell_that_ended_while_idle_is_replaced)
{
	struct limits limits = small();
	struct sandbox_image *image = bench_image(box, "act", "cat", NULL, &limits);
	pid_t init;

	for (int i = 0; i < 2; i++) {
		CLEANUP(run) struct run run = { 0 };

		ck_assert_int_eq(sandbox_run(image, slice_text("x"), NULL, &run), OK);
		ck_assert_int_eq(run.start, RUN_FRESH);
		ck_assert(slice_is(buf_slice(&run.output), "x"));
		init = bench_child_of(bench_launcher());
		ck_assert_int_gt(init, 0);
		ck_assert_int_eq(kill(init, SIGKILL), 0);
		usleep(100000);
	}
	sandbox_image_drop(image);
}
END_TEST

START_TEST(dropping_an_image_ends_its_runs)
{
	struct limits limits = small();
	struct sandbox_image *image = bench_image(box, "act", "sleep", NULL, &limits);
	pthread_t thread;
	void *e;

	ck_assert_int_eq(pthread_create(&thread, NULL, run_until_dropped, image), 0);
	usleep(300000);
	sandbox_image_drop(image);
	pthread_join(thread, &e);
	ck_assert_int_eq((intptr_t)e, ERR_GONE);
}
END_TEST

static void *kill_launcher(void *pid)
{
	usleep(300000);
	kill(*(pid_t *)pid, SIGKILL);
	return NULL;
}

START_TEST(a_killed_launcher_is_gone_and_takes_the_run_along)
{
	struct limits limits = small();
	struct sandbox_image *image = bench_image(box, "act", "sleep", NULL, &limits);
	pid_t pid = bench_launcher();
	pthread_t thread;
	CLEANUP(run) struct run run = { 0 };
	CLEANUP(run) struct run again = { 0 };

	ck_assert_int_gt(pid, 0);
	ck_assert_int_eq(pthread_create(&thread, NULL, kill_launcher, &pid), 0);
	ck_assert_int_eq(sandbox_run(image, slice_text("x"), NULL, &run), ERR_GONE);
	ck_assert_int_eq(sandbox_run(image, slice_text("x"), NULL, &again), ERR_GONE);
	pthread_join(thread, NULL);
	sandbox_image_drop(image);
	sandbox_close(box);
	/* The next one of that name sweeps what the killed one left. */
	box = bench_start(1);
	image = bench_image(box, "act", "cat", NULL, &limits);
	CLEANUP(run) struct run next = { 0 };
	ck_assert_int_eq(sandbox_run(image, slice_text("x"), NULL, &next), OK);
	sandbox_image_drop(image);
}
END_TEST

static Suite *suite(const char *name)
{
	Suite *s = suite_create(name);
	TCase *t = tcase_create(name);

	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, start, stop);
	tcase_add_loop_test(t, each_end_has_its_kind_and_code_and_the_next_run_works, 0,
			    sizeof ends / sizeof *ends);
	tcase_add_test(t, input_of_any_size_comes_back_unchanged);
	tcase_add_test(t, input_that_is_never_read_is_no_error);
	tcase_add_test(t, stdout_and_stderr_are_kept_apart);
	tcase_add_test(t, every_run_sees_the_same_world);
	tcase_add_test(t, leftover_processes_cost_the_cell);
	tcase_add_test(t, narrower_limits_hold_and_wider_ones_do_not);
	tcase_add_test(t, the_least_memory_is_enough_for_a_small_program);
	tcase_add_test(t, a_missing_controller_is_refused_in_words);
	tcase_add_test(t, cells_weigh_as_many_processes_as_they_are);
	tcase_add_test(t, several_cells_run_side_by_side);
	tcase_add_test(t, another_measurement_is_refused);
	tcase_add_test(t, many_threads_share_the_cells);
	tcase_add_test(t, a_cell_that_ended_while_idle_is_replaced);
	tcase_add_test(t, dropping_an_image_ends_its_runs);
	tcase_add_test(t, a_killed_launcher_is_gone_and_takes_the_run_along);
	suite_add_tcase(s, t);
	return s;
}

int main(void)
{
	return bench_main(suite);
}

/* What stays the same however many runs there were, and what is done between them. */
#include "testbed/unit/sandbox_common.h"

#include <pthread.h>
#include <sys/mman.h>

#define RUNS 2000
#define AHEAD_MAX 16 /* descriptors of a cell, its pipes and its parked program */
#define INPUT_LARGE ((size_t)64 << 20)
#define FIRST_BYTES ((size_t)8 << 20) /* what talk writes first */

static struct sandbox *box;

static void start(void)
{
	bench_park = PARK_OFF;
	box = bench_start(3);
}

static void stop(void)
{
	sandbox_close(box);
	ck_assert_msg(!bench_left_behind(), "a cgroup is left");
}

static struct limits limits_of(size_t output)
{
	return (struct limits){ .memory_bytes = (uint64_t)32 << 20,
				.output_bytes = output,
				.wall_ms = 20000,
				.cpu_ms = 20000,
				.processes = 8,
				.open_files = 16 };
}

static size_t entries(const char *path)
{
	size_t n = 0;
	DIR *d = opendir(path);

	ck_assert_ptr_nonnull(d);
	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

/* A number that follows @name in a file of /proc; -1 when this user may not read it. */
static long number_in(const char *path, const char *name)
{
	char line[256];
	long value = -1;
	FILE *f = fopen(path, "re");

	while (f && fgets(line, sizeof line, f))
		if (strncmp(line, name, strlen(name)) == 0)
			value = atol(line + strlen(name));
	if (f)
		fclose(f);
	return value;
}

static size_t lines_in(const char *path)
{
	size_t n = 0;
	FILE *f = fopen(path, "re");

	for (int c; f && (c = getc(f)) != EOF;)
		n += c == '\n';
	if (f)
		fclose(f);
	return n;
}

struct state {
	size_t descriptors, launcher_descriptors, mounts;
	long memory, launcher_memory, threads;
};

static struct state now(void)
{
	char path[64];
	pid_t launcher = bench_launcher();
	struct state s = { .descriptors = entries("/proc/self/fd"),
			   .memory = number_in("/proc/self/status", "VmRSS:"),
			   .threads = number_in("/proc/self/status", "Threads:") };

	ck_assert_int_gt(launcher, 0);
	snprintf(path, sizeof path, "/proc/%d/status", (int)launcher);
	s.launcher_memory = number_in(path, "VmRSS:");
	snprintf(path, sizeof path, "/proc/%d/mountinfo", (int)launcher);
	s.mounts = lines_in(path);
	snprintf(path, sizeof path, "/proc/%d/fd", (int)launcher);
	if (geteuid() == 0)
		s.launcher_descriptors = entries(path);
	return s;
}

static void check_same(const struct state *a, const struct state *b)
{
	/* What the keeper is about to do may differ; what is lost is lost with each run. */
	ck_assert_uint_le(b->descriptors, a->descriptors + AHEAD_MAX);
	ck_assert_uint_eq(a->launcher_descriptors, b->launcher_descriptors);
	ck_assert_uint_eq(a->mounts, b->mounts);
	ck_assert_int_eq(a->threads, b->threads);
#if !defined __SANITIZE_ADDRESS__ && \
	!defined __SANITIZE_THREAD__ /* which keeps freed memory for a while */
	ck_assert_int_le(b->memory, a->memory + 512);
#endif
	ck_assert_int_le(b->launcher_memory, a->launcher_memory + 256);
}

static void run_many(struct sandbox_image *image, int n)
{
	for (int i = 0; i < n; i++) {
		CLEANUP(run) struct run run = { 0 };
		enum err e = sandbox_run(image, slice_text("input"), NULL, &run);

		ck_assert_msg(e == OK, "run %d: %s", i, err_reason());
		ck_assert_msg(run.kind == RUN_EXIT && run.code == 0, "run %d: kind %d, code %u", i,
			      (int)run.kind, run.code);
		ck_assert(slice_is(buf_slice(&run.output), "input"));
	}
}

static const enum park parks[] = { PARK_OFF, PARK_ON };

START_TEST(nothing_grows_with_the_number_of_runs)
{
	struct limits limits = limits_of(100000);

	sandbox_close(box);
	box = bench_start(1); /* or the number of cells could grow to what is allowed */
	bench_park = (uint8_t)parks[_i];
	struct sandbox_image *image = bench_image(box, "talk", "late", NULL, &limits);
	run_many(image, RUNS / 10);
	usleep(100000); /* the keeper has done what there was to do */
	struct state before = now();
	run_many(image, RUNS);
	usleep(100000);
	struct state after = now();
	check_same(&before, &after);
	sandbox_image_drop(image);
}
END_TEST

START_TEST(nothing_grows_with_the_number_of_cells)
{
	struct limits limits = limits_of(100000);
	struct sandbox_image *image = bench_image(box, "act", "leave", NULL, &limits);
	struct state before = { 0 };

	/* Each run leaves a process behind, and so costs its cell. */
	for (int i = 0; i < 60; i++) {
		CLEANUP(run) struct run run = { 0 };

		ck_assert_int_eq(sandbox_run(image, slice_text("x"), NULL, &run), OK);
		ck_assert_int_eq(run.start, RUN_FRESH);
		if (i != 20 && i != 59)
			continue;
		usleep(200000); /* the next cell is there */
		struct state state = now();
		if (i == 20)
			before = state;
		else
			check_same(&before, &state);
	}
	sandbox_image_drop(image);
}
END_TEST

/* A cell of these limits of memory: made anew, or still there. */
static enum run_start run_with(struct sandbox_image *image, uint64_t memory)
{
	struct limits limits = limits_of(100000);
	CLEANUP(run) struct run run = { 0 };

	limits.memory_bytes = memory;
	enum err e = sandbox_run(image, slice_text("x"), &limits, &run);
	ck_assert_msg(e == OK, "%s", err_reason());
	ck_assert_int_eq(run.kind, RUN_EXIT);
	return run.start;
}

START_TEST(the_cell_that_was_idle_longest_makes_place)
{
	enum { CELLS = 4, KINDS = 7 };
	struct limits limits = limits_of(100000);
	const uint64_t page = 4096, memory = limits.memory_bytes;

	sandbox_close(box);
	box = bench_start(CELLS);
	struct sandbox_image *image = bench_image(box, "talk", "late", NULL, &limits);
	for (uint64_t i = 0; i < KINDS; i++)
		ck_assert_int_eq(run_with(image, memory - i * page), RUN_FRESH);
	for (uint64_t i = KINDS; i-- > KINDS - CELLS;)
		ck_assert_int_eq(run_with(image, memory - i * page), RUN_REUSED);
	/* The last of these is now the one that was used last. */
	ck_assert_int_eq(run_with(image, memory), RUN_FRESH);
	ck_assert_int_eq(run_with(image, memory - (KINDS - CELLS) * page), RUN_REUSED);
	ck_assert_int_eq(run_with(image, memory - (KINDS - 1) * page), RUN_FRESH);
	sandbox_image_drop(image);
}
END_TEST

/* Two cells of more than half of what idle cells may come to use together. */
START_TEST(idle_cells_are_kept_within_a_share_of_the_memory)
{
	struct limits limits = limits_of(100000);
	const uint64_t page = 4096, share = (uint64_t)sysconf(_SC_PHYS_PAGES) * page / 4;
	const uint64_t large = (share / 2 / page + 2) * page;

	limits.memory_bytes = large;
	sandbox_close(box);
	box = bench_start(4);
	struct sandbox_image *image = bench_image(box, "talk", "late", NULL, &limits);
	ck_assert_int_eq(run_with(image, large), RUN_FRESH);
	ck_assert_int_eq(run_with(image, large), RUN_REUSED);
	ck_assert_int_eq(run_with(image, large - page), RUN_FRESH);
	ck_assert_int_eq(run_with(image, large - page), RUN_REUSED);
	ck_assert_int_eq(run_with(image, page * 4096), RUN_FRESH);
	ck_assert_int_eq(run_with(image, large - page), RUN_REUSED);
	ck_assert_int_eq(run_with(image, large), RUN_FRESH);
	sandbox_image_drop(image);
}
END_TEST

static const struct {
	const char *what;
	size_t first, messages_first;
	bool to_messages;
} orders[] = { { "late", 0, 0, false },
	       { "first", FIRST_BYTES, 0, false },
	       { "messages-first", 0, FIRST_BYTES, false },
	       { "to-messages", 0, 0, true } };

START_TEST(large_input_passes_whoever_reads_or_writes_first)
{
	struct limits limits = limits_of(INPUT_LARGE + FIRST_BYTES);
	uint8_t *input = malloc(INPUT_LARGE);
	CLEANUP(run) struct run run = { 0 };

	ck_assert_ptr_nonnull(input);
	for (size_t i = 0; i < INPUT_LARGE; i++)
		input[i] = (uint8_t)(i * 2654435761u >> 11);
	struct sandbox_image *image = bench_image(box, "talk", orders[_i].what, NULL, &limits);
	enum err e = sandbox_run(image, slice_of(input, INPUT_LARGE), NULL, &run);
	ck_assert_msg(e == OK, "%s", err_reason());
	ck_assert_msg(run.kind == RUN_EXIT && run.code == 0, "kind %d, code %u", (int)run.kind,
		      run.code);
	const struct buf *copy = orders[_i].to_messages ? &run.messages : &run.output;
	const struct buf *other = orders[_i].to_messages ? &run.output : &run.messages;
	ck_assert_uint_eq(copy->len, orders[_i].first + INPUT_LARGE);
	ck_assert_uint_eq(other->len, orders[_i].messages_first);
	ck_assert_mem_eq(copy->data + orders[_i].first, input, INPUT_LARGE);
	sandbox_image_drop(image);
	free(input);
}
END_TEST

START_TEST(large_input_takes_no_memory_of_its_own)
{
	struct limits limits = limits_of(1000);
	size_t large = 4 * INPUT_LARGE;
	CLEANUP(fd) int fd = memfd_create("input", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	struct slice input;

	ck_assert_int_eq(ftruncate(fd, (off_t)large), 0);
	ck_assert_int_eq(io_memfd_seal(fd), OK);
	ck_assert_int_eq(io_map_sealed(fd, large, &input), OK);
	struct sandbox_image *image = bench_image(box, "talk", "end", NULL, &limits);
	for (int i = 0; i < 3; i++) {
		CLEANUP(run) struct run run = { 0 };

		ck_assert_int_eq(sandbox_run(image, input, NULL, &run), OK);
		ck_assert_uint_eq(run.code, 5);
	}
	/* No more was looked at than fitted into a pipe. */
	ck_assert_int_lt(number_in("/proc/self/status", "RssShmem:"), 8 << 10);
	sandbox_image_drop(image);
	io_unmap(&input);
}
END_TEST

struct worker {
	struct sandbox_image *image;
	int good;
};

static void *work(void *argument)
{
	struct worker *w = argument;

	for (int i = 0; i < 200; i++) {
		CLEANUP(run) struct run run = { 0 };

		if (sandbox_run(w->image, slice_text("input"), NULL, &run) == OK &&
		    run.kind == RUN_EXIT && slice_is(buf_slice(&run.output), "input"))
			w->good++;
	}
	return NULL;
}

/* More threads than cells, of two images, while one of them is drained all the time. */
START_TEST(threads_share_cells_that_are_parked_and_drained)
{
	struct limits limits = limits_of(100000);
	struct worker workers[4] = { 0 };
	pthread_t threads[4];

	bench_park = PARK_ON;
	struct sandbox_image *images[2] = {
		bench_image(box, "talk", "late", NULL, &limits),
		bench_image(box, "talk", "late", NULL, &limits),
	};
	for (size_t i = 0; i < 4; i++) {
		workers[i].image = images[i % 2];
		ck_assert_int_eq(pthread_create(&threads[i], NULL, work, &workers[i]), 0);
	}
	for (int i = 0; i < 50; i++) {
		sandbox_image_drain(images[0]);
		usleep(5000);
	}
	for (size_t i = 0; i < 4; i++) {
		pthread_join(threads[i], NULL);
		ck_assert_int_eq(workers[i].good, 200);
	}
	sandbox_image_drop(images[0]);
	sandbox_image_drop(images[1]);
}
END_TEST

static Suite *suite(const char *name)
{
	Suite *s = suite_create(name);
	TCase *t = tcase_create(name);

	tcase_set_timeout(t, 100);
	tcase_add_checked_fixture(t, start, stop);
	tcase_add_loop_test(t, nothing_grows_with_the_number_of_runs, 0, 2);
	tcase_add_test(t, nothing_grows_with_the_number_of_cells);
	tcase_add_test(t, the_cell_that_was_idle_longest_makes_place);
	tcase_add_test(t, idle_cells_are_kept_within_a_share_of_the_memory);
	tcase_add_loop_test(t, large_input_passes_whoever_reads_or_writes_first, 0,
			    sizeof orders / sizeof *orders);
	tcase_add_test(t, large_input_takes_no_memory_of_its_own);
	tcase_add_test(t, threads_share_cells_that_are_parked_and_drained);
	suite_add_tcase(s, t);
	return s;
}

int main(void)
{
	return bench_main(suite);
}

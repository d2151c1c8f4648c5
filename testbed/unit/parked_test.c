/* Programs that are started ahead of their requests. */
#include "testbed/unit/sandbox_common.h"

#include "sandbox/park.h"

#define INPUT_LARGE ((size_t)64 << 20)

static struct sandbox *box;

static void start(void)
{
	box = bench_start(2);
}

static void stop(void)
{
	sandbox_close(box);
	ck_assert_msg(!bench_left_behind(), "a cgroup is left");
}

static struct limits small(void)
{
	return (struct limits){ .memory_bytes = (uint64_t)32 << 20,
				.output_bytes = 2 * INPUT_LARGE,
				.wall_ms = 5000,
				.cpu_ms = 5000,
				.processes = 8,
				.open_files = 16 };
}

static struct sandbox_image *parked(const char *what, const struct limits *limits)
{
	bench_park = PARK_ON;
	return bench_image(box, "talk", what, NULL, limits);
}

static void run_fine(struct sandbox_image *image, struct slice input, struct run *run)
{
	enum err e = sandbox_run(image, input, NULL, run);

	ck_assert_msg(e == OK, "%s", err_reason());
	ck_assert_msg(run->kind == RUN_EXIT && run->code == 0, "kind %d, code %u", (int)run->kind,
		      run->code);
}

START_TEST(a_program_waits_for_its_request)
{
	struct limits limits = small();
	struct sandbox_image *image = parked("late", &limits);

	for (int i = 0; i < 5; i++) {
		CLEANUP(run) struct run run = { 0 };

		run_fine(image, slice_text("input"), &run);
		ck_assert(slice_is(buf_slice(&run.output), "input"));
		ck_assert_int_eq(run.start, i ? RUN_PARKED : RUN_FRESH);
		ck_assert(i ? run.launched_us + 50000 < run.start_us
			    : run.launched_us == run.start_us);
		ck_assert(run.start_us <= run.end_us);
		usleep(100000);
	}
	sandbox_image_drop(image);
}
END_TEST

START_TEST(its_time_runs_from_the_request_on)
{
	struct limits limits = small();

	limits.wall_ms = 400;
	struct sandbox_image *image = parked("late", &limits);
	for (int i = 0; i < 2; i++) {
		CLEANUP(run) struct run run = { 0 };

		run_fine(image, slice_text("x"), &run);
		ck_assert_int_eq(run.start, i ? RUN_PARKED : RUN_FRESH);
		usleep(800000);
	}
	sandbox_image_drop(image);
}
END_TEST

START_TEST(input_of_any_size_reaches_a_program_that_waits)
{
	static const size_t sizes[] = { 0, 1, 4096, 4097, 65536, 65537, INPUT_LARGE };
	struct limits limits = small();
	struct sandbox_image *image = parked("late", &limits);
	uint8_t *input = malloc(INPUT_LARGE);

	ck_assert_ptr_nonnull(input);
	for (size_t i = 0; i < INPUT_LARGE; i++)
		input[i] = (uint8_t)(i * 2654435761u >> 13);
	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		CLEANUP(run) struct run run = { 0 };
		struct slice all = slice_of(input, sizes[i]);

		run_fine(image, all, &run);
		ck_assert(slice_equal(buf_slice(&run.output), all));
		usleep(50000);
	}
	free(input);
	sandbox_image_drop(image);
}
END_TEST

static const struct {
	const char *what, *output;
	uint32_t code;
} hasty[] = { { "early", "early\nx", 0 }, { "end", "", 5 }, { "close", "closed\n", 0 } };

START_TEST(what_wrote_or_ended_before_its_input_is_thrown_away)
{
	struct limits limits = small();
	struct sandbox_image *image = parked(hasty[_i].what, &limits);

	enum run_start last = RUN_PARKED;
	for (int i = 0; i < 10 * PARK_SPOILED_MAX && last != RUN_REUSED; i++) {
		CLEANUP(run) struct run run = { 0 };

		ck_assert_int_eq(sandbox_run(image, slice_text("x"), NULL, &run), OK);
		ck_assert_uint_eq(run.code, hasty[_i].code);
		ck_assert_msg(slice_is(buf_slice(&run.output), hasty[_i].output), "%s: %s",
			      hasty[_i].what, buf_text(&run.output));
		last = run.start;
		usleep(50000);
	}
	/* On a busy machine it may not even have started, and so waits; but in the end it is not started ahead any more, and its cell is used again. */
	ck_assert_int_eq(last, RUN_REUSED);
	sandbox_image_drop(image);
}
END_TEST

START_TEST(after_a_drain_only_a_program_started_since_gets_input)
{
	struct limits limits = small();
	struct sandbox_image *image = parked("late", &limits);

	for (int i = 0; i < 5; i++) {
		CLEANUP(run) struct run run = { 0 };
		uint64_t drained = io_realtime_us();

		sandbox_image_drain(image);
		run_fine(image, slice_text("x"), &run);
		ck_assert(run.launched_us >= drained);
		usleep(i % 2 ? 50000 : 0);
	}
	sandbox_image_drop(image);
}
END_TEST

struct change {
	struct sandbox_image *image;
	uint64_t at;
};

static enum err drain_once(void *context, bool running)
{
	struct change *change = context;

	if (!running && !change->at) {
		sandbox_image_drain(change->image);
		change->at = io_realtime_us();
	}
	return OK;
}

/* The last moment: the run has its cell, and a program that waits in it. */
START_TEST(a_drain_just_before_the_hand_over_counts)
{
	struct limits limits = small();
	struct sandbox_image *image = parked("late", &limits);
	struct change change = { .image = image };
	const struct sandbox_watch watch = { drain_once, &change };
	CLEANUP(run) struct run first = { 0 };
	CLEANUP(run) struct run run = { 0 };

	run_fine(image, slice_text("x"), &first);
	usleep(100000);
	ck_assert_int_eq(sandbox_run_watched(image, slice_text("y"), NULL, &watch, &run), OK);
	ck_assert(change.at != 0);
	ck_assert(run.launched_us >= change.at);
	ck_assert(slice_is(buf_slice(&run.output), "y"));
	sandbox_image_drop(image);
}
END_TEST

START_TEST(other_limits_are_no_use_to_a_program_that_waits)
{
	struct limits limits = small(), narrow = small();
	struct sandbox_image *image = parked("late", &limits);
	CLEANUP(run) struct run first = { 0 };
	CLEANUP(run) struct run run = { 0 };

	narrow.open_files = 8;
	run_fine(image, slice_text("x"), &first);
	usleep(100000);
	ck_assert_int_eq(sandbox_run(image, slice_text("x"), &narrow, &run), OK);
	ck_assert_int_ne(run.start, RUN_PARKED);
	sandbox_image_drop(image);
}
END_TEST

START_TEST(without_consent_nothing_is_started_ahead)
{
	struct limits limits = small();

	bench_park = PARK_OFF;
	struct sandbox_image *image = bench_image(box, "talk", "late", NULL, &limits);
	for (int i = 0; i < 5; i++) {
		CLEANUP(run) struct run run = { 0 };

		run_fine(image, slice_text("x"), &run);
		ck_assert_int_eq(run.start, i ? RUN_REUSED : RUN_FRESH);
		usleep(20000);
	}
	sandbox_image_drop(image);
}
END_TEST

static void note(struct parking *p, bool ahead, uint64_t us, unsigned times)
{
	while (times--)
		park_note(p, ahead, us);
}

START_TEST(automatic_measures_both_ways_and_keeps_the_faster)
{
	struct parking p = { .mode = PARK_AUTO };

	ck_assert(!park_wanted(&p));
	note(&p, false, 800, PARK_TRIALS);
	ck_assert(park_wanted(&p));
	note(&p, true, 200, PARK_TRIALS);
	ck_assert(park_wanted(&p));
	note(&p, true, 790, 100 * PARK_TRIALS);
	ck_assert_msg(!park_wanted(&p), "too little is gained");
	note(&p, false, 800, PARK_AGAIN);
	ck_assert_msg(park_wanted(&p), "measured anew");
	note(&p, true, 900, PARK_TRIALS);
	ck_assert(!park_wanted(&p));
}
END_TEST

START_TEST(a_program_that_never_waits_is_left_alone)
{
	struct parking p = { .mode = PARK_ON };

	for (unsigned i = 0; i < PARK_SPOILED_MAX; i++) {
		ck_assert(park_wanted(&p));
		park_spoil(&p);
	}
	ck_assert(!park_wanted(&p));
	p.spoiled = PARK_SPOILED_MAX - 1;
	park_note(&p, true, 1);
	park_spoil(&p);
	ck_assert_msg(park_wanted(&p), "only a row of them counts");
}
END_TEST

static Suite *suite(const char *name)
{
	Suite *s = suite_create(name);
	TCase *decide = tcase_create("decision");
	TCase *t = tcase_create(name);

	tcase_add_test(decide, automatic_measures_both_ways_and_keeps_the_faster);
	tcase_add_test(decide, a_program_that_never_waits_is_left_alone);
	suite_add_tcase(s, decide);
	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, start, stop);
	tcase_add_test(t, a_program_waits_for_its_request);
	tcase_add_test(t, its_time_runs_from_the_request_on);
	tcase_add_test(t, input_of_any_size_reaches_a_program_that_waits);
	tcase_add_loop_test(t, what_wrote_or_ended_before_its_input_is_thrown_away, 0,
			    sizeof hasty / sizeof *hasty);
	tcase_add_test(t, after_a_drain_only_a_program_started_since_gets_input);
	tcase_add_test(t, a_drain_just_before_the_hand_over_counts);
	tcase_add_test(t, other_limits_are_no_use_to_a_program_that_waits);
	tcase_add_test(t, without_consent_nothing_is_started_ahead);
	suite_add_tcase(s, t);
	return s;
}

int main(void)
{
	return bench_main(suite);
}

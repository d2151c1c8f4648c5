/* A pure application's output is a function of its input, and what it needs is open to it. */
#include "testbed/unit/sandbox_common.h"

#include <signal.h>

#include "sandbox/pack.h"

static int runs = 1000; /* or $RUNS, where a machine is slow */

static struct sandbox *box;

static void start(void)
{
	box = bench_start(1);
}

static void stop(void)
{
	sandbox_close(box);
}

static struct sandbox_image *tell(const char *argument, uint8_t purity, const struct limits *limits)
{
	CLEANUP(buf) struct buf raw = BUF_INIT;

	bench_purity = purity;
	bench_package("tell", argument, NULL, limits, &raw);
	bench_purity = 0;
	return bench_add(box, buf_slice(&raw));
}

static void run_on(struct sandbox_image *image, struct slice input, struct run *out)
{
	enum err e = sandbox_run(image, input, NULL, out);

	ck_assert_msg(e == OK, "%s", err_reason());
	ck_assert_msg(out->kind == RUN_EXIT && out->code == 0, "kind %d, code %u: %s",
		      (int)out->kind, out->code, out->messages.len ? buf_text(&out->messages) : "");
}

static const char lines_in[] = "a\nb\nc\n";

static void run(struct sandbox_image *image, struct run *out)
{
	run_on(image, slice_text(lines_in), out);
}

static void same_each_time(struct sandbox_image *image, struct slice input)
{
	CLEANUP(run) struct run first = { 0 };

	run_on(image, input, &first);
	ck_assert_uint_gt(first.output.len, 0);
	for (int i = 1; i < runs; i++) {
		CLEANUP(run) struct run next = { 0 };

		run_on(image, input, &next);
		ck_assert_msg(
			next.output.len == first.output.len &&
				memcmp(next.output.data, first.output.data, first.output.len) == 0,
			"run %d: %s\nthe first: %s", i, buf_text(&next.output),
			buf_text(&first.output));
	}
}

/* The cells of a launcher are not those of the next one. */
static void same_in_another_cell(const char *argument, struct buf *wanted)
{
	CLEANUP(run) struct run again = { 0 };
	struct sandbox_image *image = tell(argument, PURE, NULL);

	run(image, &again);
	ck_assert_str_eq(buf_text(&again.output), buf_text(wanted));
	sandbox_image_drop(image);
}

START_TEST(a_pure_program_gives_one_output_in_a_thousand_runs)
{
	const char *argument = _i == 1 ? "all" : "once";
	CLEANUP(run) struct run first = { 0 };

	bench_park = _i == 2 ? PARK_ON : PARK_OFF;
	struct sandbox_image *image = tell(argument, PURE, NULL);
	bench_park = PARK_OFF;
	same_each_time(image, slice_text(lines_in));
	run(image, &first);
	sandbox_image_drop(image);
	stop();
	start();
	same_in_another_cell(argument, &first.output);
}
END_TEST

static const struct {
	const char *program; /* skipped where it is not installed */
	const char *arguments[3];
} dynamic[] = {
	{ "/usr/bin/mawk", { "{ n[$1] = NR } END { for (k in n) print k, n[k], rand() }" } },
	{ "/usr/bin/perl",
	  { "-e", "%h = map { chomp; $_ => 1 } <>; print keys %h, \\%h, rand, time, $$" } },
	{ "/usr/bin/bash",
	  { "-c", "read x; echo $x $RANDOM $$ $SECONDS $BASHPID; (exit 3); echo $?" } },
	{ "/usr/bin/sort", { "-R" } },
};

static struct sandbox_image *dynamic_image(int i, uint8_t purity)
{
	CLEANUP(buf) struct buf raw = BUF_INIT;
	struct manifest m;

	manifest_default(&m);
	m.id = slice_text("test");
	m.label = slice_text("Test");
	m.version = slice_text("1");
	m.purity = purity;
	m.argv[m.argc++] = slice_text("/app");
	for (size_t a = 0; a < 3 && dynamic[i].arguments[a]; a++)
		m.argv[m.argc++] = slice_text(dynamic[i].arguments[a]);
	enum err e = package_from_program(dynamic[i].program, &m, &raw);
	ck_assert_msg(e == OK, "%s", err_reason());
	return bench_add(box, buf_slice(&raw));
}

START_TEST(an_interpreter_gives_one_output_in_a_thousand_runs)
{
	if (access(dynamic[_i].program, X_OK))
		return;
	/* Reads random numbers, or ends. */
	bool random = strstr(dynamic[_i].program, "sort");
	struct sandbox_image *image = dynamic_image(_i, random ? PURE | NEED_RANDOM : PURE);
	if (random) {
		CLEANUP(run) struct run one = { 0 };

		run(image, &one);
		ck_assert_uint_eq(one.output.len, 6);
	} else {
		same_each_time(image, slice_text(lines_in));
	}
	sandbox_image_drop(image);
}
END_TEST

static const char *const samples[][2] = { { "screen.image", "/bin/screen" },
					  { "screen-awk.image", "/bin/screen.awk" } };

/* Under an ordinary user they are out of reach. */
START_TEST(a_sample_gives_one_output_in_a_thousand_runs)
{
	CLEANUP(buf) struct buf raw = BUF_INIT;
	CLEANUP(buf) struct buf payment = BUF_INIT;
	char path[PATH_MAX + 64];
	struct manifest m;

	if (geteuid())
		return;
	snprintf(path, sizeof path, "%s/samples/payment.xml", bench_build);
	ck_assert_int_eq(io_read_file(path, 1 << 20, &payment), OK);
	snprintf(path, sizeof path, "%s/samples/%s", bench_build, samples[_i][0]);
	manifest_default(&m);
	m.id = slice_text("test");
	m.label = slice_text("Test");
	m.version = slice_text("1");
	m.purity = PURE;
	enum err e = package_from_directory(path, samples[_i][1], &m, &raw);
	ck_assert_msg(e == OK, "%s", err_reason());
	struct sandbox_image *image = bench_add(box, buf_slice(&raw));
	same_each_time(image, buf_slice(&payment));
	sandbox_image_drop(image);
}
END_TEST

START_TEST(what_is_not_pure_differs)
{
	CLEANUP(run) struct run first = { 0 }, second = { 0 };
	struct sandbox_image *image = tell("once", 0, NULL);

	run(image, &first);
	run(image, &second);
	ck_assert_str_ne(buf_text(&first.output), buf_text(&second.output));
	sandbox_image_drop(image);
}
END_TEST

/* Line by line: what each need opens, and what it does not. */
static const struct {
	uint8_t need;
	const char *open, *closed;
} lines[] = {
	{ NEED_CLOCK, "realtime 0 ", "realtime -1 0.000000000\n" },
	{ NEED_CLOCK, "coarse 0 ", "coarse -1 0.000000000\n" },
	{ NEED_CLOCK, "cputime 0 ", "cputime -1 0.000000000\n" },
	{ NEED_CLOCK, "day 0 ", "day -1 0\n" },
	{ NEED_CLOCK, "usage 0 ", "usage -1 0\n" },
	{ NEED_CLOCK, "timer 0\n", "timer -1\n" },
	{ NEED_CLOCK, "page of clocks 1\n", "page of clocks 0\n" },
	{ NEED_CLOCK, "time 1", "time -1\n" },
	{ NEED_CLOCK, "counter ", "counter 0 0 0 0 0\n" },
	{ NEED_RANDOM, "random 8 ", "random -1 0000000000000000\n" },
	{ NEED_RANDOM, "start ", "start 9e3779b97f4a7c15\n" },
	{ NEED_MACHINE, "uname 0 ", "uname -1  \n" },
	{ NEED_MACHINE, "processors ", "processors 2 -1\n" },
};

START_TEST(a_need_opens_what_it_says_and_nothing_else)
{
	const uint8_t needs = (uint8_t)_i * 2; /* all sets of them */
	CLEANUP(run) struct run out = { 0 };
	struct sandbox_image *image = tell("once", PURE | needs, NULL);

	run(image, &out);
	const char *text = buf_text(&out.output);
	for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
		bool open = needs & lines[i].need;

		ck_assert_msg(!strstr(text, lines[i].closed) == open, "%s: %s", lines[i].closed,
			      text);
		ck_assert_msg(!open || strstr(text, lines[i].open), "%s: %s", lines[i].open, text);
	}
	sandbox_image_drop(image);
}
END_TEST

START_TEST(no_child_is_out_of_sight)
{
	CLEANUP(run) struct run out = { 0 };
	struct sandbox_image *image = tell("all", PURE, NULL);

	run(image, &out);
	ck_assert_ptr_nonnull(
		strstr(buf_text(&out.output), "out of sight: Operation not permitted"));
	ck_assert_ptr_nonnull(strstr(buf_text(&out.output), "again: process 3 ended 1, 0"));
	ck_assert_ptr_null(strstr(buf_text(&out.output), "page of clocks 1"));
	sandbox_image_drop(image);
}
END_TEST

/* Tracing takes nothing from the limits, nor from the end of a run. */
static const struct {
	const char *argument, *more;
	uint32_t wall_ms, cpu_ms;
	enum run_kind kind;
	uint32_t code;
} ends[] = {
	{ "exit", "7", 10000, 10000, RUN_EXIT, 7 },
	{ "abort", NULL, 10000, 10000, RUN_SIGNAL, SIGABRT },
	{ "term", NULL, 10000, 10000, RUN_SIGNAL, SIGTERM },
	{ "loop", NULL, 10000, 1000, RUN_TIMEOUT, 1 },
	{ "loop", NULL, 500, 10000, RUN_TIMEOUT, 0 },
	{ "sleep", NULL, 10000, 10000, RUN_EXIT, 1000 & 0xff }, /* it may not */
	{ "flood", NULL, 10000, 10000, RUN_OUTPUT, 1 },
	{ "leave", NULL, 10000, 10000, RUN_EXIT, 0 },
};

START_TEST(a_pure_program_ends_as_any_other)
{
	CLEANUP(buf) struct buf raw = BUF_INIT;
	struct limits limits;
	struct manifest m;

	manifest_default(&m);
	limits = m.limits;
	limits.wall_ms = ends[_i].wall_ms;
	limits.cpu_ms = ends[_i].cpu_ms;
	bench_purity = PURE;
	bench_package("act", ends[_i].argument, ends[_i].more, &limits, &raw);
	bench_purity = 0;
	struct sandbox_image *image = bench_add(box, buf_slice(&raw));
	for (int i = 0; i < 2; i++) {
		CLEANUP(run) struct run out = { 0 };
		enum err e = sandbox_run(image, slice_of(NULL, 0), NULL, &out);

		ck_assert_msg(e == OK, "%s: %s", ends[_i].argument, err_reason());
		ck_assert_msg(out.kind == ends[_i].kind && out.code == ends[_i].code,
			      "%s: kind %d, code %u", ends[_i].argument, (int)out.kind, out.code);
	}
	sandbox_image_drop(image);
}
END_TEST

static Suite *suite(const char *name)
{
	Suite *s = suite_create(name);
	TCase *t = tcase_create(name);

	tcase_set_timeout(t, 600);
	tcase_add_checked_fixture(t, start, stop);
	tcase_add_loop_test(t, a_pure_program_gives_one_output_in_a_thousand_runs, 0, 3);
	tcase_add_loop_test(t, an_interpreter_gives_one_output_in_a_thousand_runs, 0,
			    (int)(sizeof dynamic / sizeof *dynamic));
	tcase_add_loop_test(t, a_sample_gives_one_output_in_a_thousand_runs, 0,
			    (int)(sizeof samples / sizeof *samples));
	tcase_add_test(t, what_is_not_pure_differs);
	tcase_add_loop_test(t, a_need_opens_what_it_says_and_nothing_else, 0, NEED_ALL / 2 + 1);
	tcase_add_test(t, no_child_is_out_of_sight);
	tcase_add_loop_test(t, a_pure_program_ends_as_any_other, 0,
			    (int)(sizeof ends / sizeof *ends));
	suite_add_tcase(s, t);
	return s;
}

int main(void)
{
	const char *fewer = getenv("RUNS");

	runs = fewer ? atoi(fewer) : runs;
	return bench_main(suite);
}

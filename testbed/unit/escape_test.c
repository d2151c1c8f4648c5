/* Each program of testbed/escape tries what a cell forbids, and none gets through. */
#include "testbed/unit/sandbox_common.h"

#include <signal.h>

static struct sandbox *box;

static void start(void)
{
	box = bench_start(1);
}

static void stop(void)
{
	sandbox_close(box);
	ck_assert(!bench_left_behind());
}

static const struct {
	const char *program, *argument;
	enum run_kind kind;
	uint32_t code;
} programs[] = {
	{ "sockets", NULL, RUN_EXIT, 0 },       { "mounts", NULL, RUN_EXIT, 0 },
	{ "kernel", NULL, RUN_EXIT, 0 },        { "memory", NULL, RUN_EXIT, 0 },
	{ "files", NULL, RUN_EXIT, 0 },         { "processes", NULL, RUN_EXIT, 0 },
	{ "abi", "int80", RUN_SIGNAL, SIGSYS }, { "abi", "x32", RUN_SIGNAL, SIGSYS },
};

START_TEST(no_attempt_gets_through)
{
	struct sandbox_image *image =
		bench_image(box, programs[_i].program, programs[_i].argument, NULL, NULL);

	/* In a new cell and in a used one. */
	for (int i = 0; i < 2; i++) {
		CLEANUP(run) struct run run = { 0 };
		enum err e = sandbox_run(image, slice_of(NULL, 0), NULL, &run);

		ck_assert_msg(e == OK, "%s: %s", programs[_i].program, err_reason());
		ck_assert_msg(run.kind == programs[_i].kind && run.code == programs[_i].code &&
				      run.output.len == 0,
			      "%s: kind %d, code %u: %s", programs[_i].program, (int)run.kind,
			      run.code, run.output.len ? buf_text(&run.output) : "");
	}
	sandbox_image_drop(image);
}
END_TEST

static Suite *suite(const char *name)
{
	Suite *s = suite_create(name);
	TCase *t = tcase_create(name);

	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, start, stop);
	tcase_add_loop_test(t, no_attempt_gets_through, 0, sizeof programs / sizeof *programs);
	suite_add_tcase(s, t);
	return s;
}

int main(void)
{
	return bench_main(suite);
}

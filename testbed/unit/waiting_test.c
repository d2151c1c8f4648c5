/* waiting_test.c - who waits for a cell: in turn, in bounds, and no longer than it makes sense. */
#include "testbed/unit/sandbox_common.h"

#include <pthread.h>
#include <stdatomic.h>

static struct sandbox *box;
static struct limits limits = { .memory_bytes = (uint64_t)32 << 20,
				.output_bytes = 100000,
				.wall_ms = 5000,
				.cpu_ms = 5000,
				.processes = 8,
				.open_files = 16 };

static void start(void)
{
	box = bench_start(1);
}

/* In place of the one cell of the other tests. */
static void start_with(uint32_t cells)
{
	sandbox_close(box);
	box = bench_start(cells);
}

static void stop(void)
{
	sandbox_close(box);
	ck_assert_msg(!bench_left_behind(), "a cgroup is left");
}

/* A run in a thread of its own, and what ends it. */
struct job {
	pthread_t thread;
	struct sandbox_image *image;
	uint32_t wall_ms;
	atomic_bool give_up, started, ended;
	enum err e;
	enum run_kind kind;
	uint32_t code;
	unsigned place;
};
static atomic_uint ended;

static enum err check_job(void *context, bool running)
{
	struct job *job = context;

	if (running)
		atomic_store(&job->started, true);
	return atomic_load(&job->give_up) ? failed(ERR_STATE, "given up") : OK;
}

static void *work(void *context)
{
	struct job *job = context;
	struct limits wanted = limits;
	const struct sandbox_watch watch = { check_job, job };
	CLEANUP(run) struct run run = { 0 };

	wanted.wall_ms = job->wall_ms;
	job->e = sandbox_run_watched(job->image, slice_text("x"), &wanted, &watch, &run);
	job->kind = run.kind;
	job->code = run.code;
	job->place = atomic_fetch_add(&ended, 1);
	atomic_store(&job->ended, true);
	return NULL;
}

static void begin(struct job *job, struct sandbox_image *image, uint32_t wall_ms)
{
	job->image = image;
	job->wall_ms = wall_ms;
	ck_assert_int_eq(pthread_create(&job->thread, NULL, work, job), 0);
}

static void pause_ms(unsigned ms)
{
	nanosleep(&(struct timespec){ ms / 1000, ms % 1000 * 1000000L }, NULL);
}

static void await(atomic_bool *what)
{
	for (unsigned i = 0; i < 1000 && !atomic_load(what); i++)
		pause_ms(5);
	ck_assert(atomic_load(what));
}

START_TEST(a_run_that_nobody_waits_for_is_cancelled)
{
	struct sandbox_image *image = bench_image(box, "act", "sleep", NULL, &limits);
	struct job job = { 0 }, next = { 0 };

	begin(&job, image, 5000);
	await(&job.started);
	uint64_t began = io_monotonic_ms();
	atomic_store(&job.give_up, true);
	pthread_join(job.thread, NULL);
	ck_assert_uint_lt(io_monotonic_ms() - began, 2000);
	ck_assert_int_eq(job.e, OK);
	ck_assert_int_eq(job.kind, RUN_TIMEOUT);
	ck_assert_uint_eq(job.code, 2);
	begin(&next, image, 100);
	pthread_join(next.thread, NULL);
	ck_assert_int_eq(next.kind, RUN_TIMEOUT);
	ck_assert_uint_eq(next.code, 0);
	sandbox_image_drop(image);
}
END_TEST

START_TEST(a_wait_that_makes_no_sense_any_more_is_given_up)
{
	struct sandbox_image *image = bench_image(box, "act", "sleep", NULL, &limits);
	struct job busy = { 0 }, waits = { 0 };

	begin(&busy, image, 5000);
	await(&busy.started);
	begin(&waits, image, 5000);
	pause_ms(150);
	atomic_store(&waits.give_up, true);
	pthread_join(waits.thread, NULL);
	ck_assert_int_eq(waits.e, ERR_STATE);
	ck_assert(!atomic_load(&busy.ended));
	atomic_store(&busy.give_up, true);
	pthread_join(busy.thread, NULL);
	sandbox_image_drop(image);
}
END_TEST

START_TEST(groups_take_turns_however_many_one_sends)
{
	struct sandbox_image *many = bench_image(box, "act", "sleep", NULL, &limits);
	struct sandbox_image *one = bench_image(box, "act", "sleep", NULL, &limits);
	struct job jobs[6] = { 0 }, other = { 0 };

	sandbox_image_group(many, &many);
	sandbox_image_group(one, &one);
	atomic_store(&ended, 0);
	for (size_t i = 0; i < 6; i++)
		begin(&jobs[i], many, 200);
	pause_ms(100);
	begin(&other, one, 200);
	pthread_join(other.thread, NULL);
	/* After the one that ran, and at most one that was next. */
	ck_assert_uint_le(other.place, 2);
	for (size_t i = 0; i < 6; i++)
		pthread_join(jobs[i].thread, NULL);
	sandbox_image_drop(many);
	sandbox_image_drop(one);
}
END_TEST

/* Ends it; what it did is in the job. */
static void finish(struct job *job)
{
	atomic_store(&job->give_up, true);
	pthread_join(job->thread, NULL);
}

START_TEST(the_last_cell_is_for_a_group_that_has_none)
{
	struct job many[4] = { 0 }, other = { 0 }, third = { 0 };

	start_with(3);
	struct sandbox_image *a = bench_image(box, "act", "sleep", NULL, &limits);
	struct sandbox_image *b = bench_image(box, "act", "sleep", NULL, &limits);
	struct sandbox_image *c = bench_image(box, "act", "sleep", NULL, &limits);
	sandbox_image_group(a, &a);
	sandbox_image_group(b, &b);
	sandbox_image_group(c, &c);
	for (size_t i = 0; i < 4; i++)
		begin(&many[i], a, 5000);
	pause_ms(400);
	size_t running = 0;
	for (size_t i = 0; i < 4; i++)
		running += atomic_load(&many[i].started);
	ck_assert_uint_le(running, 2);
	/* However long those that run and those that wait may take. */
	begin(&other, b, 5000);
	await(&other.started);
	begin(&third, c, 5000);
	pause_ms(200);
	ck_assert(!atomic_load(&third.started));
	/* What becomes free now is for the group that has none, and not for one that waited longer. */
	for (size_t i = 0; i < 4; i++)
		if (atomic_load(&many[i].started)) {
			finish(&many[i]);
			many[i].image = NULL;
			break;
		}
	await(&third.started);
	for (size_t i = 0; i < 4; i++)
		if (many[i].image)
			finish(&many[i]);
	finish(&other);
	finish(&third);
	sandbox_image_drop(a);
	sandbox_image_drop(b);
	sandbox_image_drop(c);
}
END_TEST

START_TEST(the_wait_is_bounded_for_each_group)
{
	enum { N = SANDBOX_QUEUE + 6 };
	struct sandbox_image *image = bench_image(box, "act", "sleep", NULL, &limits);
	static struct job jobs[N];
	size_t turned_away = 0;

	memset(jobs, 0, sizeof jobs);
	for (size_t i = 0; i < N; i++)
		begin(&jobs[i], image, 5000);
	pause_ms(300);
	for (size_t i = 0; i < N; i++)
		atomic_store(&jobs[i].give_up, true);
	for (size_t i = 0; i < N; i++) {
		pthread_join(jobs[i].thread, NULL);
		turned_away += jobs[i].e == ERR_LIMIT;
	}
	ck_assert_uint_eq(turned_away, N - SANDBOX_QUEUE - 1);
	sandbox_image_drop(image);
}
END_TEST

static Suite *suite(const char *name)
{
	Suite *s = suite_create(name);
	TCase *t = tcase_create(name);

	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, start, stop);
	tcase_add_test(t, a_run_that_nobody_waits_for_is_cancelled);
	tcase_add_test(t, a_wait_that_makes_no_sense_any_more_is_given_up);
	tcase_add_test(t, groups_take_turns_however_many_one_sends);
	tcase_add_test(t, the_last_cell_is_for_a_group_that_has_none);
	tcase_add_test(t, the_wait_is_bounded_for_each_group);
	suite_add_tcase(s, t);
	return s;
}

int main(void)
{
	return bench_main(suite);
}

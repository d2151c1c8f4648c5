/* answers_test.c - requests with an id: run once, answered the same ever after, crash or not. */
#include <pthread.h>
#include <signal.h>
#include <sys/stat.h>
#include <time.h>

#include "audit/auditor.h"
#include "audit/proof.h"
#include "testbed/crash/moments.h"
#include "testbed/unit/world.h"

#define ID "payment 7"

static void setup(void)
{
	world_make_with("/crash/programs");
	ck_assert_ok(world_enrol(BANK_A));
	ck_assert_ok(world_load(BANK_A, "unruly"));
	world_become(BANK_A, WIRE_USER);
	world.request = slice_text(ID);
}

/* Executions and refusals in the log, of one id. */
struct found {
	struct slice id;
	const char *words;
	size_t executions, others, refusals;
};

static enum err look(void *context, const char *origin, uint64_t index, struct slice raw,
		     const struct leaf *leaf)
{
	struct found *found = context;
	(void)origin;
	(void)index;
	(void)raw;

	if (leaf->type == LEAF_EXECUTION && slice_equal(leaf->request, found->id))
		found->executions++;
	else if (leaf->type == LEAF_EXECUTION)
		found->others++;
	else if (leaf->type == LEAF_REFUSAL && found->words && leaf->reason.left)
		found->refusals += memmem(leaf->reason.p, leaf->reason.left, found->words,
					  strlen(found->words)) != NULL;
	return OK;
}

static struct found in_the_log(const char *words)
{
	struct found found = { .id = slice_text(ID), .words = words };
	struct auditor_report report;
	char path[256];

	snprintf(path, sizeof path, "%s/state/log", world.dir);
	ck_assert_ok(auditor_verify(path, buf_slice(&world.ca), look, &found, &report));
	auditor_report_free(&report);
	return found;
}

static enum err ask(enum wire_operation op, const char *input, struct outcome *out)
{
	return world_execute(world.link, BANK_A, "unruly", op, slice_text(input), out);
}

static void same(const struct outcome *a, const struct outcome *b)
{
	ck_assert_str_eq(a->label, b->label);
	ck_assert(slice_equal(buf_slice(&a->returned), buf_slice(&b->returned)));
	ck_assert(slice_equal(buf_slice(&a->compact), buf_slice(&b->compact)));
}

static void restart(void)
{
	pid_t daemon = world_daemon(), launcher = world_launcher();

	kill(daemon, SIGKILL);
	world_await_end(daemon);
	world_await_end(launcher);
	world_start();
	world_logout(BANK_A);
	world_become(BANK_A, WIRE_USER);
}

static const enum wire_operation operations[] = { OP_EXECUTE, OP_EXECUTE_FULL, OP_RUN,
						  OP_RUN_OBJECT };

START_TEST(the_same_request_runs_once_and_has_one_answer)
{
	CLEANUP(outcome) struct outcome first = { 0 }, again = { 0 }, restarted = { 0 };
	CLEANUP(buf) struct buf proof = BUF_INIT, later = BUF_INIT;

	ck_assert_ok(ask(operations[_i], "echo\nx", &first));
	ck_assert_ok(world_fetch(world.link, BANK_A, first.label, "assay:proof", &proof));
	ck_assert_ok(ask(operations[_i], "echo\nx", &again));
	same(&first, &again);
	restart();
	ck_assert_ok(ask(operations[_i], "echo\nx", &restarted));
	same(&first, &restarted);
	ck_assert_ok(world_fetch(world.link, BANK_A, first.label, "assay:proof", &later));
	ck_assert(slice_equal(buf_slice(&proof), buf_slice(&later)));
	ck_assert_uint_eq(in_the_log(NULL).executions, 1);
}
END_TEST

/* One label, one object of each kind: clients take the only one. */
START_TEST(a_repeated_request_has_its_results_once)
{
	CLEANUP(outcome) struct outcome a = { 0 }, b = { 0 };
	CLEANUP(wire) struct wire_message request, answer;
	struct slice in;
	size_t n;

	ck_assert_ok(ask(OP_RUN, "echo\nx", &a));
	ck_assert_ok(ask(OP_RUN, "echo\nx", &b));
	wire_init(&request);
	wire_init(&answer);
	link_request(&request, REQ_RESULTS, 2);
	cbor_put_text(&request.bytes, world.banks[BANK_A].serial);
	cbor_put_text(&request.bytes, a.label);
	ck_assert_ok(link_call(world.link, &request, &answer, &in));
	ck_assert_ok(cbor_take_array(&in, 64, &n));
	ck_assert_uint_eq(n, 4);
}
END_TEST

START_TEST(another_request_under_the_same_id_is_refused_and_recorded)
{
	CLEANUP(outcome) struct outcome out = { 0 }, no = { 0 };

	ck_assert_ok(ask(OP_RUN, "echo\nx", &out));
	ck_assert_err(ask(OP_RUN, "echo\ny", &no), ERR_MISMATCH);
	ck_assert_uint_eq(in_the_log("another input").refusals, 1);
	ck_assert_err(ask(OP_EXECUTE, "echo\nx", &no), ERR_MISMATCH);
	world.nonce = slice_text("a nonce of its own");
	ck_assert_err(ask(OP_RUN, "echo\nx", &no), ERR_MISMATCH);
	world.nonce = slice_of(NULL, 0);
	ck_assert_uint_eq(in_the_log("another mechanism").refusals, 2);
	/* The time limit is none of what makes it the request that it is. */
	world.time_limit = 500;
	ck_assert_ok(ask(OP_RUN, "echo\nx", &no));
	same(&out, &no);
	ck_assert_uint_eq(in_the_log(NULL).executions, 1);
}
END_TEST

START_TEST(another_application_under_the_same_id_is_refused)
{
	CLEANUP(outcome) struct outcome out = { 0 }, no = { 0 };

	world_logout(BANK_A);
	ck_assert_ok(world_load(BANK_A, "second"));
	world_become(BANK_A, WIRE_USER);
	ck_assert_ok(ask(OP_RUN, "echo\nx", &out));
	ck_assert_err(
		world_execute(world.link, BANK_A, "second", OP_RUN, slice_text("echo\nx"), &no),
		ERR_MISMATCH);
	ck_assert_uint_eq(in_the_log("another application").refusals, 1);
}
END_TEST

START_TEST(other_ids_and_none_are_other_requests)
{
	CLEANUP(outcome) struct outcome a = { 0 }, b = { 0 }, c = { 0 }, d = { 0 };

	ck_assert_ok(ask(OP_EXECUTE, "echo\nx", &a));
	world.request = slice_text("payment 8");
	ck_assert_ok(ask(OP_EXECUTE, "echo\nx", &b));
	world.request = slice_of(NULL, 0);
	ck_assert_ok(ask(OP_EXECUTE, "echo\nx", &c));
	ck_assert_ok(ask(OP_EXECUTE, "echo\nx", &d));
	ck_assert_uint_eq(in_the_log(NULL).executions, 1);
	ck_assert_uint_eq(in_the_log(NULL).others, 3);
}
END_TEST

START_TEST(a_failure_is_an_answer_too)
{
	CLEANUP(outcome) struct outcome a = { 0 }, b = { 0 }, c = { 0 };

	ck_assert_err(ask(OP_RUN, "exit 3\n", &a), ERR_FAILED);
	ck_assert_err(ask(OP_RUN, "exit 3\n", &b), ERR_FAILED);
	ck_assert_str_eq(a.label, b.label);
	restart();
	ck_assert_err(ask(OP_RUN, "exit 3\n", &c), ERR_FAILED);
	ck_assert_str_eq(a.label, c.label);
	ck_assert_uint_eq(in_the_log(NULL).executions, 1);
}
END_TEST

START_TEST(a_time_limit_of_the_request_ends_the_run)
{
	CLEANUP(outcome) struct outcome out = { 0 };
	uint64_t began = io_monotonic_ms();

	world.request = slice_of(NULL, 0);
	world.time_limit = 200;
	ck_assert_err(ask(OP_RUN, "sleep\n", &out), ERR_TIMEOUT);
	ck_assert_uint_lt(io_monotonic_ms() - began, 900);
	ck_assert_ptr_nonnull(strstr(err_reason(), "the request's time limit"));
	/* A longer one than the application's changes nothing. */
	world.time_limit = UINT32_MAX;
	ck_assert_err(ask(OP_RUN, "sleep\n", &out), ERR_TIMEOUT);
	ck_assert_ptr_nonnull(strstr(err_reason(), "its time limit"));
}
END_TEST

struct job {
	pthread_t thread;
	struct link *link;
	const char *input;
	struct outcome out;
	enum err e;
};

static void *work(void *context)
{
	struct job *job = context;

	job->e = world_execute(job->link, BANK_A, "unruly", OP_EXECUTE, slice_text(job->input),
			       &job->out);
	return NULL;
}

START_TEST(the_same_request_at_once_runs_once)
{
	struct job jobs[6] = { 0 };

	for (size_t i = 0; i < 6; i++) {
		jobs[i] = (struct job){ .input = "echo\nx" };
		ck_assert_ok(link_open(world.config, world.self, false, slice_of(NULL, 0),
				       &jobs[i].link));
		ck_assert_ok(world_prove(jobs[i].link, BANK_A, WIRE_USER));
	}
	for (size_t i = 0; i < 6; i++)
		ck_assert_int_eq(pthread_create(&jobs[i].thread, NULL, work, &jobs[i]), 0);
	for (size_t i = 0; i < 6; i++) {
		pthread_join(jobs[i].thread, NULL);
		ck_assert_ok(jobs[i].e);
		same(&jobs[0].out, &jobs[i].out);
	}
	ck_assert_uint_eq(in_the_log(NULL).executions, 1);
	for (size_t i = 0; i < 6; i++) {
		outcome_cleanup(&jobs[i].out);
		link_close(jobs[i].link);
	}
}
END_TEST

/* Whoever is gone when the answer comes gets it later. */
START_TEST(a_client_that_hangs_up_finds_its_answer)
{
	CLEANUP(outcome) struct outcome out = { 0 };
	struct job job = { .input = "sleep\n" };

	world.time_limit = 700;
	ck_assert_ok(link_open(world.config, world.self, false, slice_of(NULL, 0), &job.link));
	ck_assert_ok(world_prove(job.link, BANK_A, WIRE_USER));
	ck_assert_int_eq(pthread_create(&job.thread, NULL, work, &job), 0);
	nanosleep(&(struct timespec){ 0, 300000000 }, NULL);
	link_end(job.link);
	pthread_join(job.thread, NULL);
	ck_assert(job.e != OK);
	/* Waits for the first one, which runs on to its limit. */
	ck_assert_err(ask(OP_EXECUTE, "sleep\n", &out), ERR_TIMEOUT);
	ck_assert_ptr_nonnull(strstr(err_reason(), "took longer"));
	ck_assert_uint_eq(in_the_log(NULL).executions, 1);
	link_close(job.link);
}
END_TEST

/* Of what lies on the disk, nobody learns id, input or output. */
START_TEST(nothing_of_it_can_be_read_on_the_disk)
{
	CLEANUP(outcome) struct outcome out = { 0 };
	char command[512];

	world.request = slice_text("REQUEST-ID-XYZ");
	ck_assert_ok(ask(OP_RUN, "echo\nOUTPUT-XYZ", &out));
	snprintf(command, sizeof command,
		 "test $(ls %s/state/requests/*/* | wc -l) = 2 && "
		 "! grep -rqa -e ID-XYZ -e OUTPUT-XYZ %s/state/requests",
		 world.dir, world.dir);
	ck_assert_int_eq(system(command), 0);
}
END_TEST

/* A change to the files is noticed, and nothing runs again. */
START_TEST(a_changed_answer_is_refused_and_not_made_anew)
{
	CLEANUP(outcome) struct outcome out = { 0 }, no = { 0 };
	char command[512];

	ck_assert_ok(ask(OP_RUN, "echo\nx", &out));
	snprintf(command, sizeof command,
		 "f=$(ls %s/state/requests/*/* | sed -n %dp) && printf X | "
		 "dd of=\"$f\" bs=1 seek=90 conv=notrunc status=none",
		 world.dir, _i + 1);
	ck_assert_int_eq(system(command), 0);
	ck_assert_err(ask(OP_RUN, "echo\nx", &no), ERR_STATE);
	restart();
	ck_assert_err(ask(OP_RUN, "echo\nx", &no), ERR_STATE);
	ck_assert_uint_eq(in_the_log(NULL).executions, 1);
}
END_TEST

static void shell(const char *format)
{
	char command[512];

	snprintf(command, sizeof command, "cd %s/state/requests/* && %s", world.dir, format);
	ck_assert_int_eq(system(command), 0);
}

START_TEST(when_its_time_is_over_an_id_is_a_new_one)
{
	CLEANUP(outcome) struct outcome out = { 0 }, again = { 0 };

	ck_assert_ok(ask(OP_RUN, "echo\nx", &out));
	shell("touch -d '2 days ago' *");
	restart();
	shell("test -z \"$(ls)\"");
	ck_assert_ok(ask(OP_RUN, "echo\ny", &again));
	ck_assert_uint_eq(in_the_log(NULL).executions, 2);
}
END_TEST

/* 1 GiB is the default quota of a partition. */
START_TEST(a_used_up_quota_refuses_new_ids_and_answers_those_it_has)
{
	CLEANUP(outcome) struct outcome out = { 0 }, again = { 0 }, no = { 0 }, free = { 0 };

	ck_assert_ok(ask(OP_RUN, "echo\nx", &out));
	shell("truncate -s 1G $(printf %064d 7).proof");
	restart();
	ck_assert_ok(ask(OP_RUN, "echo\nx", &again));
	same(&out, &again);
	world.request = slice_text("payment 8");
	ck_assert_err(ask(OP_RUN, "echo\nx", &no), ERR_LIMIT);
	ck_assert_uint_eq(in_the_log("used up").refusals, 1);
	world.request = slice_of(NULL, 0);
	ck_assert_ok(ask(OP_RUN, "echo\nx", &free));
}
END_TEST

/* ---- kill -9 ---- */

static void die_at(enum moment moment)
{
	char path[256];

	snprintf(path, sizeof path, "%s/" MOMENT_FILE, world.dir);
	FILE *file = fopen(path, "we");
	ck_assert_ptr_nonnull(file);
	fprintf(file, "%d", moment);
	ck_assert_int_eq(fclose(file), 0);
}

static void start_again(pid_t daemon, pid_t launcher)
{
	world_await_end(daemon);
	world_await_end(launcher);
	world_start();
	world_logout(BANK_A);
	world_become(BANK_A, WIRE_USER);
}

/* The client does what clients do: it asks again, over and over. */
static void one_answer(enum wire_operation op, const char *input, const struct outcome *told)
{
	CLEANUP(outcome) struct outcome first = { 0 }, again = { 0 }, restarted = { 0 }, no = { 0 };
	CLEANUP(buf) struct buf proof = BUF_INIT, later = BUF_INIT;

	ck_assert_ok(ask(op, input, &first));
	if (told)
		same(told, &first);
	ck_assert_ok(world_fetch(world.link, BANK_A, first.label, "assay:proof", &proof));
	ck_assert_ok(ask(op, input, &again));
	same(&first, &again);
	restart();
	ck_assert_ok(ask(op, input, &restarted));
	same(&first, &restarted);
	ck_assert_ok(world_fetch(world.link, BANK_A, first.label, "assay:proof", &later));
	ck_assert(slice_equal(buf_slice(&proof), buf_slice(&later)));
	ck_assert_err(ask(op, "echo\nanother", &no), ERR_MISMATCH);
	struct found found = in_the_log("another input");
	ck_assert_uint_eq(found.executions, 1);
	ck_assert_uint_eq(found.others, 0);
	ck_assert_uint_eq(found.refusals, 1);
}

static void killed_at(enum moment moment, enum wire_operation op)
{
	CLEANUP(outcome) struct outcome out = { 0 };
	pid_t daemon = world_daemon(), launcher = world_launcher();

	die_at(moment);
	enum err e = ask(op, "echo\nx", &out);
	ck_assert(moment == MOMENT_AFTER_THE_ANSWER || e == ERR_GONE);
	start_again(daemon, launcher);
	one_answer(op, "echo\nx", e ? NULL : &out);
}

START_TEST(killed_before_the_run_it_runs_once)
{
	killed_at(MOMENT_BEFORE_THE_RUN, OP_EXECUTE);
}
END_TEST

START_TEST(killed_during_the_run_it_runs_again_and_counts_once)
{
	struct job job = { .link = world.link, .input = "sleep\n" };
	pid_t daemon = world_daemon(), launcher = world_launcher();

	ck_assert_int_eq(pthread_create(&job.thread, NULL, work, &job), 0);
	nanosleep(&(struct timespec){ 0, 300000000 }, NULL);
	kill(daemon, SIGKILL);
	pthread_join(job.thread, NULL);
	ck_assert_err(job.e, ERR_GONE);
	start_again(daemon, launcher);
	one_answer(OP_EXECUTE, "echo\nx", NULL);
}
END_TEST

START_TEST(killed_after_the_run_it_runs_again_and_counts_once)
{
	killed_at(MOMENT_AFTER_THE_RUN, OP_EXECUTE);
}
END_TEST

START_TEST(killed_before_the_record_it_runs_again_and_counts_once)
{
	killed_at(MOMENT_BEFORE_THE_RECORD, OP_EXECUTE);
}
END_TEST

START_TEST(killed_after_the_record_and_before_the_answer_it_is_answered)
{
	killed_at(MOMENT_AFTER_THE_RECORD, operations[_i]);
}
END_TEST

/* Whether one of the log's trees has a next shard whose genesis is in a tile. */
static bool has_shard(const char *ending)
{
	char command[400];

	snprintf(command, sizeof command, "grep -q '%s$' %s/state/log/trees/*/origin", ending,
		 world.dir);
	return system(command) == 0;
}

static void turn_early(void)
{
	char path[256];

	snprintf(path, sizeof path, "%s/assay.yaml", world.dir);
	FILE *file = fopen(path, "ae");
	ck_assert_ptr_nonnull(file);
	(void)fputs("audit:\n  shard_records: 2\n", file);
	ck_assert_int_eq(fclose(file), 0);
	restart();
	for (unsigned i = 0; i < 200 && !has_shard("/1/s2"); i++)
		nanosleep(&(struct timespec){ 0, 100000000 }, NULL);
	ck_assert(has_shard("/1/s2"));
}

START_TEST(killed_after_a_record_in_a_later_shard_it_is_answered)
{
	turn_early();
	killed_at(MOMENT_AFTER_THE_RECORD, OP_EXECUTE_FULL);
}
END_TEST

START_TEST(killed_with_the_proof_on_disk_it_is_answered)
{
	killed_at(MOMENT_BEFORE_THE_ANSWER, OP_EXECUTE_FULL);
}
END_TEST

START_TEST(killed_after_the_answer_it_is_answered_the_same)
{
	killed_at(MOMENT_AFTER_THE_ANSWER, OP_EXECUTE_FULL);
}
END_TEST

static void add(TCase *t)
{
	tcase_add_test(t, killed_before_the_run_it_runs_once);
	tcase_add_test(t, killed_after_a_record_in_a_later_shard_it_is_answered);
	tcase_add_test(t, killed_during_the_run_it_runs_again_and_counts_once);
	tcase_add_test(t, killed_after_the_run_it_runs_again_and_counts_once);
	tcase_add_test(t, killed_before_the_record_it_runs_again_and_counts_once);
	tcase_add_table(t, killed_after_the_record_and_before_the_answer_it_is_answered,
			operations);
	tcase_add_test(t, killed_with_the_proof_on_disk_it_is_answered);
	tcase_add_test(t, killed_after_the_answer_it_is_answered_the_same);
	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, setup, world_end);
	tcase_add_table(t, the_same_request_runs_once_and_has_one_answer, operations);
	tcase_add_test(t, a_repeated_request_has_its_results_once);
	tcase_add_test(t, another_request_under_the_same_id_is_refused_and_recorded);
	tcase_add_test(t, another_application_under_the_same_id_is_refused);
	tcase_add_test(t, other_ids_and_none_are_other_requests);
	tcase_add_test(t, a_failure_is_an_answer_too);
	tcase_add_test(t, a_time_limit_of_the_request_ends_the_run);
	tcase_add_test(t, the_same_request_at_once_runs_once);
	tcase_add_test(t, a_client_that_hangs_up_finds_its_answer);
	tcase_add_test(t, nothing_of_it_can_be_read_on_the_disk);
	tcase_add_test(t, when_its_time_is_over_an_id_is_a_new_one);
	tcase_add_test(t, a_used_up_quota_refuses_new_ids_and_answers_those_it_has);
	tcase_add_loop_test(t, a_changed_answer_is_refused_and_not_made_anew, 0, 2);
}

int main(void)
{
	world_golden();
	return check_run("answers", add);
}

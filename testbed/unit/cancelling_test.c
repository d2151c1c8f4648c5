/* cancelling_test.c - what was allowed at first and is so no longer: waiting or running, it ends. */
#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "audit/auditor.h"
#include "testbed/unit/world.h"

#define WALL_MS 20000

static void setup(void)
{
	world_make();
	world.wall_ms = WALL_MS;
	ck_assert_ok(world_enrol(BANK_A));
	ck_assert_ok(world_load(BANK_A, "unruly"));
	world_become(BANK_A, WIRE_USER);
}

static struct link *another_link(void)
{
	struct link *link;

	ck_assert_ok(link_open(world.config, world.self, false, slice_of(NULL, 0), &link));
	return link;
}

/* An execution in a thread of its own. */
struct job {
	pthread_t thread;
	struct link *link;
	const char *input;
	struct outcome out;
	enum err e;
	atomic_bool ended;
};

static void *work(void *context)
{
	struct job *job = context;

	job->e = world_execute(job->link, BANK_A, "unruly", OP_RUN, slice_text(job->input),
			       &job->out);
	atomic_store(&job->ended, true);
	return NULL;
}

static void pause_ms(unsigned ms)
{
	nanosleep(&(struct timespec){ ms / 1000, ms % 1000 * 1000000L }, NULL);
}

static void begin(struct job *job, struct link *link, const char *input)
{
	*job = (struct job){ .link = link, .input = input };
	ck_assert_int_eq(pthread_create(&job->thread, NULL, work, job), 0);
	pause_ms(400);
	ck_assert(!atomic_load(&job->ended));
}

/* Long before its time limit. */
static void await(struct job *job)
{
	uint64_t began = io_monotonic_ms();

	pthread_join(job->thread, NULL);
	ck_assert_uint_lt(io_monotonic_ms() - began, 5000);
}

struct found {
	enum leaf_type type;
	const char *words;
	bool cancelled;
	size_t n;
};

static enum err look(void *context, const char *origin, uint64_t index, struct slice raw,
		     const struct leaf *leaf)
{
	struct found *found = context;
	bool cancelled = leaf->has_status && leaf->status_kind == 2 && leaf->status_code == 2;
	(void)origin;
	(void)index;
	(void)raw;

	found->n += leaf->type == found->type && cancelled == found->cancelled &&
		    leaf->reason.left &&
		    memmem(leaf->reason.p, leaf->reason.left, found->words, strlen(found->words));
	return OK;
}

static size_t records(enum leaf_type type, bool cancelled, const char *words)
{
	struct found found = { type, words, cancelled, 0 };
	struct auditor_report report;
	char path[256];

	snprintf(path, sizeof path, "%s/state/log", world.dir);
	ck_assert_ok(auditor_verify(path, buf_slice(&world.ca), look, &found, &report));
	auditor_report_free(&report);
	return found.n;
}

static void check_cancelled(struct job *job, const char *words)
{
	CLEANUP(buf) struct buf got = BUF_INIT;

	await(job);
	ck_assert_err(job->e, ERR_TIMEOUT);
	ck_assert_str_ne(job->out.label, "");
	ck_assert_uint_eq(records(LEAF_EXECUTION, true, words), 1);
	ck_assert(world_fetch(world.link, BANK_A, job->out.label, "assay:output", &got) != OK);
	outcome_cleanup(&job->out);
}

START_TEST(revoked_grant_ends_what_runs_under_it)
{
	CLEANUP(outcome) struct outcome out = { 0 };
	struct link *other = another_link();
	struct job job;

	ck_assert_ok(world_prove(other, BANK_A, WIRE_USER));
	begin(&job, world.link, "sleep\n");
	/* Another link's is another grant. */
	world_revoke(other, BANK_A, WIRE_USER);
	pause_ms(200);
	ck_assert(!atomic_load(&job.ended));
	world_revoke(world.link, BANK_A, WIRE_USER);
	check_cancelled(&job, "not logged in any more");
	link_close(other);
	ck_assert_ok(world_prove(world.link, BANK_A, WIRE_USER));
	ck_assert_ok(
		world_execute(world.link, BANK_A, "unruly", OP_RUN, slice_text("echo\n"), &out));
}
END_TEST

static enum err tell(struct link *link, enum wire_request number, const char *id)
{
	CLEANUP(wire) struct wire_message request, answer;
	struct slice in;

	wire_init(&request);
	wire_init(&answer);
	link_request(&request, number, id ? 2 : 1);
	cbor_put_text(&request.bytes, world.banks[BANK_A].serial);
	if (id)
		cbor_put_text(&request.bytes, id);
	return link_call(link, &request, &answer, &in);
}

static void cancel(struct link *link, uint64_t run)
{
	CLEANUP(wire) struct wire_message request, answer;
	struct slice in;

	wire_init(&request);
	wire_init(&answer);
	link_request(&request, REQ_CANCEL, 1);
	cbor_put_uint(&request.bytes, run);
	ck_assert_ok(link_call(link, &request, &answer, &in));
}

/* Its number is the link's own: another client can't end it. */
START_TEST(a_cancelled_run_ends_and_the_next_one_runs)
{
	CLEANUP(outcome) struct outcome out = { 0 };
	struct link *other = another_link();
	struct job job;

	world.run = 7;
	begin(&job, world.link, "sleep\n");
	cancel(other, 7);
	cancel(world.link, 6);
	pause_ms(200);
	ck_assert(!atomic_load(&job.ended));
	cancel(world.link, 7);
	check_cancelled(&job, "the client cancelled it");
	world.run = 8;
	ck_assert_ok(
		world_execute(world.link, BANK_A, "unruly", OP_RUN, slice_text("echo\nx"), &out));
	link_close(other);
}
END_TEST

/* The word may come first: they take different lanes. */
START_TEST(a_run_that_was_cancelled_before_it_began_does_not_begin)
{
	CLEANUP(outcome) struct outcome out = { 0 };

	cancel(world.link, 7);
	world.run = 7;
	ck_assert_err(
		world_execute(world.link, BANK_A, "unruly", OP_RUN, slice_text("sleep\n"), &out),
		ERR_TIMEOUT);
	ck_assert_str_eq(out.label, "");
	ck_assert_uint_eq(records(LEAF_REFUSAL, false, "the client cancelled it"), 1);
}
END_TEST

START_TEST(unloaded_application_ends)
{
	struct link *other = another_link();
	struct job job;

	begin(&job, world.link, "sleep\n");
	world_logout(BANK_A);
	world_login(BANK_A, WIRE_SO);
	ck_assert_ok(world_prove(other, BANK_A, WIRE_SO));
	ck_assert_ok(tell(other, REQ_UNLOAD, "unruly"));
	check_cancelled(&job, "unloaded");
	link_close(other);
}
END_TEST

START_TEST(suspended_partition_runs_nothing_any_more)
{
	CK_UTF8CHAR label[32], pin[] = HARNESS_SO_PIN;
	struct link *other = another_link();
	struct job job;

	begin(&job, world.link, "sleep\n");
	world_logout(BANK_A);
	memset(label, ' ', sizeof label);
	memcpy(label, "bank-a", 6);
	ck_assert_uint_eq(
		world.hsm->C_InitToken(world.banks[BANK_A].slot, pin, sizeof pin - 1, label),
		CKR_OK);
	ck_assert_ok(tell(other, REQ_SUSPEND, NULL));
	check_cancelled(&job, "suspended");
	link_close(other);
}
END_TEST

START_TEST(revoked_grant_ends_the_wait_for_a_cell)
{
	struct link *other = another_link();
	struct job runs, waits;

	ck_assert_ok(world_prove(other, BANK_A, WIRE_USER));
	begin(&runs, world.link, "sleep\n");
	begin(&waits, other, "echo\n");
	world_revoke(other, BANK_A, WIRE_USER);
	await(&waits);
	ck_assert_err(waits.e, ERR_LOGIN);
	ck_assert_str_eq(waits.out.label, "");
	ck_assert_uint_eq(records(LEAF_REFUSAL, false, "not logged in any more"), 1);
	ck_assert(!atomic_load(&runs.ended));
	world_revoke(world.link, BANK_A, WIRE_USER);
	check_cancelled(&runs, "not logged in any more");
	link_close(other);
}
END_TEST

/* A client that can vanish in the middle of a call. */
static void raw_send(int fd, struct wire_message *m)
{
	ck_assert_ok(wire_send(fd, m));
	wire_cleanup(m);
	wire_init(m);
}

static struct slice raw_answer(int fd, struct wire_message *m)
{
	struct slice in, reason;
	size_t items;
	uint64_t e;

	ck_assert_ok(wire_recv(fd, m));
	in = buf_slice(&m->bytes);
	ck_assert_ok(cbor_take_array(&in, 16, &items));
	ck_assert_ok(cbor_take_uint(&in, &e));
	ck_assert_ok(cbor_take_text(&in, ERR_REASON_MAX, &reason));
	ck_assert_err((enum err)e, OK);
	return in;
}

static void raw_greet(int fd, struct wire_challenge *c)
{
	CLEANUP(wire) struct wire_message m;
	struct slice in;

	wire_init(&m);
	link_request(&m, REQ_HELLO, 2);
	cbor_put_uint(&m.bytes, WIRE_VERSION);
	cbor_put_bytes(&m.bytes, slice_of(NULL, 0));
	raw_send(fd, &m);
	in = raw_answer(fd, &m);
	ck_assert_ok(cbor_take_fixed(&in, c->boot, 16));
	ck_assert_ok(cbor_take_fixed(&in, c->connection, 16));
}

static void raw_prove(int fd, struct wire_challenge *c)
{
	struct p11 at = { world.hsm, CK_INVALID_HANDLE };
	struct bank *b = &world.banks[BANK_A];
	CLEANUP(buf) struct buf signature = BUF_INIT;
	CLEANUP(wire) struct wire_message m;
	CK_OBJECT_HANDLE key;
	uint8_t digest[32];
	struct slice in;

	wire_init(&m);
	link_request(&m, REQ_CHALLENGE, 4);
	cbor_put_text(&m.bytes, b->serial);
	cbor_put_uint(&m.bytes, WIRE_USER);
	cbor_put_uint(&m.bytes, 1);
	cbor_put_bytes(&m.bytes, SLICE(c->client_nonce));
	raw_send(fd, &m);
	in = raw_answer(fd, &m);
	ck_assert_ok(cbor_take_fixed(&in, c->daemon_nonce, 32));
	ck_assert_ok(wire_role_challenge(c, digest));
	ck_assert_uint_eq(
		world.hsm->C_OpenSession(b->slot, CKF_SERIAL_SESSION, NULL, NULL, &at.session),
		CKR_OK);
	ck_assert_ok(p11_find(at, CKO_PRIVATE_KEY, SLICE(b->key_id), &key));
	ck_assert_ok(p11_sign(at, key, digest, &signature));
	wire_cleanup(&m);
	wire_init(&m);
	link_request(&m, REQ_PROVE, 3);
	cbor_put_text(&m.bytes, b->serial);
	cbor_put_uint(&m.bytes, WIRE_USER);
	cbor_put_bytes(&m.bytes, buf_slice(&signature));
	raw_send(fd, &m);
	raw_answer(fd, &m);
}

static void raw_execute(int fd, const char *input)
{
	CLEANUP(wire) struct wire_message m;

	wire_init(&m);
	link_request(&m, REQ_EXECUTE, 9);
	cbor_put_text(&m.bytes, world.banks[BANK_A].serial);
	cbor_put_text(&m.bytes, "unruly");
	cbor_put_uint(&m.bytes, OP_RUN);
	cbor_put_bytes(&m.bytes, slice_of(NULL, 0));
	cbor_put_bytes(&m.bytes, slice_of(NULL, 0));
	cbor_put_uint(&m.bytes, 0);
	cbor_put_uint(&m.bytes, 0);
	cbor_put_text(&m.bytes, "");
	cbor_put_bytes(&m.bytes, slice_text(input));
	raw_send(fd, &m);
}

static int raw_client(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	struct wire_challenge c = { .origin = slice_text(world.banks[BANK_A].origin),
				    .serial = slice_text(world.banks[BANK_A].serial),
				    .generation = world.banks[BANK_A].generation,
				    .role = WIRE_USER,
				    .epoch = 1 };
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	strcpy(address.sun_path, world.config->socket);
	ck_assert_int_eq(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
	raw_greet(fd, &c);
	raw_prove(fd, &c);
	return fd;
}

START_TEST(client_that_hangs_up_frees_its_cell)
{
	CLEANUP(outcome) struct outcome out = { 0 };
	int runs = raw_client(), waits = raw_client();

	raw_execute(runs, "sleep\n");
	pause_ms(300);
	raw_execute(waits, "sleep\n");
	pause_ms(300);
	close(waits);
	close(runs);
	uint64_t began = io_monotonic_ms();
	ck_assert_ok(
		world_execute(world.link, BANK_A, "unruly", OP_RUN, slice_text("echo\n"), &out));
	ck_assert_uint_lt(io_monotonic_ms() - began, 3000);
	ck_assert_uint_eq(records(LEAF_EXECUTION, true, "the client has gone"), 1);
	ck_assert_uint_eq(records(LEAF_REFUSAL, false, "the client has gone"), 1);
}
END_TEST

START_TEST(a_stop_refuses_what_waits_and_lets_run_what_runs)
{
	CLEANUP(outcome) struct outcome out = { 0 };
	struct link *admin = another_link(), *other = another_link();
	CLEANUP(wire) struct wire_message request, answer;
	pid_t daemon = world_daemon();
	struct job runs, waits;
	struct slice in;

	world_logout(BANK_A);
	world.wall_ms = 3000;
	ck_assert_ok(world_load(BANK_A, "unruly"));
	world_login(BANK_A, WIRE_USER);
	ck_assert_ok(world_prove(other, BANK_A, WIRE_USER));
	/* So that the next one finds its cell at once. */
	ck_assert_ok(
		world_execute(world.link, BANK_A, "unruly", OP_RUN, slice_text("echo\n"), &out));
	begin(&runs, world.link, "sleep\n");
	begin(&waits, other, "echo\n");
	wire_init(&request);
	wire_init(&answer);
	link_request(&request, REQ_STOP, 0);
	ck_assert_ok(link_call(admin, &request, &answer, &in));
	await(&waits);
	ck_assert_err(waits.e, ERR_GONE);
	ck_assert_msg(!atomic_load(&runs.ended), "%s", err_name(runs.e));
	await(&runs);
	/* By its own time limit. */
	ck_assert_err(runs.e, ERR_TIMEOUT);
	world_await_end(daemon);
	ck_assert_uint_eq(records(LEAF_EXECUTION, false, "longer than its time limit"), 1);
	ck_assert_uint_eq(records(LEAF_REFUSAL, false, "the daemon ends"), 1);
	ck_assert_uint_eq(records(LEAF_CLOSE, false, "daemon ended"), 1);
	outcome_cleanup(&runs.out);
	link_close(admin);
	link_close(other);
}
END_TEST

static void add(TCase *t)
{
	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, setup, world_end);
	tcase_add_test(t, revoked_grant_ends_what_runs_under_it);
	tcase_add_test(t, a_cancelled_run_ends_and_the_next_one_runs);
	tcase_add_test(t, a_run_that_was_cancelled_before_it_began_does_not_begin);
	tcase_add_test(t, unloaded_application_ends);
	tcase_add_test(t, suspended_partition_runs_nothing_any_more);
	tcase_add_test(t, revoked_grant_ends_the_wait_for_a_cell);
	tcase_add_test(t, client_that_hangs_up_frees_its_cell);
	tcase_add_test(t, a_stop_refuses_what_waits_and_lets_run_what_runs);
}

int main(void)
{
	world_golden();
	return check_run("cancelling", add);
}

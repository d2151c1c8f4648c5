#include "plugin/cli/witness_state.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config/base/io.h"
#include "plugin/cli/witness_http.h"
#include "testbed/unit/appliance.h"
#include "testbed/unit/check.h"
#include "testbed/unit/hardened.h"
#include "testbed/unit/place.h"

/* A witness in a folder of its own, and the log that it watches. */
struct scene {
	char folder[64], state[80];
	struct appliance log;
	struct witness *witness;
	struct vkey key;
};

static void scene_open(struct scene *s)
{
	CLEANUP(buf) struct buf text = BUF_INIT;
	struct vkey log;
	int dir;

	memset(s, 0, sizeof *s);
	place_make(s->folder, sizeof s->folder, "w");
	snprintf(s->state, sizeof s->state, "%s/w", s->folder);
	appliance_init(&s->log);
	appliance_grow(&s->log, 3);
	ck_assert_ok(witness_make(s->state, "w.example/1", &s->key));
	ck_assert_ok(vkey_of_certificate(buf_slice(&s->log.certificate), APPLIANCE_ORIGIN, &log));
	buf_put_text(&text, "log ");
	vkey_write(&log, &text);
	buf_put_text(&text, "\n");
	dir = open(s->state, O_RDONLY | O_CLOEXEC);
	ck_assert_ok(io_replace_file(dir, "logs", 0600, buf_slice(&text)));
	close(dir);
	ck_assert_ok(witness_open(s->state, &s->witness));
}

static void scene_close(struct scene *s)
{
	witness_close(s->witness);
	appliance_free(&s->log);
	place_remove(s->folder);
}

static void reopen(struct scene *s)
{
	witness_close(s->witness);
	s->witness = NULL;
	ck_assert_ok(witness_open(s->state, &s->witness));
}

/* Asks for the log as it is now. */
static int ask(struct scene *s, uint64_t old, struct buf *answer)
{
	CLEANUP(buf) struct buf note = BUF_INIT, body = BUF_INIT;
	struct tree_path path = { .n = 0 };

	appliance_note(&s->log, APPLIANCE_ORIGIN, &note);
	if (old && old < s->log.tree.size)
		ck_assert_ok(tree_consistency(&s->log.tree, old, s->log.tree.size, &path));
	ck_assert_ok(witness_request_write(old, &path, buf_slice(&note), &body));
	buf_reset(answer);
	return witness_answer(s->witness, buf_slice(&body), answer);
}

static void newest(struct scene *s, struct buf *raw, struct note *note)
{
	uint8_t digest[SHA256_SIZE];
	char hash[2 * SHA256_SIZE + 1];

	sha256_once(slice_text(APPLIANCE_ORIGIN), digest);
	hex_put(hash, digest, sizeof digest);
	ck_assert_ok(witness_newest(s->witness, hash, raw));
	ck_assert_ok(note_read(buf_slice(raw), note));
}

START_TEST(what_was_signed_is_remembered_past_a_restart)
{
	struct scene s;
	CLEANUP(buf) struct buf answer = BUF_INIT, raw = BUF_INIT;
	struct note note;

	scene_open(&s);
	ck_assert_int_eq(ask(&s, 0, &answer), WITNESS_SIGN);
	reopen(&s);
	ck_assert_int_eq(ask(&s, 0, &answer), WITNESS_CONFLICT);
	ck_assert_str_eq(buf_text(&answer), "3\n");
	appliance_grow(&s.log, 4);
	ck_assert_int_eq(ask(&s, 3, &answer), WITNESS_SIGN);
	newest(&s, &raw, &note);
	ck_assert_uint_eq(note.size, 7);
	ck_assert_ok(vkey_verify(&s.key, &note, NULL));
	ck_assert_ok(note_verify(&note, buf_slice(&s.log.certificate)));
	scene_close(&s);
}
END_TEST

/* The disk is full, or gone: not even the next request is signed, since nobody knows what is there. */
START_TEST(nothing_is_signed_that_could_not_be_written)
{
	struct scene s;
	CLEANUP(buf) struct buf answer = BUF_INIT;
	struct rlimit old, none = { 0, RLIM_INFINITY };

	scene_open(&s);
	signal(SIGXFSZ, SIG_IGN);
	ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &old), 0);
	none.rlim_max = old.rlim_max;
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &none), 0);
	ck_assert_int_eq(ask(&s, 0, &answer), WITNESS_BROKEN);
	ck_assert_uint_eq(answer.len, 0);
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &old), 0);
	ck_assert_int_eq(ask(&s, 0, &answer), WITNESS_BROKEN);
	reopen(&s);
	ck_assert_int_eq(ask(&s, 0, &answer), WITNESS_SIGN);
	scene_close(&s);
}
END_TEST

START_TEST(a_damaged_memory_is_no_reason_to_begin_anew)
{
	struct scene s;
	CLEANUP(buf) struct buf answer = BUF_INIT, raw = BUF_INIT;
	struct note note;
	uint8_t digest[SHA256_SIZE];
	char hash[2 * SHA256_SIZE + 1], path[200];

	scene_open(&s);
	ck_assert_int_eq(ask(&s, 0, &answer), WITNESS_SIGN);
	newest(&s, &raw, &note);
	sha256_once(slice_text(APPLIANCE_ORIGIN), digest);
	hex_put(hash, digest, sizeof digest);
	snprintf(path, sizeof path, "%s/seen", s.state);
	int dir = open(path, O_RDONLY | O_CLOEXEC);
	for (size_t i = 0; i < raw.len; i += 7) {
		raw.data[i] ^= 1;
		ck_assert_ok(io_replace_file(dir, hash, 0600, buf_slice(&raw)));
		int verdict = ask(&s, 0, &answer);
		ck_assert_msg(verdict == WITNESS_BROKEN || verdict == WITNESS_CONFLICT,
			      "byte %zu: %d", i, verdict);
		raw.data[i] ^= 1;
	}
	ck_assert_ok(io_replace_file(dir, hash, 0600, slice_text("")));
	ck_assert_int_eq(ask(&s, 0, &answer), WITNESS_BROKEN);
	close(dir);
	scene_close(&s);
}
END_TEST

START_TEST(a_process_with_a_witness_key_leaves_no_core_and_no_debugger_in)
{
	struct witness *none = NULL;
	struct vkey key;

	ck_assert(!is_hardened());
	if (_i)
		ck_assert_int_ne(witness_make("/proc/none", "w.example/1", &key), OK);
	else
		ck_assert_int_ne(witness_open("/proc/none", &none), OK);
	ck_assert(is_hardened());
}
END_TEST

START_TEST(two_processes_never_share_a_directory)
{
	struct scene s;
	struct witness *second = NULL;

	scene_open(&s);
	ck_assert_err(witness_open(s.state, &second), ERR_STATE);
	scene_close(&s);
}
END_TEST

START_TEST(a_key_that_others_may_read_is_refused_and_none_is_replaced)
{
	struct scene s;
	struct witness *second = NULL;
	struct vkey key;
	char path[100];

	scene_open(&s);
	ck_assert_err(witness_make(s.state, "w.example/2", &key), ERR_EXISTS);
	witness_close(STEAL(s.witness));
	snprintf(path, sizeof path, "%s/key", s.state);
	ck_assert_int_eq(chmod(path, 0640), 0);
	ck_assert_err(witness_open(s.state, &second), ERR_DENIED);
	scene_close(&s);
}
END_TEST

struct rival {
	struct scene *scene;
	struct buf body;
	int verdict;
};

static void *race(void *argument)
{
	struct rival *rival = argument;
	CLEANUP(buf) struct buf answer = BUF_INIT;

	rival->verdict = witness_answer(rival->scene->witness, buf_slice(&rival->body), &answer);
	return NULL;
}

/* The race that the protocol's page warns of: all ask from the same size. */
START_TEST(of_requests_at_once_one_is_signed)
{
	enum { RIVALS = 8 };
	struct scene s;
	struct rival rivals[RIVALS] = { 0 };
	pthread_t threads[RIVALS];
	struct tree_path path = { .n = 0 };
	int signed_n = 0;

	scene_open(&s);
	for (int i = 0; i < RIVALS; i++) {
		CLEANUP(buf) struct buf note = BUF_INIT;

		appliance_grow(&s.log, 1);
		appliance_note(&s.log, APPLIANCE_ORIGIN, &note);
		rivals[i].scene = &s;
		ck_assert_ok(witness_request_write(0, &path, buf_slice(&note), &rivals[i].body));
	}
	for (int i = 0; i < RIVALS; i++)
		pthread_create(&threads[i], NULL, race, &rivals[i]);
	for (int i = 0; i < RIVALS; i++) {
		pthread_join(threads[i], NULL);
		ck_assert(rivals[i].verdict == WITNESS_SIGN ||
			  rivals[i].verdict == WITNESS_CONFLICT);
		signed_n += rivals[i].verdict == WITNESS_SIGN;
		buf_free(&rivals[i].body);
	}
	ck_assert_int_eq(signed_n, 1);
	scene_close(&s);
}
END_TEST

#define POST "POST /add-checkpoint HTTP/1.1\r\nHost: w\r\n"
static const struct {
	const char *why, *head;
	int status;
} heads[] = {
	{ "as curl sends it", POST "Content-Length: 12\r\nAccept: */*\r\n\r\n", 200 },
	{ "a GET", "GET /00/checkpoint HTTP/1.1\r\nHost: w\r\n\r\n", 200 },
	{ "an older version", "GET / HTTP/1.0\r\n\r\n", 200 },
	{ "a newer version", "GET / HTTP/2.0\r\n\r\n", 505 },
	{ "no version", "GET /\r\n\r\n", 400 },
	{ "two blanks", "GET  / HTTP/1.1\r\n\r\n", 400 },
	{ "nothing", "\r\n\r\n", 400 },
	{ "no end", "GET / HTTP/1.1\r\nHost: w\r\n", 400 },
	{ "lines that end otherwise", "GET / HTTP/1.1\nHost: w\r\n\r\n", 400 },
	{ "no length", POST "\r\n", 411 },
	{ "chunks", POST "Transfer-Encoding: chunked\r\n\r\n", 411 },
	{ "two lengths", POST "Content-Length: 1\r\nContent-Length: 1\r\n\r\n", 400 },
	{ "a length with a sign", POST "Content-Length: +1\r\n\r\n", 400 },
	{ "no number", POST "Content-Length:\r\n\r\n", 400 },
	{ "too much", POST "Content-Length: 1000000\r\n\r\n", 413 },
	{ "far too much", POST "Content-Length: 99999999999999999999\r\n\r\n", 413 },
	{ "a field with a blank in its name", POST "Content-Length : 1\r\n\r\n", 400 },
	{ "a field with a vertical tab in its name",
	  POST "Content-Length: 1\r\nTransfer-Encoding\v: chunked\r\n\r\n", 400 },
	{ "a folded line", POST "Content-Length: 1\r\n x\r\n\r\n", 400 },
	{ "a field without a colon", POST "Content-Length\r\n\r\n", 400 },
	{ "another expectation", POST "Content-Length: 1\r\nExpect: more\r\n\r\n", 417 },
};

START_TEST(heads_of_requests_are_taken_or_refused)
{
	struct http_request r;

	ck_assert_msg(http_read_head(slice_text(heads[_i].head), &r) == heads[_i].status, "%s",
		      heads[_i].why);
}
END_TEST

START_TEST(an_address_is_bounded)
{
	CLEANUP(buf) struct buf head = BUF_INIT;
	struct http_request r;

	buf_put_text(&head, "GET /");
	memset(buf_add(&head, 300), 'a', 300);
	buf_put_text(&head, " HTTP/1.1\r\n\r\n");
	ck_assert_int_eq(http_read_head(buf_slice(&head), &r), 414);
}
END_TEST

/* A place in a full house: who has one and says nothing, or half a word. */
START_TEST(silence_loses_its_place_when_others_wait)
{
	static const char *const said[] = { "", "POST /add-ch" };
	atomic_bool full = true;
	struct scene s;
	int ends[2];

	scene_open(&s);
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
	ck_assert_int_eq(write(ends[0], said[_i], strlen(said[_i])), (int)strlen(said[_i]));
	uint64_t start = io_monotonic_ms();
	http_serve(s.witness, ends[1], &full);
	ck_assert_uint_lt(io_monotonic_ms() - start, 8000);
	close(ends[0]);
	scene_close(&s);
}
END_TEST

static void add(TCase *t)
{
	tcase_add_test(t, what_was_signed_is_remembered_past_a_restart);
	tcase_add_test(t, nothing_is_signed_that_could_not_be_written);
	tcase_add_test(t, a_damaged_memory_is_no_reason_to_begin_anew);
	tcase_add_loop_test(t, a_process_with_a_witness_key_leaves_no_core_and_no_debugger_in, 0,
			    2);
	tcase_add_test(t, two_processes_never_share_a_directory);
	tcase_add_test(t, a_key_that_others_may_read_is_refused_and_none_is_replaced);
	tcase_add_test(t, of_requests_at_once_one_is_signed);
	tcase_add_table(t, heads_of_requests_are_taken_or_refused, heads);
	tcase_add_test(t, an_address_is_bounded);
	tcase_add_loop_test(t, silence_loses_its_place_when_others_wait, 0, 2);
}

int main(void)
{
	return check_run("witness_state", add);
}

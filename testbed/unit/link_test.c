/* link_test.c - the client's end of the link, against a small server in the test. */
#include "testbed/unit/server.h"
#include "testbed/unit/place.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>

static char dir[64], path[96];

/* How the server behaves; set before it starts. */
static struct {
	_Atomic size_t lanes_max;
	const char *greeting; /* in place of the right one */
	size_t greeting_n;
	bool drops; /* ends each connection at the first request after greeting */
	bool slow;  /* answers after longer than a short request may take */
	enum err fails_with;
} server;

static _Atomic size_t lanes, runs;
static atomic_bool server_runs; /* EXECUTE waits until it is false again */

static void greet(struct wire_message *m)
{
	server_greet(m);
	if (server.greeting) {
		buf_reset(&m->bytes);
		buf_put(&m->bytes, server.greeting, server.greeting_n);
	}
}

static void echo(struct wire_message *m, struct slice in)
{
	struct slice payload;
	bool mapped;

	ck_assert_ok(wire_take_payload(m, &in, WIRE_PAYLOAD_MAX, &payload, &mapped));
	CLEANUP(wire) struct wire_message out;
	wire_init(&out);
	server_answer(&out, 1, server.fails_with, server.fails_with ? "because" : "");
	ck_assert_ok(wire_put_payload(&out, payload));
	if (mapped)
		io_unmap(&payload);
	struct wire_message swap = *m;
	*m = out;
	out = swap;
}

static bool handle(struct wire_message *m, uint64_t number, struct slice in)
{
	struct slice given;

	if (number == REQ_HELLO) {
		greet(m);
	} else if (number == REQ_ATTACH) {
		ck_assert_ok(cbor_take_bytes(&in, 32, &given));
		bool fits = slice_equal(given, SLICE(server_secret)) && ++lanes <= server.lanes_max;
		server_answer(m, 0, fits ? OK : ERR_LIMIT, fits ? "" : "no more lanes");
	} else {
		if (server.drops)
			return false;
		runs += number == REQ_EXECUTE;
		while (number == REQ_EXECUTE && server_runs)
			usleep(1000);
		usleep(server.slow ? 11000000 : 1000);
		echo(m, in);
	}
	return true;
}

static struct config config;

static void setup(void)
{
	place_make(dir, sizeof dir, "link");
	snprintf(path, sizeof path, "%s/s", dir);
	config = (struct config){ .socket = path, .state = dir, .programs = dir };
	config.sandbox_cells = 1;
	memset(&server, 0, sizeof server);
	server.lanes_max = 1000;
	lanes = runs = 0;
	server_handler = handle;
}

static void teardown(void)
{
	char log[96];

	snprintf(log, sizeof log, "%s/assayd.log", dir);
	unlink(log);
	unlink(path);
	rmdir(dir);
}

static enum err asked(struct link *link, enum wire_request number, struct slice sent)
{
	CLEANUP(wire) struct wire_message request, answer;
	struct slice in, got;
	bool mapped;
	enum err e;

	wire_init(&request);
	wire_init(&answer);
	link_request(&request, number, 1);
	ck_assert_ok(wire_put_payload(&request, sent));
	if ((e = link_call(link, &request, &answer, &in)))
		return e;
	ck_assert_ok(wire_take_payload(&answer, &in, WIRE_PAYLOAD_MAX, &got, &mapped));
	ck_assert(slice_equal(got, sent));
	if (mapped)
		io_unmap(&got);
	return OK;
}

static enum err echoed(struct link *link, struct slice sent)
{
	return asked(link, REQ_STATUS, sent);
}

static struct link *opened(void)
{
	struct link *link = NULL;

	ck_assert_ok(link_open(&config, "/nowhere/assay.so", false, slice_of(NULL, 0), &link));
	return link;
}

START_TEST(greets_and_calls)
{
	static uint8_t large[300000] = { 1, 2, 3 };

	server_start(path);
	struct link *link = opened();
	ck_assert_str_eq((const char *)link_boot_id(link), "boot");
	ck_assert_str_eq((const char *)link_connection_id(link), "connection");
	ck_assert_str_eq(link_token_serial(link), "0123456789abcdef");
	ck_assert_int_eq(link_mode(link), MODE_DEVELOPMENT);
	ck_assert_ok(echoed(link, slice_of(NULL, 0)));
	ck_assert_ok(echoed(link, slice_text("some bytes")));
	ck_assert_ok(echoed(link, SLICE(large)));
	ck_assert_uint_eq(lanes, 0);
	link_close(link);
}
END_TEST

START_TEST(hands_up_the_daemons_words)
{
	server_start(path);
	struct link *link = opened();
	server.fails_with = ERR_LIMIT;
	ck_assert_err(echoed(link, slice_text("x")), ERR_LIMIT);
	ck_assert_str_eq(err_reason(), "because");
	server.fails_with = OK;
	ck_assert_ok(echoed(link, slice_text("x")));
	link_close(link);
}
END_TEST

static struct link *shared;

static void *call_often(void *unused)
{
	for (int i = 0; i < 50; i++) {
		char text[32];

		snprintf(text, sizeof text, "%d of %lx", i, (unsigned long)pthread_self());
		if (echoed(shared, slice_text(text)))
			return shared;
	}
	return unused;
}

static void with_eight_threads(void)
{
	pthread_t threads[8];

	shared = opened();
	for (size_t i = 0; i < 8; i++)
		pthread_create(&threads[i], NULL, call_often, NULL);
	for (size_t i = 0; i < 8; i++) {
		void *bad;

		pthread_join(threads[i], &bad);
		ck_assert_ptr_null(bad);
	}
	link_close(shared);
}

START_TEST(eight_threads_have_a_lane_each)
{
	server_start(path);
	with_eight_threads();
	ck_assert_uint_ge(lanes, 1);
	ck_assert_uint_le(lanes, 7);
}
END_TEST

START_TEST(threads_share_the_lanes_that_a_daemon_allows)
{
	server.lanes_max = 2;
	server_start(path);
	with_eight_threads();
}
END_TEST

static void *run_once(void *unused)
{
	(void)unused;
	return (void *)(intptr_t)asked(shared, REQ_EXECUTE, slice_text("input"));
}

static void two_runs(pthread_t threads[2])
{
	shared = opened();
	server_runs = true;
	for (size_t i = 0; i < 2; i++)
		pthread_create(&threads[i], NULL, run_once, NULL);
	while (!runs)
		usleep(1000);
	usleep(50000);
}

static void both_end_with(pthread_t threads[2], enum err wanted)
{
	for (size_t i = 0; i < 2; i++) {
		void *e;

		pthread_join(threads[i], &e);
		ck_assert_int_eq((intptr_t)e, wanted);
	}
	link_close(shared);
}

/* Two applications, one lane for such: the second waits for the first, nothing else for either. */
START_TEST(short_requests_never_wait_for_an_application)
{
	pthread_t threads[2];

	server.lanes_max = 1;
	server_start(path);
	two_runs(threads);
	ck_assert_uint_eq(runs, 1);
	uint64_t began = io_monotonic_ms();
	for (int i = 0; i < 20; i++)
		ck_assert_ok(echoed(shared, slice_text("quick")));
	ck_assert_uint_lt(io_monotonic_ms() - began, 1000);
	ck_assert_uint_eq(runs, 1);
	server_runs = false;
	both_end_with(threads, OK);
	ck_assert_uint_eq(runs, 2);
}
END_TEST

START_TEST(a_daemon_is_asked_for_lanes_again_after_a_second)
{
	pthread_t threads[2];

	server.lanes_max = 1;
	server_start(path);
	two_runs(threads);
	server.lanes_max = 100;
	uint64_t began = io_monotonic_ms();
	while (runs < 2 && io_monotonic_ms() - began < 5000)
		usleep(1000);
	ck_assert_uint_eq(runs, 2);
	server_runs = false;
	both_end_with(threads, OK);
}
END_TEST

START_TEST(a_link_that_is_ended_lets_its_callers_go)
{
	pthread_t threads[2];

	server_start(path);
	two_runs(threads);
	link_end(shared);
	ck_assert_err(echoed(shared, slice_text("x")), ERR_GONE);
	both_end_with(threads, ERR_GONE);
	server_runs = false;
}
END_TEST

START_TEST(no_daemon_is_gone)
{
	struct link *link;

	ck_assert_err(link_open(&config, "/x", false, slice_of(NULL, 0), &link), ERR_GONE);
	close(server_listen(path));
	ck_assert_err(link_open(&config, "/x", false, slice_of(NULL, 0), &link), ERR_GONE);
}
END_TEST

START_TEST(a_daemon_that_ends_is_gone_for_good)
{
	server.drops = true;
	server_start(path);
	struct link *link = opened();
	ck_assert_err(echoed(link, slice_text("x")), ERR_GONE);
	ck_assert_err(echoed(link, slice_text("x")), ERR_GONE);
	link_close(link);
}
END_TEST

static const struct {
	const char *why, *bytes;
	size_t n;
} greetings[] = {
	{ "not CBOR", "\xff", 1 },
	{ "not an array", "\x01", 1 },
	{ "no reason", "\x81\x00", 2 },
	{ "no results", "\x82\x00\x60", 3 },
	{ "an unknown result", "\x82\x18\x63\x60", 4 },
	{ "a boot id of 2 bytes", "\x87\x00\x60\x42xx", 6 },
};

START_TEST(a_malformed_greeting_is_refused)
{
	struct link *link;

	server.greeting = greetings[_i].bytes;
	server.greeting_n = greetings[_i].n;
	server_start(path);
	ck_assert_msg(link_open(&config, "/x", false, slice_of(NULL, 0), &link) == ERR_FORMAT,
		      "%s: %s", greetings[_i].why, err_reason());
}
END_TEST

/* Runs @act in a process of user 64001, which must be root to become it. */
static int as_other_user(int (*act)(void))
{
	pid_t pid = fork();
	int status;

	if (pid == 0)
		_exit(setresuid(64001, 64001, 64001) ? 99 : act());
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	return WEXITSTATUS(status);
}

static int open_as_client(void)
{
	struct link *link;

	return (int)link_open(&config, "/x", false, slice_of(NULL, 0), &link);
}

static int squat(void)
{
	int fd = server_start(path);

	sleep(2);
	close(fd);
	return 0;
}

START_TEST(a_socket_squatted_by_another_user_is_refused)
{
	struct link *link;
	pid_t pid;

	if (geteuid() != 0)
		return;
	chmod(dir, 0777);
	config.users_daemon = 64002;
	if ((pid = fork()) == 0)
		_exit(setresuid(64001, 64001, 64001) ? 99 : squat());
	usleep(300000);
	for (int mode = MODE_DEVELOPMENT; mode <= MODE_APPLIANCE; mode++) {
		config.mode = (enum config_mode)mode;
		ck_assert_err(link_open(&config, "/x", false, slice_of(NULL, 0), &link),
			      ERR_DENIED);
	}
	config.users_daemon = 64001;
	ck_assert_ok(link_open(&config, "/x", false, slice_of(NULL, 0), &link));
	link_close(link);
	/* A client of the squatter's own user trusts itself in development mode only. */
	config.users_daemon = 64002;
	config.mode = MODE_DEVELOPMENT;
	ck_assert_int_eq(as_other_user(open_as_client), OK);
	config.mode = MODE_APPLIANCE;
	ck_assert_int_eq(as_other_user(open_as_client), ERR_DENIED);
	waitpid(pid, NULL, 0);
}
END_TEST

START_TEST(a_silent_socket_does_not_hang_its_client)
{
	struct link *link;
	uint64_t start = io_monotonic_ms();

	server_handler = NULL;
	server_start(path);
	ck_assert_err(link_open(&config, "/x", false, slice_of(NULL, 0), &link), ERR_TIMEOUT);
	ck_assert_uint_lt(io_monotonic_ms() - start, 12000);
}
END_TEST

static void *call_once(void *number)
{
	return (void *)(intptr_t)asked(shared, (enum wire_request)(intptr_t)number,
				       slice_text("x"));
}

/* A token, or an administrator's disk, may be slow; a daemon that leaves a short question is not there. */
START_TEST(only_a_short_request_is_given_up)
{
	static const enum wire_request numbers[] = {
		REQ_ENROLL, REQ_POLICY_SET, REQ_SHRED, REQ_ROLLOVER, REQ_PRUNE, REQ_STATUS,
	};
	pthread_t threads[6];

	server.slow = true;
	server_start(path);
	shared = opened();
	for (size_t i = 0; i < 6; i++)
		pthread_create(&threads[i], NULL, call_once, (void *)(intptr_t)numbers[i]);
	for (size_t i = 0; i < 6; i++) {
		void *e;

		pthread_join(threads[i], &e);
		ck_assert_int_eq((intptr_t)e, numbers[i] == REQ_STATUS ? ERR_TIMEOUT : OK);
	}
	link_close(shared);
}
END_TEST

START_TEST(a_child_lets_go_of_the_link)
{
	server_start(path);
	struct link *link = opened();
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		link_abandon(link);
		_exit(0);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
	ck_assert_ok(echoed(link, slice_text("still here")));
	link_close(link);
}
END_TEST

/* Serves one connection by hand: how it ended. */
static void *serve_one(void *listening)
{
	CLEANUP(fd) int fd = accept4((int)(intptr_t)listening, NULL, NULL, SOCK_CLOEXEC);
	CLEANUP(wire) struct wire_message m;

	wire_init(&m);
	ck_assert_ok(wire_recv(fd, &m));
	server_greet(&m);
	ck_assert_ok(wire_send(fd, &m));
	return (void *)(intptr_t)wire_recv(fd, &m);
}

/* One made past every handler, as by clone: it keeps the descriptors and knows nothing of them. */
START_TEST(a_link_that_is_closed_ends_whoever_inherited_it)
{
	pthread_t thread;
	void *end;
	int listening = server_listen(path);

	pthread_create(&thread, NULL, serve_one, (void *)(intptr_t)listening);
	struct link *link = opened();
	pid_t pid = fork();
	if (pid == 0)
		pause();
	link_close(link);
	pthread_join(thread, &end);
	ck_assert_int_eq((intptr_t)end, ERR_GONE);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	close(listening);
}
END_TEST

static void write_launcher(const char *script)
{
	char file[96];

	snprintf(file, sizeof file, "%s/assay-launcher", dir);
	FILE *f = fopen(file, "we");
	ck_assert_ptr_nonnull(f);
	fputs(script, f);
	fclose(f);
	chmod(file, 0755);
}

static void read_record(char *text, size_t n)
{
	char file[96];

	snprintf(file, sizeof file, "%s/record", dir);
	FILE *f = fopen(file, "re");
	ck_assert_ptr_nonnull(f);
	text[fread(text, 1, n - 1, f)] = 0;
	fclose(f);
	unlink(file);
}

/* A stand-in for the launcher that writes down how it was started. */
START_TEST(a_launcher_starts_with_nothing_of_its_host)
{
	char script[512], text[2048], launcher[96];

	snprintf(script, sizeof script,
		 "#!/bin/sh\n{ pwd; /usr/bin/env | /bin/grep -v ^PWD= | /bin/grep -v ^_=\n"
		 "/bin/grep -E 'SigBlk|SigIgn' /proc/self/status\n/bin/ls /proc/$$/fd\necho $@; } "
		 ">%s/record\n",
		 dir);
	write_launcher(script);
	setenv("ASSAY_TEST_VARIABLE", "leaked", 1);
	signal(SIGPIPE, SIG_IGN);
	int leaked = dup(2);
	config.sandbox_uid_base = 2000000000;
	config.sandbox_allow_missing = (struct config_list){ { "pids", "cpu" }, 2 };
	ck_assert_err(link_start_daemon(&config, "/x", 300), ERR_GONE);
	close(leaked);
	read_record(text, sizeof text);
	ck_assert_msg(strncmp(text, "/\n", 2) == 0, "%s", text);
	ck_assert_ptr_null(strstr(text, "leaked"));
	ck_assert_msg(strstr(text, "SigBlk:\t0000000000000000") != NULL, "%s", text);
	/* Signals 32 and 33 are glibc's own, which posix_spawn leaves ignored. */
	ck_assert_msg(strstr(text, "SigIgn:\t0000000180000000") != NULL, "%s", text);
	ck_assert_msg(strstr(text, "--uid-base 2000000000 --name ") != NULL, "%s", text);
	ck_assert_msg(strstr(text, "--allow-missing pids cpu --cells 1 -- ") != NULL, "%s", text);
	ck_assert_ptr_null(strstr(text, "--daemon-uid"));
	/* What the shell itself opens: the script, and its saved stdout. */
	ck_assert_msg(strstr(text, "\n0\n1\n10\n11\n2\n--") != NULL, "%s", text);
	snprintf(launcher, sizeof launcher, "%s/assay-launcher", dir);
	unlink(launcher);
}
END_TEST

static void add(TCase *t)
{
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, greets_and_calls);
	tcase_add_test(t, hands_up_the_daemons_words);
	tcase_add_test(t, eight_threads_have_a_lane_each);
	tcase_add_test(t, threads_share_the_lanes_that_a_daemon_allows);
	tcase_add_test(t, short_requests_never_wait_for_an_application);
	tcase_add_test(t, a_daemon_is_asked_for_lanes_again_after_a_second);
	tcase_add_test(t, a_link_that_is_ended_lets_its_callers_go);
	tcase_add_test(t, no_daemon_is_gone);
	tcase_add_test(t, a_daemon_that_ends_is_gone_for_good);
	tcase_add_table(t, a_malformed_greeting_is_refused, greetings);
	tcase_add_test(t, a_socket_squatted_by_another_user_is_refused);
	tcase_add_test(t, a_silent_socket_does_not_hang_its_client);
	tcase_add_test(t, only_a_short_request_is_given_up);
	tcase_add_test(t, a_child_lets_go_of_the_link);
	tcase_add_test(t, a_link_that_is_closed_ends_whoever_inherited_it);
	tcase_add_test(t, a_launcher_starts_with_nothing_of_its_host);
}

int main(void)
{
	return check_run("link", add);
}

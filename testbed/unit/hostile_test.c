/* hostile_test.c - a client without manners: malformed requests, too many of them, too many connections. */
#include <dirent.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>

#include "testbed/unit/banks.h"

/* A connection without the courtesy of link.h. */
static int raw_connection(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	strcpy(address.sun_path, world.config->socket);
	ck_assert_int_eq(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
	return fd;
}

static enum err raw_call(int fd, const void *bytes, size_t n)
{
	CLEANUP(wire) struct wire_message answer;
	struct slice in;
	uint64_t e;
	size_t items;

	wire_init(&answer);
	ck_assert_ok(io_send_message(fd, slice_of(bytes, n), NULL, 0));
	ck_assert_ok(wire_recv(fd, &answer));
	in = buf_slice(&answer.bytes);
	ck_assert_ok(cbor_take_array(&in, 16, &items));
	ck_assert_ok(cbor_take_uint(&in, &e));
	return (enum err)e;
}

static const uint8_t hello[] = { 0x83, REQ_HELLO, WIRE_VERSION, 0x40 };

static const struct {
	const char *why;
	uint8_t bytes[8];
	size_t n;
	enum err e;
} malformed[] = {
	{ "no array", { 0x01 }, 1, ERR_FORMAT },
	{ "an empty array", { 0x80 }, 1, ERR_FORMAT },
	{ "an unknown request", { 0x81, 0x18, 99 }, 3, ERR_UNSUPPORTED },
	{ "half a request", { 0x82, REQ_HELLO }, 2, ERR_FORMAT },
	{ "HELLO with an argument too many",
	  { 0x84, REQ_HELLO, WIRE_VERSION, 0x40, 0x40 },
	  5,
	  ERR_FORMAT },
	{ "HELLO of another version",
	  { 0x83, REQ_HELLO, WIRE_VERSION + 1, 0x40 },
	  4,
	  ERR_UNSUPPORTED },
	{ "HELLO with something behind",
	  { 0x83, REQ_HELLO, WIRE_VERSION, 0x40, 0x00 },
	  5,
	  ERR_FORMAT },
	{ "PARTITIONS before HELLO", { 0x81, REQ_PARTITIONS }, 2, ERR_STATE },
	{ "a number too long by a byte", { 0x81, 0x18, REQ_PARTITIONS }, 3, ERR_FORMAT },
};

START_TEST(malformed_requests_are_answered_and_harm_nobody)
{
	for (size_t i = 0; i < sizeof malformed / sizeof *malformed; i++) {
		CLEANUP(fd) int fd = raw_connection();

		ck_assert_msg(raw_call(fd, malformed[i].bytes, malformed[i].n) == malformed[i].e,
			      "%s", malformed[i].why);
		ck_assert_int_eq(raw_call(fd, hello, sizeof hello), OK);
	}
	ck_assert_err(run(world.link, BANK_A, "unruly"), ERR_LOGIN);
}
END_TEST

START_TEST(a_guess_at_another_links_secret_is_refused)
{
	CLEANUP(fd) int fd = raw_connection();
	uint8_t attach[36] = { 0x82, REQ_ATTACH, 0x58, 32 };

	ck_assert_int_eq(raw_call(fd, attach, sizeof attach), ERR_DENIED);
	ck_assert_int_eq(raw_call(fd, hello, sizeof hello), OK);
}
END_TEST

static size_t descriptors(pid_t pid)
{
	char path[64];
	size_t n = 0;

	snprintf(path, sizeof path, "/proc/%d/fd", pid);
	DIR *dir = opendir(path);
	ck_assert_ptr_nonnull(dir);
	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

START_TEST(descriptors_that_a_request_has_no_use_for_are_not_kept)
{
	CLEANUP(fd) int fd = raw_connection();
	CLEANUP(wire) struct wire_message answer;
	int fds[IO_FDS_MAX];
	pid_t daemon = world_daemon();
	size_t before = descriptors(daemon);
	struct slice in;
	uint64_t e;
	size_t items;

	wire_init(&answer);
	for (size_t i = 0; i < IO_FDS_MAX; i++)
		fds[i] = fd;
	ck_assert_ok(io_send_message(fd, SLICE(hello), fds, IO_FDS_MAX));
	ck_assert_ok(wire_recv(fd, &answer));
	in = buf_slice(&answer.bytes);
	ck_assert_ok(cbor_take_array(&in, 16, &items));
	ck_assert_ok(cbor_take_uint(&in, &e));
	ck_assert_err((enum err)e, ERR_FORMAT);
	ck_assert_uint_le(descriptors(daemon), before + 2);
	ck_assert_int_eq(raw_call(fd, hello, sizeof hello), OK);
}
END_TEST

/* Every request in a well-formed version, to be spoilt. */
static void sample(unsigned which, struct buf *out)
{
	static const struct {
		unsigned number, arguments;
	} samples[] = {
#define REQUEST(name, number, who, pace) { number, 0 },
#include "plugin/requests.def"
#undef REQUEST
	};
	unsigned n = which % (sizeof samples / sizeof *samples);

	cbor_put_array(out, 8);
	cbor_put_uint(out, samples[n].number);
	cbor_put_text(out, world.banks[BANK_A].serial);
	cbor_put_text(out, "unruly");
	cbor_put_uint(out, 1);
	cbor_put_bytes(out, slice_of(NULL, 0));
	cbor_put_bytes(out, slice_of(NULL, 0));
	cbor_put_text(out, "label");
	cbor_put_bytes(out, slice_text("echo\n"));
}

START_TEST(spoilt_requests_never_end_the_daemon)
{
	pid_t daemon = world_daemon();
	unsigned seed = 7;

	for (unsigned i = 0; i < 250; i++) {
		CLEANUP(fd) int fd = raw_connection();
		CLEANUP(buf) struct buf request = BUF_INIT;

		ck_assert_int_eq(raw_call(fd, hello, sizeof hello), OK);
		sample((unsigned)rand_r(&seed), &request);
		for (unsigned j = rand_r(&seed) % 4; j; j--)
			request.data[(unsigned)rand_r(&seed) % request.len] ^=
				(uint8_t)(1 << rand_r(&seed) % 8);
		request.len -=
			(unsigned)rand_r(&seed) % 3 ? 0 : (unsigned)rand_r(&seed) % request.len;
		/* Whole or in part, STOP would be obeyed. */
		if (request.len < 2 || request.data[1] == REQ_STOP)
			continue;
		(void)!raw_call(fd, request.data, request.len);
	}
	ck_assert_int_eq(world_daemon(), daemon);
	ck_assert_err(run(world.link, BANK_A, "unruly"), ERR_LOGIN);
}
END_TEST

START_TEST(one_user_does_not_take_every_connection)
{
	int fds[256];
	size_t open = 0;

	for (size_t i = 0; i < 256; i++) {
		CLEANUP(wire) struct wire_message answer;

		wire_init(&answer);
		fds[i] = raw_connection();
		if (!io_send_message(fds[i], SLICE(hello), NULL, 0) && !wire_recv(fds[i], &answer))
			open++;
	}
	ck_assert_uint_gt(open, 100);
	ck_assert_uint_le(open, 192);
	for (size_t i = 0; i < 256; i++)
		close(fds[i]);
	ck_assert_err(run(world.link, BANK_A, "unruly"), ERR_LOGIN);
	struct link *link = another_link();
	link_close(link);
}
END_TEST

START_TEST(flood_of_refusals_is_slowed_down)
{
	uint64_t start = io_monotonic_ms();

	for (unsigned i = 0; i < 45; i++)
		ck_assert_err(run(world.link, BANK_A, "unruly"), ERR_LOGIN);
	ck_assert_uint_ge(io_monotonic_ms() - start, 500);
}
END_TEST

START_TEST(reconnecting_brings_no_patience_back)
{
	uint64_t start = io_monotonic_ms();

	for (unsigned i = 0; i < 45; i++) {
		struct link *link = another_link();

		ck_assert_err(run(link, BANK_A, "unruly"), ERR_LOGIN);
		link_close(link);
	}
	ck_assert_uint_ge(io_monotonic_ms() - start, 900);
	nanosleep(&(struct timespec){ 2, 500000000 }, NULL);
	ck_assert_uint_lt(refusals(BANK_A, "not logged in"), 42);
	ck_assert_uint_ge(refusals(BANK_A, "times more"), 1);
}
END_TEST

static void add(TCase *t)
{
	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, banks_setup, world_end);
	tcase_add_test(t, malformed_requests_are_answered_and_harm_nobody);
	tcase_add_test(t, a_guess_at_another_links_secret_is_refused);
	tcase_add_test(t, descriptors_that_a_request_has_no_use_for_are_not_kept);
	tcase_add_test(t, spoilt_requests_never_end_the_daemon);
	tcase_add_test(t, one_user_does_not_take_every_connection);
	tcase_add_test(t, flood_of_refusals_is_slowed_down);
	tcase_add_test(t, reconnecting_brings_no_patience_back);
}

int main(void)
{
	world_golden();
	return check_run("hostile", add);
}

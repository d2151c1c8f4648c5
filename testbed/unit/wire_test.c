/* wire_test.c - messages of the link, and what hostile ones come to. */
#include "testbed/unit/check.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "config/base/sha256.h"
#include "plugin/wire.h"

static int pair[2];
static int fds_before;

static int open_fds(void)
{
	int n = 0;

	for (int fd = 0; fd < 256; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

static void setup(void)
{
	fds_before = open_fds();
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
}

/* No test leaves a descriptor behind. */
static void teardown(void)
{
	close(pair[0]);
	close(pair[1]);
	ck_assert_int_eq(open_fds(), fds_before);
}

static uint8_t large[WIRE_INLINE_MAX + 1] = { 5, 6, 7 };

static const size_t sizes[] = { 0, 1, 1000, WIRE_INLINE_MAX, WIRE_INLINE_MAX + 1 };

START_TEST(a_payload_arrives_as_it_was)
{
	CLEANUP(wire) struct wire_message out, in;
	struct slice sent = slice_of(large, sizes[_i]), rest, got;
	uint64_t after;
	bool mapped;

	wire_init(&out);
	wire_init(&in);
	ck_assert_ok(wire_put_payload(&out, sent));
	cbor_put_uint(&out.bytes, 42);
	ck_assert_uint_eq(out.fds_n, sizes[_i] > WIRE_INLINE_MAX);
	ck_assert_ok(wire_send(pair[0], &out));
	ck_assert_ok(wire_recv(pair[1], &in));
	rest = buf_slice(&in.bytes);
	ck_assert_ok(wire_take_payload(&in, &rest, sizes[_i], &got, &mapped));
	ck_assert(slice_equal(got, sent));
	ck_assert_int_eq(mapped, sizes[_i] > WIRE_INLINE_MAX);
	ck_assert_ok(cbor_take_uint(&rest, &after));
	ck_assert_uint_eq(after, 42);
	if (mapped)
		io_unmap(&got);
}
END_TEST

START_TEST(a_payload_over_its_bound_is_refused)
{
	CLEANUP(wire) struct wire_message out, in;
	struct slice rest, got;
	bool mapped;

	wire_init(&out);
	wire_init(&in);
	ck_assert_ok(wire_put_payload(&out, slice_of(large, sizes[_i])));
	ck_assert_ok(wire_send(pair[0], &out));
	ck_assert_ok(wire_recv(pair[1], &in));
	rest = buf_slice(&in.bytes);
	if (sizes[_i])
		ck_assert_err(wire_take_payload(&in, &rest, sizes[_i] - 1, &got, &mapped),
			      ERR_RANGE);
	ck_assert_uint_eq(rest.left, in.bytes.len);
}
END_TEST

START_TEST(a_message_over_its_bound_is_not_sent)
{
	CLEANUP(wire) struct wire_message out;

	wire_init(&out);
	for (int i = 0; i < 5; i++)
		if (wire_put_payload(&out, slice_of(large, WIRE_INLINE_MAX)))
			break;
	ck_assert_err(wire_send(pair[0], &out), ERR_MEMORY);
}
END_TEST

/* A memory file in every state but the right one. */
enum wrong { NONE, A_FILE, UNSEALED, HALF_SEALED, A_PIPE };

static const struct {
	const char *why;
	enum wrong wrong;
} hostile[] = {
	{ "no descriptor at all", NONE },
	{ "an ordinary file", A_FILE },
	{ "a memory file that can still change", UNSEALED },
	{ "a memory file that can still shrink", HALF_SEALED },
	{ "a pipe", A_PIPE },
};

static int wrong_fd(enum wrong wrong)
{
	int ends[2], fd;

	switch (wrong) {
	case A_FILE:
		return open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	case UNSEALED:
	case HALF_SEALED:
		fd = memfd_create("x", MFD_CLOEXEC | MFD_ALLOW_SEALING);
		ck_assert_int_eq(ftruncate(fd, 4096), 0);
		if (wrong == HALF_SEALED)
			fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SEAL);
		return fd;
	case A_PIPE:
		ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
		close(ends[1]);
		return ends[0];
	default:
		return -1;
	}
}

START_TEST(a_descriptor_that_is_no_sealed_memory_is_refused)
{
	CLEANUP(wire) struct wire_message out, in;
	struct slice rest, got;
	bool mapped;

	wire_init(&out);
	wire_init(&in);
	cbor_put_null(&out.bytes);
	out.fds[0] = wrong_fd(hostile[_i].wrong);
	out.fds_n = hostile[_i].wrong != NONE;
	ck_assert_ok(wire_send(pair[0], &out));
	ck_assert_ok(wire_recv(pair[1], &in));
	rest = buf_slice(&in.bytes);
	ck_assert_msg(wire_take_payload(&in, &rest, 1 << 20, &got, &mapped) == ERR_FORMAT, "%s: %s",
		      hostile[_i].why, err_reason());
	ck_assert(!mapped);
}
END_TEST

START_TEST(one_descriptor_serves_one_payload)
{
	CLEANUP(wire) struct wire_message out, in;
	struct slice rest, got;
	bool mapped;

	wire_init(&out);
	wire_init(&in);
	ck_assert_ok(wire_put_payload(&out, SLICE(large)));
	cbor_put_null(&out.bytes);
	ck_assert_ok(wire_send(pair[0], &out));
	ck_assert_ok(wire_recv(pair[1], &in));
	rest = buf_slice(&in.bytes);
	ck_assert_ok(wire_take_payload(&in, &rest, sizeof large, &got, &mapped));
	io_unmap(&got);
	ck_assert_err(wire_take_payload(&in, &rest, sizeof large, &got, &mapped), ERR_FORMAT);
}
END_TEST

START_TEST(descriptors_that_nobody_asked_for_are_closed)
{
	CLEANUP(wire) struct wire_message out, in;

	wire_init(&out);
	wire_init(&in);
	for (int i = 0; i < 3; i++) {
		ck_assert_ok(wire_put_payload(&out, SLICE(large)));
		ck_assert_ok(wire_send(pair[0], &out));
		ck_assert_ok(wire_recv(pair[1], &in));
	}
	ck_assert_uint_eq(in.fds_n, 3);
}
END_TEST

static const struct {
	const char *why, *bytes;
	size_t n;
} malformed[] = {
	{ "nothing", "", 0 },
	{ "a number", "\x01", 1 },
	{ "text", "\x61x", 2 },
	{ "a cut string", "\x45xx", 3 },
	{ "a length that is not the shortest", "\x58\x01x", 3 },
	{ "an endless string", "\x5f\x41x\xff", 4 },
	{ "a length of 2^64 - 1", "\x5b\xff\xff\xff\xff\xff\xff\xff\xff", 9 },
	{ "true", "\xf5", 1 },
};

START_TEST(bytes_that_are_no_payload_are_refused)
{
	CLEANUP(wire) struct wire_message m;
	struct slice in = slice_of(malformed[_i].bytes, malformed[_i].n), got;
	bool mapped;

	wire_init(&m);
	ck_assert_msg(wire_take_payload(&m, &in, 1000, &got, &mapped) == ERR_FORMAT, "%s",
		      malformed[_i].why);
	ck_assert_uint_eq(in.left, malformed[_i].n);
}
END_TEST

START_TEST(every_field_counts_in_a_challenge)
{
	struct wire_challenge c = { slice_text("o"), slice_text("s"), 1,     WIRE_USER, 7,
				    { 1 },           { 2 },           { 3 }, { 4 } };
	uint8_t first[32], other[32],
		*fields[] = { c.boot, c.connection, c.client_nonce, c.daemon_nonce };
	uint64_t *numbers[] = { &c.generation, &c.role, &c.epoch };

	ck_assert_ok(wire_role_challenge(&c, first));
	for (size_t i = 0; i < 4; i++) {
		fields[i][15] ^= 1;
		ck_assert_ok(wire_role_challenge(&c, other));
		ck_assert_mem_ne(first, other, 32);
		fields[i][15] ^= 1;
	}
	for (size_t i = 0; i < 3; i++) {
		*numbers[i] ^= 4;
		ck_assert_ok(wire_role_challenge(&c, other));
		ck_assert_mem_ne(first, other, 32);
		*numbers[i] ^= 4;
	}
	c.origin = slice_text("os");
	c.serial = slice_text("");
	ck_assert_ok(wire_role_challenge(&c, other));
	ck_assert_mem_ne(first, other, 32);
}
END_TEST

/* Bytes of the specification, written out. */
START_TEST(challenges_are_as_written)
{
	struct wire_challenge c = { .origin = slice_text("o"),
				    .serial = slice_text("s"),
				    .generation = 1,
				    .role = WIRE_SO,
				    .epoch = 256 };
	CLEANUP(buf) struct buf b = BUF_INIT;
	static const uint8_t zero[65];
	uint8_t expected[32], made[32];

	buf_put(&b,
		"\x8a\x6c"
		"assay-role-1"
		"\x61o\x61s\x01\x02",
		20);
	for (int i = 0; i < 2; i++) {
		buf_put(&b, "\x50", 1);
		buf_put(&b, zero, 16);
	}
	buf_put(&b, "\x19\x01\x00", 3);
	for (int i = 0; i < 2; i++) {
		buf_put(&b, "\x58\x20", 2);
		buf_put(&b, zero, 32);
	}
	sha256_once(buf_slice(&b), expected);
	ck_assert_ok(wire_role_challenge(&c, made));
	ck_assert_mem_eq(made, expected, 32);

	buf_reset(&b);
	buf_put(&b,
		"\x86\x6e"
		"assay-enroll-1"
		"\x61o\x61s\x01\x58\x41",
		23);
	buf_put(&b, zero, 65);
	buf_put(&b, "\x58\x20", 2);
	buf_put(&b, zero, 32);
	sha256_once(buf_slice(&b), expected);
	ck_assert_ok(wire_enroll_challenge(c.origin, c.serial, 1, zero, zero, made));
	ck_assert_mem_eq(made, expected, 32);
}
END_TEST

static void put_app(struct buf *b, const char *id, size_t measurement, size_t cka_id)
{
	static const uint8_t zero[SHA256_SIZE];

	cbor_put_array(b, 8);
	cbor_put_text(b, id);
	cbor_put_text(b, "label");
	cbor_put_text(b, "1");
	cbor_put_bytes(b, slice_of(zero, measurement));
	cbor_put_bytes(b, SLICE(zero));
	cbor_put_bytes(b, SLICE(zero));
	cbor_put_bytes(b, slice_of(NULL, 0));
	cbor_put_bytes(b, slice_of(zero, cka_id));
}

static const struct {
	const char *id;
	size_t measurement, cka_id;
	enum err e;
} apps[] = {
	{ "a", 32, 8, OK },        { "", 32, 8, ERR_FORMAT },  { "a", 31, 8, ERR_FORMAT },
	{ "a", 0, 8, ERR_FORMAT }, { "a", 32, 7, ERR_FORMAT },
};

START_TEST(a_listed_application_has_an_id_and_whole_digests)
{
	CLEANUP(buf) struct buf b = BUF_INIT;
	struct wire_app app;

	put_app(&b, apps[_i].id, apps[_i].measurement, apps[_i].cka_id);
	struct slice in = buf_slice(&b);
	ck_assert_err(wire_take_app(&in, &app), apps[_i].e);
}
END_TEST

START_TEST(a_message_never_started_closes_nothing)
{
	struct wire_message m = { 0 };

	wire_cleanup(&m);
	ck_assert_int_ge(fcntl(0, F_GETFD), 0);
	ck_assert_int_eq(open_fds(), fds_before + 2);
}
END_TEST

static void add(TCase *t)
{
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, a_message_never_started_closes_nothing);
	tcase_add_table(t, a_payload_arrives_as_it_was, sizes);
	tcase_add_table(t, a_payload_over_its_bound_is_refused, sizes);
	tcase_add_test(t, a_message_over_its_bound_is_not_sent);
	tcase_add_table(t, a_descriptor_that_is_no_sealed_memory_is_refused, hostile);
	tcase_add_test(t, one_descriptor_serves_one_payload);
	tcase_add_test(t, descriptors_that_nobody_asked_for_are_closed);
	tcase_add_table(t, bytes_that_are_no_payload_are_refused, malformed);
	tcase_add_test(t, every_field_counts_in_a_challenge);
	tcase_add_test(t, challenges_are_as_written);
	tcase_add_table(t, a_listed_application_has_an_id_and_whole_digests, apps);
}

int main(void)
{
	return check_run("wire", add);
}

/* authorization_test.c - what the daemon refuses, over the wire: who, what, when; each a record. */
#include <dirent.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>

#include "audit/auditor.h"
#include "testbed/unit/world.h"

static void setup(void)
{
	world_make();
	ck_assert_ok(world_enrol(BANK_A));
	ck_assert_ok(world_enrol(BANK_B));
	ck_assert_ok(world_load(BANK_A, "unruly"));
}

/* A second client of the same user. */
static struct link *another_link(void)
{
	struct link *link;

	ck_assert_ok(link_open(world.config, world.self, false, slice_of(NULL, 0), &link));
	return link;
}

struct found {
	const char *origin, *words;
	size_t n;
};

static enum err look(void *context, const char *origin, uint64_t index, struct slice raw,
		     const struct leaf *leaf)
{
	struct found *found = context;
	(void)index;
	(void)raw;

	if ((leaf->type == LEAF_REFUSAL || leaf->type == LEAF_AUTHORIZATION) &&
	    !strcmp(origin, found->origin) &&
	    memmem(leaf->reason.p, leaf->reason.left, found->words, strlen(found->words)))
		found->n++;
	return OK;
}

/* How many refusals with these words stand in a partition's tree. */
static size_t refusals(unsigned bank, const char *words)
{
	struct found found = { world.banks[bank].origin, words, 0 };
	struct auditor_report report;
	char path[256];

	snprintf(path, sizeof path, "%s/state/log", world.dir);
	ck_assert_ok(auditor_verify(path, buf_slice(&world.ca), look, &found, &report));
	auditor_report_free(&report);
	return found.n;
}

static enum err run(struct link *link, unsigned bank, const char *id)
{
	CLEANUP(outcome) struct outcome out = { 0 };
	enum err e = world_execute(link, bank, id, OP_RUN, slice_text("echo\n"), &out);

	if (e)
		ck_assert_str_eq(out.label, "");
	return e;
}

START_TEST(nobody_logged_in_runs_nothing)
{
	ck_assert_err(run(world.link, BANK_A, "unruly"), ERR_LOGIN);
	ck_assert_uint_eq(refusals(BANK_A, "not logged in"), 1);
}
END_TEST

START_TEST(so_may_not_execute_and_user_may_not_load)
{
	CLEANUP(wire) struct wire_message request, answer;
	struct slice in;

	world_become(BANK_A, WIRE_SO);
	ck_assert_err(run(world.link, BANK_A, "unruly"), ERR_DENIED);
	world_logout(BANK_A);
	/* The SO's grant still stands for its time, since nobody revoked it; another link has none. */
	struct link *link = another_link();
	world_login(BANK_A, WIRE_USER);
	ck_assert_ok(world_prove(link, BANK_A, WIRE_USER));
	wire_init(&request);
	wire_init(&answer);
	link_request(&request, REQ_LOAD, 2);
	cbor_put_text(&request.bytes, world.banks[BANK_A].serial);
	cbor_put_bytes(&request.bytes, slice_text("no package"));
	ck_assert_err(link_call(link, &request, &answer, &in), ERR_DENIED);
	link_close(link);
	ck_assert_uint_eq(refusals(BANK_A, "may not do this"), 2);
}
END_TEST

START_TEST(unknown_application_is_not_found)
{
	world_become(BANK_A, WIRE_USER);
	ck_assert_err(run(world.link, BANK_A, "nothing"), ERR_NOT_FOUND);
	ck_assert_uint_eq(refusals(BANK_A, "no such application"), 1);
}
END_TEST

START_TEST(input_over_the_limit_is_refused)
{
	CLEANUP(outcome) struct outcome out = { 0 };
	CLEANUP(buf) struct buf input = BUF_INIT;

	memset(buf_add(&input, (1 << 20) + 1), 0, (1 << 20) + 1);
	world_become(BANK_A, WIRE_USER);
	ck_assert_err(world_execute(world.link, BANK_A, "unruly", OP_RUN, buf_slice(&input), &out),
		      ERR_RANGE);
	ck_assert_uint_eq(refusals(BANK_A, "at most 1048576 allowed"), 1);
}
END_TEST

START_TEST(another_partition_sees_nothing_and_its_attempts_stay_in_its_tree)
{
	world_become(BANK_B, WIRE_USER);
	ck_assert_err(run(world.link, BANK_B, "unruly"), ERR_NOT_FOUND);
	ck_assert_uint_eq(refusals(BANK_B, "no such application"), 1);
	/* Straight at the other partition. */
	ck_assert_err(run(world.link, BANK_A, "unruly"), ERR_LOGIN);
	ck_assert_uint_eq(refusals(BANK_B, world.banks[BANK_A].serial), 1);
	ck_assert_uint_eq(refusals(BANK_A, "unruly"), 0);
}
END_TEST

START_TEST(results_of_another_partition_or_without_a_role_are_out_of_reach)
{
	CLEANUP(outcome) struct outcome out = { 0 };
	CLEANUP(buf) struct buf got = BUF_INIT;

	world_become(BANK_A, WIRE_USER);
	ck_assert_ok(
		world_execute(world.link, BANK_A, "unruly", OP_RUN, slice_text("echo\n"), &out));
	struct link *link = another_link();
	ck_assert_err(world_fetch(link, BANK_A, out.label, "assay:output", &got), ERR_LOGIN);
	world_login(BANK_B, WIRE_USER);
	ck_assert_ok(world_prove(link, BANK_B, WIRE_USER));
	ck_assert_err(world_fetch(link, BANK_A, out.label, "assay:output", &got), ERR_LOGIN);
	ck_assert_err(world_fetch(link, BANK_B, out.label, "assay:output", &got), ERR_NOT_FOUND);
	/* Another process of the same role finds them. */
	ck_assert_ok(world_prove(link, BANK_A, WIRE_USER));
	ck_assert_ok(world_fetch(link, BANK_A, out.label, "assay:output", &got));
	link_close(link);
}
END_TEST

/* The steps of role_prove, apart, so that one can be done twice or by somebody else. */
static void challenge(struct link *link, unsigned bank, uint64_t epoch, uint8_t digest[32])
{
	CLEANUP(wire) struct wire_message request, answer;
	struct bank *b = &world.banks[bank];
	struct wire_challenge c = { .origin = slice_text(b->origin),
				    .serial = slice_text(b->serial),
				    .generation = b->generation,
				    .role = WIRE_USER,
				    .epoch = epoch };
	struct slice in;

	ck_assert_ok(io_random(c.client_nonce, sizeof c.client_nonce));
	memcpy(c.boot, link_boot_id(link), 16);
	memcpy(c.connection, link_connection_id(link), 16);
	wire_init(&request);
	wire_init(&answer);
	link_request(&request, REQ_CHALLENGE, 4);
	cbor_put_text(&request.bytes, b->serial);
	cbor_put_uint(&request.bytes, WIRE_USER);
	cbor_put_uint(&request.bytes, epoch);
	cbor_put_bytes(&request.bytes, SLICE(c.client_nonce));
	ck_assert_ok(link_call(link, &request, &answer, &in));
	ck_assert_ok(cbor_take_fixed(&in, c.daemon_nonce, 32));
	ck_assert_ok(wire_role_challenge(&c, digest));
}

static void sign(unsigned bank, const uint8_t digest[32], struct buf *signature)
{
	struct p11 at = { world.hsm, world_login(bank, WIRE_USER) };
	CK_OBJECT_HANDLE key;

	ck_assert_ok(p11_find(at, CKO_PRIVATE_KEY, SLICE(world.banks[bank].key_id), &key));
	ck_assert_ok(p11_sign(at, key, digest, signature));
	world_logout(bank);
}

static enum err prove(struct link *link, unsigned bank, struct slice signature)
{
	CLEANUP(wire) struct wire_message request, answer;
	struct slice in;

	wire_init(&request);
	wire_init(&answer);
	link_request(&request, REQ_PROVE, 3);
	cbor_put_text(&request.bytes, world.banks[bank].serial);
	cbor_put_uint(&request.bytes, WIRE_USER);
	cbor_put_bytes(&request.bytes, signature);
	return link_call(link, &request, &answer, &in);
}

START_TEST(replayed_proof_is_refused)
{
	CLEANUP(buf) struct buf signature = BUF_INIT;
	uint8_t digest[32];

	challenge(world.link, BANK_A, 1, digest);
	sign(BANK_A, digest, &signature);
	ck_assert_ok(prove(world.link, BANK_A, buf_slice(&signature)));
	ck_assert_err(prove(world.link, BANK_A, buf_slice(&signature)), ERR_STATE);
	challenge(world.link, BANK_A, 1, digest);
	ck_assert_err(prove(world.link, BANK_A, buf_slice(&signature)), ERR_DENIED);
	ck_assert_uint_eq(refusals(BANK_A, "user not proved"), 2);
}
END_TEST

START_TEST(proof_relayed_from_another_link_is_refused)
{
	CLEANUP(buf) struct buf signature = BUF_INIT;
	struct link *thief = another_link();
	uint8_t stolen[32], own[32];

	challenge(world.link, BANK_A, 1, own);
	challenge(thief, BANK_A, 1, stolen);
	sign(BANK_A, own, &signature);
	ck_assert_err(prove(thief, BANK_A, buf_slice(&signature)), ERR_DENIED);
	ck_assert_ok(prove(world.link, BANK_A, buf_slice(&signature)));
	ck_assert_err(run(thief, BANK_A, "unruly"), ERR_LOGIN);
	link_close(thief);
}
END_TEST

START_TEST(proof_of_another_partition_is_refused)
{
	CLEANUP(buf) struct buf signature = BUF_INIT;
	uint8_t digest[32];

	challenge(world.link, BANK_A, 1, digest);
	sign(BANK_B, digest, &signature);
	ck_assert_err(prove(world.link, BANK_A, buf_slice(&signature)), ERR_DENIED);
	ck_assert_err(prove(world.link, BANK_B, buf_slice(&signature)), ERR_STATE);
}
END_TEST

START_TEST(proof_of_an_earlier_generation_is_refused)
{
	world_become(BANK_A, WIRE_USER);
	ck_assert_ok(run(world.link, BANK_A, "unruly"));
	world_logout(BANK_A);
	struct bank old = world.banks[BANK_A];
	old.certificate = BUF_INIT;
	ck_assert_ok(world_enrol(BANK_A));
	ck_assert_uint_eq(world.banks[BANK_A].generation, 2);
	/* The old grant, the old key, the old applications. */
	ck_assert_err(run(world.link, BANK_A, "unruly"), ERR_LOGIN);
	struct bank new = world.banks[BANK_A];
	memcpy(world.banks[BANK_A].key_id, old.key_id, sizeof old.key_id);
	world_login(BANK_A, WIRE_USER);
	ck_assert_err(world_prove(world.link, BANK_A, WIRE_USER), ERR_DENIED);
	world.banks[BANK_A] = new;
	ck_assert_ok(world_prove(world.link, BANK_A, WIRE_USER));
	ck_assert_err(run(world.link, BANK_A, "unruly"), ERR_NOT_FOUND);
}
END_TEST

START_TEST(revoked_grant_is_over_at_once)
{
	world_become(BANK_A, WIRE_USER);
	ck_assert_ok(run(world.link, BANK_A, "unruly"));
	world_revoke(world.link, BANK_A, WIRE_USER);
	ck_assert_err(run(world.link, BANK_A, "unruly"), ERR_LOGIN);
}
END_TEST

START_TEST(grants_end_with_their_link)
{
	world_become(BANK_A, WIRE_USER);
	world_connect();
	ck_assert_err(run(world.link, BANK_A, "unruly"), ERR_LOGIN);
}
END_TEST

static enum err suspend(unsigned bank)
{
	CLEANUP(wire) struct wire_message request, answer;
	struct slice in;

	wire_init(&request);
	wire_init(&answer);
	link_request(&request, REQ_SUSPEND, 1);
	cbor_put_text(&request.bytes, world.banks[bank].serial);
	return link_call(world.link, &request, &answer, &in);
}

static void initialise_token(void)
{
	CK_UTF8CHAR label[32], pin[] = HARNESS_SO_PIN;

	memset(label, ' ', sizeof label);
	memcpy(label, "bank-a", 6);
	ck_assert_uint_eq(
		world.hsm->C_InitToken(world.banks[BANK_A].slot, pin, sizeof pin - 1, label),
		CKR_OK);
}

/* A public key of the role key's CKA_ID, which anybody can make. */
static void plant_key(void)
{
	static const uint8_t p256[] = {
		0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07
	};
	CK_OBJECT_CLASS class = CKO_PUBLIC_KEY;
	CK_KEY_TYPE type = CKK_EC;
	CK_BBOOL yes = CK_TRUE, no = CK_FALSE;
	uint8_t point[67] = { 0x04, 65, 0x04, 1, 2, 3 };
	CK_ATTRIBUTE a[] = {
		{ CKA_CLASS, &class, sizeof class },
		{ CKA_KEY_TYPE, &type, sizeof type },
		{ CKA_TOKEN, &yes, 1 },
		{ CKA_PRIVATE, &no, 1 },
		{ CKA_ID, world.banks[BANK_A].key_id, ROLE_KEY_ID_SIZE },
		{ CKA_EC_PARAMS, (void *)p256, sizeof p256 },
		{ CKA_EC_POINT, point, sizeof point },
	};
	CK_SESSION_HANDLE s;
	CK_OBJECT_HANDLE made;

	ck_assert_uint_eq(world.hsm->C_OpenSession(world.banks[BANK_A].slot,
						   CKF_SERIAL_SESSION | CKF_RW_SESSION, NULL, NULL,
						   &s),
			  CKR_OK);
	ck_assert_uint_eq(world.hsm->C_CreateObject(s, a, sizeof a / sizeof *a, &made), CKR_OK);
	ck_assert_uint_eq(world.hsm->C_CloseSession(s), CKR_OK);
}

START_TEST(planted_key_suspends_nothing)
{
	plant_key();
	ck_assert_err(suspend(BANK_A), ERR_STATE);
	plant_key();
	ck_assert_err(suspend(BANK_A), ERR_STATE);
	world_become(BANK_A, WIRE_USER);
	ck_assert_ok(run(world.link, BANK_A, "unruly"));
	world_logout(BANK_A);
	world_become(BANK_A, WIRE_SO);
}
END_TEST

START_TEST(so_of_a_token_initialised_behind_our_back_is_refused)
{
	initialise_token();
	/* Something with the id leaves it open whether the key has gone: no grant, no suspension. */
	plant_key();
	world_login(BANK_A, WIRE_SO);
	ck_assert_err(world_prove(world.link, BANK_A, WIRE_SO), ERR_DENIED);
	ck_assert_err(suspend(BANK_A), ERR_MISMATCH);
	world_logout(BANK_A);
	initialise_token();
	world_login(BANK_A, WIRE_SO);
	ck_assert_err(world_prove(world.link, BANK_A, WIRE_SO), ERR_DENIED);
	ck_assert_err(run(world.link, BANK_A, "unruly"), ERR_NOT_FOUND);
	ck_assert_err(world_prove(world.link, BANK_A, WIRE_SO), ERR_NOT_FOUND);
}
END_TEST

START_TEST(partition_whose_token_was_initialised_is_suspended)
{
	ck_assert_err(suspend(BANK_A), ERR_STATE);
	world_become(BANK_A, WIRE_USER);
	ck_assert_ok(run(world.link, BANK_A, "unruly"));
	world_logout(BANK_A);
	initialise_token();
	ck_assert_ok(suspend(BANK_A));
	ck_assert_err(run(world.link, BANK_A, "unruly"), ERR_NOT_FOUND);
	ck_assert_uint_eq(refusals(BANK_A, "suspended"), 1);
	world_stop();
	world_start();
	ck_assert_err(run(world.link, BANK_A, "unruly"), ERR_NOT_FOUND);
	ck_assert_err(run(world.link, BANK_B, "unruly"), ERR_LOGIN);
}
END_TEST

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

static const struct {
	const char *why, *bytes;
	size_t n;
	enum err e;
} malformed[] = {
	{ "no array", "\x01", 1, ERR_FORMAT },
	{ "an empty array", "\x80", 1, ERR_FORMAT },
	{ "an unknown request", "\x81\x18\x63", 3, ERR_UNSUPPORTED },
	{ "half a request", "\x82\x01", 2, ERR_FORMAT },
	{ "HELLO with an argument too many", "\x84\x01\x01\x40\x40", 5, ERR_FORMAT },
	{ "HELLO of another version", "\x83\x01\x02\x40", 4, ERR_UNSUPPORTED },
	{ "HELLO with something behind", "\x83\x01\x01\x40\x00", 5, ERR_FORMAT },
	{ "PARTITIONS before HELLO", "\x81\x03", 2, ERR_STATE },
	{ "ATTACH with a guessed secret",
	  "\x82\x02\x58\x20"
	  "01234567890123456789012345678901",
	  36, ERR_DENIED },
	{ "a number too long by a byte", "\x81\x18\x03", 3, ERR_FORMAT },
};

START_TEST(malformed_request_is_answered_and_harms_nobody)
{
	CLEANUP(fd) int fd = raw_connection();

	ck_assert_msg(raw_call(fd, malformed[_i].bytes, malformed[_i].n) == malformed[_i].e, "%s",
		      malformed[_i].why);
	ck_assert_int_eq(raw_call(fd, "\x83\x01\x01\x40", 4), OK);
	ck_assert_err(run(world.link, BANK_A, "unruly"), ERR_LOGIN);
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
	ck_assert_ok(io_send_message(fd, slice_of("\x83\x01\x01\x40", 4), fds, IO_FDS_MAX));
	ck_assert_ok(wire_recv(fd, &answer));
	in = buf_slice(&answer.bytes);
	ck_assert_ok(cbor_take_array(&in, 16, &items));
	ck_assert_ok(cbor_take_uint(&in, &e));
	ck_assert_err((enum err)e, ERR_FORMAT);
	ck_assert_uint_le(descriptors(daemon), before + 2);
	ck_assert_int_eq(raw_call(fd, "\x83\x01\x01\x40", 4), OK);
}
END_TEST

/* Every request in a well-formed version, to be spoilt. */
static void sample(unsigned which, struct buf *out)
{
	static const struct {
		unsigned number, arguments;
	} samples[] = {
#define REQUEST(name, number, who) { number, 0 },
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

		ck_assert_int_eq(raw_call(fd, "\x83\x01\x01\x40", 4), OK);
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
		if (!io_send_message(fds[i], slice_of("\x83\x01\x01\x40", 4), NULL, 0) &&
		    !wire_recv(fds[i], &answer))
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
	tcase_add_checked_fixture(t, setup, world_end);
	tcase_add_test(t, nobody_logged_in_runs_nothing);
	tcase_add_test(t, so_may_not_execute_and_user_may_not_load);
	tcase_add_test(t, unknown_application_is_not_found);
	tcase_add_test(t, input_over_the_limit_is_refused);
	tcase_add_test(t, another_partition_sees_nothing_and_its_attempts_stay_in_its_tree);
	tcase_add_test(t, results_of_another_partition_or_without_a_role_are_out_of_reach);
	tcase_add_test(t, replayed_proof_is_refused);
	tcase_add_test(t, proof_relayed_from_another_link_is_refused);
	tcase_add_test(t, proof_of_another_partition_is_refused);
	tcase_add_test(t, proof_of_an_earlier_generation_is_refused);
	tcase_add_test(t, revoked_grant_is_over_at_once);
	tcase_add_test(t, grants_end_with_their_link);
	tcase_add_test(t, planted_key_suspends_nothing);
	tcase_add_test(t, so_of_a_token_initialised_behind_our_back_is_refused);
	tcase_add_test(t, partition_whose_token_was_initialised_is_suspended);
	tcase_add_table(t, malformed_request_is_answered_and_harms_nobody, malformed);
	tcase_add_test(t, descriptors_that_a_request_has_no_use_for_are_not_kept);
	tcase_add_test(t, spoilt_requests_never_end_the_daemon);
	tcase_add_test(t, one_user_does_not_take_every_connection);
	tcase_add_test(t, flood_of_refusals_is_slowed_down);
	tcase_add_test(t, reconnecting_brings_no_patience_back);
}

int main(void)
{
	world_golden();
	return check_run("authorization", add);
}

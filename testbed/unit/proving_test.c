/* proving_test.c - a role is proved by the partition's own token, once, as it is today. */
#include "testbed/unit/banks.h"

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

static void add(TCase *t)
{
	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, banks_setup, world_end);
	tcase_add_test(t, replayed_proof_is_refused);
	tcase_add_test(t, proof_relayed_from_another_link_is_refused);
	tcase_add_test(t, proof_of_another_partition_is_refused);
	tcase_add_test(t, proof_of_an_earlier_generation_is_refused);
	tcase_add_test(t, planted_key_suspends_nothing);
	tcase_add_test(t, so_of_a_token_initialised_behind_our_back_is_refused);
	tcase_add_test(t, partition_whose_token_was_initialised_is_suspended);
}

int main(void)
{
	world_golden();
	return check_run("proving", add);
}

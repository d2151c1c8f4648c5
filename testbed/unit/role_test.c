/* role_test.c - proofs of a role, made on a SoftHSM token and judged by a small daemon. */
#include "testbed/unit/server.h"

#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <sys/wait.h>

#include "pkcs11/token.h"
#include "plugin/role.h"
#include "testbed/softhsm/harness.h"
#include "testbed/softhsm/p256.h"
#include "testbed/unit/place.h"

#include <dlfcn.h>

#define ORIGIN "assay.test/partition"
#define GENERATION 3
#define EPOCH 9

static struct softhsm golden, store;
static char probe[PATH_MAX], dir[64], path[96], serial[17];
static CK_FUNCTION_LIST *hsm;
static CK_SLOT_ID slot;
static uint8_t key_id[ROLE_KEY_ID_SIZE], point[65];

/* The daemon's memory. */
static struct wire_challenge open_challenge;
static bool challenge_open;
static unsigned suspensions;

/* Runs the probe as the daemon does; its exit status, and the line it printed. */
static int run_probe(const char *question, struct slice id, char *line, size_t n)
{
	CLEANUP(buf) struct buf command = BUF_INIT;

	buf_printf(&command, "'%s' '%s' '%s' %s ", probe, softhsm_module(), serial, question);
	buf_put_hex(&command, id);
	if (!strcmp(question, "role-key")) {
		buf_put_text(&command, " ");
		buf_put_hex(&command, SLICE(point));
	}
	buf_put_text(&command, " 2>/dev/null");
	FILE *out = popen(buf_text(&command), "re");
	ck_assert_ptr_nonnull(out);
	line[fread(line, 1, n - 1, out)] = 0;
	return WEXITSTATUS(pclose(out));
}

static void challenge(struct wire_message *m, struct slice in)
{
	struct slice given;
	uint64_t role, epoch;

	ck_assert_ok(cbor_take_text(&in, WIRE_SERIAL_MAX, &given));
	ck_assert(slice_is(given, serial));
	ck_assert_ok(cbor_take_uint(&in, &role));
	ck_assert_ok(cbor_take_uint(&in, &epoch));
	open_challenge = (struct wire_challenge){ .origin = slice_text(ORIGIN),
						  .serial = slice_text(serial),
						  .generation = GENERATION,
						  .role = role,
						  .epoch = epoch };
	ck_assert_ok(cbor_take_fixed(&in, open_challenge.client_nonce, 32));
	memcpy(open_challenge.boot, server_boot, 16);
	memcpy(open_challenge.connection, server_connection, 16);
	ck_assert_ok(io_random(open_challenge.daemon_nonce, 32));
	challenge_open = true;
	server_answer(m, 1, OK, "");
	cbor_put_bytes(&m->bytes, SLICE(open_challenge.daemon_nonce));
}

static bool certificate_stands(struct slice id, const uint8_t digest[32])
{
	uint8_t der[ROLE_CERTIFICATE_SIZE];
	char line[256], expected[2 * sizeof der + 2];

	role_certificate(digest, der);
	hex_put(expected, der, sizeof der);
	strcat(expected, "\n");
	return run_probe("certificate", id, line, sizeof line) == 0 && strcmp(line, expected) == 0;
}

static void prove(struct wire_message *m, struct slice in)
{
	struct slice given, proof;
	uint8_t digest[32];
	uint64_t role;

	ck_assert_ok(cbor_take_text(&in, WIRE_SERIAL_MAX, &given));
	ck_assert_ok(cbor_take_uint(&in, &role));
	ck_assert_ok(cbor_take_bytes(&in, 128, &proof));
	ck_assert(challenge_open && role == open_challenge.role);
	challenge_open = false;
	ck_assert_ok(wire_role_challenge(&open_challenge, digest));
	bool good = role == WIRE_SO ? certificate_stands(proof, digest)
				    : p256_verifies(point, digest, proof);
	server_answer(m, good, good ? OK : ERR_DENIED, good ? "" : "not proved");
	if (good)
		cbor_put_uint(&m->bytes, 60);
}

static bool handle(struct wire_message *m, uint64_t number, struct slice in)
{
	if (number == REQ_HELLO) {
		server_greet(m);
	} else if (number == REQ_CHALLENGE) {
		challenge(m, in);
	} else if (number == REQ_PROVE) {
		prove(m, in);
	} else {
		ck_assert_uint_eq(number, REQ_SUSPEND);
		suspensions++;
		server_answer(m, 0, OK, "");
	}
	return true;
}

static struct link *link_up(void)
{
	struct config config = { .socket = path };
	struct link *link;

	ck_assert_ok(link_open(&config, "/x", false, slice_of(NULL, 0), &link));
	return link;
}

/* A token as enrolment leaves it. */
static void enrol(void)
{
	CLEANUP(token) struct token *t = NULL;
	CLEANUP(secret) struct secret pin = { 0 };
	struct token_info info;
	CK_OBJECT_HANDLE key;

	softhsm_token(&golden, "bank");
	ck_assert_ok(token_open(softhsm_module(), "bank", NULL, &t));
	token_info(t, &info);
	memcpy(serial, info.serial, sizeof serial);
	ck_assert_ok(secret_new(&pin, 8));
	memcpy(pin.p, HARNESS_PIN, 8);
	ck_assert_ok(token_login(t, CKU_USER, &pin));
	ck_assert_ok(role_new_key_id(key_id));
	ck_assert_ok(token_make_ec(t, ROLE_KEY_LABEL, SLICE(key_id), &key, point));
}

static void setup(void)
{
	CK_RV (*get_list)(CK_FUNCTION_LIST **);
	CK_ULONG n = 1;

	place_make(dir, sizeof dir, "role");
	snprintf(path, sizeof path, "%s/s", dir);
	server_handler = handle;
	server_start(path);
	softhsm_copy(&golden, &store);
	softhsm_use(&store);
	*(void **)&get_list = dlsym(dlopen(softhsm_module(), RTLD_NOW), "C_GetFunctionList");
	ck_assert_uint_eq(get_list(&hsm), CKR_OK);
	ck_assert_uint_eq(hsm->C_Initialize(NULL), CKR_OK);
	CK_SLOT_ID slots[2];
	n = 2;
	ck_assert_uint_eq(hsm->C_GetSlotList(CK_TRUE, slots, &n), CKR_OK);
	slot = slots[0];
}

static void teardown(void)
{
	hsm->C_Finalize(NULL);
	softhsm_remove(&store);
	unlink(path);
	rmdir(dir);
}

static CK_SESSION_HANDLE login(CK_USER_TYPE who, const char *pin)
{
	CK_SESSION_HANDLE s;

	ck_assert_uint_eq(
		hsm->C_OpenSession(slot, CKF_SERIAL_SESSION | CKF_RW_SESSION, NULL, NULL, &s),
		CKR_OK);
	ck_assert_uint_eq(hsm->C_Login(s, who, (CK_UTF8CHAR *)pin, strlen(pin)), CKR_OK);
	return s;
}

static struct role_claim claim_of(enum wire_role role)
{
	return (struct role_claim){ .serial = slice_text(serial),
				    .origin = slice_text(ORIGIN),
				    .key_id = SLICE(key_id),
				    .generation = GENERATION,
				    .epoch = EPOCH,
				    .role = role };
}

static CK_ULONG sessions(void)
{
	CK_TOKEN_INFO info;

	ck_assert_uint_eq(hsm->C_GetTokenInfo(slot, &info), CKR_OK);
	return info.ulSessionCount;
}

static size_t certificates(CK_SESSION_HANDLE s)
{
	CK_OBJECT_CLASS class = CKO_CERTIFICATE;
	CK_ATTRIBUTE a = { CKA_CLASS, &class, sizeof class };
	CK_OBJECT_HANDLE found[8];
	CK_ULONG n = 0;

	ck_assert_uint_eq(hsm->C_FindObjectsInit(s, &a, 1), CKR_OK);
	ck_assert_uint_eq(hsm->C_FindObjects(s, found, 8, &n), CKR_OK);
	ck_assert_uint_eq(hsm->C_FindObjectsFinal(s), CKR_OK);
	return n;
}

static enum err try(enum wire_role role)
{
	struct link *link = link_up();
	struct role_claim claim = claim_of(role);
	uint64_t seconds = 0;
	CK_ULONG before = sessions();
	enum err e = role_prove(link, hsm, slot, &claim, &seconds);

	ck_assert_uint_eq(sessions(), before);
	if (!e)
		ck_assert_uint_eq(seconds, 60);
	link_close(link);
	return e;
}

START_TEST(the_user_proves_to_be_the_user)
{
	login(CKU_USER, HARNESS_PIN);
	ck_assert_ok(try(WIRE_USER));
	ck_assert_ok(try(WIRE_USER));
	ck_assert_err(try(WIRE_SO), ERR_LOGIN);
}
END_TEST

START_TEST(the_so_proves_to_be_the_so_and_leaves_nothing)
{
	CK_SESSION_HANDLE s = login(CKU_SO, HARNESS_SO_PIN);

	ck_assert_ok(try(WIRE_SO));
	ck_assert_uint_eq(certificates(s), 0);
	ck_assert_err(try(WIRE_USER), ERR_LOGIN);
}
END_TEST

START_TEST(nobody_proves_nothing)
{
	ck_assert_err(try(WIRE_USER), ERR_LOGIN);
	ck_assert_err(try(WIRE_SO), ERR_LOGIN);
	CK_SESSION_HANDLE s = login(CKU_USER, HARNESS_PIN);
	ck_assert_uint_eq(hsm->C_Logout(s), CKR_OK);
	ck_assert_err(try(WIRE_USER), ERR_LOGIN);
	ck_assert_uint_eq(suspensions, 0);
}
END_TEST

START_TEST(a_claim_of_another_life_is_not_proved)
{
	struct link *link = link_up();
	struct role_claim claim = claim_of(WIRE_USER);
	uint64_t seconds;

	login(CKU_USER, HARNESS_PIN);
	claim.generation++;
	ck_assert_err(role_prove(link, hsm, slot, &claim, &seconds), ERR_DENIED);
	claim = claim_of(WIRE_USER);
	claim.origin = slice_text("assay.test/other");
	ck_assert_err(role_prove(link, hsm, slot, &claim, &seconds), ERR_DENIED);
	link_close(link);
}
END_TEST

static CK_OBJECT_HANDLE role_key(CK_SESSION_HANDLE s)
{
	CK_OBJECT_CLASS class = CKO_PRIVATE_KEY;
	CK_ATTRIBUTE a[] = { { CKA_CLASS, &class, sizeof class },
			     { CKA_ID, key_id, sizeof key_id } };
	CK_OBJECT_HANDLE key = 0;
	CK_ULONG n = 0;

	ck_assert_uint_eq(hsm->C_FindObjectsInit(s, a, 2), CKR_OK);
	ck_assert_uint_eq(hsm->C_FindObjects(s, &key, 1, &n), CKR_OK);
	ck_assert_uint_eq(hsm->C_FindObjectsFinal(s), CKR_OK);
	ck_assert_uint_eq(n, 1);
	return key;
}

START_TEST(a_missing_role_key_is_reported)
{
	CK_SESSION_HANDLE s = login(CKU_USER, HARNESS_PIN);

	ck_assert_uint_eq(hsm->C_DestroyObject(s, role_key(s)), CKR_OK);
	ck_assert_err(try(WIRE_USER), ERR_NOT_FOUND);
	ck_assert_uint_eq(suspensions, 1);
}
END_TEST

/* What the user's proof rests on: the key does nothing but sign, stays here, and stays one. */
START_TEST(the_role_key_can_neither_leave_nor_change)
{
	CK_SESSION_HANDLE s = login(CKU_USER, HARNESS_PIN);
	CK_OBJECT_HANDLE key = role_key(s), copy, wrapping;
	CK_BBOOL yes = CK_TRUE, no = CK_FALSE;
	CK_ULONG bytes = 32, n;
	uint8_t value[256];
	CK_ATTRIBUTE label = { CKA_LABEL, (void *)"other", 5 },
		     extractable = { CKA_EXTRACTABLE, &yes, 1 }, session = { CKA_TOKEN, &no, 1 },
		     secret = { CKA_VALUE, value, sizeof value };
	CK_ATTRIBUTE aes[] = { { CKA_VALUE_LEN, &bytes, sizeof bytes }, { CKA_WRAP, &yes, 1 } };
	CK_MECHANISM make = { CKM_AES_KEY_GEN, NULL, 0 }, wrap = { CKM_AES_KEY_WRAP, NULL, 0 },
		     derive = { CKM_ECDH1_DERIVE, NULL, 0 };

	ck_assert_uint_eq(hsm->C_GetAttributeValue(s, key, &secret, 1), CKR_ATTRIBUTE_SENSITIVE);
	ck_assert_uint_ne(hsm->C_SetAttributeValue(s, key, &label, 1), CKR_OK);
	ck_assert_uint_ne(hsm->C_SetAttributeValue(s, key, &extractable, 1), CKR_OK);
	ck_assert_uint_ne(hsm->C_CopyObject(s, key, &session, 1, &copy), CKR_OK);
	ck_assert_uint_eq(hsm->C_GenerateKey(s, &make, aes, 2, &wrapping), CKR_OK);
	n = sizeof value;
	ck_assert_uint_eq(hsm->C_WrapKey(s, &wrap, wrapping, key, value, &n),
			  CKR_KEY_UNEXTRACTABLE);
	ck_assert_uint_ne(hsm->C_DeriveKey(s, &derive, key, aes, 1, &copy), CKR_OK);
	ck_assert_uint_eq(hsm->C_Logout(s), CKR_OK);
	ck_assert_uint_ne(hsm->C_GetAttributeValue(s, key, &label, 1), CKR_OK);
	login(CKU_USER, HARNESS_PIN);
	ck_assert_ok(try(WIRE_USER));
}
END_TEST

/* What the proof of the SO rests on: nobody else can make such an object, nor turn one into it. */
START_TEST(others_than_the_so_cannot_trust_a_certificate)
{
	static const char id[] = "forged";
	CK_OBJECT_CLASS class = CKO_CERTIFICATE;
	CK_CERTIFICATE_TYPE type = CKC_X_509;
	CK_BBOOL yes = CK_TRUE, no = CK_FALSE;
	uint8_t name[] = { 0x30, 0 }, der[ROLE_CERTIFICATE_SIZE];
	char line[256];

	role_certificate(point, der);
	CK_ATTRIBUTE a[] = {
		{ CKA_CLASS, &class, sizeof class },
		{ CKA_CERTIFICATE_TYPE, &type, sizeof type },
		{ CKA_TOKEN, &yes, 1 },
		{ CKA_PRIVATE, &no, 1 },
		{ CKA_ID, (void *)id, sizeof id - 1 },
		{ CKA_SUBJECT, name, sizeof name },
		{ CKA_VALUE, der, sizeof der },
		{ CKA_TRUSTED, &yes, 1 },
	};
	const CK_ULONG untrusted = 7, trusted = 8;

	for (int logged_in = 0; logged_in < 2; logged_in++) {
		CK_SESSION_HANDLE s;
		CK_OBJECT_HANDLE made, copy;

		if (logged_in)
			s = login(CKU_USER, HARNESS_PIN);
		else
			ck_assert_uint_eq(hsm->C_OpenSession(slot,
							     CKF_SERIAL_SESSION | CKF_RW_SESSION,
							     NULL, NULL, &s),
					  CKR_OK);
		ck_assert_uint_eq(hsm->C_CreateObject(s, a, trusted, &made),
				  CKR_ATTRIBUTE_READ_ONLY);
		ck_assert_uint_eq(hsm->C_CreateObject(s, a, untrusted, &made), CKR_OK);
		ck_assert_uint_eq(hsm->C_SetAttributeValue(s, made, &a[7], 1),
				  CKR_ATTRIBUTE_READ_ONLY);
		ck_assert_uint_ne(hsm->C_CopyObject(s, made, &a[7], 1, &copy), CKR_OK);
		ck_assert_int_eq(run_probe("certificate", slice_text(id), line, sizeof line), 4);
		ck_assert_uint_eq(hsm->C_DestroyObject(s, made), CKR_OK);
	}
}
END_TEST

START_TEST(the_probe_answers_or_says_why_not)
{
	char line[256], hex[2 * 65 + 2];

	hex_put(hex, point, sizeof point);
	strcat(hex, "\n");
	ck_assert_int_eq(run_probe("role-key", SLICE(key_id), line, sizeof line), 0);
	ck_assert_str_eq(line, hex);
	ck_assert_int_eq(run_probe("role-key", slice_text("other"), line, sizeof line), 3);
	ck_assert_int_eq(run_probe("certificate", SLICE(key_id), line, sizeof line), 3);
	ck_assert_int_eq(run_probe("certificate", slice_of(NULL, 0), line, sizeof line), 2);
	ck_assert_int_eq(run_probe("keys", SLICE(key_id), line, sizeof line), 2);
	memset(serial, '0', 16);
	ck_assert_int_eq(run_probe("role-key", SLICE(key_id), line, sizeof line), 1);
}
END_TEST

static void plant(CK_SESSION_HANDLE s, const uint8_t other[65])
{
	static const uint8_t p256[] = {
		0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07
	};
	CK_OBJECT_CLASS class = CKO_PUBLIC_KEY;
	CK_KEY_TYPE type = CKK_EC;
	CK_BBOOL yes = CK_TRUE, no = CK_FALSE;
	uint8_t der[67] = { 0x04, 65 };
	CK_ATTRIBUTE a[] = {
		{ CKA_CLASS, &class, sizeof class },
		{ CKA_KEY_TYPE, &type, sizeof type },
		{ CKA_TOKEN, &yes, 1 },
		{ CKA_PRIVATE, &no, 1 },
		{ CKA_ID, key_id, sizeof key_id },
		{ CKA_EC_PARAMS, (void *)p256, sizeof p256 },
		{ CKA_EC_POINT, der, sizeof der },
	};
	CK_OBJECT_HANDLE made;

	memcpy(der + 2, other, 65);
	ck_assert_uint_eq(hsm->C_CreateObject(s, a, sizeof a / sizeof *a, &made), CKR_OK);
}

START_TEST(the_probe_finds_the_role_key_among_planted_ones)
{
	uint8_t other[65];
	CK_SESSION_HANDLE s;
	char line[256];

	memcpy(other, point, sizeof other);
	ck_assert_uint_eq(
		hsm->C_OpenSession(slot, CKF_SERIAL_SESSION | CKF_RW_SESSION, NULL, NULL, &s),
		CKR_OK);
	for (unsigned i = 0; i < 40; i++) {
		other[64] ^= (uint8_t)(i + 1);
		plant(s, other);
	}
	ck_assert_int_eq(run_probe("role-key", SLICE(key_id), line, sizeof line), 0);
	/* Planted ones alone are neither it nor a sign that it has gone. */
	point[64] ^= 0x80;
	ck_assert_int_eq(run_probe("role-key", SLICE(key_id), line, sizeof line), 5);
	point[64] ^= 0x80;
}
END_TEST

START_TEST(knows_its_own_ids)
{
	uint8_t id[ROLE_CERTIFICATE_ID_SIZE];

	ck_assert(role_owns_id(SLICE(key_id)));
	ck_assert_ok(role_new_certificate_id(id));
	ck_assert(role_owns_id(SLICE(id)));
	ck_assert(!role_owns_id(slice_text("assay-role")));
	ck_assert(!role_owns_id(slice_of(key_id, sizeof key_id - 1)));
	ck_assert(!role_owns_id(slice_of(NULL, 0)));
}
END_TEST

static void add(TCase *t)
{
	tcase_add_unchecked_fixture(t, enrol, NULL);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, the_user_proves_to_be_the_user);
	tcase_add_test(t, the_so_proves_to_be_the_so_and_leaves_nothing);
	tcase_add_test(t, nobody_proves_nothing);
	tcase_add_test(t, a_claim_of_another_life_is_not_proved);
	tcase_add_test(t, a_missing_role_key_is_reported);
	tcase_add_test(t, the_role_key_can_neither_leave_nor_change);
	tcase_add_test(t, others_than_the_so_cannot_trust_a_certificate);
	tcase_add_test(t, the_probe_answers_or_says_why_not);
	tcase_add_test(t, the_probe_finds_the_role_key_among_planted_ones);
	tcase_add_test(t, knows_its_own_ids);
}

static void find_probe(void)
{
	char self[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);

	self[n > 0 ? n : 0] = 0;
	snprintf(probe, sizeof probe, "%s/../assay-probe", dirname(self));
}

int main(void)
{
	find_probe();
	softhsm_make(&golden);
	int result = check_run("role", add);
	softhsm_remove(&golden);
	return result;
}

#include "testbed/softhsm/script.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pkcs11/token.h"
#include "testbed/softhsm/harness.h"

CK_FUNCTION_LIST *p11;

CK_RV script_said(const char *call, CK_RV rv)
{
	printf("%s %s\n", call, ckr_name(rv));
	/* So that the record of a crash ends where it happened. */
	fflush(stdout);
	return rv;
}

void script_number(const char *what, unsigned long value)
{
	printf("  %s = %#lx\n", what, value);
}

void script_bytes(const char *what, const void *p, size_t n)
{
	printf("  %s =", what);
	for (size_t i = 0; i < n; i++)
		printf(" %02x", ((const uint8_t *)p)[i]);
	printf("\n");
}

void out_reset(struct out *out, size_t room)
{
	memset(out->bytes, OUT_PATTERN, sizeof out->bytes);
	out->n = room;
}

void out_show(const struct out *out)
{
	script_number("n", out->n);
	script_bytes("out", out->bytes, sizeof out->bytes);
}

void out_show_random(const struct out *out)
{
	size_t n = out->n < sizeof out->bytes ? out->n : sizeof out->bytes;

	script_number("n", out->n);
	script_bytes("behind", out->bytes + n, sizeof out->bytes - n);
}

void script_initialise(void)
{
	CK_C_INITIALIZE_ARGS args = { .flags = CKF_OS_LOCKING_OK };

	CALL(Initialize, &args);
}

CK_SLOT_ID script_slot(const char *label)
{
	CK_SLOT_ID slots[8];
	CK_ULONG n = COUNT(slots);

	if (p11->C_GetSlotList(CK_TRUE, slots, &n))
		return (CK_SLOT_ID)-1;
	for (CK_ULONG i = 0; i < n; i++) {
		CK_TOKEN_INFO info;

		if (p11->C_GetTokenInfo(slots[i], &info) == CKR_OK &&
		    memcmp(info.label, label, strlen(label)) == 0)
			return slots[i];
	}
	return (CK_SLOT_ID)-1;
}

CK_SESSION_HANDLE script_session(CK_SLOT_ID slot, CK_FLAGS flags)
{
	CK_SESSION_HANDLE s = 0;

	CALL(OpenSession, slot, CKF_SERIAL_SESSION | flags, NULL, NULL, &s);
	script_number("session", s);
	return s;
}

CK_RV script_login(CK_SESSION_HANDLE s, CK_USER_TYPE user, const char *pin)
{
	return CALL(Login, s, user, (CK_BYTE *)pin, strlen(pin));
}

CK_SESSION_HANDLE script_user(void)
{
	script_initialise();
	CK_SESSION_HANDLE s = script_session(script_slot(SCRIPT_TOKEN), CKF_RW_SESSION);
	script_login(s, CKU_USER, HARNESS_PIN);
	return s;
}

CK_OBJECT_HANDLE script_find(CK_SESSION_HANDLE s, CK_OBJECT_CLASS class, const char *label)
{
	CK_ATTRIBUTE a[] = { ATTRIBUTE(CKA_CLASS, class),
			     { CKA_LABEL, (void *)label, strlen(label) } };
	CK_OBJECT_HANDLE found = 0;
	CK_ULONG n = 0;

	CALL(FindObjectsInit, s, a, COUNT(a));
	CALL(FindObjects, s, &found, 1, &n);
	CALL(FindObjectsFinal, s);
	script_number("found", n);
	return found;
}

CK_OBJECT_HANDLE script_secret(CK_SESSION_HANDLE s, CK_KEY_TYPE type, const char *value, size_t n)
{
	CK_OBJECT_CLASS class = CKO_SECRET_KEY;
	CK_BBOOL yes = CK_TRUE, no = CK_FALSE;
	CK_ATTRIBUTE a[] = {
		ATTRIBUTE(CKA_CLASS, class),  ATTRIBUTE(CKA_KEY_TYPE, type),
		ATTRIBUTE(CKA_SENSITIVE, no), ATTRIBUTE(CKA_EXTRACTABLE, yes),
		ATTRIBUTE(CKA_ENCRYPT, yes),  ATTRIBUTE(CKA_DECRYPT, yes),
		ATTRIBUTE(CKA_SIGN, yes),     ATTRIBUTE(CKA_VERIFY, yes),
		ATTRIBUTE(CKA_WRAP, yes),     ATTRIBUTE(CKA_UNWRAP, yes),
		ATTRIBUTE(CKA_DERIVE, yes),   { CKA_VALUE, (void *)value, n },
	};
	CK_OBJECT_HANDLE key = 0;

	CALL(CreateObject, s, a, COUNT(a), &key);
	script_number("key", key);
	return key;
}

/* Every function with nothing in its arguments, by address: their types differ. */
typedef CK_RV (*any_function)(unsigned long, unsigned long, unsigned long, unsigned long,
			      unsigned long, unsigned long, unsigned long, unsigned long,
			      unsigned long, unsigned long);

static bool is(const char *name, const char *other)
{
	return strcmp(name, other) == 0;
}

/* The one difference that is left: before C_Initialize SoftHSM, against the standard, says of
 * C_WaitForSlotEvent that it has no such function, where Assay says that nobody initialised it. */
static void with_nothing(const char *name, const char *parameters, void *function,
			 CK_SESSION_HANDLE s, bool initialised)
{
	any_function f = (any_function)function;
	bool has_session = strncmp(parameters, "(CK_SESSION_HANDLE s", 20) == 0;

	if (is(name, "C_Initialize") || is(name, "C_Finalize") ||
	    (s && (!has_session || is(name, "C_CloseSession"))) ||
	    (!initialised && is(name, "C_WaitForSlotEvent")))
		return;
	printf("%s with nothing", name);
	script_said("", f(s, 0, 0, 0, 0, 0, 0, 0, 0, 0));
}

static void all_with_nothing(CK_SESSION_HANDLE s, bool initialised)
{
#define FN(name, route, parameters, arguments) \
	with_nothing("C_" #name, #parameters, (void *)p11->C_##name, s, initialised);
#define FN30(name, route, parameters, arguments)
#include "pkcs11/functions.def"
#undef FN
#undef FN30
}

static CK_RV no_mutex(void **mutex)
{
	*mutex = NULL;
	return CKR_GENERAL_ERROR;
}

static void chapter_life(void)
{
	static char reserved[1];
	CK_C_INITIALIZE_ARGS args = { .pReserved = reserved };

	script_bytes("version", &p11->version, sizeof p11->version);
	all_with_nothing(0, false);
	CALL(Finalize, NULL);
	CALL(Initialize, &args);
	args = (CK_C_INITIALIZE_ARGS){ .CreateMutex = no_mutex };
	CALL(Initialize, &args);
	CALL(Initialize, NULL);
	CALL(Initialize, NULL);
	all_with_nothing(0, true);
	CALL(Finalize, reserved);
	CALL(Finalize, NULL);
	CALL(Finalize, NULL);
	script_initialise();
	script_initialise();
	CALL(Finalize, NULL);
	all_with_nothing(0, false);
}

static void chapter_nothing_in_a_session(void)
{
	CK_SESSION_HANDLE s = script_user();

	all_with_nothing(s, true);
	CALL(CloseSession, s);
	all_with_nothing(s, true);
}

const struct chapter script_chapters[] = {
	{ "life", chapter_life },
	{ "nothing-in-a-session", chapter_nothing_in_a_session },
	{ "slots", chapter_slots },
	{ "mechanisms", chapter_mechanisms },
	{ "sessions", chapter_sessions },
	{ "pins", chapter_pins },
	{ "init-token", chapter_init_token },
	{ "objects", chapter_objects },
	{ "bad-templates", chapter_bad_templates },
	{ "search", chapter_search },
	{ "digest", chapter_digest },
	{ "sign", chapter_sign },
	{ "sign-errors", chapter_sign_errors },
	{ "verify", chapter_verify },
	{ "encrypt", chapter_encrypt },
	{ "decrypt", chapter_decrypt },
	{ "keys", chapter_keys },
	{ "wrap", chapter_wrap },
	{ "random", chapter_random },
	{ "states", chapter_states },
	{ "vendor", chapter_vendor },
};
const size_t script_chapters_n = COUNT(script_chapters);

static void load(const char *module)
{
	CK_RV (*get_list)(CK_FUNCTION_LIST **);
	static void *library; /* stays */

	library = dlopen(module, RTLD_NOW | RTLD_LOCAL);
	if (!library) {
		fprintf(stderr, "%s\n", dlerror());
		abort();
	}
	*(void **)&get_list = dlsym(library, "C_GetFunctionList");
	if (get_list(&p11) != CKR_OK)
		abort();
}

int script_run(const char *module, const char *chapter)
{
	load(module);
	for (size_t i = 0; i < script_chapters_n; i++) {
		if (strcmp(script_chapters[i].name, chapter) != 0)
			continue;
		script_chapters[i].run();
		/* Ends the library as clients do, whatever state the chapter left it in. */
		CALL(Finalize, NULL);
		return fflush(stdout) == 0 ? 0 : 1;
	}
	return 2;
}

static void make_pair(CK_SESSION_HANDLE s, CK_MECHANISM_TYPE type, CK_ATTRIBUTE parameter,
		      const char *label)
{
	CK_BBOOL yes = CK_TRUE;
	CK_MECHANISM mechanism = { type, NULL, 0 };
	CK_ATTRIBUTE public_half[] = { ATTRIBUTE(CKA_TOKEN, yes),
				       parameter,
				       { CKA_LABEL, (void *)label, strlen(label) },
				       ATTRIBUTE(CKA_ENCRYPT, yes),
				       ATTRIBUTE(CKA_VERIFY, yes) };
	CK_ATTRIBUTE private_half[] = { ATTRIBUTE(CKA_TOKEN, yes),
					ATTRIBUTE(CKA_PRIVATE, yes),
					{ CKA_LABEL, (void *)label, strlen(label) },
					ATTRIBUTE(CKA_DECRYPT, yes),
					ATTRIBUTE(CKA_SIGN, yes),
					ATTRIBUTE(CKA_DERIVE, yes) };
	CK_OBJECT_HANDLE a, b;

	if (p11->C_GenerateKeyPair(s, &mechanism, public_half, COUNT(public_half), private_half,
				   COUNT(private_half), &a, &b))
		abort();
}

void script_prepare(const char *module, char serial[17])
{
	static uint8_t p256[] = { 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07 };
	CK_ULONG bits = 1024; /* quick to make; nobody relies on it */
	CK_SESSION_HANDLE s;

	load(module);
	if (p11->C_Initialize(NULL) ||
	    p11->C_OpenSession(script_slot(SCRIPT_TOKEN), CKF_SERIAL_SESSION | CKF_RW_SESSION, NULL,
			       NULL, &s) ||
	    p11->C_Login(s, CKU_USER, (CK_BYTE *)HARNESS_PIN, strlen(HARNESS_PIN)))
		abort();
	make_pair(s, CKM_RSA_PKCS_KEY_PAIR_GEN, (CK_ATTRIBUTE)ATTRIBUTE(CKA_MODULUS_BITS, bits),
		  SCRIPT_RSA);
	make_pair(s, CKM_EC_KEY_PAIR_GEN, (CK_ATTRIBUTE)ATTRIBUTE(CKA_EC_PARAMS, p256), SCRIPT_EC);
	CK_TOKEN_INFO info;
	if (p11->C_GetTokenInfo(script_slot(SCRIPT_SPARE), &info))
		abort();
	memcpy(serial, info.serialNumber, 16);
	serial[16] = 0;
	p11->C_Finalize(NULL);
}

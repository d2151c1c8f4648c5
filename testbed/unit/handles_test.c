/* handles_test.c - whatever handles an HSM gives out, none is taken for one of ours. */
#include "testbed/mock/world.h"

#include "plugin/handle.h"

/* Numbers that an HSM may choose: ordinary ones, and ones in either of our ranges. */
static const CK_OBJECT_HANDLE theirs[] = {
	1,
	0xffffffff,
	~0UL,
	HANDLE_OURS,
	HANDLE_OURS + 1,
	HANDLE_OURS + 2,
	HANDLE_ALIAS,
	HANDLE_ALIAS + 1,
	HANDLE_ALIAS - 1,
	HANDLE_ALIAS + 0xffff,
	HANDLE_OURS - 1,
};
#define THEIRS_N (sizeof theirs / sizeof *theirs)

static CK_OBJECT_HANDLE seen[64];

static void find_all(void)
{
	static CK_OBJECT_CLASS class = CKO_PUBLIC_KEY;
	CK_ATTRIBUTE templ = { CKA_CLASS, &class, sizeof class };

	for (size_t i = 0; i < THEIRS_N; i++)
		w.mock->objects[w.mock->objects_n++] =
			(struct mock_object){ .handle = theirs[i], .class = CKO_PUBLIC_KEY };
	ck_assert_uint_eq(world_find(&templ, 1, seen, 64), THEIRS_N);
}

static void check_seen(void)
{
	for (size_t i = 0; i < THEIRS_N; i++) {
		ck_assert(!handle_is_ours(seen[i]));
		for (size_t j = 0; j < i; j++)
			ck_assert_uint_ne(seen[i], seen[j]);
		if (!handle_is_reserved(theirs[i]))
			ck_assert_uint_eq(seen[i], theirs[i]);
	}
}

typedef CK_RV key_init(CK_SESSION_HANDLE, CK_MECHANISM *, CK_OBJECT_HANDLE);

/* Every function that names an object names the HSM's own. */
static void check_named(size_t i)
{
	CK_MECHANISM m = { CKM_ECDSA, NULL, 0 };
	key_init *inits[] = { w.f->C_EncryptInit, w.f->C_DecryptInit,       w.f->C_SignRecoverInit,
			      w.f->C_VerifyInit,  w.f->C_VerifyRecoverInit, w.f->C_SignInit };
	CK_OBJECT_HANDLE out, h = seen[i], *named = w.mock->named;
	CK_ATTRIBUTE a = { CKA_CLASS, NULL, 0 };
	CK_ULONG n = 0;

	for (size_t k = 0; k < sizeof inits / sizeof *inits; k++) {
		named[0] = 0;
		ck_assert_rv(inits[k](w.s, &m, h), CKR_OK);
		ck_assert_uint_eq(named[0], theirs[i]);
	}
#define NAMES(call)                                     \
	do {                                            \
		named[0] = named[1] = 0;                \
		ck_assert_rv(call, CKR_OK);             \
		ck_assert_uint_eq(named[0], theirs[i]); \
	} while (0)
	NAMES(w.f->C_GetAttributeValue(w.s, h, &a, 1));
	NAMES(w.f->C_SetAttributeValue(w.s, h, &a, 1));
	NAMES(w.f->C_GetObjectSize(w.s, h, &n));
	NAMES(w.f->C_CopyObject(w.s, h, NULL, 0, &out));
	NAMES(w.f->C_DigestKey(w.s, h));
	NAMES(w.f->C_WrapKey(w.s, &m, h, h, NULL, &n));
	ck_assert_uint_eq(named[1], theirs[i]);
	NAMES(w.f->C_UnwrapKey(w.s, &m, h, NULL, 0, NULL, 0, &out));
	NAMES(w.f->C_DeriveKey(w.s, &m, h, NULL, 0, &out));
	NAMES(w.f->C_SetOperationState(w.s, NULL, 0, h, h));
	ck_assert_uint_eq(named[1], theirs[i]);
	NAMES(w.f->C_DestroyObject(w.s, h));
}

START_TEST(a_plain_module_keeps_them_apart)
{
	world_plain();
	find_all();
	check_seen();
	for (size_t i = 0; i < THEIRS_N; i++)
		check_named(i);
	world_end();
}
END_TEST

START_TEST(an_enrolled_one_too)
{
	world_enrolled();
	CK_OBJECT_HANDLE app = world_app();
	find_all();
	check_seen();
	for (size_t i = 0; i < THEIRS_N; i++) {
		ck_assert_uint_ne(seen[i], app);
		check_named(i);
	}
	world_end();
}
END_TEST

START_TEST(a_made_object_in_our_range_gets_an_alias)
{
	CK_MECHANISM m = { CKM_ECDSA, NULL, 0 };
	CK_OBJECT_HANDLE made[6];
	CK_ULONG n;

	world_enrolled();
	w.mock->next = world_app();
	ck_assert_rv(w.f->C_GenerateKey(w.s, &m, NULL, 0, &made[0]), CKR_OK);
	ck_assert_rv(w.f->C_GenerateKeyPair(w.s, &m, NULL, 0, NULL, 0, &made[1], &made[2]), CKR_OK);
	ck_assert_rv(w.f->C_CopyObject(w.s, made[0], NULL, 0, &made[3]), CKR_OK);
	ck_assert_rv(w.f->C_DeriveKey(w.s, &m, made[0], NULL, 0, &made[4]), CKR_OK);
	ck_assert_rv(w.f->C_CreateObject(w.s, NULL, 0, &made[5]), CKR_OK);
	for (size_t i = 0; i < 6; i++) {
		ck_assert(handle_is_reserved(made[i]) && !handle_is_ours(made[i]));
		ck_assert_rv(w.f->C_GetObjectSize(w.s, made[i], &n), CKR_OK);
	}
	world_end();
}
END_TEST

START_TEST(an_alias_never_given_out_names_nothing)
{
	CK_MECHANISM m = { CKM_ECDSA, NULL, 0 };
	CK_ULONG n;

	world_plain();
	ck_assert_rv(w.f->C_GetObjectSize(w.s, HANDLE_ALIAS + 5, &n), CKR_OBJECT_HANDLE_INVALID);
	ck_assert_rv(w.f->C_VerifyInit(w.s, &m, HANDLE_ALIAS + 5), CKR_KEY_HANDLE_INVALID);
	ck_assert_rv(w.f->C_GetObjectSize(w.s, HANDLE_OURS + 5, &n), CKR_OBJECT_HANDLE_INVALID);
	world_end();
}
END_TEST

static const struct {
	CK_MECHANISM_TYPE type;
	size_t words, handles[2];
} parameters[] = {
#define NONE 99
#define PARAMETER(name, number, words, first, second) { number, words, { first, second } },
#include "plugin/parameters.def"
#undef PARAMETER
};

/* Through whichever call the mechanism is for. */
static CK_RV use(CK_MECHANISM *m, CK_OBJECT_HANDLE key)
{
	CK_OBJECT_HANDLE made;
	CK_ULONG n = 0;

	if (m->mechanism == 0x500)
		return w.f->C_SignInit(w.s, m, key);
	return m->mechanism == 0x511 ? w.f->C_WrapKey(w.s, m, key, key, NULL, &n)
				     : w.f->C_DeriveKey(w.s, m, key, NULL, 0, &made);
}

START_TEST(a_handle_in_a_parameter_is_one_like_the_others)
{
	CK_ULONG words[10], was[10];
	CK_MECHANISM m = { parameters[_i].type, words, parameters[_i].words * sizeof *words };

	world_enrolled();
	CK_OBJECT_HANDLE app = world_app();
	find_all();
	for (size_t k = 0; k < 2 && parameters[_i].handles[k] != NONE; k++) {
		CK_ULONG *word = &words[parameters[_i].handles[k]];

		for (size_t i = 0; i < 10; i++)
			words[i] = 0;
		for (size_t i = 0; i < THEIRS_N; i++) {
			*word = seen[i];
			memcpy(was, words, sizeof was);
			ck_assert_rv(use(&m, seen[i]), CKR_OK);
			ck_assert_uint_eq(w.mock->parameter[word - words], theirs[i]);
			ck_assert_mem_eq(was, words, sizeof was);
		}
		*word = app;
		ck_assert_rv(use(&m, seen[0]), CKR_KEY_HANDLE_INVALID);
		*word = 3; /* the role key */
		ck_assert_rv(use(&m, seen[0]), CKR_KEY_HANDLE_INVALID);
	}
	world_end();
}
END_TEST

static void add(TCase *t)
{
	tcase_add_test(t, a_plain_module_keeps_them_apart);
	tcase_add_test(t, an_enrolled_one_too);
	tcase_add_test(t, a_made_object_in_our_range_gets_an_alias);
	tcase_add_test(t, an_alias_never_given_out_names_nothing);
	tcase_add_table(t, a_handle_in_a_parameter_is_one_like_the_others, parameters);
}

int main(void)
{
	return check_run("handles", add);
}

/* objects_test.c - what a client sees of applications and results, and what it does not see. */
#include "testbed/mock/world.h"

#include "plugin/attribute.h"
#include "plugin/mechanism.h"

static CK_OBJECT_CLASS secret = CKO_SECRET_KEY, private = CKO_PRIVATE_KEY, data = CKO_DATA;
static CK_OBJECT_HANDLE found[64];

#define CLASS(c)                           \
	{                                  \
		CKA_CLASS, &(c), sizeof(c) \
	}
#define TEXT(type, s)                            \
	{                                        \
		type, (void *)(s), sizeof(s) - 1 \
	}
#define APP_ID                         \
	{                              \
		CKA_ID, FAKE_APP_ID, 8 \
	}
#define LOADER TEXT(CKA_LABEL, LOADER_LABEL)

static const struct {
	const char *why;
	CK_ATTRIBUTE templ[3];
	CK_ULONG n, user, so; /* attributes; found by the user, by the SO */
} searches[] = {
	{ "everything: the secret facet, and the SO's loader", { { 0 } }, 0, 1, 2 },
	{ "secret keys", { CLASS(secret) }, 1, 1, 2 },
	{ "by label alone, one object", { TEXT(CKA_LABEL, "Screening") }, 1, 1, 1 },
	{ "by id alone, one object", { APP_ID }, 1, 1, 1 },
	{ "private keys, not named", { CLASS(private) }, 1, 0, 0 },
	{ "private key by id", { CLASS(private), APP_ID }, 2, 1, 1 },
	{ "private key by label", { CLASS(private), TEXT(CKA_LABEL, "Screening") }, 2, 1, 1 },
	{ "private key, another label", { CLASS(private), TEXT(CKA_LABEL, "screening") }, 2, 0, 0 },
	{ "the loader's private facet", { CLASS(private), LOADER }, 2, 0, 1 },
	{ "the loader by label alone", { LOADER }, 1, 0, 1 },
	{ "data of ours, before anything ran", { CLASS(data) }, 1, 0, 0 },
	{ "a secret value", { CLASS(secret), TEXT(CKA_VALUE, "x") }, 2, 0, 0 },
	{ "the role key by its id", { { CKA_ID, FAKE_KEY_ID, FAKE_KEY_ID_N } }, 1, 0, 0 },
};

START_TEST(searches_find)
{
	world_enrolled();
	world_login(CKU_USER);
	CK_ULONG n = world_find(searches[_i].templ, searches[_i].n, found, 64);
	ck_assert_msg(n == searches[_i].user, "%s: %lu for the user", searches[_i].why, n);
	ck_assert_rv(w.f->C_Logout(w.s), CKR_OK);
	world_login(CKU_SO);
	n = world_find(searches[_i].templ, searches[_i].n, found, 64);
	ck_assert_msg(n == searches[_i].so, "%s: %lu for the SO", searches[_i].why, n);
	world_end();
}
END_TEST

START_TEST(the_hsms_objects_come_first_and_ours_keep_their_handles)
{
	world_enrolled();
	for (CK_OBJECT_HANDLE h = 10; h < 15; h++)
		w.mock->objects[w.mock->objects_n++] =
			(struct mock_object){ .handle = h, .class = CKO_PUBLIC_KEY };
	ck_assert_uint_eq(world_find(NULL, 0, found, 64), 6);
	for (CK_OBJECT_HANDLE h = 10; h < 15; h++)
		ck_assert_uint_eq(found[h - 10], h);
	CK_OBJECT_HANDLE app = found[5];
	fake.two_apps = true;
	usleep(250000);
	ck_assert_uint_eq(world_find(NULL, 0, found, 64), 7);
	ck_assert_uint_eq(found[5], app);
	world_end();
}
END_TEST

START_TEST(applications_that_take_several_answers_are_all_found)
{
	CK_ATTRIBUTE a[] = { CLASS(secret) };

	fake.paged = true;
	world_enrolled();
	world_login(CKU_USER);
	ck_assert_uint_eq(world_find(a, 1, found, 64), 2);
	ck_assert_uint_eq(fake.asked[REQ_APPS], 2);
	world_end();
}
END_TEST

/* An empty id is the loader's; an answer with one makes no sense. */
START_TEST(an_application_without_an_id_is_not_shown)
{
	CK_ATTRIBUTE a[] = { CLASS(secret) };

	fake.paged = fake.nameless = true;
	world_enrolled();
	world_login(CKU_USER);
	ck_assert_uint_eq(world_find(a, 1, found, 64), 0);
	world_end();
}
END_TEST

START_TEST(our_objects_on_the_token_are_refused_in_every_call)
{
	CK_MECHANISM m = { CKM_ECDSA, NULL, 0 };
	CK_ATTRIBUTE a = { CKA_CLASS, NULL, 0 };
	CK_OBJECT_HANDLE key = 3, out;
	CK_ULONG n = 0;

	world_enrolled();
	world_login(CKU_USER);
	ck_assert_rv(w.f->C_GetAttributeValue(w.s, key, &a, 1), CKR_OBJECT_HANDLE_INVALID);
	ck_assert_rv(w.f->C_SetAttributeValue(w.s, key, &a, 1), CKR_OBJECT_HANDLE_INVALID);
	ck_assert_rv(w.f->C_GetObjectSize(w.s, key, &n), CKR_OBJECT_HANDLE_INVALID);
	ck_assert_rv(w.f->C_CopyObject(w.s, key, NULL, 0, &out), CKR_OBJECT_HANDLE_INVALID);
	ck_assert_rv(w.f->C_DestroyObject(w.s, key), CKR_OBJECT_HANDLE_INVALID);
	ck_assert_rv(w.f->C_SignInit(w.s, &m, key), CKR_KEY_HANDLE_INVALID);
	ck_assert_rv(w.f->C_SignRecoverInit(w.s, &m, key), CKR_KEY_HANDLE_INVALID);
	ck_assert_rv(w.f->C_DecryptInit(w.s, &m, key), CKR_KEY_HANDLE_INVALID);
	ck_assert_rv(w.f->C_EncryptInit(w.s, &m, key), CKR_KEY_HANDLE_INVALID);
	ck_assert_rv(w.f->C_DigestKey(w.s, key), CKR_KEY_HANDLE_INVALID);
	ck_assert_rv(w.f->C_WrapKey(w.s, &m, key, key, NULL, &n), CKR_WRAPPING_KEY_HANDLE_INVALID);
	ck_assert_rv(w.f->C_UnwrapKey(w.s, &m, key, NULL, 0, NULL, 0, &out),
		     CKR_UNWRAPPING_KEY_HANDLE_INVALID);
	ck_assert_rv(w.f->C_DeriveKey(w.s, &m, key, NULL, 0, &out), CKR_KEY_HANDLE_INVALID);
	ck_assert(!w.mock->objects[0].gone);
	world_end();
}
END_TEST

START_TEST(no_template_may_take_an_id_of_ours)
{
	CK_MECHANISM m = { CKM_ECDSA, NULL, 0 };
	CK_OBJECT_CLASS class = CKO_PUBLIC_KEY;
	CK_ATTRIBUTE a[] = { { CKA_CLASS, &class, sizeof class },
			     { CKA_ID, "mine", 4 },
			     { CKA_ID, FAKE_KEY_ID, FAKE_KEY_ID_N } };
	CK_OBJECT_HANDLE own = 77, out, pair;
	CK_RV wanted = CKR_ATTRIBUTE_VALUE_INVALID;

	world_enrolled();
	w.mock->objects[w.mock->objects_n++] =
		(struct mock_object){ .handle = own, .class = CKO_PUBLIC_KEY };
	ck_assert_rv(w.f->C_CreateObject(w.s, a, 3, &out), wanted);
	ck_assert_rv(w.f->C_CopyObject(w.s, own, a, 3, &out), wanted);
	ck_assert_rv(w.f->C_SetAttributeValue(w.s, own, a, 3), wanted);
	ck_assert_rv(w.f->C_GenerateKey(w.s, &m, a, 3, &out), wanted);
	ck_assert_rv(w.f->C_GenerateKeyPair(w.s, &m, a, 3, a, 2, &out, &pair), wanted);
	ck_assert_rv(w.f->C_GenerateKeyPair(w.s, &m, a, 2, a, 3, &out, &pair), wanted);
	ck_assert_rv(w.f->C_UnwrapKey(w.s, &m, own, NULL, 0, a, 3, &out), wanted);
	ck_assert_rv(w.f->C_DeriveKey(w.s, &m, own, a, 3, &out), wanted);
	ck_assert_rv(w.f->C_CreateObject(w.s, a, 2, &out), CKR_OK);
	world_end();
}
END_TEST

/* Section 5.7.5 of the standard. */
START_TEST(attributes_answer_as_the_standard_says)
{
	CK_BYTE label[64], version[2], value[64], modulus[8];
	CK_ATTRIBUTE a[] = {
		{ CKA_LABEL, label, sizeof label },
		{ CKA_LABEL, NULL, 0 },
		{ CKA_LABEL, label, 2 },
		{ CKA_VALUE, value, sizeof value },
		{ CKA_MODULUS, modulus, 8 },
		{ CKA_START_DATE, value, sizeof value },
		{ CKA_ASSAY_VERSION, version, 2 },
		{ CKA_ASSAY_MEASUREMENT, value, 32 },
	};
	const CK_RV wanted[] = { CKR_OK,
				 CKR_OK,
				 CKR_BUFFER_TOO_SMALL,
				 CKR_ATTRIBUTE_SENSITIVE,
				 CKR_ATTRIBUTE_TYPE_INVALID,
				 CKR_OK,
				 CKR_BUFFER_TOO_SMALL,
				 CKR_OK };
	const CK_ULONG sizes[] = { 9,
				   9,
				   CK_UNAVAILABLE_INFORMATION,
				   CK_UNAVAILABLE_INFORMATION,
				   CK_UNAVAILABLE_INFORMATION,
				   0,
				   CK_UNAVAILABLE_INFORMATION,
				   32 };

	world_enrolled();
	CK_OBJECT_HANDLE app = world_app();
	for (size_t i = 0; i < sizeof a / sizeof *a; i++) {
		CK_ATTRIBUTE one = a[i];
		ck_assert_rv(w.f->C_GetAttributeValue(w.s, app, &one, 1), wanted[i]);
		ck_assert_uint_eq(one.ulValueLen, sizes[i]);
	}
	/* All at once: every one is answered, and the call says that not all could be. */
	ck_assert_rv(w.f->C_GetAttributeValue(w.s, app, a, sizeof a / sizeof *a),
		     CKR_BUFFER_TOO_SMALL);
	for (size_t i = 0; i < sizeof a / sizeof *a; i++)
		ck_assert_uint_eq(a[i].ulValueLen, sizes[i]);
	ck_assert_mem_eq(label, "Screening", 9);
	ck_assert_rv(w.f->C_GetAttributeValue(w.s, app, NULL, 1), CKR_ARGUMENTS_BAD);
	world_end();
}
END_TEST

START_TEST(applications_are_not_changed_as_keys_are)
{
	CK_OBJECT_HANDLE out;
	CK_ULONG n = 0;
	CK_ATTRIBUTE a = TEXT(CKA_LABEL, "mine");

	world_enrolled();
	CK_OBJECT_HANDLE app = world_app();
	ck_assert_rv(w.f->C_SetAttributeValue(w.s, app, &a, 1), CKR_ACTION_PROHIBITED);
	ck_assert_rv(w.f->C_CopyObject(w.s, app, &a, 1, &out), CKR_ACTION_PROHIBITED);
	ck_assert_rv(w.f->C_GetObjectSize(w.s, app, &n), CKR_OK);
	ck_assert_uint_gt(n, 0);
	world_login(CKU_SO);
	ck_assert_rv(w.f->C_DestroyObject(w.s, app), CKR_OK);
	ck_assert_uint_eq(fake.asked[REQ_UNLOAD], 1);
	world_end();
}
END_TEST

/* The way through clients that can only store data. */
START_TEST(a_created_object_runs_and_is_its_output)
{
	CK_ATTRIBUTE templ[] = { CLASS(data), TEXT(CKA_APPLICATION, "assay:run:" FAKE_APP),
				 TEXT(CKA_LABEL, "invoice 7"), TEXT(CKA_VALUE, "pay") };
	CK_BYTE value[16];
	CK_ATTRIBUTE get = { CKA_VALUE, value, sizeof value };
	CK_OBJECT_HANDLE made;

	world_enrolled();
	world_login(CKU_USER);
	ck_assert_rv(w.f->C_CreateObject(w.s, templ, 4, &made), CKR_OK);
	ck_assert_str_eq(fake.last_label, "invoice 7");
	ck_assert_mem_eq(fake.last_input, "pay", 3);
	ck_assert_rv(w.f->C_GetAttributeValue(w.s, made, &get, 1), CKR_OK);
	ck_assert_uint_eq(get.ulValueLen, 6);
	ck_assert_mem_eq(value, "output", 6);
	ck_assert_uint_eq(world_find(templ, 1, found, 64), 2);
	ck_assert_rv(w.f->C_DestroyObject(w.s, made), CKR_ACTION_PROHIBITED);
	ck_assert_rv(w.f->C_CreateObject(w.s, templ, 3, &made), CKR_TEMPLATE_INCOMPLETE);
	ck_assert_rv(w.f->C_Logout(w.s), CKR_OK);
	ck_assert_rv(w.f->C_GetAttributeValue(w.s, made, &get, 1), CKR_OBJECT_HANDLE_INVALID);
	world_end();
}
END_TEST

/* For those who have no mechanism's parameter to pass. */
START_TEST(a_created_object_may_have_nonce_and_request_id)
{
	char options[] = "\1\1\0\x8"
			 "12345678"
			 "\2\0\3abc";
	CK_ATTRIBUTE templ[] = { CLASS(data),
				 TEXT(CKA_APPLICATION, "assay:run:" FAKE_APP),
				 TEXT(CKA_VALUE, "pay"),
				 { CKA_OBJECT_ID, options, sizeof options - 1 } };
	CK_OBJECT_HANDLE made;

	world_enrolled();
	world_login(CKU_USER);
	ck_assert_rv(w.f->C_CreateObject(w.s, templ, 4, &made), CKR_OK);
	ck_assert_str_eq(fake.last_nonce, "12345678");
	ck_assert_str_eq(fake.last_request, "abc");
	templ[3].ulValueLen--;
	ck_assert_rv(w.f->C_CreateObject(w.s, templ, 4, &made), CKR_ATTRIBUTE_VALUE_INVALID);
	templ[3].ulValueLen = (CK_ULONG)-1;
	ck_assert_rv(w.f->C_CreateObject(w.s, templ, 4, &made), CKR_ATTRIBUTE_VALUE_INVALID);
	world_end();
}
END_TEST

START_TEST(mechanisms_are_on_the_enrolled_slot_and_no_other)
{
	CK_MECHANISM_TYPE list[8];
	CK_MECHANISM_INFO info;
	CK_ULONG n = 0;

	world_enrolled();
	ck_assert_rv(w.f->C_GetMechanismList(MOCK_SLOT, NULL, &n), CKR_OK);
	ck_assert_uint_eq(n, 5);
	n = 4;
	ck_assert_rv(w.f->C_GetMechanismList(MOCK_SLOT, list, &n), CKR_BUFFER_TOO_SMALL);
	ck_assert_uint_eq(n, 5);
	ck_assert_rv(w.f->C_GetMechanismList(MOCK_SLOT, list, &n), CKR_OK);
	ck_assert_uint_eq(list[0], CKM_ECDSA);
	ck_assert_uint_eq(list[4], CKM_ASSAY_LOAD);
	ck_assert_rv(w.f->C_GetMechanismInfo(MOCK_SLOT, CKM_ASSAY_RUN, &info), CKR_OK);
	ck_assert_uint_eq(info.flags, CKF_ENCRYPT);
	ck_assert_rv(w.f->C_GetMechanismList(MOCK_OTHER_SLOT, NULL, &n), CKR_OK);
	ck_assert_uint_eq(n, 1);
	world_end();
}
END_TEST

START_TEST(the_daemons_token_is_out_of_reach)
{
	CK_SLOT_ID list[4];
	CK_TOKEN_INFO info;
	CK_SESSION_HANDLE s;
	CK_ULONG n = 2;

	world_enrolled();
	ck_assert_rv(w.f->C_Finalize(NULL), CKR_OK);
	w.mock->serial = "0123456789abcdef";
	ck_assert_rv(w.f->C_Initialize(NULL), CKR_OK);
	ck_assert_rv(w.f->C_GetSlotList(CK_TRUE, NULL, &n), CKR_OK);
	ck_assert_uint_eq(n, 1);
	ck_assert_rv(w.f->C_GetSlotList(CK_TRUE, list, &n), CKR_OK);
	ck_assert_uint_eq(list[0], MOCK_OTHER_SLOT);
	ck_assert_rv(w.f->C_GetTokenInfo(MOCK_SLOT, &info), CKR_SLOT_ID_INVALID);
	ck_assert_rv(w.f->C_GetSlotInfo(MOCK_SLOT, NULL), CKR_SLOT_ID_INVALID);
	ck_assert_rv(w.f->C_GetMechanismList(MOCK_SLOT, NULL, &n), CKR_SLOT_ID_INVALID);
	ck_assert_rv(w.f->C_InitToken(MOCK_SLOT, NULL, 0, NULL), CKR_SLOT_ID_INVALID);
	ck_assert_rv(w.f->C_CloseAllSessions(MOCK_SLOT), CKR_SLOT_ID_INVALID);
	ck_assert_rv(w.f->C_OpenSession(MOCK_SLOT, CKF_SERIAL_SESSION, NULL, NULL, &s),
		     CKR_SLOT_ID_INVALID);
	world_end();
}
END_TEST

START_TEST(a_suspended_partition_shows_nothing)
{
	fake.suspended = true;
	world_enrolled();
	world_login(CKU_USER);
	ck_assert_uint_eq(world_find(NULL, 0, found, 64), 0);
	world_end();
}
END_TEST

static void add(TCase *t)
{
	tcase_add_table(t, searches_find, searches);
	tcase_add_test(t, the_hsms_objects_come_first_and_ours_keep_their_handles);
	tcase_add_test(t, an_application_without_an_id_is_not_shown);
	tcase_add_test(t, applications_that_take_several_answers_are_all_found);
	tcase_add_test(t, our_objects_on_the_token_are_refused_in_every_call);
	tcase_add_test(t, no_template_may_take_an_id_of_ours);
	tcase_add_test(t, attributes_answer_as_the_standard_says);
	tcase_add_test(t, applications_are_not_changed_as_keys_are);
	tcase_add_test(t, a_created_object_runs_and_is_its_output);
	tcase_add_test(t, a_created_object_may_have_nonce_and_request_id);
	tcase_add_test(t, mechanisms_are_on_the_enrolled_slot_and_no_other);
	tcase_add_test(t, the_daemons_token_is_out_of_reach);
	tcase_add_test(t, a_suspended_partition_shows_nothing);
}

int main(void)
{
	return check_run("objects", add);
}

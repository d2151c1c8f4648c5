#include <string.h>

#include "testbed/softhsm/script.h"

static CK_OBJECT_HANDLE data_object(CK_SESSION_HANDLE s, bool token, bool private,
				    const char *label)
{
	CK_OBJECT_CLASS class = CKO_DATA;
	CK_BBOOL on_token = token, is_private = private;
	CK_ATTRIBUTE a[] = {
		ATTRIBUTE(CKA_CLASS, class),
		ATTRIBUTE(CKA_TOKEN, on_token),
		ATTRIBUTE(CKA_PRIVATE, is_private),
		{ CKA_LABEL, (void *)label, strlen(label) },
		ATTRIBUTE_TEXT(CKA_APPLICATION, "an application"),
		ATTRIBUTE_TEXT(CKA_VALUE, "the value of a data object"),
	};
	CK_OBJECT_HANDLE made = 0;

	CALL(CreateObject, s, a, COUNT(a), &made);
	script_number("made", made);
	return made;
}

static void show_attributes(CK_SESSION_HANDLE s, CK_OBJECT_HANDLE object)
{
	static const CK_ATTRIBUTE_TYPE types[] = {
		CKA_CLASS,
		CKA_TOKEN,
		CKA_PRIVATE,
		CKA_LABEL,
		CKA_APPLICATION,
		CKA_VALUE,
		CKA_MODIFIABLE,
		CKA_COPYABLE,
		CKA_DESTROYABLE,
		CKA_KEY_TYPE,
		CKA_VENDOR_DEFINED | 5,
	};
	uint8_t value[COUNT(types)][40];
	CK_ATTRIBUTE a[COUNT(types)];

	for (int room = 0; room <= 40; room += 20) {
		memset(value, OUT_PATTERN, sizeof value);
		for (size_t i = 0; i < COUNT(types); i++)
			a[i] = (CK_ATTRIBUTE){ types[i], room ? value[i] : NULL, (CK_ULONG)room };
		CALL(GetAttributeValue, s, object, a, COUNT(a));
		for (size_t i = 0; i < COUNT(types); i++)
			script_number("length", a[i].ulValueLen);
		SHOW(value);
	}
	CK_ULONG size = 4711;
	CALL(GetObjectSize, s, object, &size);
	SHOW(size);
}

void chapter_objects(void)
{
	CK_SESSION_HANDLE s = script_user();
	CK_SLOT_ID slot = script_slot(SCRIPT_TOKEN);
	CK_SESSION_HANDLE reader = script_session(slot, 0);
	CK_BBOOL yes = CK_TRUE, no = CK_FALSE;
	CK_OBJECT_HANDLE o, copy = 0;

	for (int kind = 0; kind < 4; kind++) {
		o = data_object(s, kind & 1, kind & 2, "an object");
		show_attributes(s, o);
		show_attributes(reader, o);
		CK_ATTRIBUTE label[] = { ATTRIBUTE_TEXT(CKA_LABEL, "another label") };
		CALL(SetAttributeValue, reader, o, label, 1);
		CALL(SetAttributeValue, s, o, label, 1);
		CK_ATTRIBUTE class[] = { ATTRIBUTE(CKA_CLASS, slot) };
		CALL(SetAttributeValue, s, o, class, 1);
		CK_ATTRIBUTE two[] = { ATTRIBUTE(CKA_PRIVATE, yes), ATTRIBUTE(CKA_MODIFIABLE, no) };
		CALL(CopyObject, reader, o, two, COUNT(two), &copy);
		CALL(CopyObject, s, o, two, COUNT(two), &copy);
		script_number("copy", copy);
		CALL(SetAttributeValue, s, copy, label, 1);
		CALL(CopyObject, s, o, NULL, 0, &copy);
		show_attributes(s, copy);
		CALL(DestroyObject, reader, o);
		CALL(DestroyObject, s, o);
		CALL(DestroyObject, s, o);
		show_attributes(s, o);
	}
	data_object(reader, true, true, "read-only");
	data_object(reader, false, true, "read-only");
	CALL(Logout, s);
	data_object(s, true, true, "private");
	data_object(s, true, false, "public");
	show_attributes(s, copy);
}

static void create(CK_SESSION_HANDLE s, CK_ATTRIBUTE *a, CK_ULONG n)
{
	CK_OBJECT_HANDLE made = 0;

	CALL(CreateObject, s, a, n, &made);
	script_number("made", made);
}

void chapter_bad_templates(void)
{
	CK_SESSION_HANDLE s = script_user();
	CK_OBJECT_CLASS data = CKO_DATA, key = CKO_SECRET_KEY, certificate = CKO_CERTIFICATE,
			vendor = CKO_VENDOR_DEFINED | 1;
	CK_BBOOL yes = CK_TRUE;
	CK_KEY_TYPE generic = CKK_GENERIC_SECRET;
	CK_ATTRIBUTE rows[][3] = {
		{ ATTRIBUTE(CKA_TOKEN, yes), ATTRIBUTE(CKA_PRIVATE, yes),
		  ATTRIBUTE(CKA_TOKEN, yes) },
		{ ATTRIBUTE(CKA_CLASS, vendor), ATTRIBUTE(CKA_TOKEN, yes),
		  ATTRIBUTE(CKA_PRIVATE, yes) },
		{ ATTRIBUTE(CKA_CLASS, data), ATTRIBUTE(CKA_TOKEN, data),
		  ATTRIBUTE(CKA_PRIVATE, yes) },
		{ ATTRIBUTE(CKA_CLASS, data), ATTRIBUTE(CKA_CLASS, key),
		  ATTRIBUTE(CKA_PRIVATE, yes) },
		{ ATTRIBUTE(CKA_CLASS, data), ATTRIBUTE(CKA_KEY_TYPE, generic),
		  ATTRIBUTE(CKA_TOKEN, yes) },
		{ ATTRIBUTE(CKA_CLASS, key), ATTRIBUTE(CKA_TOKEN, yes),
		  ATTRIBUTE(CKA_PRIVATE, yes) },
		{ ATTRIBUTE(CKA_CLASS, key), ATTRIBUTE(CKA_KEY_TYPE, generic),
		  ATTRIBUTE(CKA_SIGN, yes) },
		{ ATTRIBUTE(CKA_CLASS, certificate), ATTRIBUTE(CKA_TOKEN, yes),
		  ATTRIBUTE(CKA_TRUSTED, yes) },
		{ ATTRIBUTE(CKA_CLASS, data),
		  { CKA_VENDOR_DEFINED | 3, &yes, 1 },
		  ATTRIBUTE(CKA_TOKEN, yes) },
	};

	for (size_t i = 0; i < COUNT(rows); i++)
		create(s, rows[i], 3);
	create(s, rows[0], 0);
	create(s, NULL, 0);
	CALL(CreateObject, s, rows[3], 3, NULL);
	CALL(DestroyObject, s, 0);
	CALL(DestroyObject, s, 4711);
}

/* In which order a token lists its objects is chance with SoftHSM: what is found is counted. */
static void search(CK_SESSION_HANDLE s, CK_ATTRIBUTE *a, CK_ULONG n, CK_ULONG step)
{
	CK_OBJECT_HANDLE found[16];
	CK_ULONG got = 0;

	CALL(FindObjectsInit, s, a, n);
	for (int i = 0; i < 8; i++) {
		memset(found, 0, sizeof found);
		if (CALL(FindObjects, s, found, step, &got) || !got)
			break;
		script_number("got", got);
		for (CK_ULONG k = 0; k < COUNT(found); k++)
			if ((found[k] != 0) != (k < got))
				script_number("place", k);
	}
	CALL(FindObjectsFinal, s);
}

void chapter_search(void)
{
	CK_SESSION_HANDLE s = script_user();
	CK_OBJECT_CLASS class = CKO_DATA;
	CK_ATTRIBUTE by_class[] = { ATTRIBUTE(CKA_CLASS, class) };
	CK_ATTRIBUTE by_label[] = { ATTRIBUTE_TEXT(CKA_LABEL, "7") };
	CK_ATTRIBUTE by_unknown[] = { ATTRIBUTE_TEXT(CKA_VENDOR_DEFINED | 9, "7") };
	CK_ATTRIBUTE by_empty[] = { { CKA_LABEL, NULL, 0 } };
	CK_OBJECT_HANDLE found[16];
	CK_ULONG n = 3;

	CALL(FindObjects, s, found, 1, &n);
	CALL(FindObjectsFinal, s);
	for (int i = 0; i < 10; i++)
		data_object(s, i & 1, i & 2, (char[]){ (char)('0' + i), 0 });
	for (CK_ULONG step = 0; step <= 16; step += 4) {
		search(s, by_class, 1, step);
		search(s, NULL, 0, step);
		search(s, by_label, 1, step);
		search(s, by_unknown, 1, step);
		search(s, by_empty, 1, step);
	}
	CALL(FindObjectsInit, s, by_class, 1);
	CALL(FindObjectsInit, s, by_class, 1);
	CALL(FindObjects, s, NULL, 1, &n);
	CALL(FindObjects, s, found, 1, NULL);
	CALL(DigestInit, s, &(CK_MECHANISM){ CKM_SHA256, NULL, 0 });
	CALL(Logout, s);
	CALL(FindObjects, s, found, 16, &n);
	script_number("n", n);
	CALL(FindObjectsFinal, s);
	search(s, by_class, 1, 16);
	CALL(CloseSession, s);
	search(s, by_class, 1, 16);
}

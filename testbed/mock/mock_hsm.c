/* mock_hsm.c - a PKCS#11 module in memory: no cryptography, handles as the test wants them. */
#include "testbed/mock/mock.h"

#include <string.h>

#define EXPORT __attribute__((visibility("default")))
#define SESSIONS 64

static struct mock mock;
static struct session {
	bool open, finding, signing;
	CK_SLOT_ID slot;
	CK_OBJECT_HANDLE found[MOCK_OBJECTS];
	CK_ULONG found_n, found_next;
} sessions[SESSIONS];
static bool initialised;

EXPORT struct mock *mock_control(void)
{
	return &mock;
}

static struct session *session(CK_SESSION_HANDLE s)
{
	return s > 0 && s < SESSIONS && sessions[s].open ? &sessions[s] : NULL;
}

static struct mock_object *object(CK_OBJECT_HANDLE h)
{
	for (CK_ULONG i = 0; i < mock.objects_n; i++)
		if (mock.objects[i].handle == h && !mock.objects[i].gone)
			return &mock.objects[i];
	return NULL;
}

static CK_RV initialize(void *args)
{
	(void)args;
	if (initialised)
		return CKR_CRYPTOKI_ALREADY_INITIALIZED;
	initialised = true;
	return CKR_OK;
}

static CK_RV finalize(void *reserved)
{
	(void)reserved;
	if (mock.on_finalize)
		mock.on_finalize();
	initialised = false;
	memset(sessions, 0, sizeof sessions);
	return CKR_OK;
}

static CK_RV get_info(CK_INFO *info)
{
	memset(info, ' ', sizeof *info);
	info->cryptokiVersion = (CK_VERSION){ 2, 40 };
	return CKR_OK;
}

static CK_RV get_slot_list(CK_BYTE present, CK_SLOT_ID *list, CK_ULONG *n)
{
	CK_ULONG room = *n;

	(void)present;
	*n = 2;
	if (list && room < 2)
		return CKR_BUFFER_TOO_SMALL;
	if (list) {
		list[0] = MOCK_SLOT;
		list[1] = MOCK_OTHER_SLOT;
	}
	return CKR_OK;
}

static CK_RV get_token_info(CK_SLOT_ID slot, CK_TOKEN_INFO *info)
{
	const char *serial =
		slot == MOCK_SLOT ? mock.serial ? mock.serial : MOCK_SERIAL : MOCK_OTHER_SERIAL;

	if (slot != MOCK_SLOT && slot != MOCK_OTHER_SLOT)
		return CKR_SLOT_ID_INVALID;
	memset(info, ' ', sizeof *info);
	memcpy(info->label, "mock", 4);
	memcpy(info->serialNumber, serial, strlen(serial));
	info->flags = CKF_TOKEN_INITIALIZED | CKF_LOGIN_REQUIRED;
	return CKR_OK;
}

static CK_RV get_mechanism_list(CK_SLOT_ID slot, CK_MECHANISM_TYPE *list, CK_ULONG *n)
{
	CK_ULONG room = *n;

	(void)slot;
	*n = 1;
	if (list && room < 1)
		return CKR_BUFFER_TOO_SMALL;
	if (list)
		list[0] = CKM_ECDSA;
	return CKR_OK;
}

static CK_RV init_token(CK_SLOT_ID slot, CK_BYTE *pin, CK_ULONG pin_n, CK_BYTE *label)
{
	(void)slot, (void)pin, (void)pin_n, (void)label;
	if (mock.on_init_token)
		mock.on_init_token();
	return CKR_OK;
}

static CK_RV open_session(CK_SLOT_ID slot, CK_FLAGS flags, void *application, CK_NOTIFY notify,
			  CK_SESSION_HANDLE *out)
{
	(void)flags, (void)application, (void)notify;
	for (CK_SESSION_HANDLE s = 1; s < SESSIONS; s++) {
		if (sessions[s].open)
			continue;
		sessions[s] = (struct session){ .open = true, .slot = slot };
		mock.sessions++;
		*out = s;
		return CKR_OK;
	}
	return CKR_SESSION_COUNT;
}

static CK_RV close_session(CK_SESSION_HANDLE s)
{
	if (!session(s))
		return CKR_SESSION_HANDLE_INVALID;
	if (mock.on_close)
		mock.on_close();
	sessions[s].open = false;
	mock.sessions--;
	return CKR_OK;
}

static CK_RV close_all(CK_SLOT_ID slot)
{
	for (CK_SESSION_HANDLE s = 1; s < SESSIONS; s++)
		if (sessions[s].open && sessions[s].slot == slot)
			(void)close_session(s);
	return CKR_OK;
}

static CK_RV get_session_info(CK_SESSION_HANDLE s, CK_SESSION_INFO *info)
{
	if (!session(s))
		return CKR_SESSION_HANDLE_INVALID;
	*info = (CK_SESSION_INFO){ .slotID = session(s)->slot, .state = mock.state };
	return CKR_OK;
}

static CK_RV login(CK_SESSION_HANDLE s, CK_USER_TYPE user, CK_BYTE *pin, CK_ULONG pin_n)
{
	(void)pin, (void)pin_n;
	mock.state = user == CKU_SO ? CKS_RW_SO_FUNCTIONS : CKS_RW_USER_FUNCTIONS;
	return session(s) ? CKR_OK : CKR_SESSION_HANDLE_INVALID;
}

static CK_RV logout(CK_SESSION_HANDLE s)
{
	if (mock.on_logout)
		mock.on_logout();
	mock.state = CKS_RW_PUBLIC_SESSION;
	return session(s) ? CKR_OK : CKR_SESSION_HANDLE_INVALID;
}

static CK_RV add(CK_OBJECT_CLASS class, CK_OBJECT_HANDLE *out)
{
	if (mock.objects_n == MOCK_OBJECTS)
		return CKR_DEVICE_MEMORY;
	mock.objects[mock.objects_n++] =
		(struct mock_object){ .handle = mock.next, .class = class };
	*out = mock.next++;
	return CKR_OK;
}

static CK_RV create_object(CK_SESSION_HANDLE s, CK_ATTRIBUTE *templ, CK_ULONG n,
			   CK_OBJECT_HANDLE *out)
{
	CK_RV rv = session(s) ? add(CKO_DATA, out) : CKR_SESSION_HANDLE_INVALID;

	for (CK_ULONG i = 0; rv == CKR_OK && i < n; i++) {
		struct mock_object *made = &mock.objects[mock.objects_n - 1];
		if (templ[i].type == CKA_CLASS)
			memcpy(&made->class, templ[i].pValue, sizeof made->class);
		if (templ[i].type == CKA_ID && templ[i].ulValueLen <= sizeof made->id) {
			memcpy(made->id, templ[i].pValue, templ[i].ulValueLen);
			made->id_n = templ[i].ulValueLen;
		}
	}
	return rv;
}

static CK_RV copy_object(CK_SESSION_HANDLE s, CK_OBJECT_HANDLE h, CK_ATTRIBUTE *templ, CK_ULONG n,
			 CK_OBJECT_HANDLE *out)
{
	(void)s, (void)templ, (void)n;
	mock.named[0] = h;
	return object(h) ? add(object(h)->class, out) : CKR_OBJECT_HANDLE_INVALID;
}

static CK_RV destroy_object(CK_SESSION_HANDLE s, CK_OBJECT_HANDLE h)
{
	(void)s;
	mock.named[0] = h;
	if (!object(h))
		return CKR_OBJECT_HANDLE_INVALID;
	object(h)->gone = true;
	return CKR_OK;
}

static CK_RV get_object_size(CK_SESSION_HANDLE s, CK_OBJECT_HANDLE h, CK_ULONG *size)
{
	(void)s;
	mock.named[0] = h;
	*size = 1;
	return object(h) ? CKR_OK : CKR_OBJECT_HANDLE_INVALID;
}

static const void *value(const struct mock_object *o, CK_ATTRIBUTE_TYPE type, CK_ULONG *n)
{
	switch (type) {
	case CKA_CLASS:
		*n = sizeof o->class;
		return &o->class;
	case CKA_ID:
		*n = o->id_n;
		return o->id;
	case CKA_LABEL:
		*n = strlen(o->label);
		return o->label;
	default:
		return NULL;
	}
}

static CK_RV get_attribute_value(CK_SESSION_HANDLE s, CK_OBJECT_HANDLE h, CK_ATTRIBUTE *templ,
				 CK_ULONG n)
{
	(void)s;
	mock.named[0] = h;
	if (!object(h))
		return CKR_OBJECT_HANDLE_INVALID;
	for (CK_ULONG i = 0; i < n; i++) {
		CK_ULONG room = templ[i].ulValueLen, size;
		const void *v = value(object(h), templ[i].type, &size);
		templ[i].ulValueLen = CK_UNAVAILABLE_INFORMATION;
		if (!v)
			return CKR_ATTRIBUTE_TYPE_INVALID;
		if (templ[i].pValue && room < size)
			return CKR_BUFFER_TOO_SMALL;
		templ[i].ulValueLen = size;
		if (templ[i].pValue)
			memcpy(templ[i].pValue, v, size);
	}
	return CKR_OK;
}

static bool matches(const struct mock_object *o, const CK_ATTRIBUTE *templ, CK_ULONG n)
{
	for (CK_ULONG i = 0; i < n; i++) {
		CK_ULONG size;
		const void *v = value(o, templ[i].type, &size);
		/* Attributes that the mock does not keep match. */
		if (v && (size != templ[i].ulValueLen || memcmp(v, templ[i].pValue, size)))
			return false;
	}
	return !o->gone;
}

static CK_RV find_init(CK_SESSION_HANDLE s, CK_ATTRIBUTE *templ, CK_ULONG n)
{
	struct session *at = session(s);

	if (!at)
		return CKR_SESSION_HANDLE_INVALID;
	if (at->finding)
		return CKR_OPERATION_ACTIVE;
	at->finding = true;
	at->found_n = at->found_next = 0;
	for (CK_ULONG i = 0; i < mock.objects_n; i++)
		if (matches(&mock.objects[i], templ, n))
			at->found[at->found_n++] = mock.objects[i].handle;
	return CKR_OK;
}

static CK_RV find(CK_SESSION_HANDLE s, CK_OBJECT_HANDLE *out, CK_ULONG max, CK_ULONG *n)
{
	struct session *at = session(s);

	if (!at || !at->finding)
		return CKR_OPERATION_NOT_INITIALIZED;
	for (*n = 0; *n < max && at->found_next < at->found_n; ++*n)
		out[*n] = at->found[at->found_next++];
	return CKR_OK;
}

static CK_RV find_final(CK_SESSION_HANDLE s)
{
	if (!session(s) || !session(s)->finding)
		return CKR_OPERATION_NOT_INITIALIZED;
	session(s)->finding = false;
	return CKR_OK;
}

static void keep_parameter(const CK_MECHANISM *m)
{
	if (m && m->pParameter && m->ulParameterLen <= sizeof mock.parameter)
		memcpy(mock.parameter, m->pParameter, m->ulParameterLen);
}

static CK_RV key_init(CK_SESSION_HANDLE s, CK_MECHANISM *m, CK_OBJECT_HANDLE key)
{
	keep_parameter(m);
	mock.named[0] = key;
	if (!session(s))
		return CKR_SESSION_HANDLE_INVALID;
	return object(key) ? CKR_OK : CKR_KEY_HANDLE_INVALID;
}

static CK_RV sign_init(CK_SESSION_HANDLE s, CK_MECHANISM *m, CK_OBJECT_HANDLE key)
{
	bool known = !m || m->mechanism == CKM_ECDSA || m->mechanism == 0x500 /* CKM_CMS_SIG */;
	CK_RV rv = !known ? CKR_MECHANISM_INVALID : key_init(s, m, key);

	if (rv == CKR_OK)
		session(s)->signing = m != NULL;
	return rv;
}

static CK_RV sign(CK_SESSION_HANDLE s, CK_BYTE *data, CK_ULONG n, CK_BYTE *out, CK_ULONG *out_n)
{
	(void)data, (void)n;
	if (!session(s) || !session(s)->signing)
		return CKR_OPERATION_NOT_INITIALIZED;
	*out_n = 64;
	if (!out)
		return CKR_OK;
	session(s)->signing = false;
	mock.signs++;
	memset(out, 's', 64);
	return CKR_OK;
}

static CK_RV digest_key(CK_SESSION_HANDLE s, CK_OBJECT_HANDLE key)
{
	return key_init(s, NULL, key);
}

static CK_RV generate_key(CK_SESSION_HANDLE s, CK_MECHANISM *m, CK_ATTRIBUTE *templ, CK_ULONG n,
			  CK_OBJECT_HANDLE *key)
{
	(void)s, (void)m, (void)templ, (void)n;
	return add(CKO_SECRET_KEY, key);
}

static CK_RV generate_pair(CK_SESSION_HANDLE s, CK_MECHANISM *m, CK_ATTRIBUTE *a, CK_ULONG a_n,
			   CK_ATTRIBUTE *b, CK_ULONG b_n, CK_OBJECT_HANDLE *public_key,
			   CK_OBJECT_HANDLE *private_key)
{
	(void)s, (void)m, (void)a, (void)a_n, (void)b, (void)b_n;
	CK_RV rv = add(CKO_PUBLIC_KEY, public_key);
	return rv ? rv : add(CKO_PRIVATE_KEY, private_key);
}

static CK_RV wrap_key(CK_SESSION_HANDLE s, CK_MECHANISM *m, CK_OBJECT_HANDLE wrapping,
		      CK_OBJECT_HANDLE key, CK_BYTE *out, CK_ULONG *out_n)
{
	(void)s, (void)out, (void)out_n;
	keep_parameter(m);
	mock.named[0] = wrapping;
	mock.named[1] = key;
	return object(wrapping) && object(key) ? CKR_OK : CKR_KEY_HANDLE_INVALID;
}

static CK_RV unwrap_key(CK_SESSION_HANDLE s, CK_MECHANISM *m, CK_OBJECT_HANDLE unwrapping,
			CK_BYTE *wrapped, CK_ULONG wrapped_n, CK_ATTRIBUTE *templ, CK_ULONG n,
			CK_OBJECT_HANDLE *key)
{
	(void)s, (void)m, (void)wrapped, (void)wrapped_n, (void)templ, (void)n;
	mock.named[0] = unwrapping;
	return object(unwrapping) ? add(CKO_SECRET_KEY, key) : CKR_UNWRAPPING_KEY_HANDLE_INVALID;
}

static CK_RV derive_key(CK_SESSION_HANDLE s, CK_MECHANISM *m, CK_OBJECT_HANDLE base,
			CK_ATTRIBUTE *templ, CK_ULONG n, CK_OBJECT_HANDLE *key)
{
	(void)s, (void)templ, (void)n;
	keep_parameter(m);
	mock.named[0] = base;
	return object(base) ? add(CKO_SECRET_KEY, key) : CKR_KEY_HANDLE_INVALID;
}

static CK_RV set_operation_state(CK_SESSION_HANDLE s, CK_BYTE *state, CK_ULONG state_n,
				 CK_OBJECT_HANDLE encryption, CK_OBJECT_HANDLE authentication)
{
	(void)s, (void)state, (void)state_n;
	mock.named[0] = encryption;
	mock.named[1] = authentication;
	return CKR_OK;
}

/* Functions that are not here are NULL: some modules leave them out. */
static CK_FUNCTION_LIST list = {
	.version = { 2, 40 },
	.C_Initialize = initialize,
	.C_Finalize = finalize,
	.C_GetInfo = get_info,
	.C_GetSlotList = get_slot_list,
	.C_GetTokenInfo = get_token_info,
	.C_GetMechanismList = get_mechanism_list,
	.C_InitToken = init_token,
	.C_OpenSession = open_session,
	.C_CloseSession = close_session,
	.C_CloseAllSessions = close_all,
	.C_GetSessionInfo = get_session_info,
	.C_SetOperationState = set_operation_state,
	.C_Login = login,
	.C_Logout = logout,
	.C_CreateObject = create_object,
	.C_CopyObject = copy_object,
	.C_DestroyObject = destroy_object,
	.C_GetObjectSize = get_object_size,
	.C_GetAttributeValue = get_attribute_value,
	.C_SetAttributeValue = get_attribute_value,
	.C_FindObjectsInit = find_init,
	.C_FindObjects = find,
	.C_FindObjectsFinal = find_final,
	.C_EncryptInit = key_init,
	.C_DecryptInit = key_init,
	.C_DigestKey = digest_key,
	.C_SignInit = sign_init,
	.C_Sign = sign,
	.C_SignRecoverInit = key_init,
	.C_VerifyInit = key_init,
	.C_VerifyRecoverInit = key_init,
	.C_GenerateKey = generate_key,
	.C_GenerateKeyPair = generate_pair,
	.C_WrapKey = wrap_key,
	.C_UnwrapKey = unwrap_key,
	.C_DeriveKey = derive_key,
};

CK_FUNCTION_LIST *mock_functions(void)
{
	return &list;
}

EXPORT CK_RV C_GetFunctionList(CK_FUNCTION_LIST **out)
{
	mock.next = mock.next ? mock.next : 1000;
	*out = &list;
	return CKR_OK;
}

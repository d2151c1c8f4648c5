/* entry.c - how a client gets in: the function tables and the interfaces.
 *
 * Everything here is made from pkcs11/functions.def. Only the C_Get... names by which a library is
 * found are exported: were all functions, then in a process that loads this library with global
 * symbols the HSM's module could find ours in place of its own.
 */
#include <stddef.h>
#include <string.h>

#include "plugin/access.h"
#include "plugin/module.h"
#include "plugin/slot.h"

#define EXPORT __attribute__((visibility("default")))

#define NOT_READY CKR_CRYPTOKI_NOT_INITIALIZED
#define CALL(function, arguments) function arguments

/* What each route's entry returns. */
#define BODY_PASS(name, arguments) module_ready() ? CALL(HSM(name), arguments) : NOT_READY
#define BODY_HOOK(name, arguments) module_ready() ? hook_##name arguments : NOT_READY
#define BODY_OWN(name, arguments) hook_##name arguments
#define BODY_SLOT(name, arguments)                 \
	!module_ready()      ? NOT_READY           \
	: slot_refused(slot) ? CKR_SLOT_ID_INVALID \
			     : CALL(HSM(name), arguments)
#define BODY_KEY(name, arguments) \
	!module_ready() ? NOT_READY : (rv = access_key(s, &key)) ? rv : CALL(HSM(name), arguments)

#define FN(name, route, parameters, arguments)        \
	static CK_RV entry_##name parameters          \
	{                                             \
		CK_RV rv __attribute__((unused));     \
		return BODY_##route(name, arguments); \
	}
#include "pkcs11/functions.def"
#undef FN

#define FN(name, route, parameters, arguments) .C_##name = entry_##name,
#define FN30(name, route, parameters, arguments)
static CK_FUNCTION_LIST list_240 = {
	.version = { 2, 40 },
#include "pkcs11/functions.def"
};
static CK_FUNCTION_LIST_3_0 list_30 = {
	.version = { 3, 0 },
#include "pkcs11/functions.def"
};
#undef FN

#define FN(name, route, parameters, arguments) +1
_Static_assert(sizeof list_30 ==
		       offsetof(CK_FUNCTION_LIST_3_0, C_Initialize) + sizeof(CK_C_Initialize) * (0
#include "pkcs11/functions.def"
												 ),
	       "functions.def has every function of version 3.0");
#define FN30(name, route, parameters, arguments)
_Static_assert(sizeof list_240 ==
		       offsetof(CK_FUNCTION_LIST, C_Initialize) + sizeof(CK_C_Initialize) * (0
#include "pkcs11/functions.def"
											     ),
	       "functions.def has every function of version 2.40");
#undef FN

static char standard_name[] = "PKCS 11";
static CK_INTERFACE offered[] = {
	{ standard_name, &list_30, 0 },
	{ standard_name, &list_240, 0 },
};
#define OFFERED_N (sizeof offered / sizeof *offered)

/* The interface that the HSM's module itself would give: a client that asks for no version in
 * particular finds what it would find there. */
static CK_INTERFACE *default_interface(void)
{
	return &offered[module_load() == OK && module.hsm.has_30 ? 0 : 1];
}

CK_RV hook_GetFunctionList(CK_FUNCTION_LIST **list)
{
	if (!list)
		return CKR_ARGUMENTS_BAD;
	if (module_load() == OK)
		list_240.version = module.hsm.version;
	*list = &list_240;
	return CKR_OK;
}

CK_RV hook_GetInterfaceList(CK_INTERFACE *list, CK_ULONG *n)
{
	if (!n)
		return CKR_ARGUMENTS_BAD;
	CK_ULONG room = *n;
	*n = OFFERED_N;
	if (!list)
		return CKR_OK;
	if (room < OFFERED_N)
		return CKR_BUFFER_TOO_SMALL;
	CK_INTERFACE *first = default_interface();
	list[0] = *first;
	list[1] = offered[first == &offered[0] ? 1 : 0];
	return CKR_OK;
}

CK_RV hook_GetInterface(CK_BYTE *name, CK_VERSION *version, CK_INTERFACE **out, CK_FLAGS flags)
{
	if (!out)
		return CKR_ARGUMENTS_BAD;
	if (flags || (name && strcmp((char *)name, standard_name)))
		return CKR_FUNCTION_FAILED;
	if (!version) {
		*out = default_interface();
		return CKR_OK;
	}
	for (size_t i = 0; i < OFFERED_N; i++) {
		const CK_VERSION *has = offered[i].pFunctionList; /* comes first in both */
		if (has->major == version->major && has->minor == version->minor) {
			*out = &offered[i];
			return CKR_OK;
		}
	}
	return CKR_FUNCTION_FAILED;
}

EXPORT CK_RV C_GetFunctionList(CK_FUNCTION_LIST **list)
{
	return hook_GetFunctionList(list);
}

EXPORT CK_RV C_GetInterfaceList(CK_INTERFACE *list, CK_ULONG *n)
{
	return hook_GetInterfaceList(list, n);
}

EXPORT CK_RV C_GetInterface(CK_BYTE *name, CK_VERSION *version, CK_INTERFACE **out, CK_FLAGS flags)
{
	return hook_GetInterface(name, version, out, flags);
}

/* lower.c - loads the HSM's module and completes its function list. */
#include "pkcs11/lower.h"

#include <dlfcn.h>

#define UNUSED_ARGUMENTS _Pragma("GCC diagnostic ignored \"-Wunused-parameter\"")
#define FN(name, route, parameters, arguments)     \
	static CK_RV absent_##name parameters      \
	{                                          \
		return CKR_FUNCTION_NOT_SUPPORTED; \
	}
_Pragma("GCC diagnostic push") UNUSED_ARGUMENTS
#include "pkcs11/functions.def"
	_Pragma("GCC diagnostic pop")
#undef FN

		static void take_240(const CK_FUNCTION_LIST *list, CK_FUNCTION_LIST_3_0 *out)
{
#define FN(name, route, parameters, arguments) \
	if (list->C_##name)                    \
		out->C_##name = list->C_##name;
#define FN30(name, route, parameters, arguments)
#include "pkcs11/functions.def"
#undef FN
}

static void take_30(const CK_FUNCTION_LIST_3_0 *list, CK_FUNCTION_LIST_3_0 *out)
{
#define FN(name, route, parameters, arguments) \
	if (list->C_##name)                    \
		out->C_##name = list->C_##name;
#include "pkcs11/functions.def"
#undef FN
}

static const CK_FUNCTION_LIST_3_0 *find_30(void *library)
{
	CK_C_GetInterface get = (CK_C_GetInterface)dlsym(library, "C_GetInterface");
	CK_INTERFACE *found = NULL;
	CK_BYTE name[] = "PKCS 11";

	if (!get || get(name, NULL, &found, 0) != CKR_OK || !found || !found->pFunctionList)
		return NULL;
	const CK_FUNCTION_LIST_3_0 *list = found->pFunctionList;
	return list->version.major == 3 ? list : NULL;
}

enum err lower_open(const char *path, struct lower *out)
{
	static const CK_FUNCTION_LIST_3_0 nothing = {
#define FN(name, route, parameters, arguments) .C_##name = absent_##name,
#include "pkcs11/functions.def"
#undef FN
	};
	struct lower lower = { .call = nothing };
	CK_FUNCTION_LIST *list = NULL;

	lower.library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	if (!lower.library)
		return failed(ERR_NOT_FOUND, "HSM module: %s", dlerror());
	CK_C_GetFunctionList get = (CK_C_GetFunctionList)dlsym(lower.library, "C_GetFunctionList");
	if (!get || get(&list) != CKR_OK || !list) {
		dlclose(lower.library);
		return failed(ERR_NOT_FOUND, "HSM module %s is no PKCS#11 module", path);
	}
	take_240(list, &lower.call);
	lower.version = list->version;
	const CK_FUNCTION_LIST_3_0 *list_30 = find_30(lower.library);
	if (list_30) {
		take_30(list_30, &lower.call);
		lower.has_30 = true;
	}
	lower.call.version = (CK_VERSION){ 3, 0 };
	*out = lower;
	return OK;
}

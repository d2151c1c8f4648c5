/* mechanism.c - the list of mechanisms, and the two calls that show it. */
#include "plugin/mechanism.h"

#include "plugin/service.h"

static const struct mechanism mechanisms[] = {
#define MECHANISM(name, number, call, target, operation, query) \
	{ name, CALL_##call, TARGET_##target, operation, query },
#include "plugin/mechanisms.def"
#undef MECHANISM
};
#define MECHANISMS_N (sizeof mechanisms / sizeof *mechanisms)

const struct mechanism *mechanism_find(CK_MECHANISM_TYPE type)
{
	for (size_t i = 0; i < MECHANISMS_N; i++)
		if (mechanisms[i].type == type)
			return &mechanisms[i];
	return NULL;
}

struct slice mechanism_allowed(enum mechanism_target target)
{
#define MECHANISM(name, number, call, target, operation, query) FOR_##target(name)
#define FOR_APPLICATION(name) name,
#define FOR_LOADER(name)
	static const CK_MECHANISM_TYPE application[] = {
#include "plugin/mechanisms.def"
	};
#undef FOR_APPLICATION
#undef FOR_LOADER
#define FOR_APPLICATION(name)
#define FOR_LOADER(name) name,
	static const CK_MECHANISM_TYPE loader[] = {
#include "plugin/mechanisms.def"
	};
#undef MECHANISM
	return target == TARGET_LOADER ? SLICE(loader) : SLICE(application);
}

static bool enrolled(CK_SLOT_ID id)
{
	service_wake();
	struct slot *slot = slot_get(id);
	return slot && atomic_load(&slot->enrolled);
}

/* The HSM's own come first. */
static CK_RV append(CK_SLOT_ID slot, CK_MECHANISM_TYPE *list, CK_ULONG *n)
{
	CK_ULONG theirs = 0, room = *n;
	CK_RV rv = HSM(GetMechanismList)(slot, NULL, &theirs);

	if (rv != CKR_OK)
		return rv;
	*n = theirs + MECHANISMS_N;
	if (!list)
		return CKR_OK;
	if (room < *n)
		return CKR_BUFFER_TOO_SMALL;
	rv = HSM(GetMechanismList)(slot, list, &theirs);
	if (rv != CKR_OK)
		return rv;
	for (size_t i = 0; i < MECHANISMS_N; i++)
		list[theirs + i] = mechanisms[i].type;
	*n = theirs + MECHANISMS_N;
	return CKR_OK;
}

CK_RV hook_GetMechanismList(CK_SLOT_ID slot, CK_MECHANISM_TYPE *list, CK_ULONG *n)
{
	if (slot_refused(slot))
		return CKR_SLOT_ID_INVALID;
	if (!module_watching() || !n || !enrolled(slot))
		return HSM(GetMechanismList)(slot, list, n);
	return append(slot, list, n);
}

CK_RV hook_GetMechanismInfo(CK_SLOT_ID slot, CK_MECHANISM_TYPE type, CK_MECHANISM_INFO *info)
{
	const struct mechanism *mechanism = mechanism_find(type);

	if (slot_refused(slot))
		return CKR_SLOT_ID_INVALID;
	if (!module_watching() || !mechanism || !info || !enrolled(slot))
		return HSM(GetMechanismInfo)(slot, type, info);
	*info = (CK_MECHANISM_INFO){ .flags = mechanism->call == CALL_SIGN ? CKF_SIGN
									   : CKF_ENCRYPT };
	return CKR_OK;
}

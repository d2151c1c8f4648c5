#include "testbed/bench/client.h"

#include <dlfcn.h>
#include <string.h>

void must(CK_RV rv, const char *what)
{
	if (rv != CKR_OK)
		die("%s: 0x%lx", what, rv);
}

static bool has_label(const struct client *c, CK_SLOT_ID slot, const char *label)
{
	CK_TOKEN_INFO info;
	size_t n = strlen(label);

	return c->f->C_GetTokenInfo(slot, &info) == CKR_OK && n <= sizeof info.label &&
	       !memcmp(info.label, label, n) && (n == sizeof info.label || info.label[n] == ' ');
}

void client_open(struct client *c, const char *module, const char *token)
{
	CK_C_INITIALIZE_ARGS threads = { .flags = CKF_OS_LOCKING_OK };
	CK_SLOT_ID slots[64];
	CK_ULONG n = 64;
	void *library = dlopen(module, RTLD_NOW | RTLD_LOCAL);
	CK_C_GetFunctionList get =
		library ? (CK_C_GetFunctionList)dlsym(library, "C_GetFunctionList") : NULL;

	if (!get)
		die("%s", dlerror());
	must(get(&c->f), "C_GetFunctionList");
	must(c->f->C_Initialize(&threads), "C_Initialize");
	must(c->f->C_GetSlotList(CK_TRUE, slots, &n), "C_GetSlotList");
	for (CK_ULONG i = 0; i < n; i++) {
		c->slot = slots[i];
		if (has_label(c, slots[i], token))
			return;
	}
	die("%s: no token \"%s\"", module, token);
}

CK_SESSION_HANDLE client_session(const struct client *c)
{
	CK_SESSION_HANDLE session;

	must(c->f->C_OpenSession(c->slot, CKF_SERIAL_SESSION, NULL, NULL, &session),
	     "C_OpenSession");
	return session;
}

void client_login(const struct client *c, CK_SESSION_HANDLE session, const char *pin)
{
	must(c->f->C_Login(session, CKU_USER, (CK_UTF8CHAR *)pin, strlen(pin)), "C_Login");
}

CK_OBJECT_HANDLE client_find(const struct client *c, CK_SESSION_HANDLE session,
			     CK_OBJECT_CLASS class, const char *label, const void *id, size_t id_n)
{
	CK_ATTRIBUTE template[] = {
		{ CKA_CLASS, &class, sizeof class },
		{ label ? CKA_LABEL : CKA_ID, label ? (void *)label : (void *)id,
		  label ? strlen(label) : id_n },
	};
	CK_OBJECT_HANDLE found[2];
	CK_ULONG n = 0;

	must(c->f->C_FindObjectsInit(session, template, 2), "C_FindObjectsInit");
	must(c->f->C_FindObjects(session, found, 2, &n), "C_FindObjects");
	must(c->f->C_FindObjectsFinal(session), "C_FindObjectsFinal");
	if (n != 1)
		die("%lu objects where one was expected", n);
	return found[0];
}

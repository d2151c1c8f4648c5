/* world.c - sets up and takes down. */
#include "testbed/mock/world.h"
#include "testbed/unit/place.h"

#include <dlfcn.h>
#include <stdio.h>
#include <sys/stat.h>

struct world w;

static const char *built(const char *name, char *path, size_t n)
{
	const char *build = getenv("BUILD");

	snprintf(path, n, "%s/%s", build ? build : "build", name);
	return path;
}

void world_load(void)
{
	char path[512];
	CK_C_GetFunctionList get;
	CK_C_GetInterface get_interface;
	CK_INTERFACE *found;
	CK_VERSION version = { 3, 0 };

	void *hsm = dlopen(built("mock/mock_hsm.so", path, sizeof path), RTLD_NOW | RTLD_LOCAL);
	ck_assert_msg(hsm != NULL, "%s", dlerror());
	setenv(HSM_MODULE_VARIABLE, path, 1);
	struct mock *(*control)(void);
	*(void **)&control = dlsym(hsm, "mock_control");
	w.mock = control();
	w.mock->state = CKS_RW_PUBLIC_SESSION;

	void *assay = dlopen(built("assay.so", path, sizeof path), RTLD_NOW | RTLD_LOCAL);
	ck_assert_msg(assay != NULL, "%s", dlerror());
	*(void **)&get = dlsym(assay, "C_GetFunctionList");
	*(void **)&get_interface = dlsym(assay, "C_GetInterface");
	ck_assert_rv(get(&w.f), CKR_OK);
	ck_assert_rv(get_interface((CK_BYTE *)"PKCS 11", &version, &found, 0), CKR_OK);
	w.f30 = found->pFunctionList;
}

void world_session(void)
{
	ck_assert_rv(w.f->C_OpenSession(MOCK_SLOT, CKF_SERIAL_SESSION | CKF_RW_SESSION, NULL, NULL,
					&w.s),
		     CKR_OK);
}

void world_login(CK_USER_TYPE user)
{
	ck_assert_rv(w.f->C_Login(w.s, user, (CK_BYTE *)"1234", 4), CKR_OK);
}

void world_plain(void)
{
	unsetenv(CONFIG_PATH_VARIABLE);
	world_load();
	ck_assert_rv(w.f->C_Initialize(NULL), CKR_OK);
	world_session();
}

static void write_config(void)
{
	char path[128];

	snprintf(path, sizeof path, "%s/assay.yaml", w.dir);
	FILE *file = fopen(path, "we");
	ck_assert_ptr_nonnull(file);
	fprintf(file,
		"mode: development\nstate: %s/state\nsocket: %s/socket\n"
		"limits:\n    input_bytes: %d\n",
		w.dir, w.dir, WORLD_INPUT_MAX);
	fclose(file);
	ck_assert_int_eq(chmod(path, 0644), 0);
	setenv(CONFIG_PATH_VARIABLE, path, 1);
}

/* The token has its role key, as the enrolment leaves it. */
static void put_role_key(void)
{
	struct mock_object *key = &w.mock->objects[w.mock->objects_n++];

	*key = (struct mock_object){ .handle = 3, .class = CKO_PRIVATE_KEY };
	memcpy(key->id, FAKE_KEY_ID, FAKE_KEY_ID_N);
	key->id_n = FAKE_KEY_ID_N;
}

void world_enrolled(void)
{
	char path[128];

	place_make(w.dir, sizeof w.dir, "mock");
	write_config();
	world_load();
	put_role_key();
	snprintf(path, sizeof path, "%s/socket", w.dir);
	fake_start(path);
	ck_assert_rv(w.f->C_Initialize(NULL), CKR_OK);
	world_session();
}

void world_end(void)
{
	static const char *const names[] = { "socket", "assay.yaml" };
	char path[128];

	for (size_t i = 0; *w.dir && i < 2; i++) {
		snprintf(path, sizeof path, "%s/%s", w.dir, names[i]);
		unlink(path);
	}
	if (*w.dir)
		rmdir(w.dir);
}

CK_ULONG world_find(const CK_ATTRIBUTE *templ, CK_ULONG n, CK_OBJECT_HANDLE *out, CK_ULONG max)
{
	CK_ULONG total = 0, found;

	ck_assert_rv(w.f->C_FindObjectsInit(w.s, (CK_ATTRIBUTE *)templ, n), CKR_OK);
	do {
		/* One at a time, as many clients do: batches must not matter. */
		ck_assert_rv(w.f->C_FindObjects(w.s, out + total, 1, &found), CKR_OK);
		total += found;
	} while (found && total < max);
	ck_assert_rv(w.f->C_FindObjectsFinal(w.s), CKR_OK);
	return total;
}

CK_OBJECT_HANDLE world_app(void)
{
	CK_OBJECT_CLASS class = CKO_SECRET_KEY;
	CK_ATTRIBUTE templ[] = { { CKA_CLASS, &class, sizeof class }, { CKA_ID, FAKE_APP_ID, 8 } };
	CK_OBJECT_HANDLE found[8];

	ck_assert_uint_eq(world_find(templ, 2, found, 8), 1);
	return found[0];
}

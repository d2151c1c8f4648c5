/* module_test.c - assay.so as a library in its host's process: threads, forks, symbols. */
#include "testbed/unit/server.h"

#include <dlfcn.h>
#include <libgen.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "pkcs11/cryptoki.h"
#include "testbed/softhsm/harness.h"
#include "testbed/softhsm/script.h"
#include "testbed/unit/place.h"

static struct softhsm golden, store;
static char assay[PATH_MAX], serial[17];
static CK_FUNCTION_LIST *f;
static CK_SLOT_ID slot;

static void *library(void)
{
	void *l = dlopen(assay, RTLD_NOW | RTLD_LOCAL);

	ck_assert_msg(l != NULL, "%s", dlerror());
	return l;
}

static void setup(void)
{
	CK_RV (*get_list)(CK_FUNCTION_LIST **);

	softhsm_copy(&golden, &store);
	softhsm_use(&store);
	setenv("ASSAY_HSM_MODULE", softhsm_module(), 1);
	*(void **)&get_list = dlsym(library(), "C_GetFunctionList");
	ck_assert_uint_eq(get_list(&f), CKR_OK);
	p11 = f;
}

static void teardown(void)
{
	softhsm_remove(&store);
}

static CK_SESSION_HANDLE opened(CK_FLAGS flags)
{
	CK_SESSION_HANDLE s = 0;

	if (f->C_OpenSession(slot, CKF_SERIAL_SESSION | flags, NULL, NULL, &s))
		return 0;
	return s;
}

static CK_SESSION_HANDLE start(CK_FLAGS flags)
{
	CK_C_INITIALIZE_ARGS args = { .flags = flags };

	ck_assert_uint_eq(f->C_Initialize(flags ? &args : NULL), CKR_OK);
	slot = script_slot(SCRIPT_TOKEN);
	CK_SESSION_HANDLE s = opened(CKF_RW_SESSION);
	ck_assert_uint_eq(f->C_Login(s, CKU_USER, (CK_BYTE *)HARNESS_PIN, strlen(HARNESS_PIN)),
			  CKR_OK);
	return s;
}

/* One round of what clients do; 0 when each call did what it should. */
static CK_RV round_of_calls(void)
{
	CK_OBJECT_CLASS classes[] = { CKO_PRIVATE_KEY, CKO_PUBLIC_KEY };
	CK_OBJECT_HANDLE keys[2] = { 0 };
	CK_MECHANISM m = { CKM_ECDSA, NULL, 0 };
	CK_SESSION_HANDLE s = opened(0);
	CK_BYTE digest[32] = { 1 }, sig[64];
	CK_ULONG n = 0;
	CK_RV rv;

	for (size_t i = 0; i < 2; i++) {
		CK_ATTRIBUTE a[] = { ATTRIBUTE(CKA_CLASS, classes[i]),
				     ATTRIBUTE_TEXT(CKA_LABEL, SCRIPT_EC) };

		if ((rv = f->C_FindObjectsInit(s, a, 2)) ||
		    (rv = f->C_FindObjects(s, &keys[i], 1, &n)) || (rv = f->C_FindObjectsFinal(s)))
			return rv;
	}
	n = sizeof sig;
	if ((rv = f->C_SignInit(s, &m, keys[0])) || (rv = f->C_Sign(s, digest, 32, sig, &n)) ||
	    (rv = f->C_VerifyInit(s, &m, keys[1])) || (rv = f->C_Verify(s, digest, 32, sig, n)))
		return rv;
	return f->C_CloseSession(s);
}

static void *many_rounds(void *unused)
{
	(void)unused;
	for (int i = 0; i < 20; i++) {
		CK_RV rv = round_of_calls();

		if (rv)
			return (void *)rv;
	}
	return NULL;
}

START_TEST(eight_threads_work_side_by_side)
{
	pthread_t threads[8];

	start(CKF_OS_LOCKING_OK);
	for (size_t i = 0; i < 8; i++)
		pthread_create(&threads[i], NULL, many_rounds, NULL);
	for (size_t i = 0; i < 8; i++) {
		void *rv;

		pthread_join(threads[i], &rv);
		ck_assert_uint_eq((CK_RV)rv, CKR_OK);
	}
	ck_assert_uint_eq(f->C_Finalize(NULL), CKR_OK);
}
END_TEST

static const CK_FLAGS init_flags[] = { 0, CKF_OS_LOCKING_OK, CKF_LIBRARY_CANT_CREATE_OS_THREADS,
				       CKF_OS_LOCKING_OK | CKF_LIBRARY_CANT_CREATE_OS_THREADS };

START_TEST(a_host_may_lock_as_it_likes)
{
	signal(SIGCHLD, SIG_IGN);
	start(init_flags[_i]);
	ck_assert_uint_eq(round_of_calls(), CKR_OK);
	ck_assert_uint_eq(f->C_Finalize(NULL), CKR_OK);
	start(init_flags[_i]);
	ck_assert_uint_eq(round_of_calls(), CKR_OK);
	ck_assert_uint_eq(f->C_Finalize(NULL), CKR_OK);
	signal(SIGCHLD, SIG_DFL);
}
END_TEST

static int in_child(int (*act)(void))
{
	pid_t pid = fork();
	int status;

	if (pid == 0)
		_exit(act());
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 200 + WTERMSIG(status);
}

static CK_SESSION_HANDLE parents;

static int forked(void)
{
	CK_SESSION_INFO info;
	CK_ULONG n = 0;
	CK_OBJECT_HANDLE o;
	CK_MECHANISM m = { CKM_ECDSA, NULL, 0 };

	if (f->C_GetSessionInfo(parents, &info) != CKR_CRYPTOKI_NOT_INITIALIZED ||
	    f->C_GetSlotList(CK_TRUE, NULL, &n) != CKR_CRYPTOKI_NOT_INITIALIZED ||
	    f->C_FindObjectsInit(parents, NULL, 0) != CKR_CRYPTOKI_NOT_INITIALIZED ||
	    f->C_FindObjects(parents, &o, 1, &n) != CKR_CRYPTOKI_NOT_INITIALIZED ||
	    f->C_SignInit(parents, &m, 1) != CKR_CRYPTOKI_NOT_INITIALIZED ||
	    f->C_CloseSession(parents) != CKR_CRYPTOKI_NOT_INITIALIZED ||
	    f->C_Finalize(NULL) != CKR_CRYPTOKI_NOT_INITIALIZED)
		return 1;
	return 0;
}

START_TEST(a_forked_child_is_not_initialised)
{
	parents = start(CKF_OS_LOCKING_OK);
	ck_assert_int_eq(in_child(forked), 0);
	ck_assert_uint_eq(round_of_calls(), CKR_OK);
	ck_assert_uint_eq(f->C_Finalize(NULL), CKR_OK);
	ck_assert_int_eq(in_child(forked), 0);
}
END_TEST

static _Atomic bool stop;

static void *until_stopped(void *unused)
{
	(void)unused;
	while (!stop)
		if (round_of_calls())
			return unused;
	return NULL;
}

/* The child is made while other threads are anywhere inside the module: it must not hang. */
START_TEST(a_fork_amid_other_threads_does_not_hang)
{
	pthread_t threads[4];

	parents = start(CKF_OS_LOCKING_OK);
	for (size_t i = 0; i < 4; i++)
		pthread_create(&threads[i], NULL, until_stopped, NULL);
	for (int i = 0; i < 50; i++)
		ck_assert_int_eq(in_child(forked), 0);
	stop = true;
	for (size_t i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	ck_assert_uint_eq(round_of_calls(), CKR_OK);
}
END_TEST

/* A daemon that knows the script's token, so that the module has a link to let go of. */
static bool knows_the_token(struct wire_message *m, uint64_t number, struct slice in)
{
	(void)in;
	if (number == REQ_HELLO) {
		server_greet(m);
	} else if (number == REQ_PARTITIONS) {
		server_answer(m, 1, OK, "");
		cbor_put_array(&m->bytes, 1);
		cbor_put_array(&m->bytes, 6);
		cbor_put_text(&m->bytes, serial);
		cbor_put_uint(&m->bytes, 1);
		cbor_put_text(&m->bytes, SCRIPT_TOKEN);
		cbor_put_bool(&m->bytes, true);
		cbor_put_bytes(&m->bytes, slice_text("assay-role........"));
		cbor_put_text(&m->bytes, "assay.test/script");
	} else if (number == REQ_APPS) {
		server_answer(m, 2, OK, "");
		cbor_put_uint(&m->bytes, 0);
		cbor_put_array(&m->bytes, 0);
	} else {
		server_answer(m, 0, OK, "");
	}
	return true;
}

START_TEST(ordinary_work_goes_on_in_an_enrolled_partition)
{
	char dir[64], path[80], yaml[80];
	CK_MECHANISM_TYPE types[256];
	CK_ULONG n = COUNT(types);
	bool ours = false;

	place_make(dir, sizeof dir, "module");
	snprintf(path, sizeof path, "%s/socket", dir);
	snprintf(yaml, sizeof yaml, "%s/assay.yaml", dir);
	FILE *file = fopen(yaml, "we");
	ck_assert_ptr_nonnull(file);
	fprintf(file, "mode: development\nstate: %s/state\nsocket: %s\n", dir, path);
	fclose(file);
	chmod(yaml, 0644);
	setenv("ASSAY_CONFIG", yaml, 1);
	server_handler = knows_the_token;
	server_start(path);
	parents = start(CKF_OS_LOCKING_OK);
	ck_assert_uint_eq(f->C_GetMechanismList(slot, types, &n), CKR_OK);
	for (CK_ULONG i = 0; i < n; i++)
		ours |= (types[i] & ~0xffffUL) == (CKM_VENDOR_DEFINED | 0x41590000);
	ck_assert_msg(ours, "the enrolled slot has no mechanism of Assay's");
	ck_assert_uint_eq(round_of_calls(), CKR_OK);
	ck_assert_int_eq(in_child(forked), 0);
	ck_assert_uint_eq(round_of_calls(), CKR_OK);
	ck_assert_uint_eq(f->C_Finalize(NULL), CKR_OK);
	unlink(path);
	unlink(yaml);
	rmdir(dir);
}
END_TEST

START_TEST(interfaces_of_both_versions_are_there)
{
	CK_RV (*list)(CK_INTERFACE *, CK_ULONG *);
	CK_RV (*get)(CK_BYTE *, CK_VERSION *, CK_INTERFACE **, CK_FLAGS);
	CK_INTERFACE all[4], *one;
	CK_ULONG n = 4;

	*(void **)&list = dlsym(library(), "C_GetInterfaceList");
	*(void **)&get = dlsym(library(), "C_GetInterface");
	ck_assert_uint_eq(list(all, &n), CKR_OK);
	ck_assert_uint_eq(n, 2);
	for (CK_BYTE major = 2; major <= 3; major++) {
		CK_VERSION version = { major, major == 2 ? 40 : 0 };

		ck_assert_uint_eq(get((CK_BYTE *)"PKCS 11", &version, &one, 0), CKR_OK);
		ck_assert_uint_eq(((CK_VERSION *)one->pFunctionList)->major, major);
	}
	ck_assert_uint_ne(get((CK_BYTE *)"PKCS 12", NULL, &one, 0), CKR_OK);
}
END_TEST

/* The library's own table says what it exports and needs. */
static void lines_of(const char *command, const char *filter, struct buf *out)
{
	char line[PATH_MAX + 64];

	snprintf(line, sizeof line, "%s '%s' | %s", command, assay, filter);
	FILE *p = popen(line, "re");
	ck_assert_ptr_nonnull(p);
	for (size_t n; (n = fread(line, 1, sizeof line, p));)
		buf_put(out, line, n);
	ck_assert_int_eq(pclose(p), 0);
}

START_TEST(it_exports_three_names_and_needs_no_cryptography)
{
	CLEANUP(buf) struct buf names = BUF_INIT, needs = BUF_INIT;

	lines_of("nm -D --defined-only", "cut -d' ' -f3 | sort", &names);
	ck_assert_str_eq(buf_text(&names),
			 "C_GetFunctionList\nC_GetInterface\nC_GetInterfaceList\n");
	lines_of("readelf -d", "cat", &needs);
	ck_assert_ptr_null(strstr(buf_text(&needs), "libcrypto"));
	ck_assert_ptr_null(strstr(buf_text(&needs), "libssl"));
}
END_TEST

START_TEST(without_an_hsm_it_says_so)
{
	unsetenv("ASSAY_HSM_MODULE");
	setenv("ASSAY_HSM_MODULE", "/nonexistent.so", 1);
	ck_assert_uint_ne(f->C_Initialize(NULL), CKR_OK);
	setenv("ASSAY_HSM_MODULE", assay, 1);
	ck_assert_uint_ne(f->C_Initialize(NULL), CKR_OK);
	setenv("ASSAY_HSM_MODULE", softhsm_module(), 1);
	ck_assert_uint_eq(f->C_Initialize(NULL), CKR_OK);
}
END_TEST

static void prepare(void)
{
	char spare[17];

	softhsm_use(&golden);
	script_prepare(softhsm_module(), spare);
	/* SoftHSM's serial number is in the slot's token information. */
	CK_TOKEN_INFO info;
	ck_assert_uint_eq(p11->C_Initialize(NULL), CKR_OK);
	ck_assert_uint_eq(p11->C_GetTokenInfo(script_slot(SCRIPT_TOKEN), &info), CKR_OK);
	ck_assert_uint_eq(p11->C_Finalize(NULL), CKR_OK);
	memcpy(serial, info.serialNumber, 16);
}

static void add(TCase *t)
{
	tcase_add_unchecked_fixture(t, prepare, NULL);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, eight_threads_work_side_by_side);
	tcase_add_table(t, a_host_may_lock_as_it_likes, init_flags);
	tcase_add_test(t, a_forked_child_is_not_initialised);
	tcase_add_test(t, a_fork_amid_other_threads_does_not_hang);
	tcase_add_test(t, ordinary_work_goes_on_in_an_enrolled_partition);
	tcase_add_test(t, interfaces_of_both_versions_are_there);
	tcase_add_test(t, it_exports_three_names_and_needs_no_cryptography);
	tcase_add_test(t, without_an_hsm_it_says_so);
}

int main(void)
{
	char self[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);

	self[n > 0 ? n : 0] = 0;
	snprintf(assay, sizeof assay, "%.4000s/../assay.so", dirname(self));
	softhsm_make(&golden);
	softhsm_token(&golden, SCRIPT_TOKEN);
	softhsm_token(&golden, SCRIPT_SPARE);
	int result = check_run("module", add);
	softhsm_remove(&golden);
	return result;
}

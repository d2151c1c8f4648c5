/* fork_test.c - a child of the host's has nothing of its parent's until it initialises by itself. */
#include "testbed/mock/world.h"

#include <dirent.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "plugin/mechanism.h"

/* All arguments zero: what counts is the answer before they are looked at. */
typedef CK_RV any_call(CK_ULONG, CK_ULONG, CK_ULONG, CK_ULONG, CK_ULONG, CK_ULONG, CK_ULONG,
		       CK_ULONG, CK_ULONG, CK_ULONG);

enum { OWN, PASS, SLOT, KEY, HOOK };
static const struct {
	const char *name;
	int route;
} functions[] = {
#define FN(name, route, parameters, arguments) { #name, route },
#include "pkcs11/functions.def"
#undef FN
};
#define FUNCTIONS_N (sizeof functions / sizeof *functions)

static const char *first_wrong(void)
{
	any_call *call;

	for (size_t i = 0; i < FUNCTIONS_N; i++) {
		if (functions[i].route == OWN && strcmp(functions[i].name, "Finalize"))
			continue;
		memcpy(&call,
		       (char *)w.f30 + offsetof(CK_FUNCTION_LIST_3_0, C_Initialize) +
			       i * sizeof call,
		       sizeof call);
		if (call(0, 0, 0, 0, 0, 0, 0, 0, 0, 0) != CKR_CRYPTOKI_NOT_INITIALIZED)
			return functions[i].name;
	}
	return NULL;
}

static int sockets(void)
{
	struct stat st;
	int n = 0;

	for (int fd = 0; fd < 256; fd++)
		n += fstat(fd, &st) == 0 && S_ISSOCK(st.st_mode);
	return n;
}

static unsigned all_asked(void)
{
	unsigned n = 0;

	for (size_t i = 0; i < sizeof fake.asked / sizeof *fake.asked; i++)
		n += fake.asked[i];
	return n;
}

static bool sleeps(const char *task)
{
	char path[64], line[512] = "";
	FILE *f;

	snprintf(path, sizeof path, "/proc/self/task/%.16s/stat", task);
	if (!(f = fopen(path, "re")))
		return true; /* it ended */
	char *name_end = fgets(line, sizeof line, f) ? strrchr(line, ')') : NULL;
	fclose(f);
	return name_end && name_end[2] == 'S';
}

static bool others_sleep(void)
{
	DIR *tasks = opendir("/proc/self/task");
	bool all = true;

	ck_assert_ptr_nonnull(tasks);
	for (struct dirent *task; all && (task = readdir(tasks));)
		all = *task->d_name == '.' || atoi(task->d_name) == gettid() ||
		      sleeps(task->d_name);
	closedir(tasks);
	return all;
}

/* The test's daemon is threads of this process. One that allocates just now would leave its child a
 * heap that is locked for ever, where that is a sanitizer's. */
static int in_child(int (*act)(void))
{
	int status;

	while (!others_sleep())
		usleep(1000);
	pid_t pid = fork();

	if (pid == 0)
		_exit(act());
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 200 + WTERMSIG(status);
}

static CK_RV run(void)
{
	CK_MECHANISM m = { CKM_ASSAY_EXECUTE, NULL, 0 };
	CK_BYTE out[512];
	CK_ULONG n = sizeof out;
	CK_RV rv = w.f->C_SignInit(w.s, &m, world_app());

	return rv ? rv : w.f->C_Sign(w.s, (CK_BYTE *)"pay", 3, out, &n);
}

static int calls_everything(void)
{
	const char *wrong = first_wrong();

	if (wrong)
		fprintf(stderr, "C_%s\n", wrong);
	return wrong != NULL;
}

START_TEST(every_call_of_a_child_is_refused)
{
	world_plain();
	ck_assert_int_eq(in_child(calls_everything), 0);
	ck_assert_rv(w.f->C_CloseSession(w.s), CKR_OK);
	world_end();
}
END_TEST

static int sockets_before;

/* The test's daemon is in this process too, so that its ends of the link go on in the child; those of
 * the module do not. */
static int has_no_link(void)
{
	if (sockets() != sockets_before - 1)
		return 2;
	return calls_everything();
}

START_TEST(a_child_has_no_part_in_its_parents_link)
{
	world_enrolled();
	world_login(CKU_USER);
	ck_assert_rv(run(), CKR_OK);
	sockets_before = sockets();
	/* One lane and the link itself, an application having run: both are let go of. */
	ck_assert_uint_eq(fake.asked[REQ_ATTACH], 1);
	sockets_before--;
	unsigned asked = all_asked();
	ck_assert_int_eq(in_child(has_no_link), 0);
	ck_assert_uint_eq(all_asked(), asked);
	ck_assert_rv(run(), CKR_OK);
	ck_assert_uint_eq(fake.asked[REQ_HELLO], 1);
	world_end();
}
END_TEST

/* What the HSM's module says of a second initialisation is the answer; then both work. */
static int works_by_itself(void)
{
	if (calls_everything())
		return 1;
	if (w.f->C_Initialize(NULL) != CKR_CRYPTOKI_ALREADY_INITIALIZED)
		return 2;
	return run() == CKR_OK ? 0 : 3;
}

START_TEST(a_child_that_initialises_has_a_link_of_its_own)
{
	world_enrolled();
	world_login(CKU_USER);
	ck_assert_rv(run(), CKR_OK);
	ck_assert_int_eq(in_child(works_by_itself), 0);
	ck_assert_uint_eq(fake.asked[REQ_HELLO], 2);
	ck_assert_uint_eq(fake.asked[REQ_PROVE], 2);
	ck_assert_rv(run(), CKR_OK);
	ck_assert_uint_eq(fake.asked[REQ_HELLO], 2);
	ck_assert_uint_eq(fake.asked[REQ_PROVE], 2);
	world_end();
}
END_TEST

static void *run_in_thread(void *unused)
{
	(void)unused;
	return (void *)run();
}

START_TEST(a_fork_while_an_application_runs_disturbs_neither)
{
	pthread_t thread;
	void *rv;

	world_enrolled();
	world_login(CKU_USER);
	fake.slow = true;
	pthread_create(&thread, NULL, run_in_thread, NULL);
	sem_wait(&fake_runs);
	fake.slow = false;
	ck_assert_int_eq(in_child(works_by_itself), 0);
	sem_post(&fake_go);
	pthread_join(thread, &rv);
	ck_assert_rv((CK_RV)rv, CKR_OK);
	world_end();
}
END_TEST

static void add(TCase *t)
{
	tcase_add_test(t, every_call_of_a_child_is_refused);
	tcase_add_test(t, a_child_has_no_part_in_its_parents_link);
	tcase_add_test(t, a_child_that_initialises_has_a_link_of_its_own);
	tcase_add_test(t, a_fork_while_an_application_runs_disturbs_neither);
}

int main(void)
{
	return check_run("fork", add);
}

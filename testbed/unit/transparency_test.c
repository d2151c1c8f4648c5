/* transparency_test.c - one script of calls, once on the HSM's module and once through Assay: a
 * client that uses nothing of Assay can't tell which it has.
 */
#include "testbed/unit/server.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <spawn.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "config/base/io.h"
#include "testbed/softhsm/harness.h"
#include "testbed/softhsm/script.h"
#include "testbed/unit/place.h"

#define RECORD_MAX ((size_t)16 << 20)

static struct softhsm golden;
static char self[PATH_MAX], assay[PATH_MAX], spare_serial[17];
static _Atomic unsigned listed, asked; /* requests for the partitions, and for anything else */

/* Runs one chapter in a process of its own, with this environment and no more. */
static void record(const char *module, const char *chapter, char *const environment[],
		   struct buf *out)
{
	posix_spawn_file_actions_t files;
	char *argv[] = { self, "--script", (char *)module, (char *)chapter, NULL };
	int ends[2], status;
	pid_t pid;

	ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
	posix_spawn_file_actions_init(&files);
	posix_spawn_file_actions_adddup2(&files, ends[1], 1);
	ck_assert_int_eq(posix_spawn(&pid, self, &files, NULL, argv, environment), 0);
	posix_spawn_file_actions_destroy(&files);
	close(ends[1]);
	ck_assert_ok(io_read_all(ends[0], RECORD_MAX, out));
	close(ends[0]);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	buf_printf(out, "ended with %#x\n", (unsigned)status);
	ck_assert_ok(buf_check(out));
}

/* The first line that differs, and its number. */
static void compare(const char *chapter, struct buf *direct, struct buf *through)
{
	char *a_rest, *b_rest, *a = strtok_r((char *)buf_text(direct), "\n", &a_rest);
	char *b = strtok_r((char *)buf_text(through), "\n", &b_rest);
	const char *call = "";

	for (int line = 1; a || b; line++) {
		ck_assert_msg(a && b && strcmp(a, b) == 0,
			      "chapter %s, line %d, after %s:\ndirectly:      %.300s\n"
			      "through Assay: %.300s",
			      chapter, line, call, a ? a : "(end)", b ? b : "(end)");
		if (a[0] != ' ')
			call = a;
		a = strtok_r(NULL, "\n", &a_rest);
		b = strtok_r(NULL, "\n", &b_rest);
	}
}

static void conf_variable(const struct softhsm *store, char out[256])
{
	snprintf(out, 256, "SOFTHSM2_CONF=%s", store->conf);
}

/* @more: a variable for the second run, or NULL. */
static void both(const char *chapter, char *more)
{
	CLEANUP(buf) struct buf direct = BUF_INIT, through = BUF_INIT;
	struct softhsm store;
	char conf[256], hsm[PATH_MAX + 32];

	softhsm_copy(&golden, &store);
	conf_variable(&store, conf);
	record(softhsm_module(), chapter, (char *[]){ conf, NULL }, &direct);
	softhsm_remove(&store);

	softhsm_copy(&golden, &store);
	conf_variable(&store, conf);
	snprintf(hsm, sizeof hsm, "ASSAY_HSM_MODULE=%s", softhsm_module());
	record(assay, chapter, (char *[]){ conf, hsm, more, NULL }, &through);
	softhsm_remove(&store);
	compare(chapter, &direct, &through);
}

START_TEST(a_plain_module_is_the_hsm)
{
	both(script_chapters[_i].name, NULL);
}
END_TEST

static char dir[64], path[80], yaml[80], variable[96];

static void write_config(const char *mode)
{
	place_make(dir, sizeof dir, "transparency");
	snprintf(path, sizeof path, "%s/socket", dir);
	snprintf(yaml, sizeof yaml, "%s/assay.yaml", dir);
	snprintf(variable, sizeof variable, "ASSAY_CONFIG=%s", yaml);
	FILE *f = fopen(yaml, "we");
	ck_assert_ptr_nonnull(f);
	fprintf(f,
		"mode: %s\nstate: %s/state\nsocket: %s\nusers:\n  daemon: 64002\n  group: 64003\n",
		mode, dir, path);
	fclose(f);
	chmod(yaml, 0644);
}

static void remove_config(void)
{
	unlink(path);
	unlink(yaml);
	rmdir(dir);
}

/* A configuration whose daemon is not there, and no partition that anybody enrolled. What only
 * Assay knows (the last chapter) fails there, since nobody can say whether a partition would. */
START_TEST(a_module_without_its_daemon_is_the_hsm)
{
	write_config("appliance");
	both(script_chapters[_i].name, variable);
	remove_config();
}
END_TEST

/* A daemon that knows one partition: the spare token. */
static bool one_partition(struct wire_message *m, uint64_t number, struct slice in)
{
	(void)in;
	if (number == REQ_HELLO) {
		server_greet(m);
	} else if (number == REQ_ATTACH) {
		server_answer(m, 0, OK, "");
	} else if (number == REQ_PARTITIONS) {
		listed++;
		server_answer(m, 1, OK, "");
		cbor_put_array(&m->bytes, 1);
		cbor_put_array(&m->bytes, 6);
		cbor_put_text(&m->bytes, spare_serial);
		cbor_put_uint(&m->bytes, 1);
		cbor_put_text(&m->bytes, SCRIPT_SPARE);
		cbor_put_bool(&m->bytes, true);
		cbor_put_bytes(&m->bytes, slice_text("assay-role........"));
		cbor_put_text(&m->bytes, "assay.test/spare");
	} else {
		asked++;
		server_answer(m, 0, ERR_NOT_FOUND, "no such partition");
	}
	return true;
}

/* The other partition's client sees nothing of it, and the daemon nothing of that client. */
START_TEST(a_partition_beside_an_enrolled_one_is_the_hsm)
{
	const char *name = script_chapters[_i].name;

	if (strcmp(name, "pins") == 0 || strcmp(name, "init-token") == 0)
		return; /* their token is the enrolled one */
	write_config("development");
	server_handler = one_partition;
	server_start(path);
	both(name, variable);
	ck_assert_uint_gt(listed, 0);
	ck_assert_uint_eq(asked, 0);
	remove_config();
}
END_TEST

/* Functions that SoftHSM's own client could not get CKR_OK from either. */
static const char *const never_ok[] = {
	"GetOperationState", "SetOperationState",   "SignRecoverInit",     "SignRecover",
	"VerifyRecoverInit", "VerifyRecover",       "DigestEncryptUpdate", "DecryptDigestUpdate",
	"SignEncryptUpdate", "DecryptVerifyUpdate", "GetFunctionStatus",   "CancelFunction",
	"WaitForSlotEvent",  "GetFunctionList",
};

static void covered(const char *name, const char *record_text)
{
	char call[64];

	for (size_t i = 0; i < COUNT(never_ok); i++)
		if (strcmp(name, never_ok[i]) == 0)
			return;
	snprintf(call, sizeof call, "\nC_%s(", name);
	for (const char *at = record_text; (at = strstr(at, call)); at++) {
		const char *end = strchr(at + 1, '\n');

		if (end - at > 7 && memcmp(end - 7, " CKR_OK", 7) == 0)
			return;
	}
	ck_abort_msg("the script never has C_%s succeed", name);
}

START_TEST(the_script_calls_every_function)
{
	CLEANUP(buf) struct buf all = BUF_INIT;
	struct softhsm store;
	char conf[256];

	for (size_t i = 0; i < script_chapters_n; i++) {
		CLEANUP(buf) struct buf one = BUF_INIT;

		softhsm_copy(&golden, &store);
		conf_variable(&store, conf);
		record(softhsm_module(), script_chapters[i].name, (char *[]){ conf, NULL }, &one);
		ck_assert_msg(strstr(buf_text(&one), "ended with 0\n") != NULL,
			      "chapter %s does not come to its end", script_chapters[i].name);
		buf_put_slice(&all, buf_slice(&one));
		softhsm_remove(&store);
	}
#define FN(name, route, parameters, arguments) covered(#name, buf_text(&all));
#define FN30(name, route, parameters, arguments)
#include "pkcs11/functions.def"
#undef FN
#undef FN30
}
END_TEST

static void prepare(void)
{
	softhsm_use(&golden);
	script_prepare(softhsm_module(), spare_serial);
}

static void add(TCase *t)
{
	tcase_add_unchecked_fixture(t, prepare, NULL);
	tcase_add_loop_test(t, a_plain_module_is_the_hsm, 0, (int)script_chapters_n);
	tcase_add_loop_test(t, a_module_without_its_daemon_is_the_hsm, 0,
			    (int)script_chapters_n - 1);
	tcase_add_loop_test(t, a_partition_beside_an_enrolled_one_is_the_hsm, 0,
			    (int)script_chapters_n);
	tcase_add_test(t, the_script_calls_every_function);
}

int main(int argc, char **argv)
{
	if (argc == 4 && strcmp(argv[1], "--script") == 0)
		return script_run(argv[2], argv[3]);
	ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
	char copy[PATH_MAX];

	self[n > 0 ? n : 0] = 0;
	memcpy(copy, self, sizeof copy);
	snprintf(assay, sizeof assay, "%.4000s/../assay.so", dirname(copy));
	softhsm_make(&golden);
	softhsm_token(&golden, SCRIPT_TOKEN);
	softhsm_token(&golden, SCRIPT_SPARE);
	int result = check_run("transparency", add);
	softhsm_remove(&golden);
	return result;
}

/* Each program of testbed/escape tries what a cell forbids, and none gets through. */
#include "testbed/unit/escape_bench.h"

#include <sched.h>
#include <signal.h>
#include <sys/mount.h>

static struct sandbox *box;
static size_t descriptors, mounts;

/* Entries of a directory, or lines of a file. */
static size_t count(const char *path)
{
	size_t n = 0;
	DIR *list = opendir(path);

	if (list) {
		while (readdir(list))
			n++;
		closedir(list);
		return n;
	}
	FILE *f = fopen(path, "re");
	for (int c; f && (c = getc(f)) != EOF;)
		n += c == '\n';
	if (f)
		fclose(f);
	return n;
}

static void start(void)
{
	descriptors = count("/proc/self/fd");
	mounts = count("/proc/self/mountinfo");
	box = bench_start(1);
}

/* No process, cgroup, descriptor or mount is left. */
static void nothing_is_left(void)
{
	ck_assert_int_eq(waitpid(-1, NULL, WNOHANG), -1);
	ck_assert(!bench_left_behind());
	ck_assert_uint_eq(count("/proc/self/fd"), descriptors);
	ck_assert_uint_eq(count("/proc/self/mountinfo"), mounts);
}

static void stop(void)
{
	sandbox_close(box);
	nothing_is_left();
}

static const struct {
	const char *program, *argument;
	enum run_kind kind;
	uint32_t code;
} programs[] = {
	{ "sockets", NULL, RUN_EXIT, 0 },       { "mounts", NULL, RUN_EXIT, 0 },
	{ "kernel", NULL, RUN_EXIT, 0 },        { "memory", NULL, RUN_EXIT, 0 },
	{ "files", NULL, RUN_EXIT, 0 },         { "processes", NULL, RUN_EXIT, 0 },
	{ "abi", "int80", RUN_SIGNAL, SIGSYS }, { "abi", "x32", RUN_SIGNAL, SIGSYS },
};

START_TEST(no_attempt_gets_through)
{
	struct sandbox_image *image =
		bench_image(box, programs[_i].program, programs[_i].argument, NULL, NULL);

	/* In a new cell and in a used one. */
	for (int i = 0; i < 2; i++) {
		CLEANUP(run) struct run run = { 0 };
		enum err e = sandbox_run(image, slice_of(NULL, 0), NULL, &run);

		ck_assert_msg(e == OK, "%s: %s", programs[_i].program, err_reason());
		ck_assert_msg(run.kind == programs[_i].kind && run.code == programs[_i].code &&
				      run.output.len == 0,
			      "%s: kind %d, code %u: %s", programs[_i].program, (int)run.kind,
			      run.code, run.output.len ? buf_text(&run.output) : "");
	}
	sandbox_image_drop(image);
}
END_TEST

START_TEST(scratch_space_serves_temporary_files_and_changes_nothing_else)
{
	static const char *const told[] = { "without", "with" };
	struct limits limits;
	struct manifest m;

	manifest_default(&m);
	limits = m.limits;
	limits.scratch_bytes = _i ? 1 << 20 : 0;
	struct sandbox_image *image = bench_image(box, "scratch", told[_i], NULL, &limits);
	for (int i = 0; i < 2; i++) {
		CLEANUP(run) struct run run = { 0 };
		enum err e = sandbox_run(image, slice_of(NULL, 0), NULL, &run);

		ck_assert_msg(e == OK, "%s", err_reason());
		ck_assert_msg(run.kind == RUN_EXIT && run.code == 0 && run.output.len == 0,
			      "%s: kind %d, code %u: %s", told[_i], (int)run.kind, run.code,
			      run.output.len ? buf_text(&run.output) : "");
	}
	sandbox_image_drop(image);
}
END_TEST

/* Tables of attempts: testbed/escape/family.h. */
static const char *const families[] = { "namespaces", "interfaces", "tracing",  "ipc",
					"network",    "code",       "terminal", "image" };

#define FAMILIES (int)(sizeof families / sizeof *families)

static void run_family(struct sandbox *in, const char *name, const char *place)
{
	bool dynamic = strcmp(place, "dynamic") == 0;
	struct sandbox_image *image = escape_image(in, name, place, dynamic);

	/* In a new cell and in a used one. */
	for (int i = 0; i < 2; i++) {
		CLEANUP(run) struct run run = { 0 };
		enum err e = sandbox_run(image, slice_of(NULL, 0), NULL, &run);

		ck_assert_msg(e == OK, "%s: %s", name, err_reason());
		ck_assert_msg(run.kind == RUN_EXIT && run.code == 0 && run.output.len == 0,
			      "%s, %s: kind %d, code %u: %s", name, place, (int)run.kind, run.code,
			      run.output.len ? buf_text(&run.output) : "");
		ck_assert_int_eq(run.start, i ? RUN_REUSED : RUN_FRESH);
	}
	sandbox_image_drop(image);
}

START_TEST(no_family_gets_through)
{
	run_family(box, families[_i], "cell");
}
END_TEST

START_TEST(what_was_written_does_not_run_in_a_dynamic_profile_either)
{
	if (!strstr(sandbox_facts(box)->absent, "mdwe"))
		run_family(box, "code", "dynamic");
}
END_TEST

/* So that default deny does not hide a broken layer. */
static void run_without(const char *steps, const char *name, const char *place)
{
	int sock;
	struct sandbox *weak;

	pid_t pid = faults_launch(&(struct faults){ .without = steps }, &sock);
	enum err e = sandbox_attach(sock, &weak);
	ck_assert_msg(e == OK, "%s", err_reason());
	/* What was written may run, where no kernel's MDWE stands behind seccomp. */
	if (strcmp(name, "code") != 0 || !strstr(sandbox_facts(weak)->absent, "mdwe"))
		run_family(weak, name, place);
	sandbox_close(weak);
	faults_ended(pid);
}

START_TEST(without_seccomp_the_other_layers_hold)
{
	run_without("seccomp", families[_i], "second");
}
END_TEST

START_TEST(without_seccomp_and_landlock_namespaces_and_mounts_hold)
{
	run_without("seccomp landlock", families[_i], "third");
}
END_TEST

/* Attempts that fail everywhere would show nothing. */
START_TEST(outside_the_same_attempts_succeed)
{
	char text[8192];

	if (geteuid())
		return;
	int code = outside_run(families[_i], text, sizeof text);
	ck_assert_msg(code == 0, "%s, outside: code %d: %s", families[_i], code, text);
	if (*text)
		printf("%s, outside:\n%s", families[_i], text);
}
END_TEST

static Suite *suite(const char *name)
{
	Suite *s = suite_create(name);
	TCase *t = tcase_create(name);

	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, start, stop);
	tcase_add_loop_test(t, no_attempt_gets_through, 0, sizeof programs / sizeof *programs);
	tcase_add_loop_test(t, scratch_space_serves_temporary_files_and_changes_nothing_else, 0, 2);
	tcase_add_loop_test(t, no_family_gets_through, 0, FAMILIES);
	tcase_add_test(t, what_was_written_does_not_run_in_a_dynamic_profile_either);
	suite_add_tcase(s, t);
	t = tcase_create("layers");
	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, without_seccomp_the_other_layers_hold, 0, FAMILIES);
	tcase_add_loop_test(t, without_seccomp_and_landlock_namespaces_and_mounts_hold, 0,
			    FAMILIES);
	tcase_add_loop_test(t, outside_the_same_attempts_succeed, 0, FAMILIES);
	suite_add_tcase(s, t);
	return s;
}

/* Mounts are counted, so those of tests that run beside this one are kept out. */
int main(void)
{
	if (geteuid() == 0 &&
	    (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL))) {
		perror("a mount namespace of its own");
		return 1;
	}
	return bench_main(suite);
}

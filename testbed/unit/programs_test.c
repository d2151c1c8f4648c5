/* Debian's own programs, unmodified, in a cell: shells, interpreters, filters. */
#include "testbed/unit/sandbox_common.h"
#include "testbed/unit/place.h"

#include "sandbox/pack.h"

static struct sandbox *box;

static void start(void)
{
	box = bench_start(1);
}

static void stop(void)
{
	sandbox_close(box);
}

static const struct {
	const char *program; /* skipped where it is not installed */
	const char *more;    /* further files of the image */
	const char *arguments[4];
	const char *input, *output;
} programs[] = {
	{ "/usr/bin/dash",
	  "/usr/bin/cat /usr/bin/tr",
	  { "-c", "cat | tr a-z A-Z; (echo sub; exit 3) || echo $? >&1; echo lost >/dev/null" },
	  "shout\n",
	  "SHOUT\nsub\n3\n" },
	{ "/usr/bin/bash",
	  "",
	  { "-c", "read x; for i in 1 2; do echo $x$i; done" },
	  "n\n",
	  "n1\nn2\n" },
	{ "/usr/bin/perl",
	  "",
	  { "-ne", "print length($_), \"\\n\"; print STDERR 'ok'" },
	  "four",
	  "4\n" },
	{ "/usr/bin/python3.11",
	  "/usr/lib/python3.11",
	  { "-c", "import sys, json, hashlib, threading\n"
		  "t = threading.Thread(target=lambda: None); t.start(); t.join()\n"
		  "print(json.dumps([sys.stdin.read(), hashlib.sha256(b'').hexdigest()[:8]]))" },
	  "in",
	  "[\"in\", \"e3b0c442\"]\n" },
	{ "/usr/bin/mawk", "", { "{ n += $1 } END { print n }" }, "1\n2\n", "3\n" },
	{ "/usr/bin/sort", "", { "-r" }, "a\nb\n", "b\na\n" },
	{ "/usr/bin/sed", "", { "s/a/b/" }, "aaa\n", "baa\n" },
	{ "/usr/bin/grep", "", { "-c", "x" }, "x\ny\nxx\n", "2\n" },
	{ "/bin/busybox", "", { "sh", "-c", "busybox head -n 1" }, "1\n2\n", "1\n" },
};

/* The image: the files, and what the loader needs of each program. */
static void fill(const char *tree, const char *program, const char *more)
{
	char command[4096];

	snprintf(command, sizeof command,
		 "set -e; for f in %s %s; do cp -rL --parents $f %s; "
		 "for l in $(ldd $f 2>/dev/null | grep -o '/[^ ]*'); do cp -L --parents $l %s; "
		 "done; "
		 "done; mkdir -p %s/bin %s/usr/bin; chmod -R u+rwX,a-s %s",
		 program, more, tree, tree, tree, tree, tree);
	ck_assert_int_eq(system(command), 0);
	/* bash and busybox look for programs below /bin. */
	snprintf(command, sizeof command,
		 "cd %s && rmdir bin 2>/dev/null && ln -s usr/bin bin; true", tree);
	ck_assert_int_eq(system(command), 0);
}

#define PROGRAMS (int)(sizeof programs / sizeof *programs)

/* And once more, pure. */
START_TEST(debians_programs_run_unmodified)
{
	char tree[96];
	CLEANUP(buf) struct buf raw = BUF_INIT;
	CLEANUP(run) struct run run = { 0 };
	const int i = _i % PROGRAMS;
	struct manifest m;

	if (access(programs[i].program, X_OK))
		return;
	place_make(tree, sizeof tree, "tree");
	fill(tree, programs[i].program, programs[i].more);
	manifest_default(&m);
	m.id = slice_text("test");
	m.label = slice_text("Test");
	m.version = slice_text("1");
	if (_i >= PROGRAMS)
		m.purity = PURE | (strstr(programs[i].program, "python") ? NEED_RANDOM : 0);
	m.env[m.envc++] = slice_text("PATH=/usr/bin:/bin");
	m.argv[m.argc++] = slice_text(programs[i].program);
	for (size_t a = 0; a < 4 && programs[i].arguments[a]; a++)
		m.argv[m.argc++] = slice_text(programs[i].arguments[a]);
	enum err e = package_from_directory(tree, programs[i].program, &m, &raw);
	place_remove(tree);
	ck_assert_msg(e == OK, "%s", err_reason());
	struct sandbox_image *image = bench_add(box, buf_slice(&raw));
	e = sandbox_run(image, slice_text(programs[i].input), NULL, &run);
	ck_assert_msg(e == OK, "%s: %s", programs[i].program, err_reason());
	ck_assert_msg(run.kind == RUN_EXIT && run.code == 0 &&
			      slice_is(buf_slice(&run.output), programs[i].output),
		      "%s: kind %d, code %u, output %s, messages %s", programs[i].program,
		      (int)run.kind, run.code, run.output.len ? buf_text(&run.output) : "",
		      run.messages.len ? buf_text(&run.messages) : "");
	sandbox_image_drop(image);
}
END_TEST

/* Each found by what its file says, none by being run. */
static const struct {
	const char *program, *arguments[2], *input, *output;
} alone[] = {
	{ "/usr/bin/sort", { "-n" }, "10\n9\n", "9\n10\n" },
	{ "/usr/bin/sed", { "s/a/b/" }, "aaa\n", "baa\n" },
	{ "/usr/bin/mawk", { "{ print $2 }" }, "1 2\n", "2\n" },
	{ "/usr/bin/perl", { "-ne", "print lc" }, "ABC", "abc" },
	{ "/usr/bin/openssl", { "base64" }, "abc", "YWJj\n" },
};

START_TEST(a_dynamic_program_takes_its_libraries_along)
{
	CLEANUP(buf) struct buf raw = BUF_INIT;
	CLEANUP(run) struct run run = { 0 };
	struct manifest m;

	if (access(alone[_i].program, X_OK))
		return;
	manifest_default(&m);
	m.id = slice_text("test");
	m.label = slice_text("Test");
	m.version = slice_text("1");
	m.argv[m.argc++] = slice_text("/app");
	for (size_t i = 0; i < 2 && alone[_i].arguments[i]; i++)
		m.argv[m.argc++] = slice_text(alone[_i].arguments[i]);
	enum err e = package_from_program(alone[_i].program, &m, &raw);
	ck_assert_msg(e == OK, "%s", err_reason());
	struct sandbox_image *image = bench_add(box, buf_slice(&raw));
	e = sandbox_run(image, slice_text(alone[_i].input), NULL, &run);
	ck_assert_msg(e == OK, "%s: %s", alone[_i].program, err_reason());
	ck_assert_msg(run.kind == RUN_EXIT && run.code == 0 &&
			      slice_is(buf_slice(&run.output), alone[_i].output),
		      "%s: kind %d, code %u, messages %s", alone[_i].program, (int)run.kind,
		      run.code, run.messages.len ? buf_text(&run.messages) : "");
	sandbox_image_drop(image);
}
END_TEST

static Suite *suite(const char *name)
{
	Suite *s = suite_create(name);
	TCase *t = tcase_create(name);

	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, start, stop);
	tcase_add_loop_test(t, debians_programs_run_unmodified, 0, 2 * PROGRAMS);
	tcase_add_loop_test(t, a_dynamic_program_takes_its_libraries_along, 0,
			    sizeof alone / sizeof *alone);
	suite_add_tcase(s, t);
	return s;
}

int main(void)
{
	return bench_main(suite);
}

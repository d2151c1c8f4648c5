/* Whatever of the confinement can't be had ends the cell, or the start, and leaves nothing. */
#include "testbed/unit/faults_bench.h"
#include "testbed/unit/place.h"

#include <sys/prctl.h>

#define RUNS 10

/* PART steps have no code of their own. */
static const struct {
	const char *name;
	bool start; /* taken once, at the launcher's start */
} steps[] = {
#define STEP(name, place, need, why) STEP_##place(name)
#define STEP_LAUNCHER(name) { #name, true },
#define STEP_PARENT(name) { #name, false },
#define STEP_PART(name)
#define STEP_CHILD(name) { #name, false },
#define STEP_INIT(name) { #name, false },
#include "sandbox/steps.def"
#undef STEP
};

/* No process is left when this one, which inherits all that lose their parent, has no child. */
static void become_heir(void)
{
	ck_assert_int_eq(prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0), 0);
}

static void no_heirs(void)
{
	int status;

	for (int i = 0; i < 1000 && waitpid(-1, &status, WNOHANG) >= 0; i++)
		usleep(5000);
	ck_assert_int_eq(waitpid(-1, &status, WNOHANG), -1);
	ck_assert_int_eq(errno, ECHILD);
}

START_TEST(a_step_that_fails_ends_the_cell_and_is_named)
{
	const char *name = steps[_i].name;
	struct sandbox *box;
	struct run run;
	int sock;
	char wanted[64];

	become_heir();
	pid_t pid = faults_launch(&(struct faults){ .fault = name }, &sock);
	enum err e = sandbox_attach(sock, &box);
	snprintf(wanted, sizeof wanted, "step %s:", name);
	if (steps[_i].start) {
		ck_assert_int_eq(e, ERR_IO);
		ck_assert_msg(strstr(err_reason(), wanted), "%s: %s", name, err_reason());
		faults_ended(pid);
		no_heirs();
		return;
	}
	ck_assert_msg(e == OK, "%s", err_reason());
	struct sandbox_image *image = bench_image(box, "act", "exit", "0", NULL);
	for (int i = 0; i < 2; i++) {
		e = sandbox_run(image, slice_text("x"), NULL, &run);
		ck_assert_msg(e == ERR_IO, "%s: %s", name, err_name(e));
		ck_assert_msg(strstr(err_reason(), wanted), "%s: %s", name, err_reason());
		ck_assert_int_eq(bench_child_of(pid), -1);
	}
	sandbox_image_drop(image);
	sandbox_close(box);
	faults_ended(pid);
	no_heirs();
}
END_TEST

/* Calls whose failure takes nothing from a cell: what they ask for then counts as absent, and is named
 * in every proof, or happens all the same. */
static const char *const harmless[] = {
	"access ",                 /* optional steps */
	"syscall 250\n",           /* keyctl: the same */
	"prctl 66\n",              /* PR_GET_MDWE: the same */
	"fstatat ",      "fstat ", /* of a group that may be gone: it is opened again */
	"flock ",                  /* of a group that another launcher may hold */
	"faccessat ",              /* the file is tried then */
	"munmap ",                 /* of a package that was read */
	"setrlimit 7\n",           /* RLIMIT_NOFILE beyond what is needed; or it ends the start */
};

static bool is_harmless(const char *line)
{
	for (size_t i = 0; i < sizeof harmless / sizeof *harmless; i++)
		if (strncmp(line, harmless[i], strlen(harmless[i])) == 0)
			return true;
	return false;
}

static size_t read_log(int fd, char *line, size_t room)
{
	ssize_t n = pread(fd, line, room - 1, 0);

	line[n > 0 ? n : 0] = '\0';
	return strlen(line);
}

/* Start, image, cell, run: which of them failed, or 0. */
static int use(int sock, bool again)
{
	struct sandbox *box;
	struct sandbox_image *image = NULL;
	CLEANUP(buf) struct buf raw = BUF_INIT;
	CLEANUP(fd) int fd = -1;
	struct package package;
	int failed_at = 0;

	if (sandbox_attach(sock, &box))
		return 1;
	bench_package("act", "cat", NULL, NULL, &raw);
	ck_assert_int_eq(package_parse(buf_slice(&raw), &package), OK);
	ck_assert_int_eq(io_memfd("package", buf_slice(&raw), &fd), OK);
	for (int i = 0; i < 1 + again && !image; i++)
		if (sandbox_image_add(box, fd, package.measurement, &image))
			failed_at = 2;
	/* Launcher and cells count each for itself, so some runs may fail, but not all that follow. */
	enum err e = image ? ERR_IO : OK;
	for (int i = 0; i < RUNS && e && e != ERR_GONE; i++) {
		CLEANUP(run) struct run run = { 0 };

		e = sandbox_run(image, slice_text("x"), NULL, &run);
		if (e)
			failed_at = 3;
		else
			ck_assert(slice_is(buf_slice(&run.output), "x"));
	}
	ck_assert_msg(!e || e == ERR_GONE, "%s", err_reason());
	sandbox_image_drop(image);
	sandbox_close(box);
	return failed_at;
}

START_TEST(each_call_that_fails_ends_what_it_was_for)
{
	char path[96], line[4096];
	unsigned n, quiet = 0, ends[4] = { 0 };

	place_template(path, sizeof path, "faults");
	CLEANUP(fd) int log = mkstemp(path);
	ck_assert_int_ge(log, 0);
	unlink(path);
	ck_assert_int_eq(fcntl(log, F_SETFL, O_APPEND), 0);
	become_heir();
	for (n = 1; n < 1000; n++) {
		int sock;

		ck_assert_int_eq(ftruncate(log, 0), 0);
		pid_t pid = faults_launch(&(struct faults){ .call = n, .log = log }, &sock);
		int at = use(sock, true);
		ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
		no_heirs();
		/* How many calls there are depends on what arrives first: ask once more, or thrice. */
		if (!read_log(log, line, sizeof line)) {
			if (++quiet > 3)
				break;
			n--;
			continue;
		}
		quiet = 0;
		ends[at]++;
		ck_assert_msg(at != 0 || is_harmless(line), "call %u, %s: nothing failed", n, line);
		ck_assert_msg(!bench_left_behind(), "call %u, %s: a cgroup is left", n, line);
	}
	printf("%u calls: %u ended the start, %u an image, %u a run, %u nothing\n", n - 1, ends[1],
	       ends[2], ends[3], ends[0]);
	ck_assert_uint_gt(ends[1], 20);
	ck_assert_uint_gt(ends[2], 10);
	ck_assert_uint_gt(ends[3], 50);
}
END_TEST

static Suite *suite(const char *name)
{
	Suite *s = suite_create(name);
	TCase *t = tcase_create(name);

	tcase_set_timeout(t, 110);
	tcase_add_loop_test(t, a_step_that_fails_ends_the_cell_and_is_named, 0,
			    sizeof steps / sizeof *steps);
	tcase_add_test(t, each_call_that_fails_ends_what_it_was_for);
	suite_add_tcase(s, t);
	return s;
}

int main(void)
{
	return bench_main(suite);
}

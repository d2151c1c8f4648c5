/* What holds on lesser kernels and against the machine's own side: optional steps taken away, missing
 * controllers, a package or image that somebody changes, crash dumps. */
#include "testbed/unit/escape_bench.h"
#include "testbed/unit/place.h"

#include <pthread.h>
#include <sys/mman.h>

static struct sandbox *weaker(const char *without, const char *allow_missing, pid_t *pid)
{
	struct sandbox *box;
	int sock;

	*pid = faults_launch(&(struct faults){ .without = without, .allow_missing = allow_missing },
			     &sock);
	enum err e = sandbox_attach(sock, &box);
	ck_assert_msg(e == OK, "%s: %s", without, err_reason());
	return box;
}

static void runs_and_refuses(struct sandbox *box, const char *family)
{
	struct sandbox_image *image = escape_image(box, family, "cell", false);
	CLEANUP(run) struct run run = { 0 };

	enum err e = sandbox_run(image, slice_of(NULL, 0), NULL, &run);
	ck_assert_msg(e == OK, "%s", err_reason());
	ck_assert_msg(run.kind == RUN_EXIT && run.code == 0, "%s: %s", family,
		      run.output.len ? buf_text(&run.output) : "");
	sandbox_image_drop(image);
}

#define ALL_OPTIONAL "time_namespace memfd_noexec keyring mdwe landlock_net landlock_scope"

static const char *const lacking[] = { "time_namespace", "memfd_noexec",   "keyring",   "mdwe",
				       "landlock_net",   "landlock_scope", ALL_OPTIONAL };

static bool named(const char *list, const char *step, size_t n)
{
	const char *at = strstr(list, step);

	return at && (at == list || at[-1] == ' ') && (at[n] == ' ' || at[n] == '\0');
}

/* The scopes came with a later version than the network, and cannot be had without it. */
START_TEST(a_kernel_without_optional_steps_is_named_and_refuses_all_the_same)
{
	static const char *const families[] = { "namespaces", "interfaces", "tracing", "ipc",
						"network",    "code",       "image" };
	pid_t pid;
	struct sandbox *box = weaker(lacking[_i], NULL, &pid);
	const char *absent = sandbox_facts(box)->absent;

	for (const char *p = lacking[_i]; *p; p += strspn(p, " ")) {
		size_t n = strcspn(p, " ");
		char step[64];

		snprintf(step, sizeof step, "%.*s", (int)n, p);
		ck_assert_msg(named(absent, step, n), "%s is not in \"%s\"", step, absent);
		p += n;
	}
	for (size_t i = 0; i < sizeof families / sizeof *families; i++)
		runs_and_refuses(box, families[i]);
	sandbox_close(box);
	faults_ended(pid);
}
END_TEST

static const char *const controllers[] = { "memory", "pids", "cpu" };

START_TEST(a_missing_controller_refuses_unless_it_may_lack)
{
	const char *allowed = geteuid() ? "memory pids cpu" : controllers[_i];
	char step[32], quoted[32];
	struct sandbox *box;
	int sock;
	pid_t pid;

	snprintf(step, sizeof step, "cgroup_%s", controllers[_i]);
	snprintf(quoted, sizeof quoted, "\"%s\"", controllers[_i]);
	/* What is allowed must be named whole. */
	pid = faults_launch(&(struct faults){ .without = step, .allow_missing = "mem pid cpus" },
			    &sock);
	ck_assert_int_eq(sandbox_attach(sock, &box), ERR_UNSUPPORTED);
	if (geteuid() == 0)
		ck_assert_msg(strstr(err_reason(), quoted), "%s", err_reason());
	faults_ended(pid);
	box = weaker(step, allowed, &pid);
	ck_assert_msg(named(sandbox_facts(box)->absent, step, strlen(step)), "\"%s\"",
		      sandbox_facts(box)->absent);
	runs_and_refuses(box, "namespaces");
	sandbox_close(box);
	faults_ended(pid);
}
END_TEST

static void *run_image(void *image)
{
	static struct run run;

	run = (struct run){ 0 };
	if (sandbox_run(image, slice_text("x"), NULL, &run))
		run.code = 255;
	run_free(&run);
	return &run;
}

/* Each way to change a file, at a path that leads into an image; the errors must be of a file system
 * that is read-only. Whoever may not even look is refused as well. */
static void must_not_change(const char *root)
{
	static const char *const names[] = { "bin/app", "dev/null", "" };
	char path[PATH_MAX], to[PATH_MAX];

	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		snprintf(path, sizeof path, "%s/%s", root, names[i]);
		snprintf(to, sizeof to, "%s/new", root);
		if (i == 0) {
			ck_assert_int_eq(open(path, O_WRONLY | O_CLOEXEC), -1);
			ck_assert_msg(errno == EROFS || errno == EACCES, "%s: %m", path);
			ck_assert_int_eq(truncate(path, 1), -1);
			ck_assert_int_eq(unlink(path), -1);
			ck_assert_int_eq(rename(path, to), -1);
		}
		ck_assert_int_eq(chmod(path, 0777), -1);
		ck_assert_msg(errno == EROFS || errno == EACCES || errno == EPERM, "%s: %m", path);
		ck_assert_int_eq(utimensat(AT_FDCWD, path, NULL, 0), -1);
		ck_assert_int_eq(chown(path, 1, 1), -1);
	}
	ck_assert_int_eq(mkdir(to, 0700), -1);
	ck_assert_msg(errno == EROFS || errno == EACCES, "%s: %m", to);
}

/* As the machine's root, through the cell's and the launcher's own view, while the program runs. */
START_TEST(nobody_writes_to_an_image_that_runs)
{
	struct limits limits;
	struct manifest m;
	pthread_t thread;
	char root[128];
	void *end;

	manifest_default(&m);
	limits = m.limits;
	struct sandbox *box = bench_start(1);
	struct sandbox_image *image = bench_image(box, "spend", "wait", NULL, &limits);
	ck_assert_int_eq(pthread_create(&thread, NULL, run_image, image), 0);
	usleep(300000);
	pid_t init = bench_child_of(bench_launcher()), app = bench_child_of(init);
	ck_assert_int_gt(app, 0);
	snprintf(root, sizeof root, "/proc/%d/root", (int)init);
	must_not_change(root);
	snprintf(root, sizeof root, "/proc/%d/root", (int)app);
	must_not_change(root);
	snprintf(root, sizeof root, "/proc/%d/root/images/0", (int)bench_launcher());
	must_not_change(root);
	pthread_join(thread, &end);
	ck_assert_uint_eq(((struct run *)end)->code, 0);
	sandbox_image_drop(image);
	sandbox_close(box);
}
END_TEST

/* The stored package is changed after it was loaded, and between and during runs. */
START_TEST(a_package_that_changes_later_changes_nothing)
{
	char path[96];
	CLEANUP(buf) struct buf raw = BUF_INIT;
	CLEANUP(buf) struct buf copy = BUF_INIT;
	CLEANUP(fd) int sealed = -1;
	CLEANUP(fd) int file = (place_template(path, sizeof path, "package"), mkstemp(path));
	struct package package;
	struct sandbox_image *image;
	pthread_t thread;
	void *end;
	uint8_t changed;

	struct sandbox *box = bench_start(1);
	bench_package("spend", "wait", NULL, NULL, &raw);
	ck_assert_int_eq(package_parse(buf_slice(&raw), &package), OK);
	ck_assert_int_eq(io_write_all(file, buf_slice(&raw)), OK);
	/* What somebody may still write to is not taken at all. */
	ck_assert_int_ne(sandbox_image_add(box, file, package.measurement, &image), OK);
	int open_file = memfd_create("package", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	ck_assert_int_eq(io_write_all(open_file, buf_slice(&raw)), OK);
	ck_assert_int_ne(sandbox_image_add(box, open_file, package.measurement, &image), OK);
	close(open_file);
	ck_assert_int_eq(io_read_file(path, PACKAGE_MAX, &copy), OK);
	ck_assert_int_eq(io_memfd("package", buf_slice(&copy), &sealed), OK);
	/* Changed between being measured and being loaded. */
	CLEANUP(fd) int other = -1;
	copy.data[copy.len - 1] ^= 1;
	ck_assert_int_eq(io_memfd("package", buf_slice(&copy), &other), OK);
	ck_assert_int_ne(sandbox_image_add(box, other, package.measurement, &image), OK);
	ck_assert_int_eq(sandbox_image_add(box, sealed, package.measurement, &image), OK);
	ck_assert_int_eq(pwrite(sealed, "x", 1, 100), -1);
	ck_assert_int_eq(ftruncate(sealed, 0), -1);
	for (int i = 0; i < 2; i++) {
		ck_assert_int_eq(pthread_create(&thread, NULL, run_image, image), 0);
		usleep(100000);
		changed = raw.data[raw.len - 1] ^ 1;
		ck_assert_int_eq(pwrite(file, &changed, 1, (off_t)raw.len - 1), 1);
		pthread_join(thread, &end);
		ck_assert_int_eq(((struct run *)end)->kind, RUN_EXIT);
		ck_assert_uint_eq(((struct run *)end)->code, 0);
	}
	unlink(path);
	sandbox_image_drop(image);
	sandbox_close(box);
}
END_TEST

#define CORE_PATTERN "/proc/sys/kernel/core_pattern"
#define DUMPING_UID (BENCH_UID_BASE + BENCH_UIDS) /* no cell's */

#define PATTERN_MAX 127 /* what the kernel takes */

static int guard = -1; /* its closing, at the latest by this process's end, restores the pattern */
static pid_t guardian;

static void write_pattern(const char *text)
{
	CLEANUP(fd) int fd = open(CORE_PATTERN, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		perror(CORE_PATTERN);
}

static void restore_at_end(int end, const char *pattern)
{
	char byte;

	setsid();
	while (read(end, &byte, 1) < 0 && errno == EINTR)
		;
	write_pattern(pattern);
	_exit(0);
}

static const char *dumps(void)
{
	static char path[PATH_MAX + 16];

	snprintf(path, sizeof path, "%s/dumps", bench_build);
	return path;
}

static void pipe_cores(void)
{
	char before[PATTERN_MAX + 1] = "", piped[3 * PATH_MAX];
	CLEANUP(fd) int fd = open(CORE_PATTERN, O_RDONLY | O_CLOEXEC);
	int ends[2];

	if (fd < 0 || read(fd, before, PATTERN_MAX) < 0 || pipe2(ends, O_CLOEXEC))
		return;
	guardian = fork();
	if (guardian == 0) {
		close(ends[1]);
		restore_at_end(ends[0], before);
	}
	close(ends[0]);
	guard = ends[1];
	unlink(dumps());
	snprintf(piped, sizeof piped, "|%s/escape/dump %%u %s", bench_build, dumps());
	if (strlen(piped) <= PATTERN_MAX)
		write_pattern(piped);
}

static void restore_cores(void)
{
	fd_cleanup(&guard);
	waitpid(guardian, NULL, 0);
	unlink(dumps());
}

static bool dumped_by(unsigned uid)
{
	char line[64];
	bool found = false;
	FILE *f = fopen(dumps(), "re");

	while (f && fgets(line, sizeof line, f))
		found |= strtoul(line, NULL, 10) == uid;
	if (f)
		fclose(f);
	return found;
}

/* Whoever it is that reads crash dumps here must get none of an application's. */
START_TEST(a_crash_dump_reaches_nobody)
{
	struct sandbox *box = bench_start(1);
	struct sandbox_image *image = bench_image(box, "act", "abort", NULL, NULL);
	CLEANUP(run) struct run run = { 0 };
	int status;

	ck_assert_int_eq(sandbox_run(image, slice_text("x"), NULL, &run), OK);
	ck_assert_int_eq(run.kind, RUN_SIGNAL);
	ck_assert_uint_eq(run.code, SIGABRT);
	sandbox_image_drop(image);
	sandbox_close(box);
	/* The same, unconfined, is dumped: so this machine does it. */
	const struct rlimit all = { 1 << 20, 1 << 20 };
	pid_t pid = fork();
	if (pid == 0) {
		signal(SIGABRT, SIG_DFL);
		if (setrlimit(RLIMIT_CORE, &all) || setresuid(DUMPING_UID, -1, -1))
			_exit(1);
		abort();
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFSIGNALED(status));
	for (int i = 0; i < 100 && !dumped_by(DUMPING_UID); i++)
		usleep(20000);
	if (!dumped_by(DUMPING_UID)) {
		/* In a container the pattern's program is looked for in the machine's own mounts. */
		printf("a_crash_dump_reaches_nobody: not tested, dumps do not come here\n");
		fflush(stdout);
		return;
	}
	for (unsigned i = 0; i < BENCH_UIDS; i++)
		ck_assert(!dumped_by(BENCH_UID_BASE + i));
}
END_TEST

static Suite *suite(const char *name)
{
	Suite *s = suite_create(name);
	TCase *t = tcase_create(name);

	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, a_kernel_without_optional_steps_is_named_and_refuses_all_the_same, 0,
			    sizeof lacking / sizeof *lacking);
	tcase_add_loop_test(t, a_missing_controller_refuses_unless_it_may_lack, 0,
			    sizeof controllers / sizeof *controllers);
	tcase_add_test(t, nobody_writes_to_an_image_that_runs);
	tcase_add_test(t, a_package_that_changes_later_changes_nothing);
	suite_add_tcase(s, t);
	if (geteuid() == 0) {
		t = tcase_create("dumps");
		tcase_add_unchecked_fixture(t, pipe_cores, restore_cores);
		tcase_add_test(t, a_crash_dump_reaches_nobody);
		suite_add_tcase(s, t);
	}
	return s;
}

int main(void)
{
	return bench_main(suite);
}

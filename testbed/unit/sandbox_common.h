/* sandbox_common.h - what the tests of the sandbox share: starting it from the build directory,
 * packages of the programs in testbed/escape, and running a suite as root and as an ordinary user.
 */
#ifndef TESTBED_UNIT_SANDBOX_COMMON_H
#define TESTBED_UNIT_SANDBOX_COMMON_H

#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <grp.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "config/base/io.h"
#include "sandbox/sandbox.h"

#define BENCH_UID_BASE 2100000000u
#define BENCH_UIDS 8192 /* all that launchers with this base may take */
#define BENCH_NOBODY 65534

static char bench_build[PATH_MAX]; /* the build directory, or a copy that everyone may read */
static char bench_name[32];
static uint8_t bench_park, bench_purity; /* of the packages that are made from here on */

static inline struct sandbox *bench_start(uint32_t cells)
{
	char launcher[PATH_MAX + 32], init[PATH_MAX + 32];
	const struct sandbox_options options = { .launcher = launcher,
						 .init = init,
						 .uid_base = BENCH_UID_BASE,
						 .name = bench_name,
						 .allow_missing =
							 geteuid() ? "memory pids cpu" : "",
						 .cells_max = cells };
	struct sandbox *box = NULL;

	snprintf(launcher, sizeof launcher, "%s/assay-launcher", bench_build);
	snprintf(init, sizeof init, "%s/assay-init", bench_build);
	enum err e = sandbox_start(&options, &box);
	ck_assert_msg(e == OK, "sandbox_start: %s", err_reason());
	return box;
}

/* A package of testbed/escape's @program with up to two arguments. */
static inline enum err bench_pack(const char *program, const char *argument, const char *more,
				  const struct limits *limits, struct buf *out)
{
	char path[PATH_MAX + 64];
	CLEANUP(buf) struct buf content = BUF_INIT;
	struct manifest m;

	snprintf(path, sizeof path, "%s/escape/%s", bench_build, program);
	enum err e = io_read_file(path, PACKAGE_MAX, &content);
	if (e)
		return e;
	manifest_default(&m);
	m.id = slice_text("test");
	m.label = slice_text("Test");
	m.version = slice_text("1.0");
	m.argv[m.argc++] = slice_text("/bin/app");
	if (argument)
		m.argv[m.argc++] = slice_text(argument);
	if (more)
		m.argv[m.argc++] = slice_text(more);
	m.env[m.envc++] = slice_text("LANG=C");
	m.park = bench_park;
	m.purity = bench_purity;
	if (limits)
		m.limits = *limits;
	const struct entry entry = { slice_text("bin/app"), ENTRY_FILE, 0555, buf_slice(&content) };
	return package_build(&m, &entry, 1, out);
}

static inline void bench_package(const char *program, const char *argument, const char *more,
				 const struct limits *limits, struct buf *out)
{
	enum err e = bench_pack(program, argument, more, limits, out);

	ck_assert_msg(e == OK, "%s", err_reason());
}

static inline struct sandbox_image *bench_add(struct sandbox *box, struct slice raw)
{
	struct package package;
	struct sandbox_image *image = NULL;
	CLEANUP(fd) int fd = -1;

	ck_assert_int_eq(package_parse(raw, &package), OK);
	ck_assert_int_eq(io_memfd("package", raw, &fd), OK);
	enum err e = sandbox_image_add(box, fd, package.measurement, &image);
	ck_assert_msg(e == OK, "sandbox_image_add: %s", err_reason());
	return image;
}

static inline struct sandbox_image *bench_image(struct sandbox *box, const char *program,
						const char *argument, const char *more,
						const struct limits *limits)
{
	CLEANUP(buf) struct buf raw = BUF_INIT;

	bench_package(program, argument, more, limits, &raw);
	return bench_add(box, buf_slice(&raw));
}

/* The first child of a process; -1 when it has none. */
static inline pid_t bench_child_of(pid_t parent)
{
	char path[64];
	pid_t pid = -1;

	snprintf(path, sizeof path, "/proc/%d/task/%d/children", (int)parent, (int)parent);
	FILE *f = fopen(path, "re");
	if (f && fscanf(f, "%d", &pid) != 1)
		pid = -1;
	if (f)
		fclose(f);
	return pid;
}

/* The one child of this process. */
static inline pid_t bench_launcher(void)
{
	return bench_child_of(getpid());
}

/* Whether a cgroup of ours is still there in any hierarchy. */
static inline bool bench_left_behind(void)
{
	static const char *const tops[] = { "/sys/fs/cgroup", "/sys/fs/cgroup/memory",
					    "/sys/fs/cgroup/pids", "/sys/fs/cgroup/cpu",
					    "/sys/fs/cgroup/cpuacct" };
	char path[128];

	for (size_t i = 0; i < sizeof tops / sizeof *tops; i++) {
		snprintf(path, sizeof path, "%s/assay-%s", tops[i], bench_name);
		if (access(path, F_OK) == 0)
			return true;
	}
	return false;
}

static inline int bench_run(Suite *(*suite)(const char *), const char *name)
{
	SRunner *r = srunner_create(suite(name));

	snprintf(bench_name, sizeof bench_name, "7e57%08x", (unsigned)getpid());
	srunner_run_all(r, CK_ENV);
	int failures = srunner_ntests_failed(r);
	srunner_free(r);
	return failures != 0;
}

/* The directory of this program's parent: unit/NAME lies in the build directory. */
static inline void bench_find_build(void)
{
	ssize_t n = readlink("/proc/self/exe", bench_build, sizeof bench_build - 1);

	for (int up = 0; n > 0 && up < 2; up++)
		for (n--; n > 0 && bench_build[n] != '/';)
			n--;
	bench_build[n > 0 ? n : 0] = '\0';
}

/* Moves on to a copy of the programs, since other users may not enter the directories above the
 * build; "" when it can't be made. */
static inline const char *bench_copy(void)
{
	const char *base = getenv("TMPDIR");
	static char copy[PATH_MAX];
	char command[6 * PATH_MAX];

	snprintf(copy, sizeof copy, "%s/assay-test.XXXXXX", base ? base : "/tmp");
	if (!mkdtemp(copy))
		return "";
	snprintf(command, sizeof command,
		 "cd '%s' && cp -r assay-launcher assay-init escape faults %s && cp /proc/%d/exe "
		 "%s/%s && "
		 "chmod -R a+rX %s",
		 bench_build, copy, (int)getpid(), copy, program_invocation_short_name, copy);
	if (system(command) != 0)
		return "";
	snprintf(bench_build, sizeof bench_build, "%s", copy);
	return copy;
}

static inline int bench_remove(const char *copy)
{
	char command[PATH_MAX];

	snprintf(command, sizeof command, "rm -r %s", copy);
	return system(command) != 0;
}

static inline int bench_run_as_nobody(Suite *(*suite)(const char *))
{
	int status = 1;
	pid_t pid = fork();

	if (pid == 0) {
		if (setgroups(0, NULL) || setresgid(BENCH_NOBODY, BENCH_NOBODY, BENCH_NOBODY) ||
		    setresuid(BENCH_NOBODY, BENCH_NOBODY, BENCH_NOBODY))
			_exit(1);
		exit(bench_run(suite, "ordinary user"));
	}
	if (pid > 0)
		waitpid(pid, &status, 0);
	return status != 0;
}

/* Once as it is, and, when that is root, once more as nobody. */
static inline int bench_main(Suite *(*suite)(const char *))
{
	bench_find_build();
	int failures = bench_run(suite, geteuid() ? "ordinary user" : "root");
	if (geteuid())
		return failures;
	const char *copy = bench_copy();
	if (!*copy)
		return 1;
	failures += bench_run_as_nobody(suite);
	return bench_remove(copy) + failures != 0;
}

/* As root alone, with programs that every user can reach. */
static inline int bench_copied(Suite *(*suite)(const char *))
{
	bench_find_build();
	const char *copy = bench_copy();
	if (!*copy)
		return 1;
	int failures = bench_run(suite, "root");
	return bench_remove(copy) + failures != 0;
}

#endif

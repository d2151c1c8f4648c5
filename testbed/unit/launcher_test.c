/* The launcher as a service: it starts the daemon as another user, and both end together. This
 * program plays the daemon too. */
#include "testbed/unit/sandbox_common.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/prctl.h>

#define DAEMON_UID 64102
#define DAEMON_GID 64103
#define DAEMON_GROUP 64104
#define DAEMON_CODE 42

extern char **environ;

static pid_t launch(const char *part)
{
	char launcher[PATH_MAX + 32], init[PATH_MAX + 32], self[PATH_MAX + 32];
	char *argv[] = { launcher,     "--init",         init,        "--uid-base",
			 "2100000000", "--name",         bench_name,  "--cells",
			 "2",          "--daemon-uid",   "64102",     "--daemon-gid",
			 "64103",      "--daemon-group", "64104",     "--",
			 self,         (char *)part,     bench_build, NULL };

	snprintf(launcher, sizeof launcher, "%s/assay-launcher", bench_build);
	snprintf(init, sizeof init, "%s/assay-init", bench_build);
	snprintf(self, sizeof self, "%s/launcher_test", bench_build);
	pid_t pid = fork();
	if (pid == 0) {
		execv(launcher, argv);
		_exit(127);
	}
	return pid;
}

static int end_of(pid_t pid)
{
	int status = -1;

	for (int i = 0; i < 2000; i++, usleep(5000))
		if (waitpid(pid, &status, WNOHANG) == pid)
			return status;
	kill(pid, SIGKILL);
	return waitpid(pid, &status, 0), -1;
}

/* The daemon's side: its number tells which condition did not hold. */
#define MUST_BE(number, condition)     \
	do {                           \
		if (!(condition))      \
			return number; \
	} while (0)

static int daemon_checks(void)
{
	gid_t groups[2] = { 0 };

	MUST_BE(1, getuid() == DAEMON_UID && geteuid() == DAEMON_UID);
	MUST_BE(2, getgid() == DAEMON_GID && getegid() == DAEMON_GID);
	MUST_BE(3, getgroups(2, groups) == 1 && groups[0] == DAEMON_GROUP);
	MUST_BE(4, !environ || !environ[0]);
	for (int fd = 4; fd < 1024; fd++)
		MUST_BE(5, fcntl(fd, F_GETFD) == -1);
	MUST_BE(6, getsid(0) == getpid());
	MUST_BE(7, setuid(0) == -1);
	return 0;
}

static int daemon_run(const char *argument)
{
	CLEANUP(buf) struct buf raw = BUF_INIT;
	CLEANUP(fd) int fd = -1;
	struct package package;
	struct sandbox *box;
	struct sandbox_image *image;
	struct run run = { 0 };

	MUST_BE(10, sandbox_attach(3, &box) == OK);
	MUST_BE(11, sandbox_facts(box)->privileged);
	MUST_BE(9, bench_pack("act", argument, "5", NULL, &raw) == OK);
	MUST_BE(12, package_parse(buf_slice(&raw), &package) == OK);
	MUST_BE(13, io_memfd("package", buf_slice(&raw), &fd) == OK);
	MUST_BE(14, sandbox_image_add(box, fd, package.measurement, &image) == OK);
	enum err e = sandbox_run(image, slice_text("x"), NULL, &run);
	bool ran = e == OK && run.kind == RUN_EXIT && run.code == 5;
	run_free(&run);
	sandbox_image_drop(image);
	sandbox_close(box);
	MUST_BE(15, e == OK || e == ERR_GONE);
	MUST_BE(16, ran || e == ERR_GONE);
	return 0;
}

static int daemon_main(const char *part)
{
	int e = daemon_checks();

	if (e)
		return e;
	if (strcmp(part, "run") == 0)
		return (e = daemon_run("exit")) ? e : DAEMON_CODE;
	if (strcmp(part, "stay") == 0)
		for (;;)
			pause(); /* SIGTERM ends it */
	return daemon_run("sleep");
}

START_TEST(the_daemon_runs_as_its_own_user_and_its_code_comes_back)
{
	int status = end_of(launch("run"));

	ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == DAEMON_CODE, "status %x", status);
	ck_assert(!bench_left_behind());
}
END_TEST

START_TEST(a_terminated_launcher_ends_the_daemon_first)
{
	pid_t pid = launch("stay");

	usleep(300000);
	ck_assert_int_eq(kill(pid, SIGTERM), 0);
	int status = end_of(pid);
	ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 1, "status %x", status);
	ck_assert(!bench_left_behind());
}
END_TEST

START_TEST(a_killed_launcher_leaves_no_run_and_no_daemon)
{
	/* What it leaves becomes ours. */
	ck_assert_int_eq(prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0), 0);
	pid_t pid = launch("sleep");
	int status, left = 0;

	usleep(500000);
	ck_assert_int_eq(kill(pid, SIGKILL), 0);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	/* The daemon, with its good end, and the cell's init. */
	for (int i = 0; i < 1000 && waitpid(-1, &status, WNOHANG) >= 0; i++, usleep(5000))
		left = i;
	ck_assert_int_lt(left, 999);
	ck_assert_int_eq(waitpid(-1, &status, WNOHANG), -1);
	/* Its groups are there; the next one sweeps them. */
	status = end_of(launch("run"));
	ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == DAEMON_CODE, "status %x", status);
	ck_assert(!bench_left_behind());
}
END_TEST

START_TEST(a_second_launcher_of_the_same_name_is_refused)
{
	pid_t first = launch("stay");

	usleep(300000);
	int status = end_of(launch("run"));
	ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 1, "status %x", status);
	kill(first, SIGTERM);
	end_of(first);
	ck_assert(!bench_left_behind());
}
END_TEST

START_TEST(groups_that_nobody_holds_are_swept)
{
	static const char *const places[] = { "/sys/fs/cgroup/pids", "/sys/fs/cgroup" };
	char orphan[64], cell[80];
	const char *top = places[access("/sys/fs/cgroup/pids/cgroup.procs", F_OK) ? 1 : 0];

	snprintf(orphan, sizeof orphan, "%s/assay-0%s", top, bench_name);
	snprintf(cell, sizeof cell, "%s/cell0", orphan);
	ck_assert_int_eq(mkdir(orphan, 0755), 0);
	ck_assert_int_eq(mkdir(cell, 0755), 0);
	int status = end_of(launch("run"));
	ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == DAEMON_CODE, "status %x", status);
	ck_assert_int_eq(access(orphan, F_OK), -1);
}
END_TEST

/* A child of this process, other than that one. */
static pid_t child_beside(pid_t other)
{
	char path[64];
	pid_t pid = -1;

	snprintf(path, sizeof path, "/proc/%d/task/%d/children", (int)getpid(), (int)getpid());
	FILE *f = fopen(path, "re");
	while (f && fscanf(f, "%d", &pid) == 1 && pid == other)
		;
	if (f)
		fclose(f);
	return pid;
}

/* The host user of whoever runs in the cells of a launcher. */
static uid_t user_of(pid_t launcher)
{
	struct stat status = { .st_uid = 0 };
	char path[64];

	for (int i = 0; i < 1000 && status.st_uid == 0; i++) {
		snprintf(path, sizeof path, "/proc/%d",
			 (int)bench_child_of(bench_child_of(launcher)));
		usleep(5000);
		if (stat(path, &status))
			status.st_uid = 0;
	}
	return status.st_uid;
}

static void *run_it(void *image)
{
	struct run run = { 0 };

	(void)!sandbox_run(image, slice_text("x"), NULL, &run);
	run_free(&run);
	return NULL;
}

static struct sandbox *start_at(const char *name, uint32_t base, enum err wanted)
{
	char launcher[PATH_MAX + 32], init[PATH_MAX + 32];
	const struct sandbox_options options = { launcher, init, base, name, "", 1 };
	struct sandbox *box = NULL;

	snprintf(launcher, sizeof launcher, "%s/assay-launcher", bench_build);
	snprintf(init, sizeof init, "%s/assay-init", bench_build);
	ck_assert_msg(sandbox_start(&options, &box) == wanted, "%s", err_reason());
	return box;
}

/* Two state directories whose configurations name the same first id. */
START_TEST(launchers_share_no_host_user)
{
	struct sandbox *box[2];
	struct sandbox_image *image[2];
	pthread_t threads[2];
	pid_t launchers[2];
	uid_t users[2];
	char name[2][40];

	for (int i = 0; i < 2; i++) {
		snprintf(name[i], sizeof name[i], "%d%s", i, bench_name);
		box[i] = start_at(name[i], BENCH_UID_BASE, OK);
		launchers[i] = child_beside(i ? launchers[0] : -1);
		image[i] = bench_image(box[i], "act", "sleep", NULL, NULL);
		ck_assert_int_eq(pthread_create(&threads[i], NULL, run_it, image[i]), 0);
		users[i] = user_of(launchers[i]);
	}
	for (int i = 0; i < 2; i++) {
		ck_assert_uint_ge(users[i], BENCH_UID_BASE);
		ck_assert_uint_lt(users[i], BENCH_UID_BASE + BENCH_UIDS);
		sandbox_image_drop(image[i]);
		pthread_join(threads[i], NULL);
		sandbox_close(box[i]);
	}
	ck_assert_uint_ne(users[0], users[1]);
}
END_TEST

START_TEST(a_launcher_without_ids_of_its_own_is_refused)
{
	const uint32_t base = 2200000000u + (uint32_t)getpid() % 1000 * 65536;
	struct flock all = { .l_type = F_WRLCK, .l_start = base, .l_len = BENCH_UIDS };
	CLEANUP(fd) int fd = open("/run/assay-uids", O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	ck_assert_int_eq(fcntl(fd, F_OFD_SETLK, &all), 0);
	start_at(bench_name, base, ERR_LIMIT);
	ck_assert_msg(strstr(err_reason(), "other launchers have all ids"), "%s", err_reason());
	ck_assert(!bench_left_behind());
	/* The last block alone is enough. */
	all.l_type = F_UNLCK;
	all.l_start = base + BENCH_UIDS - 128;
	all.l_len = 128;
	ck_assert_int_eq(fcntl(fd, F_OFD_SETLK, &all), 0);
	sandbox_close(start_at(bench_name, base, OK));
}
END_TEST

static Suite *suite(const char *name)
{
	Suite *s = suite_create(name);
	TCase *t = tcase_create(name);

	tcase_set_timeout(t, 60);
	tcase_add_test(t, the_daemon_runs_as_its_own_user_and_its_code_comes_back);
	tcase_add_test(t, a_terminated_launcher_ends_the_daemon_first);
	tcase_add_test(t, a_killed_launcher_leaves_no_run_and_no_daemon);
	tcase_add_test(t, a_second_launcher_of_the_same_name_is_refused);
	tcase_add_test(t, groups_that_nobody_holds_are_swept);
	tcase_add_test(t, launchers_share_no_host_user);
	tcase_add_test(t, a_launcher_without_ids_of_its_own_is_refused);
	suite_add_tcase(s, t);
	return s;
}

int main(int argc, char **argv)
{
	if (argc == 3) {
		snprintf(bench_build, sizeof bench_build, "%s", argv[2]);
		return daemon_main(argv[1]);
	}
	if (geteuid()) {
		puts("100%: Checks: 0, Failures: 0, Errors: 0 (needs root)");
		return 0;
	}
	return bench_copied(suite);
}

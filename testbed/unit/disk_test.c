/* A real file system that fails under the log: ext4 on a loop device over a small tmpfs, in a mount
 * namespace of the test's own, so that nothing stays behind. As root; a root that has no loop device
 * fails here, since then nobody would know.
 */
#include "testbed/unit/promised.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "testbed/crash/shim.h"

#define SHUTDOWN _IOR('X', 125, uint32_t) /* EXT4_IOC_SHUTDOWN */
#define SHUTDOWN_LOSES_LOG 2u
#define CHILD_SECONDS 20

static char place[100], log_path[100], fs[100];

static int __attribute__((format(printf, 1, 2))) try(const char *format, ...)
{
	char words[512], command[700];
	va_list list;

	va_start(list, format);
	vsnprintf(words, sizeof words, format, list);
	va_end(list);
	snprintf(command, sizeof command, "cd '%s' && %s", place, words);
	return system(command);
}
#define RUN(...) \
	ck_assert_msg(try(__VA_ARGS__) == 0, "a command failed; loop devices and ext4 are needed")

static void mount_it(const char *options)
{
	RUN("mount -t ext4 -o loop%s back/disk fs", options);
}

static void unmount_it(void)
{
	RUN("umount fs");
}

/* false: nobody but root can do this. */
static bool start(const char *size, const char *features)
{
	if (geteuid()) {
		(void)fprintf(stderr, "disk_test: NOT TESTED: only root can mount a disk\n");
		return false;
	}
	promised_start();
	promised_path(place, "");
	promised_path(fs, "fs");
	promised_path(log_path, "fs/log");
	RUN("mkdir back fs && mount -t tmpfs -o size=%s none back && truncate -s 64M back/disk && "
	    "mke2fs -q -F -t ext4 -b 4096 %s back/disk",
	    size, features);
	mount_it("");
	return true;
}

static void end(void)
{
	shim_unwatch();
	unmount_it();
	RUN("umount back");
	promised_end();
}

/* Records, heads and the next segment are on the disk, and nothing is on its way there. */
static void settle(void)
{
	char next[120];

	snprintf(next, sizeof next, "%s/wal/00000001", log_path);
	for (int i = 0; i < 500 && access(next, F_OK); i++)
		usleep(10000);
	usleep(60000);
	RUN("sync -f fs");
}

static const char *const features[] = { "-O ^has_journal", "-J size=4" };

/* The disk below takes no more: the first sync fails, and a second one would say that all is well. */
START_TEST(a_failed_sync_whose_second_call_succeeds_stops_the_log)
{
	const struct shim_plan count = { .calls = SHIM_BIT(SHIM_FDATASYNC), .after = UINT32_MAX };
	char segment[120];

	if (!start("10m", features[_i]))
		return;
	ck_assert_ok(promised_open(log_path));
	for (int i = 0; i < 3; i++)
		ck_assert_ok(promised_write(PROMISED_TREES, false));
	settle();
	shim_watch(fs);
	shim_plan(&count);
	RUN("fallocate --dig-holes back/disk && ! dd if=/dev/zero of=back/ballast bs=4k "
	    "2>/dev/null");
	ck_assert_err(promised_write(1, false), ERR_IO);
	ck_assert_err(promised_write(1, false), ERR_IO);
	ck_assert_uint_eq(shim_seen(), 1);
	snprintf(segment, sizeof segment, "%s/wal/00000000", log_path);
	CLEANUP(fd) int fd = open(segment, O_RDWR | O_CLOEXEC);
	ck_assert_msg(fdatasync(fd) == 0, "a second sync fails too: this disk shows nothing");
	fd_cleanup(&fd);
	audit_close(audit);
	ck_assert_uint_eq(shim_seen(), 2); /* with the one just now */
	RUN("rm back/ballast");
	promised_check(log_path);
	unmount_it();
	mount_it("");
	promised_check(log_path);
	end();
}
END_TEST

/* --- the power goes, for a real kernel --- */

static pid_t start_writer(unsigned ignored)
{
	pid_t pid = fork();

	ck_assert_int_ge(pid, 0);
	if (pid)
		return pid;
	alarm(CHILD_SECONDS);
	if (!freopen("/dev/null", "w", stderr) || promised_open(log_path))
		_exit(2);
	if (ignored)
		shim_watch(fs);
	shim_ignore(ignored);
	while (promised->n < PROMISED_MAX - PROMISED_TREES &&
	       !promised_write(PROMISED_TREES, promised->n % 9 == 0))
		;
	pause();
	_exit(0);
}

/* Everything that was not synced is gone from one moment to the next. */
static void cut_power(pid_t writer)
{
	uint32_t how = SHUTDOWN_LOSES_LOG;
	CLEANUP(fd) int fd = open(fs, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	ck_assert_int_eq(ioctl(fd, SHUTDOWN, &how), 0);
	kill(writer, SIGKILL);
	ck_assert_int_eq(waitpid(writer, NULL, 0), writer);
	fd_cleanup(&fd);
	unmount_it();
	mount_it("");
}

static unsigned rounds(void)
{
	const char *more = getenv("ASSAY_STATES");

	return more ? 10 * (unsigned)atoi(more) : 5;
}

static void run_until_cut(unsigned ignored)
{
	size_t before = promised->n;
	uint32_t random;
	pid_t writer = start_writer(ignored);

	for (int i = 0; i < 1000 && *(volatile size_t *)&promised->n < before + 4; i++)
		usleep(2000);
	ck_assert_uint_ge(promised->n, before + 4);
	ck_assert_ok(io_random(&random, sizeof random));
	usleep(random % 60000);
	cut_power(writer);
}

START_TEST(what_was_released_survives_a_real_loss_of_power)
{
	if (!start("80m", features[1]))
		return;
	for (unsigned i = 0; i < rounds(); i++) {
		run_until_cut(0);
		promised_check(log_path);
		promised->n = promised->n < PROMISED_MAX / 2 ? promised->n : 0;
	}
	end();
}
END_TEST

START_TEST(without_fdatasync_a_real_loss_of_power_loses_what_was_released)
{
	if (!start("80m", features[1]))
		return;
	run_until_cut(SHIM_BIT(SHIM_FDATASYNC));
	ck_assert(found_read(log_path, buf_slice(&signer.ca)) ||
		  !promised_hold(promised->n, promised->heads, promised->heads_n));
	ck_assert(promised_open_with(log_path, promised->heads, promised->heads_n) != OK);
	end();
}
END_TEST

/* --- a disk that turns read-only --- */

START_TEST(a_disk_that_turns_read_only_stops_the_log)
{
	if (!start("80m", features[1]))
		return;
	ck_assert_ok(promised_open(log_path));
	ck_assert_ok(promised_write(PROMISED_TREES, false));
	settle();
	RUN("mount -o remount,abort fs");
	ck_assert_err(promised_write(1, false), ERR_IO);
	ck_assert_err(promised_write(1, false), ERR_IO);
	audit_close(audit);
	unmount_it();
	/* Read-only from the start: an auditor can read it, a daemon is refused. */
	mount_it("");
	RUN("mount -o remount,ro fs");
	ck_assert_ok(found_read(log_path, buf_slice(&signer.ca)));
	ck_assert(promised_hold(promised->n, promised->heads, promised->heads_n));
	ck_assert_err(promised_open(log_path), ERR_IO);
	unmount_it();
	mount_it("");
	promised_check(log_path);
	end();
}
END_TEST

/* --- a limit on the size of files --- */

static const struct {
	bool ignores; /* the signal that comes with it */
	rlim_t bytes; /* within a segment, and before it */
} limits[] = { { true, 100000 }, { false, 100000 }, { true, 4096 }, { false, 4096 } };

START_TEST(a_limit_on_files_stops_the_log_and_loses_nothing)
{
	struct rlimit limit = { limits[_i].bytes, limits[_i].bytes };
	int status;

	promised_start();
	promised_path(log_path, "log");
	pid_t pid = fork();
	if (!pid) {
		signal(SIGXFSZ, limits[_i].ignores ? SIG_IGN : SIG_DFL);
		if (!freopen("/dev/null", "w", stderr) || promised_open(log_path) ||
		    promised_write(PROMISED_TREES, false) || setrlimit(RLIMIT_FSIZE, &limit))
			_exit(2);
		for (int i = 0; i < 20; i++)
			if (promised_write(1, true))
				_exit(0);
		_exit(3);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	if (limits[_i].ignores)
		ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	else
		ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGXFSZ);
	promised_check(log_path);
	promised_end();
}
END_TEST

static void add(TCase *t)
{
	tcase_set_timeout(t, getenv("ASSAY_STATES") ? 3600 : 60);
	tcase_add_table(t, a_failed_sync_whose_second_call_succeeds_stops_the_log, features);
	tcase_add_test(t, what_was_released_survives_a_real_loss_of_power);
	tcase_add_test(t, without_fdatasync_a_real_loss_of_power_loses_what_was_released);
	tcase_add_test(t, a_disk_that_turns_read_only_stops_the_log);
	tcase_add_table(t, a_limit_on_files_stops_the_log_and_loses_nothing, limits);
}

int main(void)
{
	return check_run("disk", add);
}

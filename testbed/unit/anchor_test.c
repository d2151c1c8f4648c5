/* anchor_test.c - log and records put back to an earlier state are refused at the start. */
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>

#include "testbed/unit/world.h"

#define SEGMENT_BLOCK 4096

static void setup(void)
{
	world_make();
	ck_assert_ok(world_enrol(BANK_A));
	ck_assert_ok(world_load(BANK_A, "unruly"));
	world_become(BANK_A, WIRE_USER);
}

static void execute(void)
{
	CLEANUP(outcome) struct outcome out = { 0 };

	ck_assert_ok(world_execute(world.link, BANK_A, "unruly", OP_EXECUTE_FULL,
				   slice_text("echo\nx"), &out));
}

static void start_again(void)
{
	world_start();
	world_logout(BANK_A);
	world_become(BANK_A, WIRE_USER);
}

/* In the world's directory. */
static void shell(const char *format, ...)
{
	char words[512], command[1024];
	va_list args;

	va_start(args, format);
	vsnprintf(words, sizeof words, format, args);
	va_end(args);
	snprintf(command, sizeof command, "cd '%s' && { %s; }", world.dir, words);
	ck_assert_int_eq(system(command), 0);
}

/* A daemon starts, and ends with these words. */
static void refused(const char *words)
{
	char command[5 * PATH_MAX], said[4096];

	snprintf(command, sizeof command,
		 "env -i '%s/assay-launcher' --init '%s/assay-init' --uid-base 2000000000 "
		 "--name 00aa --allow-missing 'memory pids cpu' -- '%s/assayd' "
		 "--config '%s/assay.yaml' 2>&1",
		 world.build, world.build, world.build, world.dir);
	FILE *out = popen(command, "re");
	ck_assert_ptr_nonnull(out);
	said[fread(said, 1, sizeof said - 1, out)] = 0;
	ck_assert_int_ne(pclose(out), 0);
	ck_assert_msg(strstr(said, words) != NULL, "%s", said);
}

START_TEST(log_put_back_alone_is_refused_untouched)
{
	execute();
	world_stop();
	shell("cp -a state/log earlier");
	start_again();
	execute();
	world_stop();
	shell("mv state/log later && cp -a earlier state/log");
	refused("it was put back to an earlier state, or cut");
	shell("diff -r earlier state/log");
	shell("rm -r state/log && mv later state/log");
	start_again();
	execute();
}
END_TEST

/* The last frames zeroed, as a torn write might leave them, and the checkpoints with them. */
START_TEST(log_cut_at_its_end_is_refused)
{
	char path[256];

	execute();
	execute();
	world_stop();
	snprintf(path, sizeof path, "%s/state/log/wal/00000000", world.dir);
	CLEANUP(fd) int fd = open(path, O_RDWR | O_CLOEXEC);
	ck_assert_int_ge(fd, 0);
	uint8_t block[SEGMENT_BLOCK];
	off_t at = 0;
	/* Frames begin with a magic; what follows the last one is zeros. */
	for (off_t i = 0; pread(fd, block, sizeof block, i) == sizeof block; i += SEGMENT_BLOCK)
		at = block[0] ? i : at;
	memset(block, 0, sizeof block);
	for (int i = 0; i < 4; i++, at -= SEGMENT_BLOCK)
		ck_assert_int_eq(pwrite(fd, block, sizeof block, at), sizeof block);
	shell("rm state/log/trees/*/checkpoint");
	refused("it was put back to an earlier state, or cut");
}
END_TEST

START_TEST(log_removed_is_refused)
{
	world_stop();
	shell("mv state/log gone");
	refused("the log was removed");
	shell("test ! -e state/log && mv gone state/log");
	world_start();
}
END_TEST

START_TEST(applications_put_back_are_refused)
{
	world_stop();
	shell("cp -a state/applications earlier");
	world_start();
	world_logout(BANK_A);
	ck_assert_ok(world_load(BANK_A, "another"));
	world_stop();
	shell("mv state/applications later && cp -a earlier state/applications");
	refused("its records were put back to an earlier state");
	shell("rm -r state/applications && mv later state/applications");
	world_start();
}
END_TEST

START_TEST(enrolments_put_back_are_refused)
{
	world_stop();
	shell("cp -a state/partitions earlier");
	start_again();
	ck_assert_ok(world_enrol(BANK_B));
	world_stop();
	shell("mv state/partitions later && cp -a earlier state/partitions");
	refused("was enrolled, and its record is gone");
}
END_TEST

START_TEST(daemon_killed_soon_after_its_anchor_or_long_starts_again)
{
	for (int i = 0; i < 6; i++) {
		pid_t daemon = world_daemon(), launcher = world_launcher();

		execute();
		nanosleep(&(struct timespec){ i / 3, 10000000 + i * 190000000 }, NULL);
		execute();
		kill(daemon, SIGKILL);
		world_await_end(daemon);
		world_await_end(launcher);
		start_again();
	}
	execute();
}
END_TEST

static void count_objects(const char *file)
{
	shell("ls %s/tokens/*/*.object | wc -l >%s", world.token.dir, file);
}

START_TEST(old_anchors_leave_the_token)
{
	count_objects("before");
	for (int i = 0; i < 3; i++) {
		execute();
		nanosleep(&(struct timespec){ 1, 200000000 }, NULL);
	}
	world_stop();
	count_objects("after");
	shell("cmp before after");
}
END_TEST

static void add(TCase *t)
{
	tcase_set_timeout(t, 90);
	tcase_add_checked_fixture(t, setup, world_end);
	tcase_add_test(t, log_put_back_alone_is_refused_untouched);
	tcase_add_test(t, log_cut_at_its_end_is_refused);
	tcase_add_test(t, log_removed_is_refused);
	tcase_add_test(t, applications_put_back_are_refused);
	tcase_add_test(t, enrolments_put_back_are_refused);
	tcase_add_test(t, daemon_killed_soon_after_its_anchor_or_long_starts_again);
	tcase_add_test(t, old_anchors_leave_the_token);
}

int main(void)
{
	world_golden();
	return check_run("anchor", add);
}

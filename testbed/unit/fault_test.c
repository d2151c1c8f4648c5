/* System calls that fail under the log: nothing that is in doubt is released, nothing goes on after
 * a failed sync, and a full disk shows before anything ran. sweep_test.c goes through all calls. */
#include "testbed/unit/check.h"
#include "testbed/unit/signer.h"

#include <errno.h>
#include <pthread.h>
#include <sys/mount.h>

#include "audit/auditor.h"
#include "testbed/crash/shim.h"

#define ORIGIN "assay.example/test/bank-a/1"
#define SEGMENT ((uint64_t)256 << 10)

static struct signer signer;
static char path[64];
static struct audit *audit;
static struct audit_tree *tree;
static struct audit_recovery recovery;

/* The next @after calls succeed, the following ones fail. */
static void arm(enum shim_call call, unsigned after, int error)
{
	shim_plan(&(struct shim_plan){ .calls = SHIM_BIT(call), .after = after, .error = error });
}

/* --- logs --- */

static void open_log(void)
{
	ck_assert_ok(signer_open(&signer, path, SEGMENT, &recovery, &audit));
	ck_assert_ok(signer_tree(&signer, audit, ORIGIN, &tree));
}

static void start_in(const char *folder)
{
	signer_start(&signer, NULL);
	if (folder)
		snprintf(path, sizeof path, "%s/log", folder);
	else
		signer_folder(path);
	shim_watch(folder ? folder : path);
	open_log();
	for (int i = 0; i < 5; i++)
		ck_assert_ok(signer_record(tree, "before"));
	char next[96];
	snprintf(next, sizeof next, "%s/wal/00000001", path);
	for (int i = 0; i < 500 && access(next, F_OK); i++)
		usleep(10000);
	usleep(60000); /* heads are in, and the next segment is ready */
}

static void close_log(void)
{
	audit_close(audit);
	audit = NULL;
}

static void end(void)
{
	close_log();
	shim_unwatch();
	signer_end(&signer);
	signer_remove(path);
}

static void check_log(uint64_t least, uint64_t most)
{
	struct auditor_report report;

	ck_assert_ok(auditor_verify(path, buf_slice(&signer.ca), NULL, NULL, &report));
	ck_assert_uint_ge(report.records, least);
	ck_assert_uint_le(report.records, most);
	auditor_report_free(&report);
}

/* The record in doubt and all after it fail; after the next start the log is whole. */
static void check_stopped(void)
{
	struct audit_ticket *ticket;
	struct leaf *leaf = malloc(sizeof *leaf);

	ck_assert_uint_eq(audit_tree_size(tree), 6);
	ck_assert_err(signer_record(tree, "in doubt"), ERR_IO);
	shim_plan(NULL);
	signer_leaf(leaf, "after");
	ck_assert_err(audit_begin(tree, leaf, &ticket), ERR_IO);
	ck_assert_uint_eq(audit_tree_size(tree), 6);
	close_log();
	check_log(6, 7);
	open_log();
	ck_assert_uint_ge(recovery.records, 6);
	ck_assert_ok(signer_record(tree, "after the restart"));
	close_log();
	check_log(7, 8);
	free(leaf);
	end();
}

START_TEST(a_failed_sync_stops_the_log)
{
	start_in(NULL);
	arm(SHIM_FDATASYNC, 0, EIO);
	check_stopped();
}
END_TEST

START_TEST(a_failed_sync_is_never_tried_again)
{
	start_in(NULL);
	arm(SHIM_FDATASYNC, 0, EIO);
	ck_assert_err(signer_record(tree, "in doubt"), ERR_IO);
	ck_assert_uint_eq(shim_seen(), 1);
	close_log();
	ck_assert_uint_eq(shim_seen(), 1);
	shim_plan(NULL);
	end();
}
END_TEST

static const int write_errors[] = { EIO, ENOSPC, EDQUOT };

START_TEST(a_failed_write_stops_the_log)
{
	start_in(NULL);
	arm(SHIM_WRITE, 0, write_errors[_i]);
	check_stopped();
}
END_TEST

START_TEST(short_writes_are_completed)
{
	start_in(NULL);
	shim_plan(&(struct shim_plan){ .calls = SHIM_BIT(SHIM_WRITE), .half = true });
	for (int i = 0; i < 20; i++)
		ck_assert_ok(signer_record(tree, "in pieces"));
	shim_plan(NULL);
	close_log();
	check_log(26, 26);
	end();
}
END_TEST

START_TEST(a_write_that_fails_half_way_leaves_a_torn_tail)
{
	start_in(NULL);
	shim_plan(&(struct shim_plan){ .calls = SHIM_BIT(SHIM_WRITE), .error = EIO, .half = true });
	ck_assert_err(signer_record(tree, "in doubt"), ERR_IO);
	shim_plan(NULL);
	close_log();
	check_log(6, 6);
	open_log();
	ck_assert_uint_eq(recovery.records, 6);
	ck_assert_uint_gt(recovery.cut_bytes, 0);
	ck_assert_ok(signer_record(tree, "after"));
	close_log();
	check_log(7, 7);
	end();
}
END_TEST

/* Records until one is refused; how many went in. */
static unsigned fill(unsigned most)
{
	for (unsigned i = 0; i < most; i++) {
		enum err e = signer_record(tree, "filling");

		if (!e)
			continue;
		ck_assert_err(e, ERR_IO);
		ck_assert_msg(strstr(err_reason(), "disk is full") != NULL, "%s", err_reason());
		return i;
	}
	return most;
}

static const enum shim_call no_segment[] = { SHIM_FSYNC, SHIM_RENAME };

START_TEST(no_new_segment_refuses_records_before_they_run_and_heals)
{
	unsigned in;

	start_in(NULL);
	/* The next segment is ready already: it is the one after it that can't be made. */
	arm(no_segment[_i], 0, ENOSPC);
	in = fill(1000);
	ck_assert_uint_gt(in, 30);
	ck_assert_uint_lt(in, 1000);
	ck_assert_uint_eq(audit_tree_size(tree), 6 + in);
	shim_plan(NULL);
	for (int i = 0; i < 60 && signer_record(tree, "healed"); i++)
		usleep(100000);
	ck_assert_uint_gt(audit_tree_size(tree), 6 + in);
	close_log();
	check_log(7 + in, 7 + in);
	end();
}
END_TEST

START_TEST(a_full_disk_does_not_keep_a_crashed_log_from_opening)
{
	char crashed[80];

	start_in(NULL);
	atomic_store(&signer.closed, true);
	struct leaf *leaf = malloc(sizeof *leaf);
	struct audit_ticket *ticket;
	signer_leaf(leaf, "unsigned");
	ck_assert_ok(audit_begin(tree, leaf, &ticket));
	audit_ticket_free(ticket);
	usleep(50000);
	atomic_store(&signer.failures, 1000);
	close_log();
	atomic_store(&signer.failures, 0);
	atomic_store(&signer.closed, false);
	snprintf(crashed, sizeof crashed, "%s/wal/00000001", path);
	ck_assert_int_eq(access(crashed, F_OK), 0);
	/* Room for what goes into the segment that is there already, and for no other. */
	arm(SHIM_WRITE, 2, ENOSPC);
	ck_assert_ok(signer_open(&signer, path, SEGMENT, &recovery, &audit));
	ck_assert_uint_eq(recovery.unsigned_kept, 1);
	shim_plan(NULL);
	close_log();
	check_log(7, 7);
	free(leaf);
	end();
}
END_TEST

START_TEST(a_full_disk_refuses_records_and_loses_none)
{
	char mounted[64], file[80];
	unsigned in;

	signer_folder(mounted);
	if (mount("none", mounted, "tmpfs", 0, "size=2m,mode=700")) {
		rmdir(mounted);
		return; /* no privilege to mount here */
	}
	start_in(mounted);
	in = fill(2000);
	ck_assert_uint_gt(in, 50);
	ck_assert_uint_lt(in, 2000);
	ck_assert_uint_eq(audit_tree_size(tree), 6 + in);
	close_log();
	check_log(6 + in, 6 + in);
	/* Full all the same after a restart, and nothing is lost by it. */
	snprintf(file, sizeof file, "%s/ballast", mounted);
	CLEANUP(fd) int fd = open(file, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	static char zeros[65536];
	while (write(fd, zeros, sizeof zeros) > 0)
		;
	ck_assert_ok(signer_open(&signer, path, SEGMENT, &recovery, &audit));
	ck_assert_uint_eq(recovery.records, 6 + in);
	close_log();
	unlink(file);
	check_log(6 + in, 6 + in);
	end();
	ck_assert(!umount2(mounted, MNT_DETACH));
	rmdir(mounted);
}
END_TEST

/* Until the log stops; how many were released. */
static void *many_records(void *released)
{
	enum err e;

	while (!(e = signer_record(tree, "one of many")))
		++*(unsigned *)released;
	ck_assert_int_eq(e, ERR_IO);
	return NULL;
}

START_TEST(of_many_in_flight_none_is_released_after_a_failed_sync)
{
	unsigned released[16] = { 0 }, sum = 0;
	pthread_t t[16];

	start_in(NULL);
	arm(SHIM_FDATASYNC, 7, EIO);
	for (int i = 0; i < 16; i++)
		ck_assert(!pthread_create(&t[i], NULL, many_records, &released[i]));
	for (int i = 0; i < 16; i++) {
		pthread_join(t[i], NULL);
		sum += released[i];
	}
	ck_assert_uint_eq(audit_tree_size(tree), 6 + sum);
	shim_plan(NULL);
	close_log();
	check_log(6 + sum, 6 + sum + 16);
	open_log();
	end();
}
END_TEST

static void add(TCase *t)
{
	tcase_add_test(t, a_failed_sync_stops_the_log);
	tcase_add_test(t, a_failed_sync_is_never_tried_again);
	tcase_add_table(t, a_failed_write_stops_the_log, write_errors);
	tcase_add_test(t, short_writes_are_completed);
	tcase_add_test(t, a_write_that_fails_half_way_leaves_a_torn_tail);
	tcase_add_table(t, no_new_segment_refuses_records_before_they_run_and_heals, no_segment);
	tcase_add_test(t, a_full_disk_does_not_keep_a_crashed_log_from_opening);
	tcase_add_test(t, a_full_disk_refuses_records_and_loses_none);
	tcase_add_test(t, of_many_in_flight_none_is_released_after_a_failed_sync);
}

int main(void)
{
	return check_run("fault", add);
}

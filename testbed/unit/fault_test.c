/* System calls that fail under the log: nothing that is in doubt is released, nothing goes on after
 * a failed sync, and a full disk shows before anything ran. Linked with --wrap (crash.mk). */
#include "testbed/unit/check.h"
#include "testbed/unit/signer.h"

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <sys/mount.h>

#include "audit/auditor.h"

#define ORIGIN "assay.example/test/bank-a/1"
#define SEGMENT ((uint64_t)256 << 10)

static struct signer signer;
static char path[64];
static struct audit *audit;
static struct audit_tree *tree;
static struct audit_recovery recovery;

/* --- the wrapped calls --- */

/* The next @after calls succeed, the following ones fail, as long as armed. */
struct fault {
	atomic_bool armed;
	atomic_int after;
	int error; /* 0: none, but only a part of it is written */
	bool half; /* the first of them writes a part, and only then comes the error */
};
static struct fault at_fdatasync, at_fsync, at_pwrite, at_rename;

static bool strikes(struct fault *fault)
{
	return atomic_load(&fault->armed) && atomic_fetch_sub(&fault->after, 1) <= 0;
}

static void arm(struct fault *fault, int after, int error)
{
	fault->error = error;
	atomic_store(&fault->after, after);
	atomic_store(&fault->armed, true);
}

static void disarm(void)
{
	atomic_store(&at_fdatasync.armed, false);
	atomic_store(&at_fsync.armed, false);
	atomic_store(&at_pwrite.armed, false);
	atomic_store(&at_rename.armed, false);
}

int __real_fdatasync(int fd);
int __wrap_fdatasync(int fd);
int __wrap_fdatasync(int fd)
{
	if (!strikes(&at_fdatasync))
		return __real_fdatasync(fd);
	errno = at_fdatasync.error;
	return -1;
}

int __real_fsync(int fd);
int __wrap_fsync(int fd);
int __wrap_fsync(int fd)
{
	if (!strikes(&at_fsync))
		return __real_fsync(fd);
	errno = at_fsync.error;
	return -1;
}

ssize_t __real_pwrite(int fd, const void *p, size_t n, off_t at);
ssize_t __wrap_pwrite(int fd, const void *p, size_t n, off_t at);
ssize_t __wrap_pwrite(int fd, const void *p, size_t n, off_t at)
{
	if (!strikes(&at_pwrite))
		return __real_pwrite(fd, p, n, at);
	if (!at_pwrite.error || at_pwrite.half) {
		at_pwrite.half = false;
		return __real_pwrite(fd, p, n / 16 + 1, at);
	}
	errno = at_pwrite.error;
	return -1;
}

int __real_renameat(int from, const char *old, int to, const char *new);
int __wrap_renameat(int from, const char *old, int to, const char *new);
int __wrap_renameat(int from, const char *old, int to, const char *new)
{
	if (!strikes(&at_rename))
		return __real_renameat(from, old, to, new);
	errno = at_rename.error;
	return -1;
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
	disarm();
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
	arm(&at_fdatasync, 0, EIO);
	check_stopped();
}
END_TEST

START_TEST(a_failed_sync_is_never_tried_again)
{
	start_in(NULL);
	arm(&at_fdatasync, 0, EIO);
	ck_assert_err(signer_record(tree, "in doubt"), ERR_IO);
	int left = atomic_load(&at_fdatasync.after);
	ck_assert_int_eq(left, -1);
	close_log();
	ck_assert_int_eq(atomic_load(&at_fdatasync.after), left);
	disarm();
	end();
}
END_TEST

static const int write_errors[] = { EIO, ENOSPC, EDQUOT };

START_TEST(a_failed_write_stops_the_log)
{
	start_in(NULL);
	arm(&at_pwrite, 0, write_errors[_i]);
	check_stopped();
}
END_TEST

START_TEST(short_writes_are_completed)
{
	start_in(NULL);
	arm(&at_pwrite, 0, 0);
	for (int i = 0; i < 20; i++)
		ck_assert_ok(signer_record(tree, "in pieces"));
	disarm();
	close_log();
	check_log(26, 26);
	end();
}
END_TEST

START_TEST(a_write_that_fails_half_way_leaves_a_torn_tail)
{
	start_in(NULL);
	at_pwrite.half = true;
	arm(&at_pwrite, 0, EIO);
	ck_assert_err(signer_record(tree, "in doubt"), ERR_IO);
	disarm();
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

static struct fault *const no_segment[] = { &at_fsync, &at_rename };

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
	disarm();
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
	arm(&at_pwrite, 2, ENOSPC);
	ck_assert_ok(signer_open(&signer, path, SEGMENT, &recovery, &audit));
	ck_assert_uint_eq(recovery.unsigned_kept, 1);
	disarm();
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
	arm(&at_fdatasync, 7, EIO);
	for (int i = 0; i < 16; i++)
		ck_assert(!pthread_create(&t[i], NULL, many_records, &released[i]));
	for (int i = 0; i < 16; i++) {
		pthread_join(t[i], NULL);
		sum += released[i];
	}
	ck_assert_uint_eq(audit_tree_size(tree), 6 + sum);
	disarm();
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

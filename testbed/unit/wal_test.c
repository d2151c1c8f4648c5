/* What a crash, a broken disk or a hostile hand leaves in the log's directory, and what comes of it. */
#include "testbed/unit/check.h"
#include "testbed/unit/memory.h"
#include "testbed/unit/signer.h"

#include <dirent.h>

#include "audit/auditor.h"
#include "audit/scan.h"
#include "audit/wal.h"

#define ORIGIN "assay.example/test/bank-a/1"
#define SEGMENT ((uint64_t)256 << 10)
#define CRASHED_SEGMENT ((uint64_t)1 << 20)
#define LAST 24 /* records in the last batch of a crashed log: more than a block of them */

static struct signer signer;
static char room[64];
static char path[80];     /* a log, closed or as a crash left it */
static char scratch[128]; /* a copy of it, to be harmed */
static struct audit_recovery recovery;

static void file_of(char out[200], const char *folder, unsigned number)
{
	snprintf(out, 200, "%s/wal/%08u", folder, number);
}

static void __attribute__((format(printf, 1, 2))) run(const char *format, ...)
{
	char command[600];
	va_list list;

	va_start(list, format);
	vsnprintf(command, sizeof command, format, list);
	va_end(list);
	ck_assert_int_eq(system(command), 0);
}

static void copy_log(void)
{
	snprintf(scratch, sizeof scratch, "%s.copy", path);
	signer_remove(scratch);
	run("cp -r %s %s", path, scratch);
}

static void begin(void)
{
	signer_start(&signer, NULL);
	place_make_memory(room, sizeof room, "log");
	snprintf(path, sizeof path, "%s/log", room);
}

/* Makes a log of @records with a batch each and closes it. */
static void make_log(unsigned records)
{
	struct audit *audit;
	struct audit_tree *tree;

	begin();
	ck_assert_ok(signer_open(&signer, path, SEGMENT, &recovery, &audit));
	ck_assert_ok(signer_tree(&signer, audit, ORIGIN, &tree));
	for (unsigned i = 1; i < records; i++)
		ck_assert_ok(signer_record(tree, "a record"));
	audit_close(audit);
}

/* One of several segments, none of which is retired yet, though all is in tiles: they are put back. */
static void make_long_log(void)
{
	struct audit *audit;
	struct audit_tree *tree;

	begin();
	ck_assert_ok(signer_open(&signer, path, SEGMENT, &recovery, &audit));
	ck_assert_ok(signer_tree(&signer, audit, ORIGIN, &tree));
	run("cd %s/trees/* && touch tile", path); /* so that there are no tiles */
	for (unsigned i = 1; i < 150; i++)
		ck_assert_ok(signer_record(tree, "a record"));
	audit_close(audit);
	run("cd %s && cp -r wal wal.kept && rm trees/*/tile", path);
	ck_assert_ok(signer_open(&signer, path, SEGMENT, &recovery, &audit));
	struct audit_key key = { .handle = SIGNER_KEY,
				 .alg = COSE_ES256,
				 .certificate = buf_slice(&signer.certificates[0]),
				 .chain = buf_slice(&signer.ca) };
	ck_assert_ok(audit_tree(audit, ORIGIN, &key, NULL, &tree));
	audit_close(audit);
	run("cd %s && test ! -e wal/00000000 && cp -n wal.kept/* wal && rm -r wal.kept", path);
}

/* Leaves at @path a log as a crash would, its last batch, of @batch records, durable and unsigned. */
static void make_crashed_log(unsigned batch)
{
	struct audit_ticket *first, *ticket;
	struct leaf *leaf = malloc(sizeof *leaf);
	struct audit *audit;
	struct audit_tree *tree;

	make_log(4);
	signer.signers = 1;
	ck_assert_ok(signer_open(&signer, path, CRASHED_SEGMENT, &recovery, &audit));
	ck_assert_ok(signer_tree(&signer, audit, ORIGIN, &tree));
	/* While the first one waits for its signature, the others gather. */
	atomic_store(&signer.closed, true);
	unsigned long calls = atomic_load(&signer.calls);
	signer_leaf(leaf, "first");
	ck_assert_ok(audit_begin(tree, leaf, &first));
	signer_await(&signer, calls);
	for (unsigned i = 0; i < batch; i++) {
		signer_leaf(leaf,
			    "in the last batch, with a long text to fill the block a bit more "
			    "than a few bytes would");
		ck_assert_ok(audit_begin(tree, leaf, &ticket));
		audit_ticket_free(ticket);
	}
	for (unsigned waited = 0; audit_tree_size(tree) < 5; waited++) {
		if (waited % 100 == 0) /* a checkpoint may have taken the one before */
			atomic_store(&signer.passes, 1);
		usleep(10000);
	}
	audit_ticket_free(first);
	calls = atomic_load(&signer.calls);
	signer_await(&signer, calls); /* tried again and again: the last batch is written */
	signer_await(&signer, calls + 1);
	copy_log();
	atomic_store(&signer.closed, false);
	audit_close(audit);
	signer_remove(path);
	ck_assert_int_eq(rename(scratch, path), 0);
	free(leaf);
}

static void done(void)
{
	signer_end(&signer);
	place_remove_memory(room);
}

/* --- what is where in a log --- */

struct place {
	uint64_t number, at, bytes, sequence;
};
static struct place places[1024];
static size_t places_n;
static struct scan end_scan;

static enum err scan_log(const char *folder)
{
	char wal[160];
	struct frame frame;
	enum err e;

	snprintf(wal, sizeof wal, "%s/wal", folder);
	CLEANUP(fd) int dir = open(wal, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	places_n = 0;
	scan_end(&end_scan);
	ck_assert_ok(scan_start(&end_scan, dir, wal_unwrap, &signer.signer));
	while (!(e = scan_next(&end_scan, &frame))) {
		uint64_t leaves = 0;
		struct slice payload = frame.payload;
		struct entry entry;

		while (payload.left) {
			ck_assert_ok(entry_take(&payload, &entry));
			leaves += entry.kind == ENTRY_LEAF;
		}
		places[places_n++] = (struct place){ end_scan.number, end_scan.at, end_scan.raw.len,
						     frame.sequence };
		scan_advance(&end_scan, &frame, leaves);
	}
	return e;
}

static void read_bytes(unsigned number, uint64_t at, void *to, size_t n)
{
	char file[200];

	file_of(file, scratch, number);
	CLEANUP(fd) int fd = open(file, O_RDONLY | O_CLOEXEC);
	ck_assert_ok(io_read_at(fd, at, to, n));
}

static void write_bytes(unsigned number, uint64_t at, const void *p, size_t n)
{
	char file[200];

	file_of(file, scratch, number);
	CLEANUP(fd) int fd = open(file, O_WRONLY | O_CLOEXEC);
	ck_assert_ok(io_write_at(fd, at, slice_of(p, n)));
}

static void flip(unsigned number, uint64_t at)
{
	uint8_t byte;

	read_bytes(number, at, &byte, 1);
	byte ^= 0x40;
	write_bytes(number, at, &byte, 1);
}

static enum err open_scratch(void)
{
	struct audit *audit = NULL;
	enum err e = signer_open(&signer, scratch, SEGMENT, &recovery, &audit);

	audit_close(audit);
	return e;
}

static enum err audit_scratch(struct auditor_report *report)
{
	return auditor_verify(scratch, buf_slice(&signer.ca), NULL, NULL, report);
}

/* Refused by daemon and auditor alike, and not a byte of it touched. */
static void check_refused(enum err wanted)
{
	struct auditor_report report;

	run("cd %s && find . -type f -name '[0-9co]*' | sort | xargs sha256sum > ../%s.sum",
	    scratch, strrchr(scratch, '/') + 1);
	ck_assert_err(open_scratch(), wanted);
	run("cd %s && sha256sum --quiet -c ../%s.sum && rm ../%s.sum", scratch,
	    strrchr(scratch, '/') + 1, strrchr(scratch, '/') + 1);
	ck_assert_err(audit_scratch(&report), wanted);
}

/* --- torn tails --- */

START_TEST(a_tail_torn_at_any_byte_is_seen_as_torn)
{
	static uint8_t whole[1 << 20], zeros[1 << 20];

	make_crashed_log(LAST);
	ck_assert_err(scan_log(path), ERR_NOT_FOUND);
	struct place last = places[places_n - 1];
	ck_assert_uint_ge(last.bytes, 2 * FRAME_BLOCK);
	copy_log();
	read_bytes((unsigned)last.number, last.at, whole, last.bytes);
	size_t used = FRAME_HEADER + get_u32(whole + 36);
	write_bytes((unsigned)last.number, last.at, zeros, last.bytes);
	for (size_t cut = 0; cut < used; cut++) {
		if (cut)
			write_bytes((unsigned)last.number, last.at + cut - 1, whole + cut - 1, 1);
		ck_assert_err(scan_log(scratch), ERR_NOT_FOUND);
		ck_assert_uint_eq(end_scan.sequence, last.sequence);
		ck_assert_uint_le(end_scan.torn_bytes, cut);
		ck_assert_uint_eq(end_scan.torn_bytes > 0, cut > 0);
	}
	for (size_t block = 0; block < last.bytes; block += FRAME_BLOCK) {
		write_bytes((unsigned)last.number, last.at, whole, last.bytes);
		write_bytes((unsigned)last.number, last.at + block, zeros, FRAME_BLOCK);
		ck_assert_err(scan_log(scratch), ERR_NOT_FOUND);
		ck_assert_uint_eq(end_scan.sequence, last.sequence);
		ck_assert_uint_gt(end_scan.torn_bytes, 0);
	}
	done();
}
END_TEST

static const size_t cuts[] = { 1, 7, 100, FRAME_HEADER, 145, 1000, 4095, 4096, 4097, 5000 };

START_TEST(a_torn_tail_is_cut_and_the_log_goes_on)
{
	static uint8_t zeros[1 << 20];
	struct auditor_report report;
	struct audit *audit;
	struct audit_tree *tree;

	make_crashed_log(LAST);
	ck_assert_err(scan_log(path), ERR_NOT_FOUND);
	struct place last = places[places_n - 1];
	copy_log();
	write_bytes((unsigned)last.number, last.at + cuts[_i], zeros, last.bytes - cuts[_i]);
	ck_assert_ok(audit_scratch(&report));
	ck_assert_uint_gt(report.torn_bytes, 0);
	ck_assert_uint_eq(report.records, 5);
	auditor_report_free(&report);
	for (int round = 0; round < 3; round++) {
		ck_assert_ok(signer_open(&signer, scratch, SEGMENT, &recovery, &audit));
		ck_assert_uint_eq(recovery.records, 5u + (unsigned)round);
		ck_assert_uint_eq(recovery.cut_bytes > 0, round == 0);
		signer.certificates_n = 1;
		struct audit_key key = { .handle = SIGNER_KEY,
					 .alg = COSE_ES256,
					 .certificate = buf_slice(&signer.certificates[0]),
					 .chain = buf_slice(&signer.ca) };
		ck_assert_ok(audit_tree(audit, ORIGIN, &key, NULL, &tree));
		ck_assert_ok(signer_record(tree, "after the crash"));
		audit_close(audit);
		ck_assert_ok(audit_scratch(&report));
		ck_assert_uint_eq(report.records, 6u + (unsigned)round);
		ck_assert_uint_eq(report.trees[0].signed_size, report.records);
		ck_assert_uint_eq(report.torn_bytes, 0);
		auditor_report_free(&report);
	}
	done();
}
END_TEST

START_TEST(whole_records_that_nobody_signed_are_kept_and_signed)
{
	struct auditor_report report;
	struct audit *audit;
	struct audit_tree *tree;

	make_crashed_log(LAST);
	copy_log();
	ck_assert_ok(audit_scratch(&report));
	ck_assert_uint_eq(report.records, 5 + LAST);
	ck_assert_uint_eq(report.trees[0].signed_size, 5);
	auditor_report_free(&report);
	/* Opened twice without its key: nothing is lost, the tail is repeated each time. */
	for (int i = 0; i < 3; i++) {
		ck_assert_ok(signer_open(&signer, scratch, SEGMENT, &recovery, &audit));
		ck_assert_uint_eq(recovery.records, 5 + LAST);
		ck_assert_uint_eq(recovery.unsigned_kept, LAST);
		ck_assert_uint_eq(recovery.ranges[0].first, 5);
		ck_assert_uint_eq(recovery.ranges[0].last, 4 + LAST);
		ck_assert_uint_eq(recovery.cut_bytes, 0);
		if (i == 2) {
			ck_assert_ok(signer_tree(&signer, audit, ORIGIN, &tree));
			ck_assert_ok(signer_record(tree, "after"));
			ck_assert_uint_eq(audit_tree_size(tree), 6 + LAST);
		}
		audit_close(audit);
	}
	ck_assert_ok(audit_scratch(&report));
	ck_assert_uint_eq(report.records, 6 + LAST);
	ck_assert_uint_eq(report.trees[0].signed_size, 6 + LAST);
	auditor_report_free(&report);
	done();
}
END_TEST

START_TEST(a_crash_before_the_first_batch_leaves_an_empty_log)
{
	static uint8_t zeros[SEGMENT];

	make_log(1);
	ck_assert_err(scan_log(path), ERR_NOT_FOUND);
	copy_log();
	run("rm -r %s/trees/*", scratch);
	write_bytes(0, 4096 + 100, zeros, SEGMENT - 4196);
	ck_assert_ok(open_scratch());
	ck_assert(!recovery.found);
	ck_assert_uint_gt(recovery.cut_bytes, 0);
	/* With a tree published, it is no crash. */
	copy_log();
	write_bytes(0, 4096 + 100, zeros, SEGMENT - 4196);
	check_refused(ERR_MISMATCH);
	done();
}
END_TEST

/* --- tampering --- */

START_TEST(damage_before_the_last_batch_is_refused)
{
	make_log(8);
	ck_assert_err(scan_log(path), ERR_NOT_FOUND);
	for (size_t i = 0; i + 1 < places_n; i++) {
		copy_log();
		flip((unsigned)places[i].number, places[i].at + 200);
		check_refused(ERR_MISMATCH);
	}
	done();
}
END_TEST

START_TEST(damage_in_the_last_two_batches_is_refused)
{
	make_log(8);
	ck_assert_err(scan_log(path), ERR_NOT_FOUND);
	copy_log();
	for (size_t i = places_n - 2; i < places_n; i++)
		flip((unsigned)places[i].number, places[i].at + 200);
	check_refused(ERR_MISMATCH);
	done();
}
END_TEST

START_TEST(a_batch_that_is_wiped_is_refused)
{
	static uint8_t zeros[FRAME_BLOCK * 8];

	make_log(8);
	ck_assert_err(scan_log(path), ERR_NOT_FOUND);
	for (size_t i = 0; i + 1 < places_n; i++) {
		copy_log();
		write_bytes((unsigned)places[i].number, places[i].at, zeros, places[i].bytes);
		check_refused(ERR_MISMATCH);
	}
	done();
}
END_TEST

START_TEST(wiping_everything_after_a_signed_batch_shows_in_the_checkpoint)
{
	static uint8_t zeros[SEGMENT];

	make_log(8);
	ck_assert_err(scan_log(path), ERR_NOT_FOUND);
	copy_log();
	write_bytes(0, places[3].at, zeros, SEGMENT - places[3].at);
	check_refused(ERR_MISMATCH);
	done();
}
END_TEST

/* Puts a frame where the log ends: whole, but sealed under @key. */
static void forge(const uint8_t *key, uint64_t sequence, const uint8_t previous[SHA256_SIZE])
{
	CLEANUP(buf) struct buf raw = BUF_INIT;
	struct entry entry = { .kind = ENTRY_LEAF, .index = 8, .leaf = slice_text("forged") };
	struct frame frame = {
		.epoch = end_scan.epoch, .sequence = sequence, .first = end_scan.first, .count = 1
	};

	memcpy(frame.previous, previous, SHA256_SIZE);
	ck_assert_ptr_nonnull(buf_add(&raw, FRAME_HEADER));
	entry_put(&raw, &entry);
	ck_assert_ok(frame_seal(&frame, key, &raw));
	write_bytes((unsigned)end_scan.number, end_scan.at, raw.data, raw.len);
}

START_TEST(a_forged_batch_behind_the_last_one_is_refused)
{
	uint8_t key[FRAME_KEY] = "not the segment's";

	make_log(8);
	copy_log();
	ck_assert_err(scan_log(path), ERR_NOT_FOUND);
	forge(key, end_scan.sequence, end_scan.previous);
	ck_assert_err(open_scratch(), ERR_CRYPTO);
	done();
}
END_TEST

START_TEST(a_batch_of_another_chain_is_refused_even_under_the_right_key)
{
	uint8_t other[SHA256_SIZE] = { 1 };

	make_log(8);
	copy_log();
	ck_assert_err(scan_log(path), ERR_NOT_FOUND);
	forge(end_scan.frame_key.p, end_scan.sequence, other);
	check_refused(ERR_MISMATCH);
	forge(end_scan.frame_key.p, end_scan.sequence + 5, end_scan.previous);
	check_refused(ERR_MISMATCH);
	done();
}
END_TEST

START_TEST(a_segment_that_is_gone_is_missed)
{
	make_long_log();
	ck_assert_err(scan_log(path), ERR_NOT_FOUND);
	unsigned last = (unsigned)end_scan.number;
	ck_assert_uint_ge(last, 2);
	for (unsigned number = 1; number <= last; number++) {
		char file[200];

		copy_log();
		file_of(file, scratch, number);
		ck_assert_int_eq(unlink(file), 0);
		check_refused(ERR_MISMATCH);
	}
	/* The first one was retired, if what it held is in tiles. */
	copy_log();
	run("rm %s/wal/00000000", scratch);
	ck_assert_ok(open_scratch());
	ck_assert_uint_eq(recovery.records, 150);
	copy_log();
	run("rm %s/wal/00000000 && rm %s/trees/*/tile/0/000.p/*", scratch, scratch);
	check_refused(ERR_MISMATCH);
	/* Not even when everything behind it goes too. */
	copy_log();
	for (unsigned number = 1; number <= last + 1; number++)
		run("rm -f %s/wal/%08u", scratch, number);
	check_refused(ERR_MISMATCH);
	copy_log();
	run("rm -f %s/wal/*", scratch);
	check_refused(ERR_MISMATCH);
	done();
}
END_TEST

START_TEST(segments_in_another_order_are_refused)
{
	make_long_log();
	copy_log();
	run("cd %s/wal && mv 00000001 x && mv 00000002 00000001 && mv x 00000002", scratch);
	check_refused(ERR_MISMATCH);
	copy_log();
	run("cd %s/wal && cp 00000001 00000002", scratch);
	check_refused(ERR_MISMATCH);
	done();
}
END_TEST

START_TEST(a_segment_that_was_cut_short_is_refused)
{
	make_long_log();
	for (unsigned number = 0; number < 3; number++)
		for (unsigned blocks = 0; blocks < 60; blocks += 19) {
			copy_log();
			run("truncate -s %u %s/wal/%08u", blocks * 4096, scratch, number);
			check_refused(ERR_MISMATCH);
		}
	done();
}
END_TEST

START_TEST(a_damaged_header_is_refused)
{
	make_long_log();
	ck_assert_err(scan_log(path), ERR_NOT_FOUND);
	for (unsigned number = 0; number <= end_scan.number; number++)
		for (unsigned at = 8; at < 400; at += 97) {
			copy_log();
			flip(number, at);
			check_refused(ERR_MISMATCH);
		}
	done();
}
END_TEST

START_TEST(a_checkpoint_that_says_something_else_is_refused)
{
	make_log(8);
	copy_log();
	run("cd %s/trees/* && sed -i '2s/8/9/' checkpoint", scratch);
	check_refused(ERR_MISMATCH);
	copy_log();
	run("cd %s/trees/* && sed -i '2s/8/7/' checkpoint", scratch);
	check_refused(ERR_MISMATCH);
	done();
}
END_TEST

START_TEST(another_ca_or_another_token_is_refused)
{
	struct auditor_report report;
	struct signer stranger;

	make_log(8);
	copy_log();
	signer_start(&stranger, NULL);
	ck_assert_err(auditor_verify(path, buf_slice(&stranger.ca), NULL, NULL, &report),
		      ERR_CRYPTO);
	signer.wrapping[0] ^= 1;
	ck_assert_err(open_scratch(), ERR_CRYPTO);
	signer_end(&stranger);
	done();
}
END_TEST

/* --- a log that changes under us --- */

static void check_stops(void (*harm)(void))
{
	struct audit *audit;
	struct audit_tree *tree;

	make_log(3);
	ck_assert_ok(signer_open(&signer, path, SEGMENT, &recovery, &audit));
	ck_assert_ok(signer_tree(&signer, audit, ORIGIN, &tree));
	ck_assert_ok(signer_record(tree, "x"));
	harm();
	ck_assert_err(signer_record(tree, "y"), ERR_IO);
	ck_assert_err(signer_record(tree, "z"), ERR_IO);
	audit_close(audit);
	done();
}

static void harm_remove(void)
{
	run("rm %s/wal/00000000", path);
}

static void harm_replace(void)
{
	run("cd %s/wal && cp 00000000 x && mv x 00000000", path);
}

static void harm_link(void)
{
	run("cd %s/wal && ln 00000000 other", path);
}

START_TEST(a_log_that_was_removed_stops_the_log)
{
	check_stops(harm_remove);
}
END_TEST

START_TEST(a_log_that_was_replaced_stops_the_log)
{
	check_stops(harm_replace);
}
END_TEST

START_TEST(a_second_name_for_the_log_stops_the_log)
{
	check_stops(harm_link);
}
END_TEST

static void add(TCase *t)
{
	tcase_set_timeout(t, 200); /* every byte takes a while under ThreadSanitizer */
	tcase_add_test(t, a_tail_torn_at_any_byte_is_seen_as_torn);
	tcase_add_table(t, a_torn_tail_is_cut_and_the_log_goes_on, cuts);
	tcase_add_test(t, whole_records_that_nobody_signed_are_kept_and_signed);
	tcase_add_test(t, a_crash_before_the_first_batch_leaves_an_empty_log);
	tcase_add_test(t, damage_before_the_last_batch_is_refused);
	tcase_add_test(t, damage_in_the_last_two_batches_is_refused);
	tcase_add_test(t, a_batch_that_is_wiped_is_refused);
	tcase_add_test(t, wiping_everything_after_a_signed_batch_shows_in_the_checkpoint);
	tcase_add_test(t, a_forged_batch_behind_the_last_one_is_refused);
	tcase_add_test(t, a_batch_of_another_chain_is_refused_even_under_the_right_key);
	tcase_add_test(t, a_segment_that_is_gone_is_missed);
	tcase_add_test(t, segments_in_another_order_are_refused);
	tcase_add_test(t, a_segment_that_was_cut_short_is_refused);
	tcase_add_test(t, a_damaged_header_is_refused);
	tcase_add_test(t, a_checkpoint_that_says_something_else_is_refused);
	tcase_add_test(t, another_ca_or_another_token_is_refused);
	tcase_add_test(t, a_log_that_was_removed_stops_the_log);
	tcase_add_test(t, a_log_that_was_replaced_stops_the_log);
	tcase_add_test(t, a_second_name_for_the_log_stops_the_log);
}

int main(void)
{
	return check_run("wal", add);
}

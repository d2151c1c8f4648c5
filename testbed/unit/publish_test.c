/* Tiles, checkpoints, segments that are done with: what is published, and what comes of a log whose
 * beginning is in tiles alone. */
#include "testbed/unit/check.h"
#include "testbed/unit/signer.h"

#include <dirent.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/wait.h>

#include "audit/auditor.h"
#include "audit/note.h"
#include "audit/receipt.h"
#include "audit/state.h"
#include "audit/tiles.h"
#include "testbed/crash/shim.h"

#define ORIGIN "assay.example/test/bank-a/1"
#define SEGMENT ((uint64_t)256 << 10)

static struct signer signer;
static char path[64];
static struct audit *audit;
static struct audit_tree *tree;
static struct audit_recovery found;

static void __attribute__((format(printf, 1, 2))) run(const char *format, ...)
{
	char command[600];
	va_list list;

	va_start(list, format);
	vsnprintf(command, sizeof command, format, list);
	va_end(list);
	ck_assert_msg(system(command) == 0, "%s", command);
}

static enum err try_open(void)
{
	return signer_open(&signer, path, SEGMENT, &found, &audit);
}

static void open_log(void)
{
	ck_assert_ok(try_open());
	if (!signer.certificates_n) {
		ck_assert_ok(signer_tree(&signer, audit, ORIGIN, &tree));
		return;
	}
	struct audit_key key = { .handle = SIGNER_KEY,
				 .alg = COSE_ES256,
				 .certificate = buf_slice(&signer.certificates[0]),
				 .chain = buf_slice(&signer.ca),
				 false,
				 0 };
	ck_assert_ok(audit_tree(audit, ORIGIN, &key, NULL, &tree));
}

static void close_log(void)
{
	audit_close(audit);
	audit = NULL;
}

/* So many at a time as make a batch of some size. */
static void write_records(unsigned n)
{
	struct audit_ticket *tickets[200];
	struct leaf *leaf = malloc(sizeof *leaf);

	while (n) {
		unsigned some = n < 200 ? n : 200;

		for (unsigned i = 0; i < some; i++) {
			signer_leaf(leaf, "published");
			ck_assert_ok(audit_begin(tree, leaf, &tickets[i]));
		}
		for (unsigned i = 0; i < some; i++) {
			CLEANUP(buf) struct buf receipt = BUF_INIT;

			ck_assert_ok(audit_finish(tickets[i], &receipt));
			audit_ticket_free(tickets[i]);
		}
		n -= some;
	}
	free(leaf);
}

static void start(unsigned records)
{
	signer_start(&signer, NULL);
	signer_folder(path);
	open_log();
	write_records(records - 1);
}

static void end(void)
{
	close_log();
	signer_end(&signer);
	signer_remove(path);
}

static int open_tree(void)
{
	uint8_t digest[SHA256_SIZE];
	char name[17], folder[120];

	sha256_once(slice_text(ORIGIN), digest);
	hex_put(name, digest, 8);
	snprintf(folder, sizeof folder, "%s/trees/%s", path, name);
	int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ck_assert_int_ge(fd, 0);
	return fd;
}

static enum err verify(struct auditor_report *report, bool copy, const char *where)
{
	struct auditor_options options = {
		.path = where, .ca = buf_slice(&signer.ca), .copy = copy, .threads = 3
	};

	return auditor_run(&options, report);
}

static void check_holds(uint64_t records)
{
	struct auditor_report report;

	ck_assert_ok(verify(&report, false, path));
	ck_assert_uint_eq(report.records, records);
	ck_assert_uint_eq(report.trees[0].size, records);
	ck_assert_uint_eq(report.trees[0].signed_size, records);
	ck_assert_ok(auditor_settled(&report));
	auditor_report_free(&report);
}

/* --- what is published --- */

START_TEST(the_tiles_lead_to_the_checkpoint)
{
	CLEANUP(buf) struct buf raw = BUF_INIT;
	char file[120];
	struct note note;
	tree_hash root;

	start(700);
	close_log();
	CLEANUP(fd) int folder = open_tree();
	snprintf(file, sizeof file, "/proc/self/fd/%d/checkpoint", folder);
	ck_assert_ok(io_read_file(file, NOTE_MAX, &raw));
	ck_assert_ok(note_read(buf_slice(&raw), &note));
	ck_assert_uint_eq(note.size, 700);
	ck_assert_ok(tiles_root(folder, 700, root));
	ck_assert_mem_eq(root, note.root, SHA256_SIZE);
	/* Of any size before, narrower partial tiles being parts of wider ones. */
	for (uint64_t size = 1; size < 700; size += 13)
		ck_assert_ok(tiles_root(folder, size, root));
	run("cd %s/trees/* && test -f tile/0/000 -a -f tile/0/001 -a -f tile/0/002.p/188 "
	    "-a -f tile/1/000.p/2 -a -f tile/entries/002.p/188 -a ! -e tile.tmp",
	    path);
	check_holds(700);
	end();
}
END_TEST

START_TEST(partial_tiles_of_no_checkpoint_that_is_kept_go)
{
	struct auditor_report report;

	start(2);
	for (uint64_t size = 2; size < 30; size++) {
		CLEANUP(buf) struct buf leaf = BUF_INIT, receipt = BUF_INIT;

		/* What was just released is asked for, and published at once. */
		ck_assert_ok(audit_leaf(tree, size - 1, &leaf, &receipt));
		write_records(1);
	}
	run("cd %s/trees/*/tile/0/000.p && test $(ls | wc -l) -ge 10 -a $(ls | wc -l) -le 21",
	    path);
	write_records(256);
	close_log();
	run("cd %s/trees/*/ && sed -sn 2p checkpoints/* | sort -n | awk '$1 < 256' >x && "
	    "ls tile/0/000.p | sort -n | cmp - x && ls tile/entries/000.p | sort -n | cmp - x && "
	    "rm x",
	    path);
	ck_assert_ok(verify(&report, false, path));
	auditor_report_free(&report);
	end();
}
END_TEST

/* --- segments that are done with --- */

START_TEST(segments_whose_leaves_are_in_tiles_are_retired)
{
	start(4000);
	close_log();
	run("cd %s/wal && test ! -e 00000000 && test $(ls | wc -l) -le 3", path);
	check_holds(4000);
	for (unsigned round = 0; round < 3; round++) {
		open_log();
		ck_assert_uint_eq(found.records, 4000 + round);
		ck_assert_uint_eq(found.unsigned_kept, 0);
		write_records(1);
		close_log();
		check_holds(4001 + round);
	}
	end();
}
END_TEST

START_TEST(opening_reads_no_more_of_a_longer_log)
{
	/* The oldest tiles are not even looked at: they could be anywhere. */
	start(4000);
	close_log();
	run("cd %s/trees/*/tile && mkdir ../away && mv 0/000 0/001 ../away && "
	    "mv entries/000 ../away/e0 && mv entries/001 ../away/e1",
	    path);
	open_log();
	ck_assert_uint_eq(found.records, 4000);
	write_records(3);
	close_log();
	struct auditor_report report;
	ck_assert_err(verify(&report, false, path), ERR_MISMATCH);
	run("cd %s/trees/*/away && mv 000 001 ../tile/0 && mv e0 ../tile/entries/000 && "
	    "mv e1 ../tile/entries/001",
	    path);
	check_holds(4003);
	end();
}
END_TEST

/* --- records of long ago --- */

static void check_leaf(uint64_t index)
{
	CLEANUP(buf) struct buf leaf = BUF_INIT, raw = BUF_INIT;
	struct leaf *read = malloc(sizeof *read);
	uint8_t hash[SHA256_SIZE];
	struct receipt receipt;

	ck_assert_ok(audit_leaf(tree, index, &leaf, &raw));
	ck_assert_ok(leaf_decode(buf_slice(&leaf), read));
	ck_assert_uint_eq(read->pos, index);
	leaf_hash(buf_slice(&leaf), hash);
	ck_assert_ok(receipt_read(buf_slice(&raw), &receipt));
	ck_assert_uint_eq(receipt.index, index);
	ck_assert_ok(receipt_verify(&receipt, hash));
	free(read);
}

START_TEST(any_record_has_a_fresh_receipt)
{
	CLEANUP(buf) struct buf leaf = BUF_INIT, receipt = BUF_INIT;
	struct tree_path proof;
	struct audit_head *heads;
	tree_hash root;
	size_t n;

	start(20000); /* more than memory keeps the hashes of */
	for (int again = 0; again < 2; again++) {
		for (uint64_t index = 0; index < 20000; index += 997)
			check_leaf(index);
		check_leaf(audit_tree_size(tree) - 1);
		ck_assert_err(audit_leaf(tree, audit_tree_size(tree), &leaf, &receipt),
			      ERR_NOT_FOUND);
		ck_assert_ok(audit_heads(audit, &heads, &n));
		CLEANUP(fd) int folder = open_tree();
		ck_assert_ok(tiles_root(folder, 300, root));
		ck_assert_ok(audit_consistency(audit, ORIGIN, 300, heads[0].size, &proof));
		ck_assert_ok(
			tree_check_consistency(300, root, heads[0].size, heads[0].root, &proof));
		free(heads);
		close_log();
		open_log();
		write_records(1);
	}
	end();
}
END_TEST

START_TEST(a_changed_record_in_a_tile_is_not_handed_out)
{
	CLEANUP(buf) struct buf leaf = BUF_INIT, receipt = BUF_INIT;

	start(600);
	check_leaf(70);
	run("cd %s/trees/*/tile/entries && printf x | dd of=000 bs=1 seek=20000 conv=notrunc "
	    "status=none",
	    path);
	unsigned refused = 0;
	for (uint64_t index = 0; index < 256; index++)
		refused += audit_leaf(tree, index, &leaf, &receipt) == ERR_MISMATCH;
	ck_assert_uint_ge(refused, 1);
	ck_assert_uint_le(refused, 256);
	end();
}
END_TEST

/* --- tampering --- */

static const struct {
	const char *words, *command;
	bool opens; /* far from the edge, or near it, as batches went: for the auditor to find */
} harms[] = {
	{ "an old record is changed", "printf x | dd of=entries/000 bs=1 seek=999 conv=notrunc",
	  true },
	{ "an old hash is changed", "printf xyz | dd of=0/000 bs=1 seek=99 conv=notrunc", true },
	{ "an old hash tile is gone", "rm 0/000", true },
	{ "old entries are gone", "rm entries/000", true },
	{ "two tiles are swapped", "mv 0/000 x && mv 0/001 0/000 && mv x 0/001", true },
	{ "a tile is cut", "truncate -s 4096 0/001", true },
	{ "a tile is longer", "echo more >> 0/001", true },
	{ "the upper hashes are changed",
	  "for f in 1/*.p/*; do printf xyz | dd of=$f conv=notrunc; done", false },
	{ "the tiles are gone", "rm -r *", false },
};

START_TEST(changed_tiles_are_found)
{
	struct auditor_report report;

	start(3000);
	close_log();
	run("cd %s/trees/*/tile && { %s; } 2>/dev/null", path, harms[_i].command);
	ck_assert_msg(verify(&report, false, path) == ERR_MISMATCH, "%s", harms[_i].words);
	/* Of a copy with fewer tiles it is said how far they reach. */
	enum err e = verify(&report, true, path);
	ck_assert_msg(e == ERR_MISMATCH || (!e && strstr(harms[_i].words, "gone") &&
					    report.behind == 1 && report.trees[0].newest == 3000),
		      "%s, in a copy", harms[_i].words);
	if (!e)
		auditor_report_free(&report);
	e = try_open();
	ck_assert_msg(e == (harms[_i].opens ? OK : ERR_MISMATCH), "%s: %s", harms[_i].words,
		      err_reason());
	end();
}
END_TEST

START_TEST(a_log_of_an_earlier_version_is_refused_in_words)
{
	struct auditor_report report;

	start(3);
	close_log();
	run("cd %s/wal && printf ASSAYSG1 | dd of=00000000 conv=notrunc status=none", path);
	ck_assert_err(try_open(), ERR_UNSUPPORTED);
	ck_assert_ptr_nonnull(strstr(err_reason(), "an earlier version"));
	ck_assert_err(verify(&report, false, path), ERR_UNSUPPORTED);
	end();
}
END_TEST

/* --- checkpoints that somebody kept --- */

static enum err verify_against(struct slice note)
{
	struct auditor_options options = { .path = path,
					   .ca = buf_slice(&signer.ca),
					   .against = note };
	struct auditor_report report;
	enum err e = auditor_run(&options, &report);

	if (!e)
		ck_assert(report.against);
	auditor_report_free(&report);
	return e;
}

START_TEST(a_log_continues_the_checkpoint_that_was_kept)
{
	CLEANUP(buf) struct buf early = BUF_INIT, late = BUF_INIT;

	start(300);
	close_log();
	open_log();
	ck_assert_ok(audit_checkpoint(audit, ORIGIN, &early));
	write_records(3000);
	close_log();
	run("cp -a %s %s.old", path, path);
	open_log();
	write_records(5);
	close_log();
	open_log();
	ck_assert_ok(audit_checkpoint(audit, ORIGIN, &late));
	close_log();
	ck_assert_ok(verify_against(buf_slice(&early)));
	ck_assert_ok(verify_against(buf_slice(&late)));
	early.data[strlen(ORIGIN) + 3] = '1'; /* 301 records */
	ck_assert_err(verify_against(buf_slice(&early)), ERR_CRYPTO);
	/* Put back to an earlier state, all of it. */
	run("rm -r %s && mv %s.old %s", path, path, path);
	ck_assert_err(verify_against(buf_slice(&late)), ERR_MISMATCH);
	end();
}
END_TEST

/* --- a copy of a live log --- */

static atomic_bool enough;

static void *produce(void *unused)
{
	while (!atomic_load(&enough))
		write_records(20);
	return unused;
}

/* In the order in which rsync goes. */
static void make_copy(const char *copy)
{
	run("mkdir %s && cd %s && { tar --sort=name -cf - trees wal 2>/dev/null || true; } | "
	    "tar -xf - -C %s",
	    copy, path, copy);
}

START_TEST(a_copy_of_a_live_log_verifies_to_its_last_checkpoint)
{
	struct auditor_report report;
	char copy[80];
	pthread_t t;

	start(500);
	snprintf(copy, sizeof copy, "%s.copy", path);
	ck_assert(!pthread_create(&t, NULL, produce, NULL));
	CLEANUP(buf) struct buf note = BUF_INIT;
	for (int i = 0; i < 500 && audit_checkpoint(audit, ORIGIN, &note); i++)
		usleep(10000);
	for (int i = 0; i < 3; i++) {
		/* One that took longer than partial tiles stay is refused, and made again. */
		for (int tries = 10; make_copy(copy), verify(&report, true, copy); tries--) {
			ck_assert(tries && strstr(err_reason(), "is missing"));
			signer_remove(copy);
		}
		ck_assert_uint_ge(report.records, 2);
		ck_assert(!report.log_checked);
		auditor_report_free(&report);
		signer_remove(copy);
		usleep(300000);
	}
	atomic_store(&enough, true);
	pthread_join(t, NULL);
	end();
}
END_TEST

/* --- kill -9 at each step of publication --- */

static const struct {
	const char *words;
	enum shim_call call;
} steps[] = {
	{ "a tile's temporary file is made", SHIM_OPEN },
	{ "a tile is written", SHIM_WRITE },
	{ "a tile, or a directory of tiles, is synced", SHIM_FSYNC },
	{ "a tile gets its name", SHIM_LINK },
	{ "a tile's temporary name, a partial tile or a retired segment goes", SHIM_UNLINK },
	{ "a directory of tiles is made", SHIM_MKDIR },
	{ "the checkpoint is replaced", SHIM_RENAME },
};

/* Publishes, over the ends of some segments, and is killed at the call of that number. */
static bool killed_at(enum shim_call call, unsigned number)
{
	int status;
	pid_t pid = fork();

	ck_assert_int_ge(pid, 0);
	if (!pid) {
		struct shim_plan plan = {
			.calls = SHIM_BIT(call), .after = number, .times = 1, .last = true
		};

		shim_watch(path);
		shim_plan(&plan);
		open_log();
		write_records(1200);
		close_log();
		_exit(0);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFSIGNALED(status) || (WIFEXITED(status) && !WEXITSTATUS(status)));
	return WIFSIGNALED(status);
}

START_TEST(a_kill_after_any_step_of_publication_leaves_a_log_that_holds)
{
	struct auditor_report report;
	bool killed = true;

	for (unsigned number = 0; killed; number += 1 + number / 4) {
		start(300);
		close_log();
		killed = killed_at(steps[_i].call, number);
		open_log();
		ck_assert_msg(found.records >= 300, "%s", steps[_i].words);
		uint64_t size = found.records;
		ck_assert_ok(verify(&report, false, path));
		auditor_report_free(&report);
		write_records(2);
		close_log();
		check_holds(size + 2);
		end();
	}
}
END_TEST

static unsigned count_segments(void)
{
	char folder[100];
	unsigned n = 0;

	snprintf(folder, sizeof folder, "%s/wal", path);
	DIR *list = opendir(folder);
	ck_assert_ptr_nonnull(list);
	for (struct dirent *d; (d = readdir(list));)
		n += d->d_name[0] != '.';
	closedir(list);
	return n;
}

/* Beside those that wait: the one of now, the next one, and one that is being made or retired. */
START_TEST(records_wait_when_publishing_is_behind)
{
	unsigned most = 0;

	start(2);
	for (int i = 0; i < 60; i++) {
		write_records(200);
		unsigned n = count_segments();
		most = n > most ? n : most;
	}
	ck_assert_uint_le(most, SEGMENTS_BEHIND + 4);
	end();
}
END_TEST

static void add(TCase *t)
{
	tcase_set_timeout(t, 180);
	tcase_add_test(t, the_tiles_lead_to_the_checkpoint);
	tcase_add_test(t, partial_tiles_of_no_checkpoint_that_is_kept_go);
	tcase_add_test(t, segments_whose_leaves_are_in_tiles_are_retired);
	tcase_add_test(t, opening_reads_no_more_of_a_longer_log);
	tcase_add_test(t, records_wait_when_publishing_is_behind);
	tcase_add_test(t, any_record_has_a_fresh_receipt);
	tcase_add_test(t, a_changed_record_in_a_tile_is_not_handed_out);
	tcase_add_table(t, changed_tiles_are_found, harms);
	tcase_add_test(t, a_log_of_an_earlier_version_is_refused_in_words);
	tcase_add_test(t, a_log_continues_the_checkpoint_that_was_kept);
	tcase_add_test(t, a_copy_of_a_live_log_verifies_to_its_last_checkpoint);
	tcase_add_table(t, a_kill_after_any_step_of_publication_leaves_a_log_that_holds, steps);
}

int main(void)
{
	return check_run("publish", add);
}

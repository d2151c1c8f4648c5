#include "testbed/unit/check.h"
#include "testbed/unit/signer.h"

#include <pthread.h>
#include <stdarg.h>

#include "audit/auditor.h"
#include "audit/compact.h"
#include "audit/note.h"
#include "audit/proof.h"
#include "audit/receipt.h"

#define ORIGIN "assay.example/test/bank-a/1"
#define OTHER "assay.example/test/bank-b/1"
#define SEGMENT ((uint64_t)1 << 20)

static struct signer signer;
static char path[64];
static struct audit *audit;
static struct audit_tree *tree;
static struct audit_recovery recovery;

static void open_log(void)
{
	ck_assert_ok(signer_open(&signer, path, SEGMENT, &recovery, &audit));
}

static void start_with(unsigned signers)
{
	signer_start(&signer, NULL);
	signer.signers = signers;
	signer_folder(path);
	open_log();
	ck_assert(!recovery.found);
	ck_assert_ok(signer_tree(&signer, audit, ORIGIN, &tree));
}

static void start(void)
{
	start_with(0);
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

static void check_log(uint64_t records, uint64_t unsigned_records)
{
	struct auditor_report report;
	uint64_t size = 0, with_head = 0;

	ck_assert_ok(auditor_verify(path, buf_slice(&signer.ca), NULL, NULL, &report));
	for (size_t i = 0; i < report.trees_n; i++) {
		size += report.trees[i].size;
		with_head += report.trees[i].signed_size;
	}
	ck_assert_uint_eq(report.records, records);
	ck_assert_uint_eq(size - with_head, unsigned_records);
	auditor_report_free(&report);
}

static void check_receipt(struct slice raw, struct slice leaf, uint64_t index)
{
	uint8_t hash[SHA256_SIZE];
	struct receipt receipt;

	leaf_hash(leaf, hash);
	ck_assert_ok(receipt_read(raw, &receipt));
	ck_assert_uint_eq(receipt.index, index);
	ck_assert(slice_is(receipt.origin, ORIGIN));
	ck_assert_ok(receipt_verify(&receipt, hash));
	ck_assert_ok(chain_verify(receipt.certificate, NULL, buf_slice(&signer.ca), ORIGIN,
				  receipt.time));
}

START_TEST(a_record_comes_back_with_a_receipt_that_verifies)
{
	CLEANUP(buf) struct buf receipt = BUF_INIT;
	struct audit_ticket *ticket;
	struct leaf *leaf = malloc(sizeof *leaf);

	start();
	signer_leaf(leaf, "one");
	ck_assert_ok(audit_begin(tree, leaf, &ticket));
	ck_assert_uint_eq(leaf->pos, 1);
	ck_assert_ok(audit_finish(ticket, &receipt));
	check_receipt(buf_slice(&receipt), audit_ticket_leaf(ticket), 1);
	ck_assert_uint_eq(audit_tree_size(tree), 2);
	audit_ticket_free(ticket);
	close_log();
	check_log(2, 0);
	free(leaf);
	end();
}
END_TEST

START_TEST(a_tree_of_a_genesis_alone_has_no_signed_head)
{
	struct audit_counts counts;

	start();
	audit_counts(audit, &counts);
	ck_assert_uint_eq(counts.records, 1);
	ck_assert_uint_eq(counts.signatures, 0);
	ck_assert_uint_eq(audit_tree_size(tree), 1);
	close_log();
	check_log(1, 1);
	end();
}
END_TEST

START_TEST(a_tree_that_must_exist_is_not_made)
{
	struct audit_tree *other;

	start();
	struct audit_key key = signer_key(&signer, OTHER);
	ck_assert_err(audit_tree(audit, OTHER, &key, NULL, &other), ERR_NOT_FOUND);
	ck_assert_err(audit_tree(audit, "", &key, NULL, &other), ERR_RANGE);
	ck_assert_ok(audit_tree(audit, ORIGIN, &key, NULL, &other));
	ck_assert_ptr_eq(other, tree);
	end();
}
END_TEST

START_TEST(indices_go_on_after_the_log_is_opened_again)
{
	start();
	for (int i = 0; i < 5; i++)
		ck_assert_ok(signer_record(tree, "before"));
	for (int round = 0; round < 4; round++) {
		close_log();
		open_log();
		ck_assert(recovery.found);
		ck_assert_uint_eq(recovery.records, 6u + (unsigned)round * 2);
		ck_assert_uint_eq(recovery.unsigned_kept, 0);
		ck_assert_uint_eq(recovery.cut_bytes, 0);
		ck_assert_ok(signer_tree(&signer, audit, ORIGIN, &tree));
		ck_assert_ok(signer_record(tree, "after"));
		ck_assert_ok(signer_record(tree, "after"));
		ck_assert_uint_eq(audit_tree_size(tree), 8u + (unsigned)round * 2);
	}
	close_log();
	check_log(14, 0);
	end();
}
END_TEST

#define THREADS 32
#define EACH 60

static uint8_t index_seen[THREADS * EACH + 1];

static void *produce(void *unused)
{
	struct leaf *leaf = malloc(sizeof *leaf);

	for (int i = 0; i < EACH; i++) {
		CLEANUP(buf) struct buf receipt = BUF_INIT;
		CLEANUP(audit_ticket) struct audit_ticket *ticket = NULL;

		signer_leaf(leaf, "one of many");
		MUST_DO(audit_begin(tree, leaf, &ticket));
		MUST_DO(audit_finish(ticket, &receipt));
		check_receipt(buf_slice(&receipt), audit_ticket_leaf(ticket), leaf->pos);
		__atomic_fetch_add(&index_seen[leaf->pos], 1, __ATOMIC_RELAXED);
	}
	free(leaf);
	return unused;
}

START_TEST(many_producers_have_their_indices_and_receipts)
{
	pthread_t t[THREADS];
	struct audit_counts counts;

	start();
	for (int i = 0; i < THREADS; i++)
		ck_assert(!pthread_create(&t[i], NULL, produce, NULL));
	for (int i = 0; i < THREADS; i++)
		pthread_join(t[i], NULL);
	audit_counts(audit, &counts);
	ck_assert_uint_eq(counts.records, THREADS * EACH + 1);
	/* Heads that waited 20 ms in vain for a batch take a sync of their own. */
	ck_assert_uint_le(counts.syncs, 2 * counts.batches + 2);
	ck_assert_uint_eq(counts.signatures, counts.batches - 1);
	for (int i = 1; i <= THREADS * EACH; i++)
		ck_assert_uint_eq(index_seen[i], 1);
	close_log();
	check_log(THREADS * EACH + 1, 0);
	end();
}
END_TEST

START_TEST(a_batch_over_two_trees_takes_one_signature_each)
{
	struct audit_ticket *tickets[20];
	struct audit_counts before, after;
	struct audit_tree *other;
	struct leaf *leaf = malloc(sizeof *leaf);

	start_with(1);
	ck_assert_ok(signer_tree(&signer, audit, OTHER, &other));
	ck_assert_ok(signer_record(tree, "x"));
	ck_assert_ok(signer_record(other, "x"));
	audit_counts(audit, &before);
	/* The first one waits for its signature while the others queue. */
	unsigned long calls = atomic_load(&signer.calls);
	atomic_store(&signer.closed, true);
	for (int i = 0; i < 20; i++) {
		signer_leaf(leaf, "y");
		ck_assert_ok(audit_begin(i & 1 ? other : tree, leaf, &tickets[i]));
		if (!i)
			signer_await(&signer, calls);
	}
	atomic_store(&signer.closed, false);
	for (int i = 0; i < 20; i++) {
		CLEANUP(buf) struct buf receipt = BUF_INIT;

		ck_assert_ok(audit_finish(tickets[i], &receipt));
		audit_ticket_free(tickets[i]);
	}
	audit_counts(audit, &after);
	ck_assert_uint_eq(after.batches - before.batches, 2);
	ck_assert_uint_eq(after.signatures - before.signatures, 3);
	close_log();
	check_log(24, 0);
	free(leaf);
	end();
}
END_TEST

START_TEST(a_failed_signature_is_tried_again_and_holds_release_back)
{
	start();
	ck_assert_ok(signer_record(tree, "x"));
	unsigned long calls = atomic_load(&signer.calls);
	atomic_store(&signer.failures, 4);
	uint64_t began = io_monotonic_ms();
	ck_assert_ok(signer_record(tree, "y"));
	ck_assert_uint_ge(io_monotonic_ms() - began, 10 + 20 + 40);
	ck_assert_uint_ge(atomic_load(&signer.calls), calls + 5);
	ck_assert_uint_eq(audit_tree_size(tree), 3);
	close_log();
	check_log(3, 0);
	end();
}
END_TEST

START_TEST(a_token_that_stays_away_leaves_records_for_the_next_start)
{
	struct audit_ticket *ticket;
	CLEANUP(buf) struct buf receipt = BUF_INIT;
	struct leaf *leaf = malloc(sizeof *leaf);

	start();
	ck_assert_ok(signer_record(tree, "x"));
	usleep(60000);
	atomic_store(&signer.failures, 1000000);
	signer_leaf(leaf, "y");
	ck_assert_ok(audit_begin(tree, leaf, &ticket));
	usleep(30000);
	ck_assert_uint_eq(audit_tree_size(tree), 2);
	audit_ticket_free(ticket);
	close_log();
	atomic_store(&signer.failures, 0);
	check_log(3, 1);
	open_log();
	ck_assert_uint_eq(recovery.unsigned_kept, 1);
	ck_assert_uint_eq(recovery.ranges_n, 1);
	ck_assert_str_eq(recovery.ranges[0].origin, ORIGIN);
	ck_assert_uint_eq(recovery.ranges[0].first, 2);
	ck_assert_uint_eq(recovery.ranges[0].last, 2);
	/* Its key is found by the certificate that the log has. */
	CLEANUP(buf) struct buf certificate = BUF_INIT;
	ck_assert_err(audit_unsigned(audit, OTHER, &certificate), ERR_NOT_FOUND);
	ck_assert_ok(audit_unsigned(audit, ORIGIN, &certificate));
	struct audit_key key = signer_key(&signer, ORIGIN);
	key.certificate = buf_slice(&certificate);
	ck_assert_ok(audit_tree(audit, ORIGIN, &key, NULL, &tree));
	ck_assert_err(audit_unsigned(audit, ORIGIN, &certificate), ERR_NOT_FOUND);
	for (int i = 0; i < 100 && audit_tree_size(tree) < 3; i++)
		usleep(10000);
	ck_assert_uint_eq(audit_tree_size(tree), 3);
	close_log();
	check_log(3, 0);
	free(leaf);
	end();
}
END_TEST

/* Until the log on disk has a head of so many records; a loaded machine takes its time. */
static void await_heads(uint64_t size)
{
	for (int i = 0; i < 100; i++) {
		struct auditor_report report;

		usleep(40000);
		ck_assert_ok(auditor_verify(path, buf_slice(&signer.ca), NULL, NULL, &report));
		uint64_t signed_size = report.trees[0].signed_size;
		auditor_report_free(&report);
		if (signed_size == size)
			return;
	}
}

START_TEST(heads_are_in_the_log_soon_after_the_last_batch)
{
	start();
	ck_assert_ok(signer_record(tree, "x"));
	ck_assert_ok(signer_record(tree, "y"));
	await_heads(3);
	check_log(3, 0);
	end();
}
END_TEST

static void checkpoint_file(char file[160])
{
	uint8_t digest[SHA256_SIZE];
	char name[17];

	sha256_once(slice_text(ORIGIN), digest);
	hex_put(name, digest, 8);
	snprintf(file, 160, "%s/trees/%s/checkpoint", path, name);
}

static void check_checkpoint(uint64_t size)
{
	CLEANUP(buf) struct buf raw = BUF_INIT;
	char file[160];
	struct note note;

	checkpoint_file(file);
	ck_assert_ok(io_read_file(file, NOTE_MAX, &raw));
	ck_assert_ok(note_read(buf_slice(&raw), &note));
	ck_assert_uint_eq(note.size, size);
	ck_assert(slice_is(note.origin, ORIGIN));
	ck_assert_ok(note_verify(&note, buf_slice(&signer.certificates[0])));
}

START_TEST(checkpoints_follow_within_seconds_and_at_close)
{
	start();
	ck_assert_ok(signer_record(tree, "x"));
	char file[160];
	checkpoint_file(file);
	for (int i = 0; i < 500 && access(file, F_OK); i++)
		usleep(20000);
	check_checkpoint(2);
	ck_assert_ok(signer_record(tree, "y"));
	close_log();
	check_checkpoint(3);
	end();
}
END_TEST

START_TEST(the_compact_proof_fits_and_verifies)
{
	CLEANUP(buf) struct buf out = BUF_INIT;
	struct audit_ticket *ticket;
	struct compact compact;
	struct leaf *leaf = malloc(sizeof *leaf);

	start();
	signer_leaf(leaf, "x");
	ck_assert_ok(audit_begin(tree, leaf, &ticket));
	ck_assert_ok(audit_compact(tree, audit_ticket_leaf(ticket), &out));
	ck_assert_uint_le(out.len, COMPACT_MAX);
	ck_assert_ok(compact_read(buf_slice(&out), &compact));
	ck_assert_ok(compact_verify(&compact, buf_slice(&signer.certificates[0])));
	ck_assert_uint_eq(compact.pos, 1);
	audit_ticket_free(ticket);
	free(leaf);
	end();
}
END_TEST

START_TEST(a_record_is_part_of_the_log_whatever_becomes_of_its_caller)
{
	struct audit_ticket *ticket;
	struct leaf *leaf = malloc(sizeof *leaf);

	start();
	for (int i = 0; i < 50; i++) {
		signer_leaf(leaf, "left alone");
		ck_assert_ok(audit_begin(tree, leaf, &ticket));
		audit_ticket_free(ticket);
	}
	close_log();
	check_log(51, 0);
	free(leaf);
	end();
}
END_TEST

START_TEST(a_leaf_that_cannot_be_encoded_takes_no_index)
{
	struct audit_ticket *ticket;
	struct leaf *leaf = malloc(sizeof *leaf);

	start();
	signer_leaf(leaf, "x");
	leaf->nonce = slice_text("short");
	ck_assert_err(audit_begin(tree, leaf, &ticket), ERR_RANGE);
	ck_assert_ok(signer_record(tree, "y"));
	ck_assert_uint_eq(audit_tree_size(tree), 2);
	free(leaf);
	end();
}
END_TEST

START_TEST(a_new_certificate_signs_from_there_on)
{
	start();
	ck_assert_ok(signer_record(tree, "old"));
	struct audit_key key = signer_key(&signer, ORIGIN);
	ck_assert_ok(audit_tree(audit, ORIGIN, &key, NULL, &tree));
	ck_assert_ok(signer_record(tree, "new"));
	close_log();
	check_log(3, 0);
	open_log();
	ck_assert_ok(audit_tree(audit, ORIGIN, &key, NULL, &tree));
	ck_assert_ok(signer_record(tree, "newer"));
	close_log();
	check_log(4, 0);
	end();
}
END_TEST

START_TEST(a_second_process_finds_the_log_taken)
{
	struct audit *second;

	start();
	ck_assert_err(signer_open(&signer, path, SEGMENT, &recovery, &second), ERR_STATE);
	end();
}
END_TEST

static enum err count_visits(void *context, const char *origin, uint64_t index, struct slice raw,
			     const struct leaf *leaf)
{
	uint64_t *next = context;

	ck_assert_str_eq(origin, ORIGIN);
	ck_assert_uint_eq(index, *next);
	ck_assert_uint_eq(leaf->pos, index);
	ck_assert_uint_gt(raw.left, 0);
	++*next;
	return index == 3 ? failed(ERR_LIMIT, "enough") : OK;
}

START_TEST(a_visitor_sees_each_record_and_may_end_the_walk)
{
	struct auditor_report report;
	uint64_t next = 0;

	start();
	for (int i = 0; i < 6; i++)
		ck_assert_ok(signer_record(tree, "x"));
	close_log();
	ck_assert_err(auditor_verify(path, buf_slice(&signer.ca), count_visits, &next, &report),
		      ERR_LIMIT);
	ck_assert_uint_eq(next, 4);
	end();
}
END_TEST

/* Opens it with these heads in mind; closes it again when that went well. */
static enum err open_anchored(const struct audit_head *heads, size_t n)
{
	struct audit_options options = { .path = path,
					 .signer = signer.signer,
					 .segment_bytes = SEGMENT,
					 .issuer = "assay:appliance:test",
					 .anchored = heads,
					 .anchored_n = n };
	struct audit *opened;
	enum err e = audit_open(&options, &recovery, &opened);

	if (!e)
		audit_close(opened);
	return e;
}

static void shell(const char *format, ...)
{
	char command[512];
	va_list args;

	va_start(args, format);
	vsnprintf(command, sizeof command, format, args);
	va_end(args);
	ck_assert_int_eq(system(command), 0);
}

START_TEST(a_log_behind_what_is_remembered_is_refused_untouched)
{
	struct audit_head *heads;
	size_t n;

	start();
	ck_assert_ok(signer_record(tree, "kept"));
	close_log();
	shell("cp -a %s %s.old", path, path);
	open_log();
	ck_assert_ok(signer_tree(&signer, audit, ORIGIN, &tree));
	ck_assert_ok(signer_record(tree, "lost"));
	ck_assert_ok(audit_heads(audit, &heads, &n));
	ck_assert_uint_eq(n, 1);
	ck_assert_str_eq(heads[0].origin, ORIGIN);
	ck_assert_uint_eq(heads[0].size, 3);
	close_log();
	ck_assert_ok(open_anchored(heads, n));
	heads[0].root[0] ^= 1;
	ck_assert_err(open_anchored(heads, n), ERR_MISMATCH);
	heads[0].root[0] ^= 1;
	shell("mv %s %s.new && cp -a %s.old %s", path, path, path, path);
	ck_assert_err(open_anchored(heads, n), ERR_MISMATCH);
	ck_assert_ptr_nonnull(strstr(err_reason(), "the log has 2 records, there were 3"));
	shell("diff -r %s %s.old", path, path);
	shell("rm -r %s", path);
	ck_assert_err(open_anchored(heads, n), ERR_MISMATCH);
	shell("test ! -e %s && mv %s.new %s", path, path, path);
	ck_assert_ok(open_anchored(heads, n));
	shell("rm -r %s.old", path);
	free(heads);
	end();
}
END_TEST

START_TEST(a_last_record_does_not_wait_for_a_token_that_stays_away)
{
	start();
	ck_assert_ok(signer_record(tree, "x"));
	usleep(60000);
	atomic_store(&signer.failures, 1000000);
	audit_end(audit);
	ck_assert_err(signer_record(tree, "the last"), ERR_IO);
	close_log();
	atomic_store(&signer.failures, 0);
	open_log();
	ck_assert_uint_eq(recovery.unsigned_kept, 1);
	struct audit_key key = signer_key(&signer, ORIGIN);
	ck_assert_ok(audit_tree(audit, ORIGIN, &key, NULL, &tree));
	ck_assert_ok(signer_record(tree, "after"));
	close_log();
	check_log(4, 0);
	end();
}
END_TEST

static void add(TCase *t)
{
	tcase_add_test(t, a_log_behind_what_is_remembered_is_refused_untouched);
	tcase_add_test(t, a_record_comes_back_with_a_receipt_that_verifies);
	tcase_add_test(t, a_tree_of_a_genesis_alone_has_no_signed_head);
	tcase_add_test(t, a_tree_that_must_exist_is_not_made);
	tcase_add_test(t, indices_go_on_after_the_log_is_opened_again);
	tcase_add_test(t, many_producers_have_their_indices_and_receipts);
	tcase_add_test(t, a_batch_over_two_trees_takes_one_signature_each);
	tcase_add_test(t, a_failed_signature_is_tried_again_and_holds_release_back);
	tcase_add_test(t, a_token_that_stays_away_leaves_records_for_the_next_start);
	tcase_add_test(t, a_last_record_does_not_wait_for_a_token_that_stays_away);
	tcase_add_test(t, heads_are_in_the_log_soon_after_the_last_batch);
	tcase_add_test(t, checkpoints_follow_within_seconds_and_at_close);
	tcase_add_test(t, the_compact_proof_fits_and_verifies);
	tcase_add_test(t, a_record_is_part_of_the_log_whatever_becomes_of_its_caller);
	tcase_add_test(t, a_leaf_that_cannot_be_encoded_takes_no_index);
	tcase_add_test(t, a_new_certificate_signs_from_there_on);
	tcase_add_test(t, a_second_process_finds_the_log_taken);
	tcase_add_test(t, a_visitor_sees_each_record_and_may_end_the_walk);
}

int main(void)
{
	return check_run("audit", add);
}

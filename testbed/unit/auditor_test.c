/* The auditor against logs that are made up batch by batch, and against one that is being written. */
#include "testbed/unit/check.h"
#include "testbed/unit/signer.h"

#include <pthread.h>

#include "audit/auditor.h"
#include "audit/frame.h"
#include "audit/receipt.h"
#include "audit/tree.h"

#define ORIGIN "assay.example/test/bank-a/1"
#define OTHER "assay.example/test/bank-b/1"
#define BYTES ((uint64_t)256 << 10)

static struct signer signer;
static char path[64];
static const uint8_t frame_key[FRAME_KEY] = "of whoever made this log up";

/* --- a log by hand --- */

static struct buf file, raw;
static uint64_t sequence, leaves_before;
static uint32_t entries_n, leaves_n;
static uint8_t previous[SHA256_SIZE];
static struct tree tree;

static void put(const struct entry *entry);
static void batch(uint32_t extra);

static void begin(void)
{
	struct segment segment = { .bytes = BYTES };
	uint8_t block[FRAME_BLOCK];

	sequence = leaves_before = 0;
	entries_n = leaves_n = 0;
	memset(previous, 0, sizeof previous);
	signer_start(&signer, NULL);
	signer_folder(path);
	segment_seal(&segment, frame_key, block);
	buf_put(&file, block, sizeof block);
	ck_assert_ptr_nonnull(buf_add(&raw, FRAME_HEADER));
	put(&(struct entry){ .kind = ENTRY_SNAPSHOT });
	batch(0);
}

static void put(const struct entry *entry)
{
	entry_put(&raw, entry);
	entries_n++;
	leaves_n += entry->kind == ENTRY_LEAF;
}

/* The entries so far become a batch, which claims to have @extra more. */
static void batch(uint32_t extra)
{
	struct frame frame = { .sequence = sequence,
			       .first = leaves_before,
			       .count = entries_n + extra };

	memcpy(frame.previous, previous, SHA256_SIZE);
	ck_assert_ok(frame_seal(&frame, frame_key, &raw));
	buf_put_slice(&file, buf_slice(&raw));
	memcpy(previous, frame.hash, SHA256_SIZE);
	sequence++;
	leaves_before += leaves_n;
	entries_n = leaves_n = 0;
	buf_reset(&raw);
	ck_assert_ptr_nonnull(buf_add(&raw, FRAME_HEADER));
}

static void put_tree(uint32_t number, const char *origin, struct slice certificate)
{
	struct entry entry = { .kind = ENTRY_TREE,
			       .tree = number,
			       .origin = slice_text(origin),
			       .certificate = certificate,
			       .ca = buf_slice(&signer.ca) };

	put(&entry);
}

static void put_leaf(uint32_t number, const char *origin, uint64_t index, uint64_t pos)
{
	struct leaf *leaf = malloc(sizeof *leaf);
	CLEANUP(buf) struct buf bytes = BUF_INIT;
	uint8_t hash[SHA256_SIZE];

	signer_leaf(leaf, "by hand");
	leaf->origin = slice_text(origin);
	leaf->pos = pos;
	ck_assert_ok(leaf_encode(leaf, &bytes));
	struct entry entry = {
		.kind = ENTRY_LEAF, .tree = number, .index = index, .leaf = buf_slice(&bytes)
	};
	put(&entry);
	leaf_hash(buf_slice(&bytes), hash);
	ck_assert_ok(tree_append(&tree, hash));
	free(leaf);
}

/* A head of @size leaves signed for @origin, entered as one of @claimed. */
static void put_head(const char *origin, uint64_t size, uint64_t claimed, unsigned long handle)
{
	CLEANUP(receipt_head) struct receipt_head head = RECEIPT_HEAD_INIT;
	CLEANUP(buf) struct buf signature = BUF_INIT;
	struct audit_key key = { .handle = handle,
				 .alg = COSE_ES256,
				 .certificate = buf_slice(&signer.certificates[0]),
				 .chain = buf_slice(&signer.ca),
				 false,
				 0 };
	uint8_t digest[SHA256_SIZE];
	tree_hash root;

	ck_assert_ok(tree_root(&tree, size, root));
	ck_assert_ok(receipt_head_prepare(&head, &key, "issuer", origin, size, root, time(NULL),
					  digest));
	ck_assert_ok(signer_sign(&signer, handle, digest, &signature));
	struct entry entry = { .kind = ENTRY_HEAD,
			       .size = claimed,
			       .root = SLICE(root),
			       .protected = buf_slice(&head.protected),
			       .signature = buf_slice(&signature) };
	put(&entry);
}

static enum err settled; /* what was said about unsigned records */

static void check_verdict(enum err wanted)
{
	struct auditor_report report;
	char name[128];

	snprintf(name, sizeof name, "%s/wal", path);
	ck_assert_int_eq(mkdir(name, 0700), 0);
	snprintf(name, sizeof name, "%s/trees", path);
	ck_assert_int_eq(mkdir(name, 0755), 0);
	snprintf(name, sizeof name, "%s/wal/00000000", path);
	CLEANUP(fd) int fd = open(name, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	ck_assert_ok(io_write_all(fd, buf_slice(&file)));
	ck_assert_int_eq(ftruncate(fd, BYTES), 0);
	ck_assert_err(auditor_verify(path, buf_slice(&signer.ca), NULL, NULL, &report), wanted);
	settled = auditor_settled(&report);
	auditor_report_free(&report);
	buf_free(&file);
	buf_free(&raw);
	tree_free(&tree);
	signer_end(&signer);
	signer_remove(path);
}

/* A tree with its genesis and one record, both committed. */
static void begin_with_two(void)
{
	begin();
	struct audit_key key = signer_key(&signer, ORIGIN);
	put_tree(0, ORIGIN, key.certificate);
	put_leaf(0, ORIGIN, 0, 0);
	batch(0);
	put_leaf(0, ORIGIN, 1, 1);
	batch(0);
}

START_TEST(a_log_made_by_the_rules_passes)
{
	begin_with_two();
	put_head(ORIGIN, 2, 2, SIGNER_KEY);
	batch(0);
	check_verdict(OK);
}
END_TEST

START_TEST(records_added_behind_the_last_head_are_unsigned)
{
	begin_with_two();
	put_head(ORIGIN, 2, 2, SIGNER_KEY);
	batch(0);
	check_verdict(OK);
	ck_assert_err(settled, OK);

	begin_with_two();
	put_head(ORIGIN, 2, 2, SIGNER_KEY);
	batch(0);
	put_leaf(0, ORIGIN, 2, 2);
	batch(0);
	check_verdict(OK);
	ck_assert_err(settled, ERR_CRYPTO);
	ck_assert_ptr_nonnull(strstr(err_reason(), "records 2 to 2 are UNSIGNED"));
}
END_TEST

START_TEST(a_tree_that_was_never_signed_is_unsigned)
{
	begin_with_two();
	check_verdict(OK);
	ck_assert_err(settled, ERR_CRYPTO);
}
END_TEST

START_TEST(a_tree_without_a_head_needs_its_certificate_too)
{
	begin();
	struct audit_key key = signer_key(&signer, OTHER);
	put_tree(0, ORIGIN, key.certificate);
	put_leaf(0, ORIGIN, 0, 0);
	batch(0);
	check_verdict(ERR_CRYPTO);
}
END_TEST

START_TEST(a_tree_without_records_fails)
{
	begin();
	struct audit_key key = signer_key(&signer, ORIGIN);
	put_tree(0, ORIGIN, key.certificate);
	batch(0);
	check_verdict(ERR_MISMATCH);
}
END_TEST

START_TEST(a_head_of_more_than_there_is_fails)
{
	begin_with_two();
	put_head(ORIGIN, 2, 3, SIGNER_KEY);
	batch(0);
	check_verdict(ERR_MISMATCH);
}
END_TEST

START_TEST(a_head_signed_for_another_size_fails)
{
	begin_with_two();
	put_leaf(0, ORIGIN, 2, 2);
	batch(0);
	put_head(ORIGIN, 2, 3, SIGNER_KEY);
	batch(0);
	check_verdict(ERR_MISMATCH);
}
END_TEST

START_TEST(a_head_signed_by_another_key_fails)
{
	begin_with_two();
	put_head(ORIGIN, 2, 2, SIGNER_CA);
	batch(0);
	check_verdict(ERR_CRYPTO);
}
END_TEST

START_TEST(a_head_signed_for_another_log_fails)
{
	begin_with_two();
	put_head(OTHER, 2, 2, SIGNER_KEY);
	batch(0);
	check_verdict(ERR_MISMATCH);
}
END_TEST

START_TEST(two_heads_of_one_size_fail)
{
	begin_with_two();
	put_head(ORIGIN, 2, 2, SIGNER_KEY);
	put_head(ORIGIN, 2, 2, SIGNER_KEY);
	batch(0);
	check_verdict(ERR_MISMATCH);
}
END_TEST

START_TEST(a_certificate_for_another_log_fails)
{
	begin();
	struct audit_key key = signer_key(&signer, OTHER);
	put_tree(0, ORIGIN, key.certificate);
	put_leaf(0, ORIGIN, 0, 0);
	put_leaf(0, ORIGIN, 1, 1);
	batch(0);
	put_head(ORIGIN, 2, 2, SIGNER_KEY);
	batch(0);
	check_verdict(ERR_CRYPTO);
}
END_TEST

START_TEST(a_record_that_was_left_out_fails)
{
	begin_with_two();
	put_leaf(0, ORIGIN, 3, 3);
	batch(0);
	check_verdict(ERR_MISMATCH);
}
END_TEST

START_TEST(a_record_that_names_another_place_fails)
{
	begin_with_two();
	put_leaf(0, ORIGIN, 2, 7);
	batch(0);
	check_verdict(ERR_MISMATCH);
}
END_TEST

START_TEST(a_record_that_names_another_log_fails)
{
	begin_with_two();
	put_leaf(0, OTHER, 2, 2);
	batch(0);
	check_verdict(ERR_MISMATCH);
}
END_TEST

START_TEST(a_batch_that_claims_more_than_it_holds_fails)
{
	begin_with_two();
	put_leaf(0, ORIGIN, 2, 2);
	batch(1);
	check_verdict(ERR_MISMATCH);
}
END_TEST

START_TEST(a_record_of_a_tree_that_does_not_exist_fails)
{
	begin_with_two();
	put_leaf(1, OTHER, 0, 0);
	batch(0);
	check_verdict(ERR_MISMATCH);
}
END_TEST

START_TEST(a_tree_out_of_order_fails)
{
	begin_with_two();
	put_tree(2, OTHER, slice_text("certificate"));
	batch(0);
	check_verdict(ERR_MISMATCH);
}
END_TEST

START_TEST(a_second_tree_of_one_origin_fails)
{
	begin_with_two();
	put_tree(1, ORIGIN, buf_slice(&signer.certificates[0]));
	batch(0);
	check_verdict(ERR_MISMATCH);
}
END_TEST

START_TEST(a_second_snapshot_in_a_segment_fails)
{
	begin_with_two();
	put(&(struct entry){ .kind = ENTRY_SNAPSHOT });
	batch(0);
	check_verdict(ERR_MISMATCH);
}
END_TEST

START_TEST(a_part_of_a_snapshot_in_a_batch_fails)
{
	begin_with_two();
	put_leaf(0, ORIGIN, 2, 2);
	put(&(struct entry){ .kind = ENTRY_STATE, .tree = 1, .origin = slice_text(OTHER) });
	batch(0);
	check_verdict(ERR_MISMATCH);
}
END_TEST

START_TEST(an_entry_that_is_none_fails)
{
	begin_with_two();
	buf_put_text(&raw, "\tnot an entry");
	entries_n = 1;
	batch(0);
	check_verdict(ERR_FORMAT);
}
END_TEST

/* --- a log that is being written --- */

static struct audit_tree *live[2];
static atomic_bool enough;

static void *produce(void *argument)
{
	for (size_t i = (size_t)argument; !atomic_load(&enough); i++) {
		signer_must(signer_record(live[i % 2], "while somebody looks"), "record");
		usleep(1000); /* or a slow auditor has too much to read */
	}
	return NULL;
}

START_TEST(a_live_log_passes_at_any_moment)
{
	struct auditor_report report;
	struct audit_recovery recovery;
	struct audit *audit;
	uint64_t records = 0, rounds = 0;
	pthread_t t[4];

	signer_start(&signer, NULL);
	signer_folder(path);
	ck_assert_ok(signer_open(&signer, path, BYTES, &recovery, &audit));
	ck_assert_ok(signer_tree(&signer, audit, ORIGIN, &live[0]));
	ck_assert_ok(signer_tree(&signer, audit, OTHER, &live[1]));
	for (size_t i = 0; i < 4; i++)
		ck_assert(!pthread_create(&t[i], NULL, produce, (void *)i));
	uint64_t until = io_monotonic_ms() + 1000;
	for (; io_monotonic_ms() < until; rounds++) {
		ck_assert_ok(auditor_verify(path, buf_slice(&signer.ca), NULL, NULL, &report));
		ck_assert_uint_ge(report.records, records);
		records = report.records;
		auditor_report_free(&report);
	}
	atomic_store(&enough, true);
	for (int i = 0; i < 4; i++)
		pthread_join(t[i], NULL);
	audit_close(audit);
	ck_assert_uint_gt(rounds, 0);
	ck_assert_ok(auditor_verify(path, buf_slice(&signer.ca), NULL, NULL, &report));
	ck_assert_uint_ge(report.records, records);
	ck_assert_uint_eq(report.torn_bytes, 0);
	ck_assert_uint_eq(report.trees[0].size, report.trees[0].signed_size);
	auditor_report_free(&report);
	signer_end(&signer);
	signer_remove(path);
}
END_TEST

START_TEST(what_is_no_log_is_said_to_be_none)
{
	struct auditor_report report;

	signer_start(&signer, NULL);
	ck_assert_err(
		auditor_verify("/nonexistent/log", buf_slice(&signer.ca), NULL, NULL, &report),
		ERR_NOT_FOUND);
	signer_end(&signer);
}
END_TEST

static void add(TCase *t)
{
	tcase_add_test(t, records_added_behind_the_last_head_are_unsigned);
	tcase_add_test(t, a_tree_that_was_never_signed_is_unsigned);
	tcase_add_test(t, a_tree_without_a_head_needs_its_certificate_too);
	tcase_add_test(t, a_tree_without_records_fails);
	tcase_add_test(t, a_log_made_by_the_rules_passes);
	tcase_add_test(t, a_head_of_more_than_there_is_fails);
	tcase_add_test(t, a_head_signed_for_another_size_fails);
	tcase_add_test(t, a_head_signed_by_another_key_fails);
	tcase_add_test(t, a_head_signed_for_another_log_fails);
	tcase_add_test(t, two_heads_of_one_size_fail);
	tcase_add_test(t, a_certificate_for_another_log_fails);
	tcase_add_test(t, a_record_that_was_left_out_fails);
	tcase_add_test(t, a_record_that_names_another_place_fails);
	tcase_add_test(t, a_record_that_names_another_log_fails);
	tcase_add_test(t, a_batch_that_claims_more_than_it_holds_fails);
	tcase_add_test(t, a_record_of_a_tree_that_does_not_exist_fails);
	tcase_add_test(t, a_tree_out_of_order_fails);
	tcase_add_test(t, a_second_tree_of_one_origin_fails);
	tcase_add_test(t, an_entry_that_is_none_fails);
	tcase_add_test(t, a_second_snapshot_in_a_segment_fails);
	tcase_add_test(t, a_part_of_a_snapshot_in_a_batch_fails);
	tcase_add_test(t, a_live_log_passes_at_any_moment);
	tcase_add_test(t, what_is_no_log_is_said_to_be_none);
}

int main(void)
{
	return check_run("auditor", add);
}

#include "audit/auditor.h"
#include "audit/cosignature.h"
#include "audit/public.h"
#include "audit/tree.h"
#include "testbed/unit/check.h"
#include "testbed/unit/signer.h"

#define ORIGIN "assay.example/cosigned/1"

static char folder[64];
static struct signer signer;
static struct audit *audit;
static struct audit_tree *tree;

static void start(void)
{
	struct audit_recovery recovery;

	signer_folder(folder);
	signer_start(&signer, NULL);
	ck_assert_ok(signer_open(&signer, folder, 0, &recovery, &audit));
	ck_assert_ok(signer_tree(&signer, audit, ORIGIN, &tree));
}

static void end(void)
{
	audit_close(audit);
	signer_end(&signer);
	signer_remove(folder);
}

/* The published checkpoint, once it is of so many records. */
static void await(uint64_t size, struct buf *raw, struct note *note)
{
	for (int i = 0; i < 2000; i++) {
		buf_reset(raw);
		if (!audit_checkpoint(audit, ORIGIN, raw) && !note_read(buf_slice(raw), note) &&
		    note->size == size)
			return;
		usleep(5000);
	}
	ck_abort_msg("no checkpoint of %llu records", (unsigned long long)size);
}

static void cosign(struct buf *raw, const struct note *note)
{
	CLEANUP(secret) struct secret text = { 0 };
	CLEANUP(cosigner) struct cosigner *witness = NULL;

	ck_assert_ok(cosigner_make(slice_text("w.example/1"), &text));
	ck_assert_ok(cosigner_open(&text, &witness));
	ck_assert_ok(cosigner_sign(witness, note->text, 1764000000, raw));
}

static void read_witnessed(struct buf *out)
{
	char path[80];

	snprintf(path, sizeof path, "%s/trees", folder);
	CLEANUP(fd) int trees = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	enum err e = public_witnessed(trees, ORIGIN, out);
	ck_assert(e == OK || e == ERR_NOT_FOUND);
}

START_TEST(a_running_log_proves_that_it_only_grew)
{
	CLEANUP(buf) struct buf raw = BUF_INIT;
	struct note first, second;
	struct tree_path path;
	tree_hash root;

	start();
	ck_assert_ok(signer_record(tree, "one"));
	await(2, &raw, &first);
	memcpy(root, first.root, sizeof root);
	for (int i = 0; i < 5; i++)
		ck_assert_ok(signer_record(tree, "more"));
	await(7, &raw, &second);
	ck_assert_ok(audit_consistency(audit, ORIGIN, 2, 7, &path));
	ck_assert_ok(tree_check_consistency(2, root, 7, second.root, &path));
	ck_assert_err(audit_consistency(audit, ORIGIN, 2, 8, &path), ERR_RANGE);
	ck_assert_err(audit_consistency(audit, ORIGIN, 0, 7, &path), ERR_RANGE);
	ck_assert_err(audit_consistency(audit, "another", 2, 7, &path), ERR_NOT_FOUND);
	end();
}
END_TEST

START_TEST(cosignatures_go_to_the_checkpoint_that_they_are_of)
{
	CLEANUP(buf) struct buf raw = BUF_INIT, now = BUF_INIT, witnessed = BUF_INIT;
	struct note note, after;

	start();
	ck_assert_ok(signer_record(tree, "one"));
	await(2, &raw, &note);
	cosign(&raw, &note);
	ck_assert_ok(audit_cosigned(audit, ORIGIN, buf_slice(&raw), false));
	await(2, &now, &after);
	ck_assert(slice_equal(buf_slice(&now), buf_slice(&raw)));
	read_witnessed(&witnessed);
	ck_assert_uint_eq(witnessed.len, 0);
	ck_assert_ok(audit_cosigned(audit, ORIGIN, buf_slice(&raw), true));
	read_witnessed(&witnessed);
	ck_assert(slice_equal(buf_slice(&witnessed), buf_slice(&raw)));
	end();
}
END_TEST

/* While a witness was being asked, the log went on. */
START_TEST(a_newer_checkpoint_is_not_replaced_by_a_cosigned_one)
{
	CLEANUP(buf) struct buf raw = BUF_INIT, now = BUF_INIT, witnessed = BUF_INIT;
	struct note note, after;

	start();
	ck_assert_ok(signer_record(tree, "one"));
	await(2, &raw, &note);
	cosign(&raw, &note);
	ck_assert_ok(signer_record(tree, "two"));
	await(3, &now, &after);
	ck_assert_ok(audit_cosigned(audit, ORIGIN, buf_slice(&raw), true));
	await(3, &now, &after);
	ck_assert_uint_eq(after.signatures_n, 1);
	read_witnessed(&witnessed);
	ck_assert(slice_equal(buf_slice(&witnessed), buf_slice(&raw)));
	end();
}
END_TEST

START_TEST(a_log_with_cosignatures_is_opened_and_verified_as_any)
{
	CLEANUP(buf) struct buf raw = BUF_INIT;
	struct auditor_report report = { 0 };
	struct audit_recovery recovery;
	struct note note;

	start();
	ck_assert_ok(signer_record(tree, "one"));
	await(2, &raw, &note);
	cosign(&raw, &note);
	ck_assert_ok(audit_cosigned(audit, ORIGIN, buf_slice(&raw), true));
	audit_close(audit);
	ck_assert_ok(signer_open(&signer, folder, 0, &recovery, &audit));
	ck_assert_uint_eq(recovery.records, 2);
	ck_assert_ok(auditor_verify(folder, buf_slice(&signer.ca), NULL, NULL, &report));
	auditor_report_free(&report);
	end();
}
END_TEST

static void add(TCase *t)
{
	tcase_add_test(t, a_running_log_proves_that_it_only_grew);
	tcase_add_test(t, cosignatures_go_to_the_checkpoint_that_they_are_of);
	tcase_add_test(t, a_newer_checkpoint_is_not_replaced_by_a_cosigned_one);
	tcase_add_test(t, a_log_with_cosignatures_is_opened_and_verified_as_any);
}

int main(void)
{
	return check_run("cosigned", add);
}

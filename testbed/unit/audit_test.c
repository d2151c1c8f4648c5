#include "testbed/unit/check.h"
#include "testbed/unit/signer.h"

#include <pthread.h>

#include "audit/auditor.h"
#include "audit/compact.h"
#include "audit/receipt.h"
#include "audit/proof.h"

#define ORIGIN "assay.example/test/bank-a/1"
#define SEGMENT ((uint64_t)1 << 20)

static struct signer signer;
static char path[64];
static struct audit *audit;
static struct audit_tree *tree;
static struct audit_recovery recovery;

static void start(void)
{
	signer_start(&signer, NULL);
	signer_folder(path);
	ck_assert_ok(signer_open(&signer, path, SEGMENT, &recovery, &audit));
	ck_assert(!recovery.found);
	ck_assert_ok(signer_tree(&signer, audit, ORIGIN, &tree));
}

static void end(void)
{
	audit_close(audit);
	audit = NULL;
	signer_end(&signer);
	signer_remove(path);
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
}

START_TEST(a_record_comes_back_with_a_receipt_that_verifies)
{
	CLEANUP(buf) struct buf receipt = BUF_INIT;
	struct audit_ticket *ticket;
	struct leaf *leaf = malloc(sizeof *leaf);
	struct auditor_report report;

	start();
	signer_leaf(leaf, "one");
	ck_assert_ok(audit_begin(tree, leaf, &ticket));
	ck_assert_uint_eq(leaf->pos, 1);
	ck_assert_ok(audit_finish(ticket, &receipt));
	check_receipt(buf_slice(&receipt), audit_ticket_leaf(ticket), 1);
	ck_assert_uint_eq(audit_tree_size(tree), 2);
	audit_ticket_free(ticket);
	audit_close(audit);
	audit = NULL;
	ck_assert_ok(auditor_verify(path, buf_slice(&signer.ca), NULL, NULL, &report));
	ck_assert_uint_eq(report.records, 2);
	ck_assert_uint_eq(report.trees_n, 1);
	ck_assert_uint_eq(report.trees[0].signed_size, 2);
	auditor_report_free(&report);
	free(leaf);
	end();
}
END_TEST

static void add(TCase *t)
{
	tcase_add_test(t, a_record_comes_back_with_a_receipt_that_verifies);
}

int main(void)
{
	return check_run("audit", add);
}

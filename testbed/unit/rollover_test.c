/* A tree's key is rolled over, and the process is killed in the middle of it: the log opens with
 * whichever key is remembered, goes on with it, and holds. */
#include "testbed/unit/check.h"
#include "testbed/unit/signer.h"

#include <signal.h>
#include <sys/wait.h>

#include "audit/auditor.h"
#include "audit/note.h"
#include "audit/receipt.h"

#define ORIGIN "assay.example/rollover/1"

static struct signer signer;
static char path[64];
static struct audit_key old_key, new_key;
static struct buf new_certificate;

static void setup(void)
{
	uint8_t *point = NULL;

	signer_folder(path);
	signer_start(&signer, NULL);
	old_key = signer_key(&signer, ORIGIN);
	signer.keys[SIGNER_NEXT] = EVP_EC_gen("P-256");
	struct certificate_spec spec = { .name = "the next key",
					 .origin = ORIGIN,
					 .issuer = buf_slice(&signer.ca),
					 .not_before = time(NULL) - 60,
					 .not_after = time(NULL) + 86400 };
	EVP_PKEY_get1_encoded_public_key(signer.keys[SIGNER_NEXT], &point);
	memcpy(spec.point, point, sizeof spec.point);
	OPENSSL_free(point);
	buf_reset(&new_certificate);
	MUST_DO(certificate_make(&spec, &signer.signer, SIGNER_CA, &new_certificate));
	new_key = (struct audit_key){ .handle = SIGNER_NEXT,
				      .alg = COSE_ES256,
				      .certificate = buf_slice(&new_certificate),
				      .chain = buf_slice(&signer.ca),
				      .overlap = true,
				      .former = SIGNER_KEY };
}

static void teardown(void)
{
	signer_end(&signer);
	buf_free(&new_certificate);
	signer_remove(path);
}

#define SEGMENT ((uint64_t)256 << 10)

static struct audit *open_log(void)
{
	struct audit_recovery recovery;
	struct audit *audit;

	MUST_DO(signer_open(&signer, path, SEGMENT, &recovery, &audit));
	return audit;
}

static struct audit_tree *open_tree(struct audit *audit, const struct audit_key *key, bool make)
{
	struct leaf *genesis = malloc(sizeof *genesis);
	struct audit_tree *tree;

	signer_leaf(genesis, "genesis");
	genesis->type = LEAF_OPEN;
	MUST_DO(audit_tree(audit, ORIGIN, key, make ? genesis : NULL, &tree));
	free(genesis);
	return tree;
}

/* One more record, whose receipt must be under this certificate's key. */
static void record_under(struct audit_tree *tree, struct slice certificate)
{
	CLEANUP(audit_ticket) struct audit_ticket *ticket = NULL;
	CLEANUP(buf) struct buf raw = BUF_INIT;
	struct leaf *leaf = malloc(sizeof *leaf);
	struct receipt receipt;
	uint8_t hash[SHA256_SIZE];

	signer_leaf(leaf, "under which key?");
	MUST_DO(audit_begin(tree, leaf, &ticket));
	MUST_DO(audit_finish(ticket, &raw));
	MUST_DO(receipt_read(buf_slice(&raw), &receipt));
	leaf_hash(audit_ticket_leaf(ticket), hash);
	MUST_DO(receipt_verify(&receipt, hash));
	ck_assert(slice_equal(receipt.certificate, certificate));
	MUST_DO(chain_verify(receipt.certificate, &receipt.chain, buf_slice(&signer.ca), ORIGIN,
			     receipt.time));
	free(leaf);
}

/* A record of before, with a receipt of now: under the last head, whichever key signed that. */
static void old_record_holds(struct audit_tree *tree)
{
	CLEANUP(buf) struct buf leaf = BUF_INIT, raw = BUF_INIT;
	struct receipt receipt;
	uint8_t hash[SHA256_SIZE];

	MUST_DO(audit_leaf(tree, 1, &leaf, &raw));
	MUST_DO(receipt_read(buf_slice(&raw), &receipt));
	leaf_hash(buf_slice(&leaf), hash);
	MUST_DO(receipt_verify(&receipt, hash));
}

static void audited(void)
{
	struct auditor_report report;

	ck_assert_ok(auditor_verify(path, buf_slice(&signer.ca), NULL, NULL, &report));
	auditor_report_free(&report);
}

/* By how many keys the newest checkpoint is signed; each of these must have. */
static size_t signatures(struct audit *audit, const struct slice *by, size_t n)
{
	CLEANUP(buf) struct buf raw = BUF_INIT;
	struct note note;

	ck_assert_ok(audit_checkpoint(audit, ORIGIN, &raw));
	ck_assert_ok(note_read(buf_slice(&raw), &note));
	for (size_t i = 0; i < n; i++)
		ck_assert_ok(note_verify(&note, by[i]));
	return note.signatures_n;
}

/* Waits for a checkpoint that one more record makes due. */
static void checkpoint_of(struct audit *audit, struct audit_tree *tree, size_t wanted,
			  const struct slice *by, size_t n)
{
	for (int i = 0; i < 400; i++) {
		CLEANUP(buf) struct buf raw = BUF_INIT;
		struct note note;

		if (!audit_checkpoint(audit, ORIGIN, &raw) && !note_read(buf_slice(&raw), &note) &&
		    note.size == audit_tree_size(tree))
			break;
		usleep(25000);
	}
	ck_assert_uint_eq(signatures(audit, by, n), wanted);
}

/* What is done before the kill: each line does all that those before it do. */
enum step { RECORDED, REMEMBERED, IN_THE_LOG, USED, FINISHED, STEPS };

static void run_until(enum step last)
{
	struct audit *audit = open_log();
	struct audit_tree *tree = open_tree(audit, &old_key, true);

	for (int i = 0; i < 5; i++)
		record_under(tree, old_key.certificate);
	MUST_DO(signer_record(tree, "the next key is ..."));
	if (last >= IN_THE_LOG)
		tree = open_tree(audit, &new_key, false);
	if (last >= USED)
		record_under(tree, new_key.certificate);
	if (last >= FINISHED) {
		struct audit_key alone = new_key;

		alone.overlap = false;
		tree = open_tree(audit, &alone, false);
		record_under(tree, new_key.certificate);
	}
	raise(SIGKILL);
}

START_TEST(a_kill_between_two_steps_of_a_rollover_leaves_one_of_the_two_keys)
{
	enum step last = (enum step)_i;
	struct audit_key now = last >= REMEMBERED ? new_key : old_key;
	int status;
	pid_t pid = fork();

	if (!pid)
		run_until(last);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	now.overlap &= last < FINISHED;
	for (int again = 0; again < 2; again++) {
		struct audit *audit = open_log();
		struct audit_tree *tree = open_tree(audit, &now, false);

		old_record_holds(tree);
		record_under(tree, now.certificate);
		old_record_holds(tree);
		audit_close(audit);
		audited();
	}
}
END_TEST

START_TEST(checkpoints_carry_both_signatures_until_a_rollover_is_finished)
{
	const struct slice both[] = { new_key.certificate, old_key.certificate };
	struct audit_key alone = new_key;
	struct audit *audit = open_log();
	struct audit_tree *tree = open_tree(audit, &old_key, true);

	record_under(tree, old_key.certificate);
	checkpoint_of(audit, tree, 1, both + 1, 1);
	tree = open_tree(audit, &new_key, false);
	record_under(tree, new_key.certificate);
	checkpoint_of(audit, tree, 2, both, 2);
	audited();
	alone.overlap = false;
	tree = open_tree(audit, &alone, false);
	record_under(tree, new_key.certificate);
	checkpoint_of(audit, tree, 1, both, 1);
	audit_close(audit);
	audited();
}
END_TEST

static void records(struct audit_tree *tree, int n, int64_t age)
{
	struct leaf *leaf = malloc(sizeof *leaf);

	for (int i = 0; i < n; i++) {
		signer_leaf(leaf, "one of many");
		leaf->time = time(NULL) - age;
		MUST_DO(audit_record(tree, leaf));
	}
	free(leaf);
}

/* The write-ahead log begins with the new key then, and the tiles with records from before it. */
START_TEST(records_older_than_the_key_of_now_are_no_offence)
{
	struct audit *audit = open_log();
	struct leaf *genesis = malloc(sizeof *genesis);
	struct audit_tree *tree;
	struct auditor_report report;

	signer_leaf(genesis, "genesis");
	genesis->type = LEAF_OPEN;
	genesis->time = time(NULL) - 7200;
	MUST_DO(audit_tree(audit, ORIGIN, &old_key, genesis, &tree));
	free(genesis);
	records(tree, 50, 3600);
	tree = open_tree(audit, &new_key, false);
	records(tree, 200, 0);
	audit_close(audit);
	audit = open_log();
	tree = open_tree(audit, &new_key, false);
	records(tree, 2, 0);
	audit_close(audit);
	ck_assert_ok(auditor_verify(path, buf_slice(&signer.ca), NULL, NULL, &report));
	ck_assert_uint_gt(report.trees[0].logged, 60); /* what was before is in tiles alone */
	auditor_report_free(&report);
}
END_TEST

static void turn(struct audit_tree *tree)
{
	struct leaf *close = malloc(sizeof *close), *genesis = malloc(sizeof *genesis);

	signer_leaf(close, "a shard ends");
	close->type = LEAF_CLOSE;
	signer_leaf(genesis, "a shard begins");
	genesis->type = LEAF_OPEN;
	MUST_DO(audit_turn(tree, close, genesis));
	free(close);
	free(genesis);
}

/* Its last head is signed by a key of long ago, and so it stays. */
START_TEST(a_closed_shard_survives_two_rollovers)
{
	struct audit_key keys[] = { old_key, new_key, old_key };
	struct audit *audit = open_log();
	struct audit_tree *tree = open_tree(audit, &keys[0], true);

	record_under(tree, old_key.certificate);
	turn(tree);
	for (int i = 1; i < 3; i++) {
		tree = open_tree(audit, &keys[i], false);
		record_under(tree, keys[i].certificate);
	}
	audit_close(audit);
	audit = open_log();
	tree = open_tree(audit, &keys[2], false);
	record_under(tree, keys[2].certificate);
	audit_close(audit);
	audited();
}
END_TEST

static void add(TCase *t)
{
	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_loop_test(t, a_kill_between_two_steps_of_a_rollover_leaves_one_of_the_two_keys, 0,
			    STEPS);
	tcase_add_test(t, records_older_than_the_key_of_now_are_no_offence);
	tcase_add_test(t, a_closed_shard_survives_two_rollovers);
	tcase_add_test(t, checkpoints_carry_both_signatures_until_a_rollover_is_finished);
}

int main(void)
{
	return check_run("rollover", add);
}

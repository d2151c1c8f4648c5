/* A log in shards: closed, linked, exported, pruned; and killed in the middle of it. */
#include "testbed/unit/check.h"
#include "testbed/unit/signer.h"

#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>

#include "audit/auditor.h"
#include "audit/public.h"
#include "audit/receipt.h"
#include "audit/shard.h"

#define ORIGIN "assay.example/test/bank-a/1"
#define SECOND ORIGIN "/s2"
#define APPLIANCE "assay.example/test"
#define SMALL ((uint64_t)256 << 10)
#define LARGE ((uint64_t)4 << 20)
#define TURNS 40 /* of one process */
#define KILLS 10

static struct signer signer;
static char path[64];
static uint64_t segment = SMALL;
static struct audit *audit;
static struct audit_tree *tree, *appliance;

static void open_log(void)
{
	struct audit_recovery recovery;

	ck_assert_ok(signer_open(&signer, path, segment, &recovery, &audit));
	ck_assert_ok(signer_tree(&signer, audit, ORIGIN, &tree));
	ck_assert_ok(signer_tree(&signer, audit, APPLIANCE, &appliance));
}

static void reopen(void)
{
	audit_close(audit);
	signer_end(&signer);
	signer.certificates_n = 0;
	char keys[80];
	snprintf(keys, sizeof keys, "%s.keys", path);
	signer_start(&signer, keys);
	open_log();
}

static void start(void)
{
	char keys[80];

	signer_folder(path);
	snprintf(keys, sizeof keys, "%s.keys", path);
	signer_start(&signer, keys);
	open_log();
}

static void end(void)
{
	char keys[80];

	audit_close(audit);
	signer_end(&signer);
	signer_remove(path);
	snprintf(keys, sizeof keys, "%s.keys", path);
	signer_remove(keys);
}

static enum err turn(void)
{
	struct leaf *leaves = calloc(2, sizeof *leaves);

	signer_leaf(&leaves[0], "closed");
	signer_leaf(&leaves[1], "next");
	leaves[1].type = LEAF_OPEN;
	enum err e = audit_turn(tree, &leaves[0], &leaves[1]);
	free(leaves);
	return e;
}

/* Every record of the tree, through its shards. */
static void check_leaves(uint64_t n)
{
	uint64_t before = 0;

	ck_assert_uint_eq(audit_tree_count(tree), n);
	for (uint64_t i = 0; i < n; i++) {
		CLEANUP(buf) struct buf raw = BUF_INIT, receipt = BUF_INIT;
		CLEANUP(leaf) struct leaf *leaf = NULL;

		ck_assert_ok(audit_leaf(tree, i, &raw, &receipt));
		ck_assert_ok(leaf_read(buf_slice(&raw), &leaf));
		ck_assert(leaf->pos == (i ? before + 1 : 0) || (!leaf->pos && i));
		before = leaf->pos;
	}
}

static enum err check(bool copy, struct auditor_report *report)
{
	struct auditor_options options = { .path = path,
					   .ca = buf_slice(&signer.ca),
					   .copy = copy };

	return auditor_run(&options, report);
}

static void check_holds(uint64_t records, size_t trees, size_t pruned)
{
	struct auditor_report report;

	ck_assert_ok(check(false, &report));
	ck_assert_uint_eq(report.records, records);
	ck_assert_uint_eq(report.trees_n, trees);
	ck_assert_uint_eq(report.pruned, pruned);
	auditor_report_free(&report);
}

static void check_refused(const char *why)
{
	struct auditor_report report;

	enum err e = check(false, &report);

	ck_assert_msg(e == ERR_MISMATCH, "%s: %s", err_name(e), err_reason());
	ck_assert_msg(strstr(err_reason(), why), "%s", err_reason());
}

static void folder_of(const char *origin, char out[128])
{
	char name[PUBLIC_NAME];

	public_name(origin, name);
	snprintf(out, 128, "%s/trees/%s", path, name);
}

/* ---- names ---- */

static const struct {
	const char *origin;
	uint32_t number;
	size_t base;
} names[] = {
	{ "a/b", 1, 3 },         { "a/b/s2", 2, 3 },  { "a/b/s10", 10, 3 },
	{ "a/b/s1", 1, 6 },      { "a/b/s02", 1, 7 }, { "a/b/s", 1, 5 },
	{ "a/b/s2/1", 1, 8 },    { "/s2", 1, 3 },     { "s2", 1, 2 },
	{ "a/b/S2", 1, 6 },      { "a/b/s2x", 1, 7 }, { "a/b/s999999", 999999, 3 },
	{ "a/s1000000", 1, 10 }, { "a/s2/s3", 3, 4 }, { "a/b/t2", 1, 6 },
};

START_TEST(records_are_found_through_all_shards)
{
	start();
	for (unsigned shard = 0; shard < 3; shard++) {
		ck_assert_ok(signer_record(tree, "one"));
		ck_assert_ok(signer_record(tree, "another"));
		check_leaves(4 * shard + 3);
		ck_assert_ok(turn());
	}
	check_leaves(13);
	reopen();
	check_leaves(13);
	ck_assert_ok(signer_record(tree, "after it was opened again"));
	check_leaves(14);
	end();
}
END_TEST

START_TEST(an_origin_is_a_shard_or_it_is_not)
{
	size_t base;

	ck_assert_uint_eq(shard_number(slice_text(names[_i].origin), &base), names[_i].number);
	ck_assert_uint_eq(base, names[_i].base);
}
END_TEST

START_TEST(a_certificate_is_for_its_tree_and_for_its_shards_alone)
{
	static const struct {
		const char *origin;
		bool good;
	} cases[] = { { ORIGIN, true },         { SECOND, true },
		      { ORIGIN "/s1", false },  { ORIGIN "/s2/s3", false },
		      { ORIGIN "/s02", false }, { ORIGIN "2", false },
		      { APPLIANCE, false },     { APPLIANCE "/s2", false } };

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		ck_assert(shard_is_of(slice_text(cases[i].origin), slice_text(ORIGIN)) ==
			  cases[i].good);
}
END_TEST

/* ---- turning ---- */

START_TEST(records_go_on_in_the_next_shard)
{
	CLEANUP(buf) struct buf raw = BUF_INIT;
	CLEANUP(audit_ticket) struct audit_ticket *ticket = NULL;
	struct leaf *leaf = malloc(sizeof *leaf);
	struct receipt receipt;
	struct audit_shard shard;
	uint8_t hash[SHA256_SIZE];

	start();
	ck_assert_ok(signer_record(tree, "one"));
	ck_assert_ok(turn());
	signer_leaf(leaf, "two");
	ck_assert_ok(audit_begin(tree, leaf, &ticket));
	ck_assert_ok(audit_finish(ticket, &raw));
	leaf_hash(audit_ticket_leaf(ticket), hash);
	ck_assert_ok(receipt_read(buf_slice(&raw), &receipt));
	ck_assert(slice_is(receipt.origin, SECOND));
	ck_assert_uint_eq(receipt.index, 1);
	ck_assert_ok(receipt_verify(&receipt, hash));
	ck_assert_ok(audit_shard(tree, &shard));
	ck_assert_str_eq(shard.origin, SECOND);
	ck_assert_uint_eq(shard.size, 2);
	check_holds(3 + 2 + 1, 3, 0);
	reopen();
	ck_assert_ok(signer_record(tree, "three"));
	ck_assert_uint_eq(audit_tree_size(tree), 3);
	ck_assert_ok(turn());
	ck_assert_ok(signer_record(tree, "four"));
	reopen();
	check_holds(3 + 4 + 2 + 1, 4, 0);
	free(leaf);
	end();
}
END_TEST

static void *write_some(void *failures)
{
	for (int i = 0; i < 200; i++)
		if (signer_record(tree, "busy"))
			++*(int *)failures;
	return NULL;
}

START_TEST(a_turn_under_load_refuses_nobody)
{
	pthread_t threads[4];
	int failures[4] = { 0 };

	start();
	for (int i = 0; i < 4; i++)
		ck_assert(!pthread_create(&threads[i], NULL, write_some, &failures[i]));
	for (int i = 0; i < 5; i++)
		ck_assert_ok(turn());
	for (int i = 0; i < 4; i++) {
		pthread_join(threads[i], NULL);
		ck_assert_int_eq(failures[i], 0);
	}
	check_holds(1 + 800 + 5 * 2 + 1, 7, 0);
	end();
}
END_TEST

static void remove_folder(const char *origin)
{
	char folder[128], command[512];

	folder_of(origin, folder);
	snprintf(command, sizeof command, "rm -r %s", folder);
	ck_assert_int_eq(system(command), 0);
}

/* Old enough to be in tiles alone. */
static void leave_the_log(void)
{
	for (int i = 0; i < 150; i++)
		ck_assert_ok(signer_record(appliance, "as much as makes new segments"));
	usleep(1200000);
	for (int i = 0; i < 150; i++)
		ck_assert_ok(signer_record(appliance, "as much as makes new segments"));
}

START_TEST(a_shard_that_somebody_removed_is_missed)
{
	start();
	ck_assert_ok(signer_record(tree, "one"));
	ck_assert_ok(turn());
	ck_assert_ok(signer_record(tree, "two"));
	leave_the_log();
	reopen();
	remove_folder(ORIGIN);
	check_refused("gone");
	end();
}
END_TEST

/* Its earlier checkpoint, which was good once, in the place of its last one. */
START_TEST(a_closed_shard_that_was_cut_in_a_copy_is_said_to_be_behind)
{
	struct auditor_report report;
	char folder[128], command[400];

	start();
	ck_assert_ok(signer_record(tree, "one"));
	folder_of(ORIGIN, folder);
	snprintf(command, sizeof command, "%s/checkpoint", folder);
	for (int i = 0; i < 1000 && access(command, F_OK); i++)
		usleep(10000);
	snprintf(command, sizeof command, "cp %s/checkpoint %s/../../kept", folder, folder);
	ck_assert_int_eq(system(command), 0);
	ck_assert_ok(signer_record(tree, "two"));
	ck_assert_ok(turn());
	ck_assert_ok(signer_record(tree, "three"));
	leave_the_log();
	audit_close(audit);
	audit = NULL;
	ck_assert_ok(check(true, &report));
	ck_assert_uint_eq(report.behind, 0);
	auditor_report_free(&report);
	snprintf(command, sizeof command, "cd %s && rm -r checkpoints && mv ../../kept checkpoint",
		 folder);
	ck_assert_int_eq(system(command), 0);
	ck_assert_ok(check(true, &report));
	ck_assert_uint_eq(report.behind, 1);
	for (size_t i = 0; i < report.trees_n; i++)
		if (!strcmp(report.trees[i].origin, ORIGIN))
			ck_assert(report.trees[i].size == 2 && report.trees[i].newest == 4);
	auditor_report_free(&report);
	end();
}
END_TEST

/* ---- pruning ---- */

static struct audit_head head_of(const char *origin)
{
	struct audit_head *heads, found = { 0 };
	size_t n;

	ck_assert_ok(audit_heads(audit, &heads, &n));
	for (size_t i = 0; i < n; i++)
		if (!strcmp(heads[i].origin, origin))
			found = heads[i];
	free(heads);
	return found;
}

static enum err record_pruning(const struct audit_head *head)
{
	struct leaf *leaf = malloc(sizeof *leaf);

	signer_leaf(leaf, "pruned");
	leaf->type = LEAF_MANAGEMENT;
	leaf->shard_origin = slice_text(head->origin);
	leaf->shard_size = head->size;
	memcpy(leaf->shard_root, head->root, SHA256_SIZE);
	enum err e = audit_record(appliance, leaf);
	free(leaf);
	return e;
}

/* The folder must be whole first, which takes the publisher a moment. */
static void await_prunable(const struct audit_head *head)
{
	enum err e = ERR_STATE;

	for (int i = 0; i < 200 && (e = audit_prunable(audit, head)) == ERR_STATE; i++)
		usleep(50000);
	ck_assert_ok(e);
}

static struct audit_head closed_shard(void)
{
	start();
	ck_assert_ok(signer_record(tree, "one"));
	ck_assert_ok(turn());
	ck_assert_ok(signer_record(tree, "two"));
	return head_of(ORIGIN);
}

START_TEST(a_pruned_shard_is_gone_and_the_log_holds)
{
	struct audit_head head = closed_shard();
	char folder[128];

	await_prunable(&head);
	ck_assert_ok(record_pruning(&head));
	ck_assert_ok(audit_prune(audit, &head));
	folder_of(ORIGIN, folder);
	ck_assert_int_ne(access(folder, F_OK), 0);
	check_holds(3 + 2 + 2, 3, 1);
	ck_assert_uint_eq(audit_prune(audit, &head), ERR_NOT_FOUND);
	ck_assert_ok(signer_record(tree, "three"));
	leave_the_log();
	reopen();
	ck_assert_ok(signer_record(tree, "four"));
	struct audit_head again = head_of(ORIGIN);
	ck_assert_uint_eq(again.size, head.size);
	ck_assert_mem_eq(again.root, head.root, SHA256_SIZE);
	check_holds(3 + 4 + 2 + 300, 3, 1);
	end();
}
END_TEST

START_TEST(a_pruning_without_a_record_does_not_hold)
{
	struct audit_head head = closed_shard();

	await_prunable(&head);
	ck_assert_ok(audit_prune(audit, &head));
	check_refused("no record says");
	end();
}
END_TEST

START_TEST(only_a_closed_shard_of_that_size_and_root_is_pruned)
{
	struct audit_head head = closed_shard(), open = head_of(SECOND);

	ck_assert_uint_eq(audit_prunable(audit, &open), ERR_STATE);
	await_prunable(&head);
	head.size--;
	ck_assert_uint_eq(audit_prune(audit, &head), ERR_MISMATCH);
	head.size++;
	head.root[0] ^= 1;
	ck_assert_uint_eq(audit_prune(audit, &head), ERR_MISMATCH);
	check_holds(3 + 2 + 1, 3, 0);
	end();
}
END_TEST

START_TEST(an_anchor_of_before_accepts_what_was_pruned)
{
	struct audit_head head = closed_shard(), early = { .size = 2 };
	struct audit_recovery recovery;

	snprintf(early.origin, sizeof early.origin, ORIGIN);
	await_prunable(&head);
	ck_assert_ok(record_pruning(&head));
	ck_assert_ok(audit_prune(audit, &head));
	leave_the_log();
	audit_close(audit);
	struct audit_head anchored[] = { head, early };
	struct audit_options options = { .path = path,
					 .signer = signer.signer,
					 .segment_bytes = segment,
					 .issuer = "assay:appliance:test",
					 .anchored = anchored,
					 .anchored_n = 2 };
	ck_assert_ok(audit_open(&options, &recovery, &audit));
	audit_close(audit);
	anchored[0].root[0] ^= 1;
	ck_assert_uint_eq(audit_open(&options, &recovery, &audit), ERR_MISMATCH);
	audit = NULL;
	end();
}
END_TEST

/* ---- kill during rotation ---- */

static enum err prune_what_is_closed(void)
{
	struct audit_head *heads;
	size_t n;
	enum err e = audit_heads(audit, &heads, &n);

	for (size_t i = 0; i < n && !e; i++)
		if (!audit_prunable(audit, &heads[i]) && !(e = record_pruning(&heads[i])))
			e = audit_prune(audit, &heads[i]);
	free(heads);
	return e;
}

static void open_again(void)
{
	struct audit_shard shard;

	open_log();
	ck_assert_ok(audit_shard(tree, &shard));
	if (shard.ended)
		ck_assert_ok(turn());
	ck_assert_ok(signer_record(tree, "after a crash"));
}

/* A process of its own; it ends when it is killed. A fast machine would otherwise turn more often than
 * a log has room for. */
static void turn_and_prune(void)
{
	int left = TURNS;

	open_again();
	while (left && !signer_record(tree, "one") && !turn() && !prune_what_is_closed())
		left--;
	while (!left)
		pause();
	(void)fprintf(stderr, "%s\n", err_reason());
	_exit(1);
}

static void kill_after(pid_t pid, unsigned us)
{
	int status;

	usleep(us);
	kill(pid, SIGKILL);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFSIGNALED(status));
}

static void check_after_crash(void)
{
	struct auditor_report report;

	ck_assert_ok(check(false, &report));
	auditor_report_free(&report);
}

START_TEST(kill_during_rotation_and_pruning_loses_nothing)
{
	struct auditor_report report;
	uint32_t random;

	segment = LARGE;
	start();
	audit_close(audit);
	for (int i = 0; i < KILLS; i++) {
		pid_t pid = fork();

		ck_assert_int_ge(pid, 0);
		if (!pid)
			turn_and_prune();
		ck_assert_ok(io_random(&random, sizeof random));
		kill_after(pid, 50000 + random % (i % 4 ? 300000 : 1500000));
		check_after_crash();
	}
	open_again();
	check_after_crash();
	audit_close(audit);
	ck_assert_ok(check(false, &report));
	ck_assert_ok(auditor_settled(&report));
	ck_assert_uint_gt(report.trees_n, 3);
	auditor_report_free(&report);
	audit = NULL;
	end();
}
END_TEST

static void add(TCase *t)
{
	tcase_set_timeout(t, 120);
	tcase_add_test(t, records_are_found_through_all_shards);
	tcase_add_loop_test(t, an_origin_is_a_shard_or_it_is_not, 0, sizeof names / sizeof *names);
	tcase_add_test(t, a_certificate_is_for_its_tree_and_for_its_shards_alone);
	tcase_add_test(t, records_go_on_in_the_next_shard);
	tcase_add_test(t, a_turn_under_load_refuses_nobody);
	tcase_add_test(t, a_shard_that_somebody_removed_is_missed);
	tcase_add_test(t, a_closed_shard_that_was_cut_in_a_copy_is_said_to_be_behind);
	tcase_add_test(t, a_pruned_shard_is_gone_and_the_log_holds);
	tcase_add_test(t, a_pruning_without_a_record_does_not_hold);
	tcase_add_test(t, only_a_closed_shard_of_that_size_and_root_is_pruned);
	tcase_add_test(t, an_anchor_of_before_accepts_what_was_pruned);
	tcase_add_test(t, kill_during_rotation_and_pruning_loses_nothing);
}

int main(void)
{
	return check_run("shard", add);
}

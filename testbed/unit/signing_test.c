/* Several heads are being signed at a time, of one batch and of several: what is released, and when, by a
 * signer that does not answer before the test lets it. */
#include "testbed/unit/check.h"
#include "testbed/unit/signer.h"

#include <pthread.h>

#include "audit/auditor.h"
#include "audit/receipt.h"
#include "audit/state.h"
#include "testbed/crash/shim.h"

#define ORIGIN "assay.example/test/bank-%u/1"
#define FIRST "assay.example/test/bank-0/1"
#define SEGMENT ((uint64_t)256 << 10)
#define TREES 6
#define CALLS 64
#define SLOW_US 20000 /* more than a sync takes */

static struct signer signer;
static char path[64];
static struct audit *audit;
static struct audit_tree *trees[TREES];
static struct audit_key keys[TREES];
static struct leaf leaf;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* guards what follows */
static pthread_cond_t change = PTHREAD_COND_INITIALIZER;
static bool held; /* calls wait until they are let go of */
static unsigned now, most, calls;
static bool let[CALLS], fails[CALLS]; /* by number of the call, since it is held */
static uint8_t digests[CALLS][SHA256_SIZE];

/* Held calls count from 0; checkpoints are signed as ever. */
static enum err slow_sign(void *context, unsigned long handle, const uint8_t digest[SHA256_SIZE],
			  struct buf *signature)
{
	bool fail = false;

	pthread_mutex_lock(&lock);
	if (held && calls < CALLS && !pthread_equal(pthread_self(), audit->publisher)) {
		unsigned mine = calls++;

		memcpy(digests[mine], digest, SHA256_SIZE);
		now++;
		most = now > most ? now : most;
		pthread_cond_broadcast(&change);
		while (held && !let[mine])
			pthread_cond_wait(&change, &lock);
		fail = fails[mine];
		now--;
	}
	bool slow = !held;
	pthread_mutex_unlock(&lock);
	if (slow)
		usleep(SLOW_US);
	return fail ? failed(ERR_GONE, "the token is gone")
		    : signer_sign(context, handle, digest, signature);
}

static void hold(void)
{
	pthread_mutex_lock(&lock);
	held = true;
	now = most = calls = 0;
	memset(let, 0, sizeof let);
	memset(fails, 0, sizeof fails);
	pthread_mutex_unlock(&lock);
}

static void let_go(unsigned call)
{
	pthread_mutex_lock(&lock);
	let[call] = true;
	pthread_cond_broadcast(&change);
	pthread_mutex_unlock(&lock);
}

static void let_all_go(void)
{
	pthread_mutex_lock(&lock);
	held = false;
	pthread_cond_broadcast(&change);
	pthread_mutex_unlock(&lock);
}

static void await_calls(unsigned wanted)
{
	pthread_mutex_lock(&lock);
	while (calls < wanted)
		pthread_cond_wait(&change, &lock);
	pthread_mutex_unlock(&lock);
}

static uint64_t syncs(void)
{
	struct audit_counts counts;

	audit_counts(audit, &counts);
	return counts.syncs;
}

/* Each sync is counted soon after the head's signature was asked for. */
static void await_syncs(uint64_t wanted)
{
	while (syncs() < wanted)
		usleep(1000);
}

static void open_log(void)
{
	struct audit_recovery recovery;

	ck_assert_ok(signer_open(&signer, path, SEGMENT, &recovery, &audit));
	signer_leaf(&leaf, "genesis");
	for (unsigned i = 0; i < TREES; i++) {
		char origin[64];

		snprintf(origin, sizeof origin, ORIGIN, i);
		if (!keys[i].alg)
			keys[i] = signer_key(&signer, origin);
		ck_assert_ok(audit_tree(audit, origin, &keys[i], &leaf, &trees[i]));
	}
}

/* Every tree has two records. */
static void start(unsigned signers)
{
	signer_start(&signer, NULL);
	signer.signers = signers;
	signer.signer.sign = slow_sign;
	signer_folder(path);
	open_log();
	for (unsigned i = 0; i < TREES; i++)
		ck_assert_ok(signer_record(trees[i], "x"));
	usleep(100000); /* their heads are in the log, as a batch of their own */
}

static void check_log(uint64_t records)
{
	struct auditor_report report;

	ck_assert_ok(auditor_verify(path, buf_slice(&signer.ca), NULL, NULL, &report));
	ck_assert_uint_eq(report.records, records);
	ck_assert_ok(auditor_settled(&report));
	auditor_report_free(&report);
}

static void end(uint64_t records)
{
	audit_close(audit);
	check_log(records);
	signer_end(&signer);
	signer_remove(path);
}

static struct audit_ticket *begin(struct audit_tree *tree)
{
	struct audit_ticket *ticket;

	signer_leaf(&leaf, "y");
	ck_assert_ok(audit_begin(tree, &leaf, &ticket));
	return ticket;
}

static void finish(struct audit_ticket *ticket)
{
	CLEANUP(buf) struct buf raw = BUF_INIT;
	struct receipt receipt;
	uint8_t hash[SHA256_SIZE];

	ck_assert_ok(audit_finish(ticket, &raw));
	leaf_hash(audit_ticket_leaf(ticket), hash);
	ck_assert_ok(receipt_read(buf_slice(&raw), &receipt));
	ck_assert_ok(receipt_verify(&receipt, hash));
	audit_ticket_free(ticket);
}

START_TEST(as_many_heads_are_signed_at_a_time_as_there_are_signers)
{
	struct audit_ticket *tickets[TREES];

	start(4);
	hold();
	for (unsigned i = 0; i < TREES; i++)
		tickets[i] = begin(trees[i]);
	await_calls(4);
	usleep(50000);
	ck_assert_uint_eq(calls, 4);
	for (unsigned i = 0; i < 4; i++)
		let_go(i);
	await_calls(TREES);
	let_all_go();
	for (unsigned i = 0; i < TREES; i++)
		finish(tickets[i]);
	ck_assert_uint_eq(most, 4);
	end(3 * TREES);
}
END_TEST

START_TEST(batches_are_released_in_their_order_whichever_is_signed_first)
{
	struct audit_ticket *tickets[3];

	start(4);
	uint64_t before = syncs();
	hold();
	for (unsigned i = 0; i < 3; i++) {
		tickets[i] = begin(trees[0]);
		await_calls(i + 1);
		await_syncs(before + i + 1);
	}
	let_go(2);
	let_go(1);
	usleep(50000);
	ck_assert_uint_eq(audit_tree_size(trees[0]), 2);
	let_go(0);
	for (unsigned i = 0; i < 3; i++)
		finish(tickets[i]);
	ck_assert_uint_eq(audit_tree_size(trees[0]), 5);
	ck_assert_uint_eq(most, 3);
	let_all_go();
	end(2 * TREES + 3);
}
END_TEST

START_TEST(records_gather_while_every_signer_is_at_work)
{
	struct audit_ticket *tickets[12];

	start(2);
	uint64_t before = syncs();
	hold();
	for (unsigned i = 0; i < 12; i++) {
		tickets[i] = begin(trees[0]);
		if (i < 2)
			await_calls(i + 1);
		if (i < 2)
			await_syncs(before + i + 1);
	}
	usleep(50000);
	ck_assert_uint_eq(syncs(), before + 2);
	ck_assert_uint_eq(calls, 2);
	let_go(1); /* what comes second does not make room: memory is bounded */
	usleep(50000);
	ck_assert_uint_eq(syncs(), before + 2);
	let_go(0);
	await_calls(3);
	ck_assert_uint_eq(audit_tree_size(trees[0]), 4);
	let_go(2);
	for (unsigned i = 0; i < 12; i++)
		finish(tickets[i]);
	let_all_go();
	ck_assert_uint_eq(audit_tree_size(trees[0]), 14);
	end(2 * TREES + 12);
}
END_TEST

START_TEST(one_signer_has_one_batch_in_flight)
{
	struct audit_ticket *tickets[3];

	start(1);
	uint64_t before = syncs();
	hold();
	for (unsigned i = 0; i < 3; i++) {
		tickets[i] = begin(trees[0]);
		await_calls(1);
	}
	usleep(50000);
	ck_assert_uint_eq(syncs(), before + 1);
	let_all_go();
	for (unsigned i = 0; i < 3; i++)
		finish(tickets[i]);
	ck_assert_uint_eq(most, 1);
	end(2 * TREES + 3);
}
END_TEST

START_TEST(a_signature_that_fails_is_tried_on_the_same_root_and_holds_back_what_follows)
{
	struct audit_ticket *first, *second;

	start(4);
	uint64_t before = syncs();
	hold();
	first = begin(trees[0]);
	await_calls(1);
	await_syncs(before + 1);
	second = begin(trees[1]);
	await_calls(2);
	fails[0] = fails[2] = true;
	let_go(1);
	let_go(2);
	let_go(0);
	await_calls(4);
	ck_assert_mem_eq(digests[2], digests[0], SHA256_SIZE);
	ck_assert_mem_eq(digests[3], digests[0], SHA256_SIZE);
	ck_assert_mem_ne(digests[1], digests[0], SHA256_SIZE);
	ck_assert_uint_eq(audit_tree_size(trees[0]), 2);
	ck_assert_uint_eq(audit_tree_size(trees[1]), 2);
	let_all_go();
	finish(second);
	ck_assert_uint_eq(audit_tree_size(trees[0]), 3);
	finish(first);
	end(2 * TREES + 2);
}
END_TEST

START_TEST(a_failed_sync_leaves_all_that_is_in_flight_in_doubt)
{
	CLEANUP(buf) struct buf none = BUF_INIT;
	struct audit_ticket *first, *second;

	start(4);
	shim_watch(path);
	uint64_t before = syncs();
	hold();
	first = begin(trees[0]);
	await_calls(1);
	await_syncs(before + 1);
	shim_plan(&(struct shim_plan){ .calls = SHIM_BIT(SHIM_FDATASYNC), .error = EIO });
	second = begin(trees[1]);
	ck_assert_err(audit_finish(second, &none), ERR_IO);
	let_all_go();
	ck_assert_err(audit_finish(first, &none), ERR_IO);
	ck_assert_uint_eq(audit_tree_size(trees[0]), 2);
	ck_assert_uint_eq(none.len, 0);
	ck_assert_err(signer_record(trees[2], "after"), ERR_IO);
	audit_ticket_free(first);
	audit_ticket_free(second);
	audit_close(audit);
	shim_plan(NULL);
	shim_unwatch();
	open_log();
	ck_assert_ok(signer_record(trees[0], "after the restart"));
	end(2 * TREES + 3);
}
END_TEST

static void *give_key(void *key)
{
	struct audit_tree *same;

	MUST_DO(audit_tree(audit, FIRST, key, NULL, &same));
	return NULL;
}

START_TEST(a_new_key_waits_until_heads_of_before_are_in_the_log)
{
	struct audit_key key;
	pthread_t thread;

	start(4);
	key = signer_key(&signer, FIRST);
	uint64_t before = syncs();
	hold();
	struct audit_ticket *first = begin(trees[0]);
	await_calls(1);
	await_syncs(before + 1);
	ck_assert(!pthread_create(&thread, NULL, give_key, &key));
	usleep(50000);
	ck_assert_uint_eq(syncs(), before + 1);
	let_all_go();
	pthread_join(thread, NULL);
	finish(first);
	finish(begin(trees[0]));
	end(2 * TREES + 2);
}
END_TEST

/* Its last frame has the head of a batch before the last: with the older segments gone, nobody has the
 * hashes for that one's root in memory. */
START_TEST(a_log_that_stopped_with_batches_in_flight_is_opened_again_and_again)
{
	struct audit_ticket *tickets[3];
	char copy[80], command[300];

	start(4);
	uint64_t before = syncs();
	hold();
	for (unsigned i = 0; i < 2; i++) {
		tickets[i] = begin(trees[0]);
		await_calls(i + 1);
		await_syncs(before + i + 1);
	}
	let_go(0);
	finish(tickets[0]);
	tickets[2] = begin(trees[0]);
	await_calls(3);
	await_syncs(before + 3);
	snprintf(copy, sizeof copy, "%s.stopped", path);
	snprintf(command, sizeof command, "cp -a %s %s", path, copy);
	ck_assert_int_eq(system(command), 0);
	let_all_go();
	finish(tickets[1]);
	finish(tickets[2]);
	audit_close(audit);
	signer_remove(path);
	ck_assert_int_eq(rename(copy, path), 0);
	for (unsigned round = 0; round < 3; round++) {
		open_log();
		snprintf(command, sizeof command, "test $(ls %s/wal | wc -l) -le %u", path,
			 round ? 2 : 4);
		ck_assert_int_eq(system(command), 0);
		while (audit_tree_size(trees[0]) < 5) /* what nobody had signed */
			usleep(1000);
		audit_close(audit);
		check_log(2 * TREES + 3);
	}
	audit = NULL;
	end(2 * TREES + 3);
}
END_TEST

#define THREADS 8
#define EACH 40

static void *produce(void *tree)
{
	struct leaf *mine = malloc(sizeof *mine);

	for (unsigned i = 0; i < EACH; i++) {
		CLEANUP(audit_ticket) struct audit_ticket *ticket = NULL;
		CLEANUP(buf) struct buf receipt = BUF_INIT;

		signer_leaf(mine, "one of many, long enough for the log to go through segments");
		MUST_DO(audit_begin(tree, mine, &ticket));
		MUST_DO(audit_finish(ticket, &receipt));
	}
	free(mine);
	return NULL;
}

static enum err few_ms_sign(void *context, unsigned long handle, const uint8_t digest[SHA256_SIZE],
			    struct buf *signature)
{
	usleep(3000);
	return signer_sign(context, handle, digest, signature);
}

START_TEST(a_signer_of_a_few_ms_goes_through_segments_and_many_batches)
{
	pthread_t threads[THREADS];
	struct audit_counts counts;

	start(8);
	audit_close(audit);
	signer.signer.sign = few_ms_sign;
	open_log();
	for (unsigned i = 0; i < THREADS; i++)
		ck_assert(!pthread_create(&threads[i], NULL, produce, trees[i % TREES]));
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	audit_counts(audit, &counts);
	ck_assert_uint_eq(counts.records, THREADS * EACH);
	end(2 * TREES + THREADS * EACH);
}
END_TEST

static void add(TCase *t)
{
	tcase_add_test(t, as_many_heads_are_signed_at_a_time_as_there_are_signers);
	tcase_add_test(t, batches_are_released_in_their_order_whichever_is_signed_first);
	tcase_add_test(t, records_gather_while_every_signer_is_at_work);
	tcase_add_test(t, one_signer_has_one_batch_in_flight);
	tcase_add_test(
		t, a_signature_that_fails_is_tried_on_the_same_root_and_holds_back_what_follows);
	tcase_add_test(t, a_failed_sync_leaves_all_that_is_in_flight_in_doubt);
	tcase_add_test(t, a_new_key_waits_until_heads_of_before_are_in_the_log);
	tcase_add_test(t, a_log_that_stopped_with_batches_in_flight_is_opened_again_and_again);
	tcase_add_test(t, a_signer_of_a_few_ms_goes_through_segments_and_many_batches);
}

int main(void)
{
	return check_run("signing", add);
}

#include "testbed/unit/appliance.h"
#include "testbed/unit/check.h"

START_TEST(receipts_of_every_leaf_of_many_sizes_verify)
{
	struct appliance a;

	appliance_init(&a);
	appliance_grow(&a, 1);
	while (a.tree.size < 18) {
		appliance_grow(&a, 1);
		for (uint64_t i = 0; i < a.tree.size; i++) {
			CLEANUP(buf) struct buf raw = BUF_INIT;
			struct receipt r;

			appliance_receipt(&a, APPLIANCE_ORIGIN, i, &raw);
			ck_assert_ok(receipt_read(buf_slice(&raw), &r));
			ck_assert_uint_eq(r.size, a.tree.size);
			ck_assert_uint_eq(r.index, i);
			ck_assert(slice_is(r.origin, APPLIANCE_ORIGIN));
			ck_assert(slice_is(r.issuer, APPLIANCE_NAME));
			ck_assert_ok(receipt_verify(&r, tree_leaf(&a.tree, i)));
			ck_assert_err(receipt_verify(&r, tree_leaf(&a.tree, i ? 0 : 1)),
				      ERR_CRYPTO);
		}
	}
	appliance_free(&a);
}
END_TEST

/* Flips each bit of each byte; the certificates inside are checked by name (x5t) or by whoever
 * holds the CA, so the bytes of the issuer's are left out here. */
START_TEST(no_changed_receipt_verifies)
{
	struct appliance a;
	CLEANUP(buf) struct buf raw = BUF_INIT;
	struct receipt r;

	appliance_init(&a);
	appliance_grow(&a, 7);
	appliance_receipt(&a, APPLIANCE_ORIGIN, 4, &raw);
	ck_assert_ok(receipt_read(buf_slice(&raw), &r));
	size_t from = (size_t)(r.chain.of[0].p - raw.data), to = from + r.chain.of[0].left;
	for (size_t at = 0; at < raw.len; at++) {
		if (at >= from && at < to)
			continue;
		raw.data[at] ^= (uint8_t)(1 << (at & 7));
		if (!receipt_read(buf_slice(&raw), &r) && r.index == 4)
			ck_assert_msg(receipt_verify(&r, tree_leaf(&a.tree, 4)) != OK, "byte %zu",
				      at);
		raw.data[at] ^= (uint8_t)(1 << (at & 7));
	}
	appliance_free(&a);
}
END_TEST

START_TEST(a_cut_or_longer_receipt_is_refused)
{
	struct appliance a;
	CLEANUP(buf) struct buf raw = BUF_INIT;
	struct receipt r;

	appliance_init(&a);
	appliance_grow(&a, 5);
	appliance_receipt(&a, APPLIANCE_ORIGIN, 1, &raw);
	for (size_t n = 0; n < raw.len; n++)
		ck_assert_err(receipt_read(slice_of(raw.data, n), &r), ERR_FORMAT);
	buf_put_u8(&raw, 0);
	ck_assert_err(receipt_read(buf_slice(&raw), &r), ERR_FORMAT);
	appliance_free(&a);
}
END_TEST

START_TEST(the_tree_size_is_signed)
{
	struct appliance a;
	CLEANUP(buf) struct buf raw = BUF_INIT;
	struct receipt r;
	uint8_t proof[] = { 0x83, 7, 4 };

	appliance_init(&a);
	appliance_grow(&a, 7);
	appliance_receipt(&a, APPLIANCE_ORIGIN, 4, &raw);
	uint8_t *at = memmem(raw.data, raw.len, proof, sizeof proof);
	ck_assert_ptr_nonnull(at);
	at[1] = 8;
	ck_assert_err(receipt_read(buf_slice(&raw), &r), ERR_FORMAT);
	appliance_free(&a);
}
END_TEST

START_TEST(a_receipt_carries_a_former_certificate_and_a_time_stamp_and_stays_the_same)
{
	struct appliance a;
	CLEANUP(buf)
	struct buf raw = BUF_INIT, carrying = BUF_INIT, both = BUF_INIT, again = BUF_INIT;
	struct slice former = slice_text("a certificate"), token = slice_text("a token");
	struct receipt r;

	appliance_init(&a);
	appliance_grow(&a, 7);
	appliance_receipt(&a, APPLIANCE_ORIGIN, 4, &raw);
	ck_assert_ok(receipt_carry(buf_slice(&raw), former, &carrying));
	ck_assert_ok(receipt_stamp(buf_slice(&carrying), token, &both));
	ck_assert_ok(receipt_carry(buf_slice(&both), former, &again));
	ck_assert(slice_equal(buf_slice(&both), buf_slice(&again)));
	ck_assert_ok(receipt_read(buf_slice(&both), &r));
	ck_assert(slice_equal(r.former, former) && slice_equal(r.timestamp, token));
	ck_assert_ok(receipt_verify(&r, tree_leaf(&a.tree, 4)));
	ck_assert_err(receipt_carry(buf_slice(&raw), slice_of(NULL, 0), &again), ERR_RANGE);
	appliance_free(&a);
}
END_TEST

START_TEST(a_path_that_does_not_fit_its_tree_is_refused)
{
	struct appliance a;
	CLEANUP(buf) struct buf raw = BUF_INIT;
	struct receipt r;
	uint8_t root[SHA256_SIZE];

	appliance_init(&a);
	appliance_grow(&a, 7);
	appliance_receipt(&a, APPLIANCE_ORIGIN, 4, &raw);
	ck_assert_ok(receipt_read(buf_slice(&raw), &r));
	r.path_n--;
	ck_assert_err(receipt_root(&r, tree_leaf(&a.tree, 4), root), ERR_FORMAT);
	r.path_n++;
	r.path[r.path_n] = r.path[0];
	r.path_n++;
	ck_assert_err(receipt_root(&r, tree_leaf(&a.tree, 4), root), ERR_FORMAT);
	appliance_free(&a);
}
END_TEST

START_TEST(a_head_read_back_is_checked_against_its_log_and_size)
{
	struct appliance a;
	CLEANUP(receipt_head) struct receipt_head head = RECEIPT_HEAD_INIT;
	CLEANUP(buf) struct buf signature = BUF_INIT;
	uint8_t digest[SHA256_SIZE];
	tree_hash root;

	appliance_init(&a);
	appliance_grow(&a, 9);
	ck_assert_ok(tree_root(&a.tree, 9, root));
	ck_assert_ok(receipt_head_prepare(&head, &a.key, APPLIANCE_NAME, APPLIANCE_ORIGIN, 9, root,
					  APPLIANCE_TIME, digest));
	ck_assert_ok(appliance_sign(&a, APPLIANCE_KEY, digest, &signature));
	ck_assert_ok(receipt_head_sign(&head, buf_slice(&signature)));
	struct slice certificate = buf_slice(&a.certificate);
	ck_assert_ok(receipt_head_verify(&head, APPLIANCE_ORIGIN, certificate));
	ck_assert_err(receipt_head_verify(&head, "elsewhere", certificate), ERR_MISMATCH);
	ck_assert_err(receipt_head_verify(&head, APPLIANCE_ORIGIN, buf_slice(&a.ca)), ERR_FORMAT);
	head.size = 10;
	ck_assert_err(receipt_head_verify(&head, APPLIANCE_ORIGIN, certificate), ERR_MISMATCH);
	head.size = 9;
	head.root[0] ^= 1;
	ck_assert_err(receipt_head_verify(&head, APPLIANCE_ORIGIN, certificate), ERR_CRYPTO);
	appliance_free(&a);
}
END_TEST

START_TEST(there_is_no_head_of_one_leaf)
{
	struct appliance a;
	CLEANUP(receipt_head) struct receipt_head head = RECEIPT_HEAD_INIT;
	uint8_t digest[SHA256_SIZE];
	tree_hash root = { 0 };

	appliance_init(&a);
	ck_assert_err(receipt_head_prepare(&head, &a.key, APPLIANCE_NAME, APPLIANCE_ORIGIN, 1, root,
					   APPLIANCE_TIME, digest),
		      ERR_RANGE);
	a.key.alg = -35;
	ck_assert_err(receipt_head_prepare(&head, &a.key, APPLIANCE_NAME, APPLIANCE_ORIGIN, 2, root,
					   APPLIANCE_TIME, digest),
		      ERR_UNSUPPORTED);
	appliance_free(&a);
}
END_TEST

static void add(TCase *t)
{
	tcase_add_test(t, receipts_of_every_leaf_of_many_sizes_verify);
	tcase_add_test(t, no_changed_receipt_verifies);
	tcase_add_test(t, a_cut_or_longer_receipt_is_refused);
	tcase_add_test(t, the_tree_size_is_signed);
	tcase_add_test(t,
		       a_receipt_carries_a_former_certificate_and_a_time_stamp_and_stays_the_same);
	tcase_add_test(t, a_path_that_does_not_fit_its_tree_is_refused);
	tcase_add_test(t, a_head_read_back_is_checked_against_its_log_and_size);
	tcase_add_test(t, there_is_no_head_of_one_leaf);
}

int main(void)
{
	return check_run("receipt", add);
}

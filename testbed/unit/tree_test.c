#include "testbed/unit/check.h"

#include <string.h>

#include "audit/tree.h"

#define SIZES 130

static struct tree tree;
static tree_hash leaves[SIZES];

/* The definition of section 2.1.1, word for word. */
static void naive_root(uint64_t from, uint64_t n, tree_hash out)
{
	tree_hash left, right;
	uint64_t k = 1;

	if (n == 1) {
		memcpy(out, leaves[from], SHA256_SIZE);
		return;
	}
	while (k * 2 < n)
		k *= 2;
	naive_root(from, k, left);
	naive_root(from + k, n - k, right);
	tree_node(left, right, out);
}

static void grow(void)
{
	for (uint64_t i = 0; i < SIZES; i++) {
		sha256_once(slice_of(&i, sizeof i), leaves[i]);
		ck_assert_ok(tree_append(&tree, leaves[i]));
	}
}

START_TEST(roots_are_those_of_the_definition)
{
	tree_hash root, wanted;

	grow();
	for (uint64_t n = 1; n <= SIZES; n++) {
		naive_root(0, n, wanted);
		ck_assert_ok(tree_root(&tree, n, root));
		ck_assert_mem_eq(root, wanted, SHA256_SIZE);
	}
	ck_assert_err(tree_root(&tree, SIZES + 1, root), ERR_RANGE);
	tree_free(&tree);
}
END_TEST

START_TEST(the_root_of_nothing_is_the_hash_of_nothing)
{
	tree_hash root, wanted;

	sha256_once(slice_text(""), wanted);
	ck_assert_ok(tree_root(&tree, 0, root));
	ck_assert_mem_eq(root, wanted, SHA256_SIZE);
}
END_TEST

/* From the test vectors of Certificate Transparency: leaves "", 00, 10, 2021, ... */
START_TEST(published_vectors_give_their_root)
{
	static const struct {
		const char *leaf, *root;
	} rows[] = {
		{ "", "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d" },
		{ "00", "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125" },
		{ "10", "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77" },
		{ "2021", "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7" },
		{ "3031", "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4" },
		{ "40414243", "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef" },
		{ "5051525354555657",
		  "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c" },
		{ "606162636465666768696a6b6c6d6e6f",
		  "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328" },
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		uint8_t raw[17] = { 0 }, wanted[SHA256_SIZE];
		size_t n = strlen(rows[i].leaf) / 2;
		tree_hash hash, root;

		ck_assert_ok(hex_take(rows[i].leaf, raw + 1, n));
		sha256_once(slice_of(raw, n + 1), hash);
		ck_assert_ok(tree_append(&tree, hash));
		ck_assert_ok(hex_take(rows[i].root, wanted, sizeof wanted));
		ck_assert_ok(tree_root(&tree, tree.size, root));
		ck_assert_mem_eq(root, wanted, SHA256_SIZE);
	}
	tree_free(&tree);
}
END_TEST

START_TEST(every_inclusion_path_leads_to_its_root_alone)
{
	struct tree_path path;
	tree_hash root;

	grow();
	for (uint64_t n = 1; n <= SIZES; n++)
		for (uint64_t i = 0; i < n; i++) {
			ck_assert_ok(tree_root(&tree, n, root));
			ck_assert_ok(tree_inclusion(&tree, i, n, &path));
			ck_assert_ok(tree_check_inclusion(leaves[i], i, n, &path, root));
			ck_assert_err(
				tree_check_inclusion(leaves[(i + 1) % SIZES], i, n, &path, root),
				ERR_MISMATCH);
			if (!path.n)
				continue;
			path.hash[path.n - 1][0] ^= 1;
			ck_assert_err(tree_check_inclusion(leaves[i], i, n, &path, root),
				      ERR_MISMATCH);
			path.n--;
			ck_assert_err(tree_check_inclusion(leaves[i], i, n, &path, root),
				      ERR_MISMATCH);
		}
	ck_assert_err(tree_inclusion(&tree, 5, 5, &path), ERR_RANGE);
	tree_free(&tree);
}
END_TEST

START_TEST(every_size_is_consistent_with_every_larger_one)
{
	struct tree_path path;
	tree_hash old, root;

	grow();
	for (uint64_t n = 1; n <= SIZES; n++)
		for (uint64_t m = 1; m <= n; m++) {
			ck_assert_ok(tree_root(&tree, m, old));
			ck_assert_ok(tree_root(&tree, n, root));
			ck_assert_ok(tree_consistency(&tree, m, n, &path));
			ck_assert_ok(tree_check_consistency(m, old, n, root, &path));
			old[0] ^= 1;
			ck_assert_err(tree_check_consistency(m, old, n, root, &path), ERR_MISMATCH);
			old[0] ^= 1;
			root[0] ^= 1;
			ck_assert_err(tree_check_consistency(m, old, n, root, &path), ERR_MISMATCH);
		}
	ck_assert_err(tree_consistency(&tree, 0, 5, &path), ERR_RANGE);
	ck_assert_err(tree_consistency(&tree, 6, 5, &path), ERR_RANGE);
	tree_free(&tree);
}
END_TEST

START_TEST(a_large_tree_keeps_its_leaves)
{
	tree_hash hash, root;
	struct tree_path path;
	const uint64_t size = 100000;

	for (uint64_t i = 0; i < size; i++) {
		sha256_once(slice_of(&i, sizeof i), hash);
		ck_assert_ok(tree_append(&tree, hash));
	}
	ck_assert_ok(tree_root(&tree, size, root));
	for (uint64_t i = 0; i < size; i += 997) {
		sha256_once(slice_of(&i, sizeof i), hash);
		ck_assert_mem_eq(tree_leaf(&tree, i), hash, SHA256_SIZE);
		ck_assert_ok(tree_inclusion(&tree, i, size, &path));
		ck_assert_ok(tree_check_inclusion(hash, i, size, &path, root));
	}
	tree_free(&tree);
}
END_TEST

/* A tree that begins anywhere, from the frontier there, answers as the whole one does. */
static void check_like_whole(struct tree *part, uint64_t base)
{
	struct tree_path path, wanted;
	tree_hash root, right;

	for (uint64_t n = base ? base : 1; n <= SIZES; n++) {
		ck_assert_ok(tree_root(part, n, root));
		ck_assert_ok(tree_root(&tree, n, right));
		ck_assert_mem_eq(root, right, SHA256_SIZE);
		for (uint64_t i = base; i < n; i++) {
			ck_assert_ok(tree_inclusion(part, i, n, &path));
			ck_assert_ok(tree_inclusion(&tree, i, n, &wanted));
			ck_assert_uint_eq(path.n, wanted.n);
			ck_assert_mem_eq(path.hash, wanted.hash, path.n * SHA256_SIZE);
		}
		if (!base)
			continue;
		ck_assert_ok(tree_consistency(part, base, n, &path));
		ck_assert_ok(tree_root(&tree, base, root));
		ck_assert_ok(tree_check_consistency(base, root, n, right, &path));
	}
}

START_TEST(a_tree_that_begins_at_a_frontier_goes_on_like_the_whole_one)
{
	grow();
	for (uint64_t base = 0; base <= SIZES; base++) {
		struct tree part = TREE_INIT;
		struct tree_path frontier;
		tree_hash root;

		ck_assert_ok(tree_frontier(&tree, base, &frontier));
		ck_assert_ok(tree_start(&part, base, &frontier));
		if (base > 2)
			ck_assert_err(tree_root(&part, 1, root), ERR_NOT_FOUND);
		for (uint64_t i = base; i < SIZES; i++)
			ck_assert_ok(tree_append(&part, leaves[i]));
		check_like_whole(&part, base);
		frontier.n++;
		tree_free(&part);
		ck_assert_err(tree_start(&part, base, &frontier), ERR_FORMAT);
	}
	tree_free(&tree);
}
END_TEST

START_TEST(a_tree_that_is_trimmed_goes_on_like_the_whole_one)
{
	struct tree part = TREE_INIT;

	grow();
	for (uint64_t i = 0; i < SIZES; i++) {
		ck_assert_ok(tree_append(&part, leaves[i]));
		if (i % 7 == 3)
			ck_assert_ok(tree_trim(&part, i - i % 5));
	}
	for (uint64_t base = part.base; base <= SIZES; base += 3) {
		ck_assert_ok(tree_trim(&part, base));
		check_like_whole(&part, base);
	}
	ck_assert_err(tree_trim(&part, 1), ERR_RANGE);
	ck_assert_err(tree_trim(&part, SIZES + 1), ERR_RANGE);
	tree_free(&part);
	tree_free(&tree);
}
END_TEST

static void add(TCase *t)
{
	tcase_add_test(t, a_tree_that_begins_at_a_frontier_goes_on_like_the_whole_one);
	tcase_add_test(t, a_tree_that_is_trimmed_goes_on_like_the_whole_one);
	tcase_add_test(t, roots_are_those_of_the_definition);
	tcase_add_test(t, the_root_of_nothing_is_the_hash_of_nothing);
	tcase_add_test(t, published_vectors_give_their_root);
	tcase_add_test(t, every_inclusion_path_leads_to_its_root_alone);
	tcase_add_test(t, every_size_is_consistent_with_every_larger_one);
	tcase_add_test(t, a_large_tree_keeps_its_leaves);
}

int main(void)
{
	return check_run("tree", add);
}

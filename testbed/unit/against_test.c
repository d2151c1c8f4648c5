#include <stdio.h>
#include <string.h>

#include "plugin/cli/audit_against.h"
#include "testbed/unit/check.h"

#define LEAVES 70
#define ORIGIN "assay.example/bank-a/1"

static void leaf_of(uint64_t i, char text[16])
{
	snprintf(text, 16, "leaf %u", (unsigned)i);
}

static void grow(struct tree *tree, uint64_t size)
{
	for (uint64_t i = 0; i < size; i++) {
		char text[16];
		tree_hash hash;

		leaf_of(i, text);
		leaf_hash(slice_text(text), hash);
		ck_assert_ok(tree_append(tree, hash));
	}
}

/* The head of a tree of so many leaves, as a checkpoint has it. */
static void keep(struct against *against, uint64_t size)
{
	struct tree tree = TREE_INIT;
	struct note note = { .origin = slice_text(ORIGIN), .size = size };

	grow(&tree, size);
	ck_assert_ok(tree_root(&tree, size, note.root));
	ck_assert_ok(against_add(against, &note));
	tree_free(&tree);
}

static void tell(struct against *against, uint64_t size, uint64_t changed)
{
	for (uint64_t i = 0; i < size; i++) {
		char text[16];

		leaf_of(i == changed ? i + 1000 : i, text);
		against_record(against, "assay.example/bank-b/1", i, slice_text("another tree's"));
		against_record(against, ORIGIN, i, slice_text(text));
	}
}

START_TEST(every_earlier_size_is_gone_on_from)
{
	CLEANUP(against) struct against against = { 0 };

	for (uint64_t size = 0; size <= LEAVES; size++)
		keep(&against, size);
	tell(&against, LEAVES, LEAVES);
	ck_assert_ok(against_check(&against));
}
END_TEST

START_TEST(a_record_that_was_changed_shows_in_every_later_head)
{
	for (uint64_t size = 1; size <= LEAVES; size++) {
		CLEANUP(against) struct against against = { 0 };

		keep(&against, size);
		tell(&against, LEAVES, (uint64_t)_i);
		ck_assert_err(against_check(&against), size > (uint64_t)_i ? ERR_MISMATCH : OK);
	}
}
END_TEST

START_TEST(a_log_that_is_shorter_or_has_no_such_tree_does_not_go_on)
{
	CLEANUP(against) struct against against = { 0 };

	keep(&against, LEAVES);
	ck_assert_err(against_check(&against), ERR_MISMATCH);
	tell(&against, LEAVES - 1, LEAVES);
	ck_assert_err(against_check(&against), ERR_MISMATCH);
	tell(&against, LEAVES, LEAVES);
	ck_assert_ok(against_check(&against));
}
END_TEST

static void add(TCase *t)
{
	tcase_add_test(t, every_earlier_size_is_gone_on_from);
	tcase_add_loop_test(t, a_record_that_was_changed_shows_in_every_later_head, 0, LEAVES);
	tcase_add_test(t, a_log_that_is_shorter_or_has_no_such_tree_does_not_go_on);
}

int main(void)
{
	return check_run("against", add);
}

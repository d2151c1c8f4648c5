#include "testbed/unit/check.h"

#include <string.h>

#include "audit/tile.h"

static const struct {
	struct tile tile;
	const char *path;
} paths[] = {
	{ { 0, 0, 256 }, "tile/0/000" },
	{ { 0, 0, 1 }, "tile/0/000.p/1" },
	{ { 1, 5, 255 }, "tile/1/005.p/255" },
	{ { 0, 999, 256 }, "tile/0/999" },
	{ { 0, 1000, 256 }, "tile/0/x001/000" },
	{ { 0, 1234067, 256 }, "tile/0/x001/x234/067" },
	{ { TILE_ENTRIES, 1234067, 8 }, "tile/entries/x001/x234/067.p/8" },
	{ { TILE_ENTRIES, 0, 256 }, "tile/entries/000" },
	{ { 4, UINT64_MAX, 255 }, "tile/4/x018/x446/x744/x073/x709/x551/615.p/255" },
};

START_TEST(a_path_is_written_as_the_specification_says_and_read_back)
{
	char path[TILE_PATH_MAX];
	struct tile tile;

	tile_path(&paths[_i].tile, path);
	ck_assert_str_eq(path, paths[_i].path);
	ck_assert_ok(tile_parse_path(path, &tile));
	ck_assert_int_eq(tile.level, paths[_i].tile.level);
	ck_assert_uint_eq(tile.number, paths[_i].tile.number);
	ck_assert_uint_eq(tile.width, paths[_i].tile.width);
}
END_TEST

static const char *const no_paths[] = {
	"",
	"tile",
	"tile/",
	"/tile/0/000",
	"tile/0/",
	"tile/0/00",
	"tile/0/0000",
	"tile/0/1000",
	"tile/0/x000/001",
	"tile/0/x001",
	"tile/0/x001/",
	"tile/0/001/002",
	"tile/00/000",
	"tile/5/000",
	"tile/64/000",
	"tile/-1/000",
	"tile/entries/x/000",
	"tile/0/000.p",
	"tile/0/000.p/",
	"tile/0/000.p/0",
	"tile/0/000.p/01",
	"tile/0/000.p/256",
	"tile/0/000.p/1/",
	"tile/0/000.p/99999999999999999999999",
	"tile/0/../000",
	"tile/0/x018/x446/x744/x073/x709/x551/616", /* one more than fits */
	"tile/0/x018/x446/x744/x073/x709/x551/x615/000",
	"tile/0/x000/x018/x446/x744/x073/x709/x551/x615/x018/x446/000",
};

START_TEST(another_way_to_write_a_path_is_refused)
{
	struct tile tile;

	ck_assert_msg(tile_parse_path(no_paths[_i], &tile) == ERR_FORMAT, "%s", no_paths[_i]);
}
END_TEST

START_TEST(a_level_has_as_many_tiles_as_its_hashes_fill)
{
	struct tile tile;

	ck_assert_uint_eq(tile_count(0, 0), 0);
	ck_assert(!tile_in_tree(0, 0, 0, &tile));
	ck_assert_uint_eq(tile_count(0, 256), 1);
	ck_assert_uint_eq(tile_count(1, 255), 0);
	ck_assert(!tile_in_tree(0, 1, 256, &tile));
	ck_assert_uint_eq(tile_count(TILE_ENTRIES, 257), 2);
	ck_assert(tile_in_tree(TILE_ENTRIES, 1, 257, &tile));
	ck_assert_uint_eq(tile.width, 1);
	ck_assert(tile_in_tree(0, 0, 257, &tile));
	ck_assert_uint_eq(tile.width, 256);
	ck_assert(tile_in_tree(1, 0, 70000, &tile));
	ck_assert_uint_eq(tile.width, 256);
	ck_assert(tile_in_tree(1, 1, 70000, &tile));
	ck_assert_uint_eq(tile.width, 17);
	ck_assert(tile_in_tree(2, 0, 70000, &tile));
	ck_assert_uint_eq(tile.width, 1);
	ck_assert(!tile_in_tree(3, 0, 70000, &tile));
}
END_TEST

#define SIZE 600u
static tree_hash nodes[20][SIZE];

/* Every complete node, level by level, as in a tree of SIZE leaves. */
static void grow(void)
{
	for (uint64_t i = 0; i < SIZE; i++)
		sha256_once(slice_of(&i, sizeof i), nodes[0][i]);
	for (unsigned level = 1; SIZE >> level; level++)
		for (unsigned i = 0; i < SIZE >> level; i++)
			tree_node(nodes[level - 1][2 * i], nodes[level - 1][2 * i + 1],
				  nodes[level][i]);
}

START_TEST(every_complete_node_is_the_root_of_a_span_of_one_tile)
{
	grow();
	for (unsigned level = 0; SIZE >> level; level++) {
		for (unsigned i = 0; i < SIZE >> level; i++) {
			struct tile_span span;
			tree_hash root;

			tile_of_node(level, i, SIZE, &span);
			ck_assert_int_eq(span.tile.level, (int)(level / TILE_HEIGHT));
			ck_assert_uint_le(span.from + span.n, span.tile.width);
			tile_root(&nodes[8 * span.tile.level]
					[TILE_WIDTH * span.tile.number + span.from],
				  span.n, root);
			ck_assert_mem_eq(root, nodes[level][i], SHA256_SIZE);
		}
	}
}
END_TEST

START_TEST(a_bundle_gives_back_the_leaves_that_went_in)
{
	static uint8_t most[TILE_LEAF_MAX + 1];
	CLEANUP(buf) struct buf bundle = BUF_INIT;
	struct slice leaves[TILE_WIDTH], rest, leaf;

	ck_assert_ok(tile_put_leaf(&bundle, slice_text("one")));
	ck_assert_mem_eq(bundle.data, "\0\3one", 5);
	ck_assert_ok(tile_put_leaf(&bundle, slice_of(most, TILE_LEAF_MAX)));
	ck_assert_err(tile_put_leaf(&bundle, SLICE(most)), ERR_RANGE);
	ck_assert_ok(tile_split(buf_slice(&bundle), 2, leaves));
	ck_assert(slice_is(leaves[0], "one"));
	ck_assert_uint_eq(leaves[1].left, TILE_LEAF_MAX);

	rest = buf_slice(&bundle);
	ck_assert_ok(tile_take_leaf(&rest, &leaf));
	ck_assert(slice_is(leaf, "one"));
	rest.left--;
	ck_assert_err(tile_take_leaf(&rest, &leaf), ERR_FORMAT);
}
END_TEST

static const struct {
	const char *why;
	uint8_t in[8];
	size_t n;
	unsigned width;
} refused[] = {
	{ "nothing at all", { 0 }, 0, 1 },
	{ "half a length", { 0 }, 1, 1 },
	{ "one byte short", { 0, 3, 'a', 'b' }, 4, 1 },
	{ "a byte too many", { 0, 1, 'a', 0 }, 4, 1 },
	{ "a leaf too many", { 0, 1, 'a', 0, 1, 'b' }, 6, 1 },
	{ "a leaf too few", { 0, 1, 'a' }, 3, 2 },
	{ "no leaves", { 0 }, 0, 0 },
	{ "more leaves than a tile has", { 0 }, 0, TILE_WIDTH + 1 },
};

START_TEST(a_bundle_of_another_number_of_leaves_is_refused)
{
	struct slice leaves[TILE_WIDTH];

	ck_assert_msg(tile_split(slice_of(refused[_i].in, refused[_i].n), refused[_i].width,
				 leaves) == ERR_FORMAT,
		      "%s", refused[_i].why);
}
END_TEST

static void add(TCase *t)
{
	tcase_add_table(t, a_path_is_written_as_the_specification_says_and_read_back, paths);
	tcase_add_table(t, another_way_to_write_a_path_is_refused, no_paths);
	tcase_add_test(t, a_level_has_as_many_tiles_as_its_hashes_fill);
	tcase_add_test(t, every_complete_node_is_the_root_of_a_span_of_one_tile);
	tcase_add_test(t, a_bundle_gives_back_the_leaves_that_went_in);
	tcase_add_table(t, a_bundle_of_another_number_of_leaves_is_refused, refused);
}

int main(void)
{
	return check_run("tile", add);
}

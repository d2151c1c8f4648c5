#include "audit/past.h"

#include "audit/public.h"
#include "audit/tiles.h"
#include "config/base/io.h"

enum err past_root(int trees, const struct ledger_tree *tree, uint64_t size, tree_hash root)
{
	CLEANUP(fd) int folder = -1;
	enum err e;

	if (size >= tree->tree.base)
		return tree_root(&tree->tree, size, root);
	e = public_folder(trees, tree->origin, false, &folder);
	if (e == ERR_NOT_FOUND)
		return failed(ERR_MISMATCH, "%s: its tiles are gone", tree->origin);
	return e ? e : tiles_root(folder, size, root);
}

/* A ledger's tree, and its tiles for what lies before that. */
struct nodes {
	const struct ledger_tree *tree;
	struct tiles *tiles;
};

static enum err read_node(void *context, unsigned level, uint64_t i, tree_hash out)
{
	const struct nodes *nodes = context;
	enum err e = tree_kept(&nodes->tree->tree, level, i, out);
	struct tree_nodes tiles = tiles_nodes(nodes->tiles);

	return e == ERR_NOT_FOUND ? tiles.read(tiles.context, level, i, out) : e;
}

enum err past_inclusion(int trees, const struct ledger_tree *tree, uint64_t index, uint64_t size,
			struct tree_path *path)
{
	CLEANUP(tiles) struct tiles *tiles = NULL;
	CLEANUP(fd) int folder = -1;
	enum err e;

	if ((e = public_folder(trees, tree->origin, false, &folder)) ||
	    (e = tiles_new(folder, tree->tree.base, &tiles)))
		return e;
	struct nodes nodes = { tree, tiles };
	struct tree_nodes from = { read_node, &nodes };
	return tree_nodes_inclusion(&from, index, size, path);
}

static enum err walk_tree(int trees, struct ledger_tree *tree, ledger_visit *visit, void *context)
{
	CLEANUP(buf) struct buf bundle = BUF_INIT;
	CLEANUP(fd) int folder = -1;
	struct slice leaves[TILE_WIDTH];
	struct tile tile;
	enum err e = public_folder(trees, tree->origin, false, &folder);

	for (uint64_t n = 0; !e && tile_in_tree(TILE_ENTRIES, n, tree->tree.base, &tile); n++) {
		e = tiles_entries(folder, &tile, &bundle, leaves);
		for (unsigned i = 0; i < tile.width && !e; i++) {
			struct entry entry = { .kind = ENTRY_LEAF,
					       .tree = tree->number,
					       .index = n * TILE_WIDTH + i,
					       .leaf = leaves[i] };
			e = visit(context, tree, &entry);
		}
	}
	return e;
}

enum err past_walk(int trees, const struct ledger *ledger, ledger_visit *visit, void *context)
{
	enum err e = OK;

	for (size_t i = 0; i < ledger->n && !e; i++)
		if (ledger->trees[i]->tree.base)
			e = walk_tree(trees, ledger->trees[i], visit, context);
	return e;
}

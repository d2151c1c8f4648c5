/* tile.h - where C2SP tlog-tiles puts the hashes and the leaves of a tree. Pure arithmetic, no I/O.
 *
 *   tile/<L>/<N>[.p/<W>]         256 hashes of 32 bytes: the nodes of height 8 * L, from the left
 *   tile/entries/<N>[.p/<W>]     the 256 leaves below hash tile 0/<N>, each behind its length
 *
 * <N> is written in groups of three digits, all but the last behind an "x": x001/x234/067. A tile
 * with fewer than 256 entries is partial and carries its width W; it never changes either, and is
 * superseded by a wider one. A node whose children are not all there is in no tile.
 */
#ifndef AUDIT_TILE_H
#define AUDIT_TILE_H

#include "audit/tree.h"

#define TILE_HEIGHT 8
#define TILE_WIDTH 256
#define TILE_LEVELS 5   /* of hash tiles: enough for TREE_LEVELS */
#define TILE_ENTRIES -1 /* in place of a level */
#define TILE_PATH_MAX 64
#define TILE_BYTES (TILE_WIDTH * SHA256_SIZE)
#define TILE_LEAF_MAX 65535
#define TILE_ENTRIES_MAX (TILE_WIDTH * (2 + TILE_LEAF_MAX))

struct tile {
	int level; /* 0 to TILE_LEVELS - 1, or TILE_ENTRIES */
	uint64_t number;
	unsigned width; /* 1 to 256 */
};

/* Below the tree's own folder, without a leading slash. */
void tile_path(const struct tile *tile, char path[TILE_PATH_MAX]);
/* ERR_FORMAT for anything that tile_path would not write. */
MUST enum err tile_parse_path(const char *path, struct tile *out);

/* Tile @number of a level, as wide as it is in a tree of @size leaves; false when it has none. */
bool tile_in_tree(int level, uint64_t number, uint64_t size, struct tile *out);
/* How many tiles a level has, a partial one included. */
uint64_t tile_count(int level, uint64_t size);

/* The tile that the tree's node @i of height @level is made from, and which of its hashes: @n of
 * them (a power of two), from @from on. The node must be complete in a tree of @size leaves. */
struct tile_span {
	struct tile tile;
	unsigned from, n;
};
void tile_of_node(unsigned level, uint64_t i, uint64_t size, struct tile_span *out);
/* The root of @n hashes, a power of two. */
void tile_root(const tree_hash *hashes, unsigned n, tree_hash out);

/* Appends one leaf to a bundle of entries; ERR_RANGE over TILE_LEAF_MAX. */
MUST enum err tile_put_leaf(struct buf *bundle, struct slice leaf);
/* Takes one leaf from the front of a bundle. ERR_FORMAT: cut short. */
MUST enum err tile_take_leaf(struct slice *bundle, struct slice *leaf);
/* Takes a whole bundle apart: ERR_FORMAT unless it holds exactly @width leaves. */
MUST enum err tile_split(struct slice bundle, unsigned width, struct slice leaves[TILE_WIDTH]);

#endif

/* tiles.h - reads a tree's tiles (tile.h) from its public folder. What is read is a claim: roots and
 * paths made from it must lead to a root that somebody signed.
 *
 * A partial tile that is gone is taken from a wider one. ERR_MISMATCH: a tile that a tree of that size
 * must have is missing, or has another length. Any thread; a struct tiles belongs to one.
 */
#ifndef AUDIT_TILES_H
#define AUDIT_TILES_H

#include "audit/tile.h"

/* Reads the first tile->width hashes of a tile. */
MUST enum err tiles_hashes(int folder, const struct tile *tile, tree_hash out[TILE_WIDTH]);
/* Reads a tile of entries, and takes it apart into its first tile->width leaves, which point into
 * @bundle. */
MUST enum err tiles_entries(int folder, const struct tile *tile, struct buf *bundle,
			    struct slice leaves[TILE_WIDTH]);

/* The tiles of a tree of @size leaves, as nodes for proofs: a few tiles for each. */
struct tiles {
	int folder; /* the caller's */
	uint64_t size;
	struct {
		struct tile tile; /* width 0: none yet */
		tree_hash hash[TILE_WIDTH];
	} last[TILE_LEVELS];
};
MUST enum err tiles_new(int folder, uint64_t size, struct tiles **out);
void tiles_cleanup(struct tiles **tiles);
struct tree_nodes tiles_nodes(struct tiles *tiles);

/* The root of the first @size leaves. */
MUST enum err tiles_root(int folder, uint64_t size, tree_hash root);
/* Of how many leaves, of @size at most, is there all that makes a tree of so many? Looks for names
 * alone. */
uint64_t tiles_reach(int folder, uint64_t size);
/* Appends the bytes of one leaf; index < size. */
MUST enum err tiles_leaf(int folder, uint64_t index, uint64_t size, struct buf *leaf);

#endif

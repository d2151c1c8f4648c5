/* tree.h - the Merkle tree of RFC 9162 section 2.1 over SHA-256 leaf hashes, and its proofs. Pure.
 *
 * Keeps the hash of every complete subtree from its base on: 64 bytes for each leaf, all told. What
 * lies before the base is gone but for the frontier, the roots of the complete subtrees that end
 * there; so sizes before the base are ERR_NOT_FOUND, and can be had from tiles (tiles.h).
 *
 * One thread appends; a hash once stored doesn't move until tree_trim(), so any number of threads may
 * meanwhile ask about a size that they learned of through a lock, and need none for the asking.
 *
 * A size of 0 is legal for a root only: SHA-256 of nothing.
 */
#ifndef AUDIT_TREE_H
#define AUDIT_TREE_H

#include "config/base/bytes.h"
#include "config/base/sha256.h"

#define TREE_LEVELS 40 /* 2^39 leaves and more than any memory holds */
#define TREE_CHUNKS 34
#define TREE_CONSISTENCY_MAX 64

typedef uint8_t tree_hash[SHA256_SIZE];

/* Hashes of the complete subtrees of one height; chunk c holds 64 * 2^c of them. */
struct tree_level {
	tree_hash *chunk[TREE_CHUNKS];
};

struct tree {
	struct tree_level levels[TREE_LEVELS];
	uint64_t base; /* changed by tree_start and tree_trim alone */
	uint64_t size; /* owned by the thread that appends */
};
#define TREE_INIT ((struct tree){ 0 })

struct tree_path {
	tree_hash hash[TREE_CONSISTENCY_MAX];
	size_t n;
};

/* Where proofs take the nodes of a tree from: node @i of height @level, complete in the tree asked
 * about, to @out. */
struct tree_nodes {
	enum err (*read)(void *context, unsigned level, uint64_t i, tree_hash out);
	void *context;
};
/* As tree_root, tree_inclusion and tree_consistency below. */
MUST enum err tree_nodes_root(const struct tree_nodes *nodes, uint64_t size, tree_hash root);
MUST enum err tree_nodes_inclusion(const struct tree_nodes *nodes, uint64_t index, uint64_t size,
				   struct tree_path *path);
MUST enum err tree_nodes_consistency(const struct tree_nodes *nodes, uint64_t old, uint64_t size,
				     struct tree_path *path);

/* Begins an empty tree with @size leaves that are not there, but for their frontier, from the left.
 * ERR_FORMAT when it has not the one length that fits. */
MUST enum err tree_start(struct tree *tree, uint64_t size, const struct tree_path *frontier);
/* The frontier of the first @size leaves, base <= size. */
MUST enum err tree_frontier(const struct tree *tree, uint64_t size, struct tree_path *frontier);
/* Drops what lies before @base, which is in between base and size. Nobody else may be reading.
 * ERR_MEMORY leaves the tree as it was. */
MUST enum err tree_trim(struct tree *tree, uint64_t base);
/* A node, if it is kept: ERR_NOT_FOUND, silently, for one before the base. */
enum err tree_kept(const struct tree *tree, unsigned level, uint64_t i, tree_hash out);

/* ERR_MEMORY leaves the tree as it was. */
MUST enum err tree_append(struct tree *tree, const tree_hash leaf);
/* The hash of leaf @index, which must be in the tree and not before its base. */
const uint8_t *tree_leaf(const struct tree *tree, uint64_t index);
/* The root of the first @size leaves; ERR_RANGE when there are fewer. */
MUST enum err tree_root(const struct tree *tree, uint64_t size, tree_hash root);
/* From the leaf's sibling upwards (section 2.1.3.1); ERR_RANGE unless index < size. */
MUST enum err tree_inclusion(const struct tree *tree, uint64_t index, uint64_t size,
			     struct tree_path *path);
/* Section 2.1.4.1; empty when old is size. ERR_RANGE unless 0 < old <= size. */
MUST enum err tree_consistency(const struct tree *tree, uint64_t old, uint64_t size,
			       struct tree_path *path);
void tree_free(struct tree *tree);

/* The root to which a path leads from a leaf, section 2.1.3.2; index < size. ERR_FORMAT when the
 * path's length does not fit. @out may be @leaf. */
MUST enum err tree_fold(const tree_hash leaf, uint64_t index, uint64_t size,
			const struct tree_path *path, tree_hash out);
/* The two verifications of sections 2.1.3.2 and 2.1.4.2, without a tree: ERR_MISMATCH when the
 * path does not lead to the root. */
MUST enum err tree_check_inclusion(const tree_hash leaf, uint64_t index, uint64_t size,
				   const struct tree_path *path, const tree_hash root);
MUST enum err tree_check_consistency(uint64_t old, const tree_hash old_root, uint64_t size,
				     const tree_hash root, const struct tree_path *path);

/* SHA-256(0x01 || left || right); @out may be either of them. */
void tree_node(const tree_hash left, const tree_hash right, tree_hash out);

#endif

#include "audit/tree.h"

#include <stdlib.h>
#include <string.h>

#define CHUNK_FIRST 64 /* hashes in a level's first chunk; each further one holds twice as many */

void tree_node(const tree_hash left, const tree_hash right, tree_hash out)
{
	struct sha256 h;

	sha256_init(&h);
	sha256_add(&h, "\1", 1);
	sha256_add(&h, left, SHA256_SIZE);
	sha256_add(&h, right, SHA256_SIZE);
	sha256_end(&h, out);
}

/* Where the hash number @i of a level lives: chunk and place in it. */
static unsigned chunk_of(uint64_t i, uint64_t *place)
{
	unsigned c = 63 - (unsigned)__builtin_clzll(i / CHUNK_FIRST + 1);

	*place = i - CHUNK_FIRST * ((1ull << c) - 1);
	return c;
}

/* The first node that a level keeps: left of the base, the frontier's if it has one there. */
static uint64_t first_of(uint64_t base, unsigned level)
{
	return (base >> level) & ~1ull;
}

static uint8_t *node_at(const struct tree *tree, unsigned level, uint64_t i)
{
	uint64_t place;
	unsigned c = chunk_of(i - first_of(tree->base, level), &place);

	return tree->levels[level].chunk[c][place];
}

static enum err node_room(struct tree *tree, unsigned level, uint64_t i)
{
	uint64_t place;

	if (level >= TREE_LEVELS)
		return failed(ERR_RANGE, "a tree of so many leaves is not supported");
	unsigned c = chunk_of(i - first_of(tree->base, level), &place);
	if (c >= TREE_CHUNKS)
		return failed(ERR_RANGE, "a tree of so many leaves is not supported");
	if (!tree->levels[level].chunk[c])
		tree->levels[level].chunk[c] = malloc((CHUNK_FIRST << c) * sizeof(tree_hash));
	return tree->levels[level].chunk[c] ? OK : failed(ERR_MEMORY, "a tree's hashes");
}

enum err tree_append(struct tree *tree, const tree_hash leaf)
{
	uint64_t i = tree->size;
	enum err e;

	/* Memory first, so that nothing can fail halfway up. */
	for (unsigned level = 0;; level++) {
		if ((e = node_room(tree, level, i >> level)))
			return e;
		if (!((i >> level) & 1))
			break;
	}
	memcpy(node_at(tree, 0, i), leaf, SHA256_SIZE);
	for (unsigned level = 0; (i >> level) & 1; level++) {
		uint64_t right = i >> level;

		tree_node(node_at(tree, level, right - 1), node_at(tree, level, right),
			  node_at(tree, level + 1, right / 2));
	}
	tree->size++;
	return OK;
}

const uint8_t *tree_leaf(const struct tree *tree, uint64_t index)
{
	return node_at(tree, 0, index);
}

/* The largest power of two below @n, which is at least 2: where section 2.1.1 splits. */
static unsigned split_level(uint64_t n)
{
	return 63 - (unsigned)__builtin_clzll(n - 1);
}

static enum err node_of(const struct tree_nodes *nodes, unsigned level, uint64_t from,
			tree_hash out)
{
	return nodes->read(nodes->context, level, from >> level, out);
}

/* MTH of leaves [from, from + n), n > 0: complete subtrees from the left, folded from the right.
 * @from is a multiple of the largest power of two that is not over n. */
static enum err range_root(const struct tree_nodes *nodes, uint64_t from, uint64_t n, tree_hash out)
{
	unsigned level = (unsigned)__builtin_ctzll(n);
	uint64_t end = from + n - (1ull << level);
	enum err e = node_of(nodes, level, end, out);

	for (n &= n - 1; n && !e; n &= n - 1) {
		tree_hash left;

		level = (unsigned)__builtin_ctzll(n);
		end -= 1ull << level;
		if (!(e = node_of(nodes, level, end, left)))
			tree_node(left, out, out);
	}
	return e;
}

enum err tree_kept(const struct tree *tree, unsigned level, uint64_t i, tree_hash out)
{
	if (level >= TREE_LEVELS || i < first_of(tree->base, level))
		return ERR_NOT_FOUND;
	memcpy(out, node_at(tree, level, i), SHA256_SIZE);
	return OK;
}

static enum err read_kept(void *context, unsigned level, uint64_t i, tree_hash out)
{
	enum err e = tree_kept(context, level, i, out);

	return e ? failed(e, "a part of the tree that is not kept in memory") : OK;
}

static struct tree_nodes kept(const struct tree *tree)
{
	return (struct tree_nodes){ read_kept, (void *)(uintptr_t)tree };
}

enum err tree_nodes_root(const struct tree_nodes *nodes, uint64_t size, tree_hash root)
{
	if (size)
		return range_root(nodes, 0, size, root);
	sha256_once(slice_text(""), root);
	return OK;
}

enum err tree_root(const struct tree *tree, uint64_t size, tree_hash root)
{
	struct tree_nodes nodes = kept(tree);

	if (size > tree->size)
		return failed(ERR_RANGE, "the tree has fewer leaves than %llu",
			      (unsigned long long)size);
	return tree_nodes_root(&nodes, size, root);
}

static void path_reverse(struct tree_path *path)
{
	for (size_t i = 0; i < path->n / 2; i++) {
		tree_hash swap;

		memcpy(swap, path->hash[i], SHA256_SIZE);
		memcpy(path->hash[i], path->hash[path->n - 1 - i], SHA256_SIZE);
		memcpy(path->hash[path->n - 1 - i], swap, SHA256_SIZE);
	}
}

enum err tree_nodes_inclusion(const struct tree_nodes *nodes, uint64_t index, uint64_t size,
			      struct tree_path *path)
{
	uint64_t from = 0, n = size;
	enum err e = OK;

	/* Readers rely on what they know of the size: tree->size belongs to another thread. */
	if (index >= size)
		return failed(ERR_RANGE, "no leaf %llu in a tree of %llu",
			      (unsigned long long)index, (unsigned long long)size);
	path->n = 0;
	while (n > 1 && !e) {
		uint64_t k = 1ull << split_level(n);

		if (index < from + k) {
			e = range_root(nodes, from + k, n - k, path->hash[path->n++]);
			n = k;
		} else {
			e = range_root(nodes, from, k, path->hash[path->n++]);
			from += k;
			n -= k;
		}
	}
	path_reverse(path);
	return e;
}

enum err tree_inclusion(const struct tree *tree, uint64_t index, uint64_t size,
			struct tree_path *path)
{
	struct tree_nodes nodes = kept(tree);

	return tree_nodes_inclusion(&nodes, index, size, path);
}

enum err tree_nodes_consistency(const struct tree_nodes *nodes, uint64_t old, uint64_t size,
				struct tree_path *path)
{
	uint64_t from = 0, n = size, m = old;
	enum err e = OK;
	bool whole = true; /* is the old tree's part a subtree whose root the verifier has? */

	if (!old || old > size)
		return failed(ERR_RANGE, "no consistency of %llu with %llu",
			      (unsigned long long)old, (unsigned long long)size);
	path->n = 0;
	while (m != n && !e) {
		uint64_t k = 1ull << split_level(n);

		if (m <= k) {
			e = range_root(nodes, from + k, n - k, path->hash[path->n++]);
			n = k;
		} else {
			e = range_root(nodes, from, k, path->hash[path->n++]);
			from += k;
			n -= k;
			m -= k;
			whole = false;
		}
	}
	if (!whole && !e)
		e = range_root(nodes, from, n, path->hash[path->n++]);
	path_reverse(path);
	return e;
}

enum err tree_consistency(const struct tree *tree, uint64_t old, uint64_t size,
			  struct tree_path *path)
{
	struct tree_nodes nodes = kept(tree);

	return tree_nodes_consistency(&nodes, old, size, path);
}

enum err tree_start(struct tree *tree, uint64_t size, const struct tree_path *frontier)
{
	struct tree fresh = { .base = size, .size = size };
	size_t n = 0;

	if (size >> (TREE_LEVELS - 1) || frontier->n != (size_t)__builtin_popcountll(size))
		return failed(ERR_FORMAT, "a frontier that does not fit its tree");
	for (unsigned level = TREE_LEVELS; level--;) {
		uint64_t i = first_of(size, level);
		enum err e;

		if (!((size >> level) & 1))
			continue;
		if ((e = node_room(&fresh, level, i))) {
			tree_free(&fresh);
			return e;
		}
		memcpy(node_at(&fresh, level, i), frontier->hash[n++], SHA256_SIZE);
	}
	*tree = fresh;
	return OK;
}

enum err tree_frontier(const struct tree *tree, uint64_t size, struct tree_path *frontier)
{
	struct tree_nodes nodes = kept(tree);
	enum err e = OK;

	if (size > tree->size)
		return failed(ERR_RANGE, "the tree has fewer leaves than %llu",
			      (unsigned long long)size);
	frontier->n = 0;
	for (unsigned level = TREE_LEVELS; level-- && !e;)
		if ((size >> level) & 1)
			e = nodes.read(nodes.context, level, first_of(size, level),
				       frontier->hash[frontier->n++]);
	return e;
}

/* The nodes of one level that have a place behind the new base too. */
static enum err keep_level(const struct tree *tree, unsigned level, struct tree *fresh)
{
	for (uint64_t i = first_of(fresh->base, level); i < tree->size >> level; i++) {
		enum err e = node_room(fresh, level, i);

		if (e)
			return e;
		memcpy(node_at(fresh, level, i), node_at(tree, level, i), SHA256_SIZE);
	}
	return OK;
}

enum err tree_trim(struct tree *tree, uint64_t base)
{
	struct tree fresh = { .base = base, .size = tree->size };

	if (base < tree->base || base > tree->size)
		return failed(ERR_RANGE, "a base outside of the tree");
	for (unsigned level = 0; level < TREE_LEVELS; level++) {
		enum err e = keep_level(tree, level, &fresh);

		if (e) {
			tree_free(&fresh);
			return e;
		}
	}
	tree_free(tree);
	*tree = fresh;
	return OK;
}

void tree_free(struct tree *tree)
{
	for (size_t level = 0; level < TREE_LEVELS; level++)
		for (size_t c = 0; c < TREE_CHUNKS; c++)
			free(tree->levels[level].chunk[c]);
	*tree = TREE_INIT;
}

/* With the section's names. */
enum err tree_fold(const tree_hash leaf, uint64_t index, uint64_t size,
		   const struct tree_path *path, tree_hash out)
{
	uint64_t fn = index, sn = size - 1;
	tree_hash r;

	memcpy(r, leaf, SHA256_SIZE);
	for (size_t i = 0; i < path->n; i++) {
		if (!sn)
			return failed(ERR_FORMAT, "the path is too long for its tree");
		if ((fn & 1) || fn == sn) {
			tree_node(path->hash[i], r, r);
			for (; !(fn & 1) && fn; fn >>= 1)
				sn >>= 1;
		} else {
			tree_node(r, path->hash[i], r);
		}
		fn >>= 1;
		sn >>= 1;
	}
	if (sn)
		return failed(ERR_FORMAT, "the path is too short for its tree");
	memcpy(out, r, SHA256_SIZE);
	return OK;
}

enum err tree_check_inclusion(const tree_hash leaf, uint64_t index, uint64_t size,
			      const struct tree_path *path, const tree_hash root)
{
	tree_hash found;

	if (index >= size)
		return failed(ERR_MISMATCH, "an index beyond the tree's size");
	if (tree_fold(leaf, index, size, path, found) || memcmp(found, root, SHA256_SIZE))
		return failed(ERR_MISMATCH, "the inclusion path does not lead to the root");
	return OK;
}

enum err tree_check_consistency(uint64_t old, const tree_hash old_root, uint64_t size,
				const tree_hash root, const struct tree_path *path)
{
	const uint8_t *first = path->hash[0];
	uint64_t fn = old - 1, sn = size - 1;
	size_t i = 1;
	tree_hash fr, sr;

	if (!old || old > size || (old == size) != !path->n)
		return failed(ERR_MISMATCH, "a consistency path of the wrong length");
	if (old == size)
		return memcmp(old_root, root, SHA256_SIZE)
			       ? failed(ERR_MISMATCH, "two roots for one size")
			       : OK;
	if (!(old & (old - 1))) {
		first = old_root;
		i = 0;
	}
	for (; fn & 1; fn >>= 1)
		sn >>= 1;
	memcpy(fr, first, SHA256_SIZE);
	memcpy(sr, first, SHA256_SIZE);
	for (; i < path->n; i++) {
		if (!sn)
			return failed(ERR_MISMATCH, "the consistency path is too long");
		if ((fn & 1) || fn == sn) {
			tree_node(path->hash[i], fr, fr);
			tree_node(path->hash[i], sr, sr);
			for (; !(fn & 1) && fn; fn >>= 1)
				sn >>= 1;
		} else {
			tree_node(sr, path->hash[i], sr);
		}
		fn >>= 1;
		sn >>= 1;
	}
	if (sn || memcmp(fr, old_root, SHA256_SIZE) || memcmp(sr, root, SHA256_SIZE))
		return failed(ERR_MISMATCH, "the newer tree does not continue the older one");
	return OK;
}

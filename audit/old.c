/* Records that were released before: their bytes and fresh proofs, from memory as far as that reaches
 * back, else from tiles. */
#include <string.h>

#include "audit/state.h"
#include "audit/tiles.h"
#include "config/base/io.h"

/* Nodes of a running tree. */
struct nodes {
	struct audit_tree *tree;
	struct tiles *tiles; /* opened when they are needed first */
	int folder;
};

static enum err open_tiles(struct nodes *nodes)
{
	struct audit *audit = nodes->tree->audit;
	enum err e;

	if ((e = public_folder(audit->trees_dir, nodes->tree->book->origin, false, &nodes->folder)))
		return e;
	return tiles_new(nodes->folder, nodes->tree->tiled, &nodes->tiles);
}

static enum err read_node(void *context, unsigned level, uint64_t i, tree_hash out)
{
	struct nodes *nodes = context;
	enum err e = tree_kept(&nodes->tree->book->tree, level, i, out);

	if (e != ERR_NOT_FOUND)
		return e;
	if (!nodes->tiles && (e = open_tiles(nodes)))
		return e;
	struct tree_nodes tiles = tiles_nodes(nodes->tiles);
	return tiles.read(tiles.context, level, i, out);
}

typedef enum err proof_of(const struct tree_nodes *nodes, uint64_t a, uint64_t size,
			  struct tree_path *path);

static enum err prove(struct audit_tree *tree, proof_of *proof, uint64_t a, uint64_t size,
		      struct tree_path *path)
{
	struct nodes nodes = { .tree = tree, .folder = -1 };
	struct tree_nodes from = { read_node, &nodes };

	pthread_rwlock_rdlock(&tree->trimming);
	enum err e = proof(&from, a, size, path);
	pthread_rwlock_unlock(&tree->trimming);
	tiles_cleanup(&nodes.tiles);
	fd_cleanup(&nodes.folder);
	return e;
}

enum err old_inclusion(struct audit_tree *tree, uint64_t index, uint64_t size,
		       struct tree_path *path)
{
	return prove(tree, tree_nodes_inclusion, index, size, path);
}

enum err old_consistency(struct audit_tree *tree, uint64_t old, uint64_t size,
			 struct tree_path *path)
{
	return prove(tree, tree_nodes_consistency, old, size, path);
}

/* Tiles follow within a second; asked for, at once. */
static enum err await_tile(struct audit_tree *tree, uint64_t index, uint64_t *tiled)
{
	struct audit *audit = tree->audit;
	struct timespec until = io_timespec(io_monotonic_ms() + OLD_WAIT_MS);
	enum err e = OK;

	pthread_mutex_lock(&audit->lock);
	if (index >= tree->released)
		e = failed(ERR_NOT_FOUND, "%s has no record %llu", tree->book->origin,
			   (unsigned long long)index);
	while (!e && tree->tiled <= index) {
		audit->publish_now = true;
		pthread_cond_signal(&audit->publish);
		if (pthread_cond_timedwait(&audit->tiled, &audit->lock, &until))
			e = failed(ERR_TIMEOUT, "record %llu is not in a tile yet",
				   (unsigned long long)index);
	}
	*tiled = tree->tiled;
	pthread_mutex_unlock(&audit->lock);
	return e;
}

/* Under the last signed head. */
static enum err write_receipt(const struct head *head, uint64_t index, struct slice leaf,
			      struct buf *receipt)
{
	struct tree_path path;
	tree_hash hash;
	enum err e;

	leaf_hash(leaf, hash);
	if ((e = old_inclusion(head->tree, index, head->signed_head.size, &path)))
		return e;
	if ((e = tree_check_inclusion(hash, index, head->signed_head.size, &path,
				      head->signed_head.root)))
		return failed(e, "%s: record %llu in its tiles was changed",
			      head->tree->book->origin, (unsigned long long)index);
	return receipt_write(&head->signed_head, &head->key->key, index,
			     (const uint8_t(*)[SHA256_SIZE])path.hash, path.n, receipt);
}

/* A tree's records count on through its shards; a closed one has as many as were ever given out. */
static struct audit_tree *find_shard(struct audit_tree *tree, uint64_t *index)
{
	struct audit *audit = tree->audit;

	pthread_mutex_lock(&audit->lock);
	for (; tree->successor && *index >= atomic_load(&tree->next); tree = tree->successor)
		*index -= atomic_load(&tree->next);
	pthread_mutex_unlock(&audit->lock);
	return tree;
}

uint64_t audit_tree_count(struct audit_tree *tree)
{
	struct audit *audit = tree->audit;
	uint64_t n = 0;

	pthread_mutex_lock(&audit->lock);
	for (; tree->successor; tree = tree->successor)
		n += atomic_load(&tree->next);
	n += tree->released;
	pthread_mutex_unlock(&audit->lock);
	return n;
}

enum err audit_leaf(struct audit_tree *tree, uint64_t index, struct buf *leaf, struct buf *receipt)
{
	struct audit *audit = tree->audit;
	CLEANUP(buf) struct buf found = BUF_INIT;
	CLEANUP(fd) int folder = -1;
	uint64_t tiled;
	enum err e;

	tree = find_shard(tree, &index);
	if ((e = await_tile(tree, index, &tiled)) ||
	    (e = public_folder(audit->trees_dir, tree->book->origin, false, &folder)) ||
	    (e = tiles_leaf(folder, index, tiled, &found)))
		return e;
	pthread_mutex_lock(&audit->lock);
	struct head *head = head_hold(tree->head);
	pthread_mutex_unlock(&audit->lock);
	/* A tree of its genesis alone has neither head nor receipt. */
	if (head && index < head->signed_head.size)
		e = write_receipt(head, index, buf_slice(&found), receipt);
	head_drop(head);
	if (e)
		return e;
	buf_put_slice(leaf, buf_slice(&found));
	return buf_check(leaf);
}

#include "audit/tilecheck.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "audit/tiles.h"

#define THREADS_MAX 64

struct check {
	struct tilecheck_tree *trees;
	size_t n;
	auditor_visit *visit;
	void *context;
	auditor_progress *progress;
	void *progress_context;
	uint64_t total; /* leaves */

	pthread_mutex_t lock; /* guards what follows */
	/* The next tile that nobody took: level 0 stands for hashes and entries. */
	size_t tree;
	int level;
	uint64_t number;
	struct tilecheck_result result;
	struct shard_notes *notes;
	enum err failure; /* the first one, and its reason */
	char why[ERR_REASON_MAX];
};

/* One thread's. */
struct worker {
	struct check *check;
	struct buf bundle;
	struct slice leaves[TILE_WIDTH];
	tree_hash hashes[TILE_WIDTH], below[TILE_WIDTH];
	struct leaf leaf;
	int64_t oldest, newest;
	uint64_t bytes;
};

/* Tiles in order: a tree's from the left, level by level. False when there is none left, or one was
 * wrong. */
static bool take(struct check *check, struct tilecheck_tree **tree, struct tile *tile)
{
	bool found = false;

	pthread_mutex_lock(&check->lock);
	while (!found && !check->failure && check->tree < check->n) {
		*tree = &check->trees[check->tree];
		found = tile_in_tree(check->level, check->number++, (*tree)->size, tile);
		if (found)
			break;
		check->number = 0;
		if (++check->level == TILE_LEVELS) {
			check->level = 0;
			check->tree++;
		}
	}
	pthread_mutex_unlock(&check->lock);
	return found;
}

static enum err note(struct worker *w, const struct tilecheck_tree *tree)
{
	struct check *check = w->check;

	pthread_mutex_lock(&check->lock);
	enum err e = shard_note(check->notes, tree->origin, &w->leaf);
	pthread_mutex_unlock(&check->lock);
	return e;
}

static enum err check_leaf(struct worker *w, const struct tilecheck_tree *tree, uint64_t index,
			   struct slice raw)
{
	const struct check *check = w->check;
	enum err e = leaf_decode(raw, &w->leaf);

	if (e)
		return failed(e, "record %llu: %s", (unsigned long long)index, err_reason());
	if (w->leaf.pos != index || !slice_is(w->leaf.origin, tree->origin))
		return failed(ERR_MISMATCH, "record %llu says that it is another one",
			      (unsigned long long)index);
	w->oldest = w->leaf.time < w->oldest ? w->leaf.time : w->oldest;
	w->newest = w->leaf.time > w->newest ? w->leaf.time : w->newest;
	w->bytes += raw.left;
	if (w->leaf.shard_origin.left && (e = note(w, tree)))
		return e;
	return check->visit && index < tree->visited
		       ? check->visit(check->context, tree->origin, index, raw, &w->leaf)
		       : OK;
}

static enum err check_entries(struct worker *w, const struct tilecheck_tree *tree,
			      const struct tile *hashes)
{
	struct tile tile = *hashes;
	enum err e;

	tile.level = TILE_ENTRIES;
	if ((e = tiles_entries(tree->folder, &tile, &w->bundle, w->leaves)))
		return e;
	for (unsigned i = 0; i < tile.width; i++) {
		uint64_t index = tile.number * TILE_WIDTH + i;
		tree_hash hash;

		leaf_hash(w->leaves[i], hash);
		if (memcmp(hash, w->hashes[i], SHA256_SIZE))
			return failed(ERR_MISMATCH, "record %llu was changed",
				      (unsigned long long)index);
		if ((e = check_leaf(w, tree, index, w->leaves[i])))
			return e;
	}
	return OK;
}

static enum err check_below(struct worker *w, const struct tilecheck_tree *tree,
			    const struct tile *tile)
{
	for (unsigned i = 0; i < tile->width; i++) {
		struct tile below = { tile->level - 1, tile->number * TILE_WIDTH + i, TILE_WIDTH };
		tree_hash root;
		enum err e = tiles_hashes(tree->folder, &below, w->below);

		if (e)
			return e;
		tile_root((const tree_hash *)w->below, TILE_WIDTH, root);
		if (memcmp(root, w->hashes[i], SHA256_SIZE)) {
			char path[TILE_PATH_MAX];

			tile_path(&below, path);
			return failed(ERR_MISMATCH, "%s is not what the tile above it says", path);
		}
	}
	return OK;
}

static enum err check_tile(struct worker *w, const struct tilecheck_tree *tree,
			   const struct tile *tile)
{
	enum err e = tiles_hashes(tree->folder, tile, w->hashes);

	if (e)
		return e;
	return tile->level ? check_below(w, tree, tile) : check_entries(w, tree, tile);
}

static void account(struct worker *w, struct tilecheck_tree *tree, const struct tile *tile,
		    enum err e)
{
	struct check *check = w->check;

	pthread_mutex_lock(&check->lock);
	check->result.tiles++;
	if (!tile->level) {
		check->result.leaves += tile->width;
		check->result.bytes += w->bytes;
		tree->oldest = w->oldest < tree->oldest ? w->oldest : tree->oldest;
		tree->newest = w->newest > tree->newest ? w->newest : tree->newest;
	}
	if (e && !check->failure) {
		check->failure = e;
		snprintf(check->why, sizeof check->why, "%s: %s", tree->origin, err_reason());
	}
	if (check->progress && !tile->level)
		check->progress(check->progress_context, check->result.leaves, check->total);
	pthread_mutex_unlock(&check->lock);
}

static void *work(void *argument)
{
	struct worker *w = argument;
	struct tilecheck_tree *tree;
	struct tile tile;

	while (take(w->check, &tree, &tile)) {
		w->oldest = INT64_MAX;
		w->newest = INT64_MIN;
		w->bytes = 0;
		account(w, tree, &tile, check_tile(w, tree, &tile));
	}
	buf_free(&w->bundle);
	return NULL;
}

/* This thread works too, so a thread that can't be had is no failure. */
static enum err share_out(struct check *check, unsigned threads)
{
	struct worker *workers = calloc(threads, sizeof *workers);
	pthread_t ids[THREADS_MAX];
	unsigned started = 1;

	if (!workers)
		return failed(ERR_MEMORY, "the audit");
	for (unsigned i = 0; i < threads; i++)
		workers[i].check = check;
	while (started < threads && !pthread_create(&ids[started], NULL, work, &workers[started]))
		started++;
	work(&workers[0]);
	while (started > 1)
		pthread_join(ids[--started], NULL);
	free(workers);
	return check->failure ? failed(check->failure, "%s", check->why) : OK;
}

enum err tilecheck_run(struct tilecheck_tree *trees, size_t n, unsigned threads,
		       auditor_visit *visit, void *context, auditor_progress *progress,
		       void *progress_context, struct shard_notes *notes,
		       struct tilecheck_result *result)
{
	struct check check = { .trees = trees,
			       .n = n,
			       .visit = visit,
			       .context = context,
			       .progress = progress,
			       .progress_context = progress_context,
			       .notes = notes };

	for (size_t i = 0; i < n; i++) {
		check.total += trees[i].size;
		trees[i].oldest = INT64_MAX;
		trees[i].newest = INT64_MIN;
	}
	pthread_mutex_init(&check.lock, NULL);
	enum err e = share_out(&check, visit || !threads       ? 1
				       : threads > THREADS_MAX ? THREADS_MAX
							       : threads);
	pthread_mutex_destroy(&check.lock);
	*result = check.result;
	return e;
}

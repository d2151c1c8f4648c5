/* Shards of a running log: one is closed and the next begun; one that is kept elsewhere is pruned.
 *
 * A turn: the record that closes the shard and the mark that nothing follows it, in one frame; then the
 * next tree, whose genesis has the first one's size and root. A crash in between leaves a closed tree
 * without a next one, and audit_turn() goes on from there. A pruning: the mark that the tree is pruned;
 * then its folder loses its name, and then is removed. A crash in between is made up for when the log
 * is opened. */
#include <stdio.h>
#include <string.h>

#include "audit/note.h"
#include "audit/shard.h"
#include "audit/state.h"
#include "audit/tiles.h"
#include "audit/times.h"
#include "config/base/io.h"

struct audit_tree *turn_last_locked(struct audit_tree *tree)
{
	while (tree->successor)
		tree = tree->successor;
	return tree;
}

/* A closed shard whose last checkpoint is there needs no other one: its key may be gone. */
static void adopt_checkpoint(struct audit_tree *tree)
{
	CLEANUP(buf) struct buf raw = BUF_INIT;
	struct note note;

	if (!public_newest(tree->audit->trees_dir, tree->book->origin, &raw) &&
	    !note_read(buf_slice(&raw), &note) && note.size == tree->book->tree.size)
		atomic_store(&tree->published, note.size);
}

enum err turn_adopt(struct audit *audit)
{
	for (size_t i = 0; i < audit->trees_n; i++) {
		struct audit_tree *tree = audit->trees[i];
		char next[SHARD_ORIGIN_MAX + 1];
		enum err e;

		if (!tree->ended)
			continue;
		if ((e = shard_next(tree->book->origin, next)))
			return e;
		adopt_checkpoint(tree);
		tree->successor = tree_of_locked(audit, next);
		if (tree->book->pruned && (e = public_remove(audit->trees_dir, tree->book->origin)))
			return e;
	}
	return public_sweep(audit->trees_dir);
}

/* --- turning --- */

static enum err root_of(struct audit_tree *tree, uint64_t size, tree_hash root)
{
	pthread_rwlock_rdlock(&tree->trimming);
	enum err e = tree_root(&tree->book->tree, size, root);
	pthread_rwlock_unlock(&tree->trimming);
	return e;
}

static void point_at(struct leaf *leaf, const char *origin, uint64_t size, const tree_hash root)
{
	leaf->shard_origin = slice_text(origin);
	leaf->shard_size = size;
	memcpy(leaf->shard_root, root, SHA256_SIZE);
}

static enum err close_shard(struct audit_tree *tree, struct leaf *leaf, const char *next)
{
	CLEANUP(audit_ticket) struct audit_ticket *ticket = ticket_new(tree);
	tree_hash nothing;
	enum err e;

	if (!ticket)
		return failed(ERR_MEMORY, "a record");
	sha256_once(slice_of(NULL, 0), nothing);
	leaf->type = LEAF_CLOSE;
	point_at(leaf, next, 0, nothing);
	ticket->mark = ENTRY_CLOSED;
	if ((e = ticket_submit(ticket, leaf)))
		return e;
	pthread_mutex_lock(&tree->audit->lock);
	tree->ended = true;
	pthread_mutex_unlock(&tree->audit->lock);
	return ticket_await(ticket);
}

/* What closed it is durable: its size is its last one. */
static enum err begin_next(struct audit_tree *tree, struct leaf *genesis, const char *next,
			   struct audit_tree **out)
{
	struct audit *audit = tree->audit;
	tree_hash root;
	enum err e;

	pthread_mutex_lock(&audit->lock);
	uint64_t size = atomic_load(&tree->next);
	int64_t newest = tree->newest;
	struct key *key = tree->key ? key_hold(tree->key) : NULL;
	pthread_mutex_unlock(&audit->lock);
	(void)times_hold(genesis, &newest);
	if (!key)
		return failed(ERR_STATE, "%s has no key yet", tree->book->origin);
	if (!(e = root_of(tree, size, root))) {
		point_at(genesis, tree->book->origin, size, root);
		e = tree_ready(audit, next, key, genesis, out);
	}
	key_drop(key);
	return e;
}

static void set_turning(struct audit_tree *tree, bool turning, struct audit_tree *successor)
{
	struct audit *audit = tree->audit;

	pthread_mutex_lock(&audit->lock);
	tree->turning = turning;
	if (successor)
		tree->successor = successor;
	atomic_store(&tree->moved, turning || tree->ended);
	pthread_cond_broadcast(&audit->room);
	pthread_mutex_unlock(&audit->lock);
}

static enum err turn(struct audit_tree *tree, struct leaf *close, struct leaf *genesis)
{
	struct audit_tree *successor = NULL;
	char next[SHARD_ORIGIN_MAX + 1];
	enum err e = shard_next(tree->book->origin, next);

	if (e)
		return e;
	set_turning(tree, true, NULL);
	if (!tree->ended)
		e = close_shard(tree, close, next);
	if (!e)
		e = begin_next(tree, genesis, next, &successor);
	set_turning(tree, false, e ? NULL : successor);
	return e;
}

enum err audit_turn(struct audit_tree *tree, struct leaf *close, struct leaf *genesis)
{
	struct audit *audit = tree->audit;

	pthread_mutex_lock(&audit->making);
	pthread_mutex_lock(&audit->lock);
	struct audit_tree *last = turn_last_locked(tree);
	pthread_mutex_unlock(&audit->lock);
	enum err e = turn(last, close, genesis);
	pthread_mutex_unlock(&audit->making);
	return e;
}

/* Once it is in a tile; it stays what it is. */
static enum err read_began(struct audit_tree *tree, uint64_t tiled)
{
	CLEANUP(buf) struct buf raw = BUF_INIT;
	CLEANUP(leaf) struct leaf *leaf = NULL;
	CLEANUP(fd) int folder = -1;
	enum err e;

	if (atomic_load(&tree->began) || !tiled)
		return OK;
	if ((e = public_folder(tree->audit->trees_dir, tree->book->origin, false, &folder)) ||
	    (e = tiles_leaf(folder, 0, tiled, &raw)) || (e = leaf_read(buf_slice(&raw), &leaf)))
		return e;
	atomic_store(&tree->began, leaf->time);
	return OK;
}

enum err audit_shard(struct audit_tree *tree, struct audit_shard *out)
{
	struct audit *audit = tree->audit;

	pthread_mutex_lock(&audit->lock);
	struct audit_tree *last = turn_last_locked(tree);
	snprintf(out->origin, sizeof out->origin, "%s", last->book->origin);
	out->size = last->released;
	out->ended = last->ended;
	pthread_mutex_unlock(&audit->lock);
	enum err e = read_began(last, atomic_load(&last->tiled));
	out->began = atomic_load(&last->began);
	return e;
}

/* --- pruning --- */

static enum err find_prunable(struct audit *audit, const struct audit_head *shard,
			      struct audit_tree **out)
{
	tree_hash root;
	enum err e;

	pthread_mutex_lock(&audit->lock);
	struct audit_tree *tree = *out = tree_of_locked(audit, shard->origin);
	bool found = tree && !tree->book->pruned;
	bool closed = found && tree->successor && tree->book->closed;
	uint64_t size = closed ? tree->released : 0;
	bool shown = closed && tree->tiled == size && atomic_load(&tree->published) == size;
	pthread_mutex_unlock(&audit->lock);
	if (!found)
		return failed(ERR_NOT_FOUND, "%s: there is no such shard", shard->origin);
	if (!closed)
		return failed(ERR_STATE, "%s is not closed", shard->origin);
	if (!shown)
		return failed(ERR_STATE, "%s is not whole in its folder yet: try again",
			      shard->origin);
	if ((e = root_of(tree, size, root)))
		return e;
	return size == shard->size && !memcmp(root, shard->root, SHA256_SIZE)
		       ? OK
		       : failed(ERR_MISMATCH, "%s has another size or root than what was exported",
				shard->origin);
}

enum err audit_prunable(struct audit *audit, const struct audit_head *shard)
{
	struct audit_tree *tree;

	return find_prunable(audit, shard, &tree);
}

static enum err mark_pruned(struct audit_tree *tree)
{
	CLEANUP(audit_ticket) struct audit_ticket *ticket = ticket_new(tree);
	enum err e;

	if (!ticket)
		return failed(ERR_MEMORY, "a pruning");
	ticket->mark = ENTRY_PRUNED;
	return (e = ticket_submit(ticket, NULL)) ? e : ticket_await(ticket);
}

static enum err prune(struct audit *audit, const struct audit_head *shard)
{
	struct audit_tree *tree;
	enum err e = find_prunable(audit, shard, &tree);

	if (e)
		return e;
	pthread_mutex_lock(&audit->lock);
	tree->in_public = false;
	pthread_mutex_unlock(&audit->lock);
	if ((e = mark_pruned(tree)))
		return e;
	pthread_mutex_lock(&audit->publishing);
	e = public_remove(audit->trees_dir, shard->origin);
	pthread_mutex_unlock(&audit->publishing);
	return e ? e : public_sweep(audit->trees_dir);
}

enum err audit_prune(struct audit *audit, const struct audit_head *shard)
{
	pthread_mutex_lock(&audit->making);
	enum err e = prune(audit, shard);
	pthread_mutex_unlock(&audit->making);
	return e;
}

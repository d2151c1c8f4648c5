#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "audit/note.h"
#include "audit/tiles.h"
#include "config/base/io.h"
#include "plugin/cli/audit_show.h"

#define LOOK_MS 1000 /* checkpoints come about as often */

static volatile sig_atomic_t interrupted;

static void interrupt(int signal)
{
	(void)signal;
	interrupted = 1;
}

/* Not restarted, so that it also ends a wait. */
void show_follow_start(void)
{
	struct sigaction action = { .sa_handler = interrupt };

	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
}

bool show_interrupted(void)
{
	return interrupted;
}

MUST static enum err take_leaf(struct show *show, const char *origin, uint64_t index,
			       struct slice raw, struct leaf *leaf)
{
	enum err e = leaf_decode(raw, leaf);

	if (!e && (leaf->pos != index || !slice_is(leaf->origin, origin)))
		e = failed(ERR_MISMATCH, "it says that it is another one");
	if (e)
		return failed(e, "%s: record %llu: %s", origin, (unsigned long long)index,
			      err_reason());
	return show_record(show, origin, index, raw, leaf);
}

MUST static enum err take_leaves(struct show *show, const char *origin, int folder, uint64_t from,
				 uint64_t size)
{
	CLEANUP(buf) struct buf bundle = BUF_INIT;
	CLEANUP(leaf) struct leaf *leaf = malloc(sizeof *leaf);
	struct slice leaves[TILE_WIDTH];
	struct tile tile;
	enum err e = leaf ? OK : failed(ERR_MEMORY, "a record");

	while (!e && from < size) {
		buf_reset(&bundle);
		if (!tile_in_tree(TILE_ENTRIES, from / TILE_WIDTH, size, &tile))
			return failed(ERR_MISMATCH, "%s: a tile is missing", origin);
		e = tiles_entries(folder, &tile, &bundle, leaves);
		for (unsigned i = from % TILE_WIDTH; !e && i < tile.width; i++, from++)
			e = take_leaf(show, origin, from, leaves[i], leaf);
	}
	return e;
}

/* Nothing of it is shown before all of it leads to the root that was signed. */
MUST static enum err follow_tree(struct show *show, int trees,
				 const struct published_checkpoint *found, const struct note *note)
{
	struct list_tree *tree = list_tree(&show->list, found->origin);
	CLEANUP(fd) int folder = -1;
	tree_hash root;
	enum err e;

	if (!tree)
		return failed(ERR_MEMORY, "the list of trees");
	if (note->size < tree->next)
		return failed(ERR_MISMATCH, "%s had %llu records, and its checkpoint now has %llu",
			      found->origin, (unsigned long long)tree->next,
			      (unsigned long long)note->size);
	if (note->size == tree->next)
		return OK;
	if ((e = published_verify(found, trees, buf_slice(&show->trail.ca_der))) ||
	    (e = public_folder(trees, found->origin, false, &folder)) ||
	    (e = take_leaves(show, found->origin, folder, tree->next, note->size)))
		return e;
	tree = list_tree(&show->list, found->origin);
	peaks_root(&tree->seen, root);
	if (memcmp(root, note->root, sizeof root))
		return failed(ERR_MISMATCH, "%s: its records are not those of its checkpoint",
			      found->origin);
	tree->signed_size = note->size;
	return OK;
}

MUST static enum err follow_once(struct show *show)
{
	CLEANUP(published) struct published list = { 0 };
	CLEANUP(fd) int root = -1;
	CLEANUP(fd) int trees = -1;
	struct note note;
	enum err e;

	if ((e = trail_open(&show->trail, &root, &trees)) || (e = published_read(trees, &list)))
		return e;
	for (size_t i = 0; !e && i < list.n; i++) {
		if (!list.items[i].note.len)
			continue;
		if ((e = note_read(buf_slice(&list.items[i].note), &note)))
			return failed(e, "the checkpoint of %s: %s", list.items[i].origin,
				      err_reason());
		e = follow_tree(show, trees, &list.items[i], &note);
	}
	return e;
}

enum err show_follow(struct show *show, struct buf *out)
{
	while (!interrupted) {
		enum err e = follow_once(show);

		if (interrupted)
			return OK;
		if (e || (e = list_print(&show->list, SIZE_MAX, out)))
			return e;
		io_pause(LOOK_MS);
	}
	return OK;
}

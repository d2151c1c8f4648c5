/* The part of an audit that is about tiles. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "audit/auditor_inner.h"
#include "audit/certificate.h"
#include "audit/note.h"
#include "audit/tilecheck.h"
#include "audit/tiles.h"
#include "config/base/io.h"

struct auditor_tree *walk_report(const struct walk *walk, const char *origin)
{
	struct auditor_report *report = walk->report;

	for (size_t i = 0; i < report->trees_n; i++)
		if (!strcmp(report->trees[i].origin, origin))
			return &report->trees[i];
	return NULL;
}

static enum err add_tree(struct walk *walk, const char *origin, struct auditor_tree **out)
{
	struct auditor_report *report = walk->report;
	struct auditor_tree *more;

	if ((*out = walk_report(walk, origin)))
		return OK;
	more = reallocarray(report->trees, report->trees_n + 1, sizeof *more);
	if (!more)
		return failed(ERR_MEMORY, "the report");
	report->trees = more;
	*out = &more[report->trees_n++];
	**out = (struct auditor_tree){ 0 };
	snprintf((*out)->origin, sizeof(*out)->origin, "%s", origin);
	return OK;
}

/* Which trees have tiles, and how far they must reach: to the checkpoint, and to where the
 * write-ahead log begins. */
static enum err plan_tiles(struct walk *walk)
{
	struct auditor_tree *tree;
	enum err e;

	for (size_t i = 0; i < walk->ledger.n; i++) {
		if ((e = add_tree(walk, walk->ledger.trees[i]->origin, &tree)))
			return e;
		tree->logged = tree->tiled = walk->ledger.trees[i]->tree.size;
	}
	for (size_t i = 0; i < walk->published.n; i++) {
		const struct published_checkpoint *found = &walk->published.items[i];
		struct note note;

		if (!found->note.len)
			continue;
		if (note_read(buf_slice(&found->note), &note))
			return failed(ERR_MISMATCH, "the checkpoint of %s: %s", found->origin,
				      err_reason());
		if ((e = add_tree(walk, found->origin, &tree)))
			return e;
		tree->checkpoint = note.size;
		if (found->newest.len) {
			if (note_read(buf_slice(&found->newest), &note))
				return failed(ERR_MISMATCH, "the newest checkpoint of %s: %s",
					      found->origin, err_reason());
			tree->newest = note.size;
		}
		tree->tiled = tree->checkpoint > tree->tiled ? tree->checkpoint : tree->tiled;
	}
	return OK;
}

static enum err root_is(const struct tilecheck_tree *tree, uint64_t size, const tree_hash wanted,
			const char *whose)
{
	tree_hash root;
	enum err e = tiles_root(tree->folder, size, root);

	if (e)
		return failed(e, "%s: %s", tree->origin, err_reason());
	return memcmp(root, wanted, SHA256_SIZE)
		       ? failed(ERR_MISMATCH, "%s: its tiles are not those of %s", tree->origin,
				whose)
		       : OK;
}

static enum err check_roots(const struct walk *walk, const struct tilecheck_tree *tree)
{
	const struct ledger_tree *book = ledger_find(&walk->ledger, tree->origin);
	tree_hash root;
	enum err e;

	if (book && book->tree.base && !book->pruned &&
	    ((e = tree_root(&book->tree, book->tree.base, root)) ||
	     (e = root_is(tree, book->tree.base, root, "the log's beginning"))))
		return e;
	for (size_t i = 0; i < walk->published.n; i++) {
		const struct published_checkpoint *found = &walk->published.items[i];
		struct note note;

		if (strcmp(found->origin, tree->origin) || !found->note.len)
			continue;
		if ((e = note_read(buf_slice(&found->note), &note)) ||
		    (e = root_is(tree, note.size, note.root, "the checkpoint")))
			return e;
	}
	return OK;
}

/* A key's certificate is good for all that it signed for. */
static enum err take_times(struct walk *walk, const struct tilecheck_tree *tree)
{
	struct ledger_tree *book = ledger_find(&walk->ledger, tree->origin);
	int64_t from, to;
	enum err e;

	if (!book || !tree->size || book->pruned || !book->certificate.len)
		return OK;
	walk->seen[book->number].newest = tree->newest;
	if ((e = walk_chain(walk, book)) ||
	    (e = certificate_period(buf_slice(&book->certificate), &from, &to)))
		return e;
	/* What there was before a rollover, the key before signed. */
	return book->former.len || from <= tree->oldest
		       ? OK
		       : failed(ERR_CRYPTO, "%s: its key's certificate is younger than its records",
				tree->origin);
}

static enum err open_trees(const struct walk *walk, struct tilecheck_tree *to)
{
	for (size_t i = 0; i < walk->report->trees_n; i++) {
		struct auditor_tree *tree = &walk->report->trees[i];

		to[i] = (struct tilecheck_tree){ .folder = -1,
						 .origin = tree->origin,
						 .size = tree->tiled,
						 .visited = walk->options->copy ? tree->tiled
										: tree->logged };
		enum err e =
			tree->tiled ? public_folder(walk->trees, tree->origin, false, &to[i].folder)
				    : OK;
		/* One that was pruned; whether it was is seen once the log was read. */
		if (e == ERR_NOT_FOUND && !tree->checkpoint) {
			tree->tiled = to[i].size = 0;
			tree->pruned = true;
			e = OK;
		}
		if (e)
			return failed(e == ERR_NOT_FOUND ? ERR_MISMATCH : e,
				      "%s: its tiles are gone: %s", tree->origin, err_reason());
	}
	return OK;
}

static unsigned threads_of(const struct auditor_options *options)
{
	long n = options->threads ? (long)options->threads : sysconf(_SC_NPROCESSORS_ONLN);

	return n < 1 ? 1 : (unsigned)n;
}

enum err walk_tiles(struct walk *walk)
{
	const struct auditor_options *o = walk->options;
	struct tilecheck_result result;
	size_t n;
	enum err e;

	if ((e = plan_tiles(walk)))
		return e;
	n = walk->report->trees_n;
	struct tilecheck_tree *trees = calloc(n ? n : 1, sizeof *trees);
	if (!trees)
		return failed(ERR_MEMORY, "the audit");
	for (size_t i = 0; i < n; i++)
		trees[i].folder = -1;
	if (!(e = open_trees(walk, trees)))
		e = tilecheck_run(trees, n, threads_of(o), o->visit, o->context, o->progress,
				  o->progress_context, &walk->notes, &result);
	for (size_t i = 0; i < n; i++) {
		if (!e && trees[i].size && !(e = check_roots(walk, &trees[i])))
			e = take_times(walk, &trees[i]);
		fd_cleanup(&trees[i].folder);
	}
	free(trees);
	if (!e) {
		walk->report->tiles = result.tiles;
		walk->report->tile_bytes = result.bytes;
	}
	return e;
}

/* The part of an audit that is about checkpoints of before (history.h). */
#include <stdlib.h>
#include <string.h>

#include "audit/auditor_inner.h"
#include "audit/history.h"
#include "audit/note.h"
#include "config/base/io.h"

static enum err add(struct walk *walk, const char *origin, int folder, uint64_t number)
{
	CLEANUP(buf) struct buf raw = BUF_INIT;
	struct past *more = reallocarray(walk->past, walk->past_n + 1, sizeof *more);
	struct note note;

	if (!more)
		return failed(ERR_MEMORY, "checkpoints of before");
	walk->past = more;
	enum err e = history_note(folder, number, &raw);
	if (e)
		return e == ERR_NOT_FOUND ? OK : e; /* it went just now */
	if (note_read(buf_slice(&raw), &note) || !slice_is(note.origin, origin))
		return failed(ERR_MISMATCH, HISTORY_FOLDER "/%llu was changed",
			      (unsigned long long)number);
	more[walk->past_n] = (struct past){ .origin = origin, .size = note.size };
	memcpy(more[walk->past_n++].root, note.root, SHA256_SIZE);
	return OK;
}

static enum err read_one(struct walk *walk, const char *origin, struct history_list *history)
{
	CLEANUP(fd) int folder = -1;
	enum err e = public_folder(walk->trees, origin, false, &folder);

	if (e)
		return e == ERR_NOT_FOUND ? OK : e; /* pruned just now */
	e = history_read(folder, history);
	for (size_t i = 0; !e && i < history->n; i++)
		e = add(walk, origin, folder, history->items[i].number);
	return e ? failed(e, "%s: %s", origin, err_reason()) : OK;
}

enum err past_read(struct walk *walk)
{
	struct history_list *history = malloc(sizeof *history);
	enum err e = history ? OK : failed(ERR_MEMORY, "checkpoints of before");

	for (size_t i = 0; !e && i < walk->published.n; i++)
		e = read_one(walk, walk->published.items[i].origin, history);
	free(history);
	return e;
}

static enum err check_one(const struct walk *walk, const struct past *past)
{
	const struct auditor_tree *tree = walk_report(walk, past->origin);
	tree_hash root;
	enum err e;

	if (!tree || tree->pruned || (walk->options->copy && past->size > tree->size))
		return OK;
	if (past->size > tree->size)
		return failed(ERR_MISMATCH,
			      "a checkpoint of %s has %llu records, the log only %llu: records "
			      "were removed",
			      past->origin, (unsigned long long)past->size,
			      (unsigned long long)tree->size);
	if ((e = walk_root(walk, tree, past->size, root)))
		return e;
	return memcmp(root, past->root, SHA256_SIZE)
		       ? failed(ERR_MISMATCH,
				"a checkpoint of %s, of %llu records, is not of these records",
				past->origin, (unsigned long long)past->size)
		       : OK;
}

enum err past_check(const struct walk *walk)
{
	enum err e = OK;

	for (size_t i = 0; !e && i < walk->past_n; i++)
		e = check_one(walk, &walk->past[i]);
	return e;
}

/* The part of an audit that is about shards, once everything else was checked. */
#include <string.h>

#include "audit/auditor_inner.h"

static const struct shard_note *find(const struct walk *walk, const char *holder, uint64_t index)
{
	for (size_t i = 0; i < walk->notes.n; i++)
		if (walk->notes.items[i].index == index &&
		    !strcmp(walk->notes.items[i].holder, holder))
			return &walk->notes.items[i];
	return NULL;
}

/* A record that it was pruned, with the size and root that it had. */
static bool is_recorded(const struct walk *walk, const char *origin, const uint8_t *root)
{
	for (size_t i = 0; i < walk->notes.n; i++) {
		const struct shard_note *note = &walk->notes.items[i];

		if (note->type == LEAF_MANAGEMENT && !strcmp(note->origin, origin) &&
		    (!root || !memcmp(note->root, root, SHA256_SIZE)))
			return true;
	}
	return false;
}

/* May that record have been in one that was pruned itself? */
static bool others_recorded(const struct walk *walk, const char *origin)
{
	const struct auditor_report *report = walk->report;

	for (size_t i = 0; i < report->trees_n; i++) {
		const struct auditor_tree *tree = &report->trees[i];

		if (tree->pruned && strcmp(tree->origin, origin) &&
		    is_recorded(walk, tree->origin, tree->root))
			return true;
	}
	return false;
}

static enum err check_pruned(const struct walk *walk, const struct auditor_tree *tree)
{
	const struct ledger_tree *book = ledger_find(&walk->ledger, tree->origin);

	if (!book || !book->pruned)
		return failed(ERR_MISMATCH, "%s: its tiles are gone", tree->origin);
	return is_recorded(walk, tree->origin, tree->root) || others_recorded(walk, tree->origin)
		       ? OK
		       : failed(ERR_MISMATCH, "%s is gone, and no record says that it was pruned",
				tree->origin);
}

/* What a genesis says of the shard before it, against that one. */
static enum err check_before(const struct walk *walk, struct auditor_tree *before,
			     const struct shard_note *genesis)
{
	/* A copy may have been begun before it was closed, or somebody cut it: that must not go unsaid. */
	if (walk->options->copy && before->size < genesis->size) {
		walk->report->behind += !before->newest;
		walk->report->turned += !before->newest;
		if (before->newest < genesis->size)
			before->newest = genesis->size;
		return OK;
	}
	if (before->size != genesis->size || memcmp(before->root, genesis->root, SHA256_SIZE) != 0)
		return failed(ERR_MISMATCH, "%s goes on from %llu records of %s that are not these",
			      genesis->holder, (unsigned long long)genesis->size, before->origin);
	if (before->pruned)
		return OK;
	const struct shard_note *close = find(walk, before->origin, before->size - 1);
	before->linked =
		close && close->type == LEAF_CLOSE && !strcmp(close->origin, genesis->holder);
	return before->linked ? OK
			      : failed(ERR_MISMATCH, "%s does not end with a record that names %s",
				       before->origin, genesis->holder);
}

static enum err check_link(const struct walk *walk, const struct auditor_tree *tree)
{
	const struct shard_note *genesis = find(walk, tree->origin, 0);
	char origin[SHARD_ORIGIN_MAX + 1];
	enum err e = shard_before(tree->origin, origin);

	if (e)
		return e;
	if (!genesis || genesis->type != LEAF_OPEN || strcmp(genesis->origin, origin) != 0)
		return failed(ERR_MISMATCH, "%s does not begin with what %s ended with",
			      tree->origin, origin);
	struct auditor_tree *before = walk_report(walk, origin);
	if (before)
		return check_before(walk, before, genesis);
	if (!walk->options->copy)
		return failed(ERR_MISMATCH, "%s goes on from %s, which is gone", tree->origin,
			      origin);
	if (is_recorded(walk, origin, genesis->root))
		walk->report->pruned++;
	else
		walk->report->elsewhere++;
	return OK;
}

enum err walk_shards(struct walk *walk)
{
	size_t base;
	enum err e = OK;

	for (size_t i = 0; i < walk->report->trees_n && !e; i++) {
		const struct auditor_tree *tree = &walk->report->trees[i];

		if (tree->pruned)
			e = check_pruned(walk, tree);
		else if (tree->size && shard_number(slice_text(tree->origin), &base) > 1)
			e = check_link(walk, tree);
	}
	return e;
}

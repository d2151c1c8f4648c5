#include "testbed/crash/cut.h"

#include <stdlib.h>
#include <string.h>

static bool touches(const struct op *op, size_t node)
{
	bool names = op->kind == OP_MAKE || op->kind == OP_LINK || op->kind == OP_RENAME ||
		     op->kind == OP_UNLINK;

	if (names)
		return op->dir == node || (op->kind == OP_RENAME && op->from_dir == node);
	return op->node == node;
}

static void find_sure(struct cut *cut)
{
	const struct op *ops = cut->history->ops;

	for (size_t i = 0; i < cut->at; i++) {
		if (ops[i].kind != OP_SYNC)
			continue;
		cut->sure[i] = true;
		for (size_t j = 0; j < ops[i].began; j++)
			cut->sure[j] |= touches(&ops[j], ops[i].node);
	}
}

static void add_atom(struct cut *cut, size_t op, size_t from, size_t n)
{
	cut->atoms = reallocarray(cut->atoms, cut->n + 1, sizeof *cut->atoms);
	if (!cut->atoms)
		abort();
	cut->atoms[cut->n++] = (struct atom){ op, from, n };
}

/* Does this part of a write change what is sure there, or what another atom may leave there? */
static bool matters(const struct cut *cut, const struct disk *sure, const struct op *op,
		    size_t from, size_t n)
{
	const struct disk_node *node = &sure->nodes[op->node];
	uint64_t at = op->at + from;

	for (size_t i = 0; i < cut->n; i++) {
		const struct op *other = &cut->history->ops[cut->atoms[i].op];
		uint64_t start = other->at + cut->atoms[i].from;

		if (other->kind == OP_WRITE && other->node == op->node && cut->atoms[i].n &&
		    start < at + n && at < start + cut->atoms[i].n)
			return true;
	}
	for (size_t i = 0; i < n; i++)
		if (op->data[from + i] != (at + i < node->room ? node->data[at + i] : 0))
			return true;
	return false;
}

/* Sectors lie where the file says, not where the write begins. */
static void add_write(struct cut *cut, const struct disk *sure, size_t number, size_t sector)
{
	const struct op *op = &cut->history->ops[number];

	for (size_t from = 0, n; from < op->n; from += n) {
		n = sector - (size_t)((op->at + from) % sector);
		n = n < op->n - from ? n : op->n - from;
		if (matters(cut, sure, op, from, n))
			add_atom(cut, number, from, n);
	}
	if (op->longer)
		add_atom(cut, number, 0, 0);
}

void cut_make(struct cut *cut, const struct history *history, size_t at, size_t sector)
{
	struct disk sure;

	*cut = (struct cut){ .history = history,
			     .at = at,
			     .sure = calloc(history->n + 1, sizeof *cut->sure) };
	find_sure(cut);
	disk_copy(&history->start, &sure);
	for (size_t i = 0; i < at; i++)
		if (cut->sure[i])
			disk_apply(&sure, &history->ops[i]);
	for (size_t i = 0; i < at; i++) {
		if (cut->sure[i])
			continue;
		if (history->ops[i].kind == OP_WRITE)
			add_write(cut, &sure, i, sector);
		else
			add_atom(cut, i, 0, 0);
	}
	disk_free(&sure);
}

static void apply_atom(struct disk *disk, const struct op *op, const struct atom *atom, size_t n)
{
	if (op->kind != OP_WRITE)
		disk_apply(disk, op);
	else if (atom->n)
		disk_put(disk, op->node, op->at + atom->from, op->data + atom->from, n);
	else if (op->at + op->n > disk->nodes[op->node].size)
		disk_resize(disk, op->node, op->at + op->n);
}

void cut_state(const struct cut *cut, const bool *keep, size_t tear, size_t bytes, struct disk *out)
{
	const struct op *ops = cut->history->ops;
	size_t next = 0;

	disk_copy(&cut->history->start, out);
	for (size_t i = 0; i < cut->at; i++) {
		if (cut->sure[i])
			disk_apply(out, &ops[i]);
		for (; next < cut->n && cut->atoms[next].op == i; next++) {
			const struct atom *atom = &cut->atoms[next];
			size_t n = next == tear && bytes < atom->n ? bytes : atom->n;

			if (keep[next] || next == tear)
				apply_atom(out, &ops[i], atom, n);
		}
	}
}

void cut_seen(const struct history *history, size_t at, struct disk *out)
{
	disk_copy(&history->start, out);
	for (size_t i = 0; i < at; i++)
		disk_apply(out, &history->ops[i]);
}

void cut_free(struct cut *cut)
{
	free(cut->sure);
	free(cut->atoms);
	*cut = (struct cut){ 0 };
}

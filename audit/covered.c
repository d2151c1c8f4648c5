#include "audit/covered.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/file.h>

#include "audit/history.h"
#include "audit/note.h"
#include "audit/public.h"
#include "audit/tiles.h"
#include "config/base/io.h"

enum err covered_live(int root, bool *live)
{
	CLEANUP(fd) int fd = openat(root, "lock", IO_READ);

	*live = false;
	if (fd < 0) /* a copy may have no such file */
		return errno == ENOENT ? OK : failed(ERR_IO, "lock: %m");
	if (!flock(fd, LOCK_SH | LOCK_NB))
		return OK;
	*live = true;
	return errno == EWOULDBLOCK ? OK : failed(ERR_IO, "lock: %m");
}

/* A tree's checkpoints: the last one and those of before, and how far its tiles reach. */
struct candidates {
	int folder;
	uint64_t last, most, reach;
	struct history_list history;
	const struct history_item *best, *newest; /* NULL: the last one is */
};

static void weigh(struct candidates *c)
{
	uint64_t best = c->last <= c->reach ? c->last : 0, newest = c->last;

	c->best = c->newest = NULL;
	for (size_t i = 0; i < c->history.n; i++) {
		const struct history_item *item = &c->history.items[i];

		if (item->size > newest) {
			newest = item->size;
			c->newest = item;
		}
		if (item->size <= c->reach && item->size > best) {
			best = item->size;
			c->best = item;
		}
	}
}

static enum err take_sizes(const struct published_checkpoint *found, struct candidates *c)
{
	struct note note;
	enum err e = found->note.len ? note_read(buf_slice(&found->note), &note) : OK;

	if (e || (e = history_read(c->folder, &c->history)))
		return failed(ERR_MISMATCH, "the checkpoint of %s: %s", found->origin,
			      err_reason());
	c->most = c->last = found->note.len ? note.size : 0;
	for (size_t i = 0; i < c->history.n; i++)
		c->most = c->history.items[i].size > c->most ? c->history.items[i].size : c->most;
	c->reach = tiles_reach(c->folder, c->most);
	return OK;
}

static enum err read_item(const struct candidates *c, const struct history_item *item,
			  struct buf *out)
{
	enum err e = history_note(c->folder, item->number, out);

	return e == ERR_NOT_FOUND ? failed(ERR_MISMATCH, "a checkpoint went just now") : e;
}

static enum err put_in_place(const struct candidates *c, struct published_checkpoint *found)
{
	CLEANUP(buf) struct buf best = BUF_INIT;
	bool covered = c->best || (c->last && c->last <= c->reach);
	enum err e;

	if (!covered)
		return OK;
	if (c->newest && c->newest != c->best && (e = read_item(c, c->newest, &found->newest)))
		return e;
	if (c->best && (e = read_item(c, c->best, &best)))
		return e;
	if (!c->newest && c->last > c->reach) {
		found->newest = found->note;
		found->note = BUF_INIT;
	}
	if (c->best) {
		buf_free(&found->note);
		found->note = best;
		best = BUF_INIT;
	}
	return OK;
}

static enum err choose(int trees, struct published_checkpoint *found)
{
	CLEANUP(fd) int folder = -1;
	struct candidates *c = calloc(1, sizeof *c);
	enum err e = c ? public_folder(trees, found->origin, false, &folder)
		       : failed(ERR_MEMORY, "checkpoints");

	if (!e) {
		c->folder = folder;
		if (!(e = take_sizes(found, c))) {
			weigh(c);
			e = put_in_place(c, found);
		}
	}
	free(c);
	return e;
}

enum err covered_choose(int root, int trees, struct published *list)
{
	bool live;
	enum err e = covered_live(root, &live);

	for (size_t i = 0; !e && !live && i < list->n; i++)
		e = choose(trees, &list->items[i]);
	return e;
}

static bool lacks(int trees, const struct published_checkpoint *found)
{
	CLEANUP(fd) int folder = -1;
	struct candidates *c = calloc(1, sizeof *c);
	bool lacking = false;

	if (c && !public_folder(trees, found->origin, false, &folder)) {
		c->folder = folder;
		lacking = !take_sizes(found, c) && c->most > c->reach;
	}
	free(c);
	return lacking;
}

bool covered_lacking(const char *path)
{
	CLEANUP(published) struct published list = { 0 };
	CLEANUP(fd) int root = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	CLEANUP(fd) int trees = -1;
	bool live, lacking = false;

	if (root < 0 || covered_live(root, &live) || live ||
	    io_open_dir(root, "trees", false, &trees) || published_read(trees, &list))
		return false;
	for (size_t i = 0; i < list.n && !lacking; i++)
		lacking = lacks(trees, &list.items[i]);
	return lacking;
}

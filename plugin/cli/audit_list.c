#include "plugin/cli/audit_list.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "config/base/io.h"

#define TEXT_IN_MEMORY ((size_t)1 << 20)
#define OUT_AT_ONCE ((size_t)1 << 16)

void list_cleanup(struct list *list)
{
	fd_cleanup(&list->fd);
	buf_free(&list->text);
	free(list->lines);
	free(list->trees);
}

struct list_tree *list_tree(struct list *list, const char *origin)
{
	for (size_t i = list->trees_n; i-- > 0;)
		if (!strcmp(list->trees[i].origin, origin))
			return &list->trees[i];
	struct list_tree *more = reallocarray(list->trees, list->trees_n + 1, sizeof *more);
	if (!more)
		return NULL;
	list->trees = more;
	more += list->trees_n++;
	*more = (struct list_tree){ .newest = INT64_MIN };
	snprintf(more->origin, sizeof more->origin, "%s", origin);
	return more;
}

static enum err make_room(struct list *list)
{
	size_t room = list->room ? 2 * list->room : 256;
	struct list_line *more;

	if (list->n < list->room)
		return OK;
	if (!(more = reallocarray(list->lines, room, sizeof *more)))
		return failed(ERR_MEMORY, "the list of records");
	list->lines = more;
	list->room = room;
	return OK;
}

static enum err open_file(struct list *list)
{
	const char *folder = getenv("TMPDIR");
	char path[4096];

	if (list->fd >= 0)
		return OK;
	if (snprintf(path, sizeof path, "%s/assay-XXXXXX", folder ? folder : "/var/tmp") >=
	    (int)sizeof path)
		return failed(ERR_RANGE, "TMPDIR is too long");
	if ((list->fd = mkostemp(path, O_CLOEXEC)) < 0)
		return failed(ERR_IO, "%s: %m", path);
	return unlink(path) ? failed(ERR_IO, "%s: %m", path) : OK;
}

static enum err flush_text(struct list *list)
{
	enum err e = buf_check(&list->text);

	if (e || (e = open_file(list)) ||
	    (e = io_write_at(list->fd, list->text_at, buf_slice(&list->text))))
		return e;
	list->text_at += list->text.len;
	buf_reset(&list->text);
	return OK;
}

enum err list_add(struct list *list, const struct list_tree *tree, const struct leaf *leaf)
{
	size_t at = list->text.len;
	enum err e = make_room(list);

	if (e)
		return e;
	record_put(list->form, leaf, &list->text);
	list->lines[list->n++] = (struct list_line){ .time = tree->newest,
						     .index = leaf->pos,
						     .at = list->text_at + at,
						     .length = (uint32_t)(list->text.len - at),
						     .tree = (uint32_t)(tree - list->trees) };
	return list->text.len < TEXT_IN_MEMORY ? OK : flush_text(list);
}

static int by_time(const void *one, const void *other)
{
	const struct list_line *a = one, *b = other;

	if (a->time != b->time)
		return a->time < b->time ? -1 : 1;
	if (a->tree != b->tree)
		return a->tree < b->tree ? -1 : 1;
	return a->index < b->index ? -1 : a->index > b->index;
}

static enum err write_out(struct buf *out, size_t at_least)
{
	enum err e = buf_check(out);

	if (e || out->len < at_least)
		return e;
	if ((e = io_write_all(STDOUT_FILENO, buf_slice(out))))
		return failed(e, "standard output: %s", err_reason());
	buf_reset(out);
	return OK;
}

static enum err print_lines(const struct list *list, size_t first, const uint8_t *text,
			    struct buf *out)
{
	enum err e = OK;

	for (size_t i = first; !e && i < list->n; i++) {
		const struct list_line *line = &list->lines[i];
		const struct list_tree *tree = &list->trees[line->tree];

		record_finish(list->form, tree->origin, slice_of(text + line->at, line->length),
			      line->index < tree->signed_size, out);
		e = write_out(out, OUT_AT_ONCE);
	}
	return e ? e : write_out(out, 0);
}

enum err list_print(struct list *list, size_t most, struct buf *out)
{
	size_t first = most < list->n ? list->n - most : 0;
	enum err e;

	if (!list->n)
		return OK;
	if ((e = flush_text(list)))
		return e;
	qsort(list->lines, list->n, sizeof *list->lines, by_time);
	void *text = mmap(NULL, list->text_at, PROT_READ, MAP_PRIVATE, list->fd, 0);
	if (text == MAP_FAILED)
		return failed(ERR_MEMORY, "the records' text: %m");
	e = print_lines(list, first, text, out);
	munmap(text, list->text_at);
	list->n = 0;
	list->text_at = 0;
	return e;
}

#include "audit/shard.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MARK "/s"

/* No zero in front, so that a shard has one name. */
static uint32_t take_number(const uint8_t *p, size_t n)
{
	uint32_t number = 0;

	if (!n || n > 6 || p[0] == '0')
		return 0;
	for (size_t i = 0; i < n; i++) {
		if (p[i] < '0' || p[i] > '9')
			return 0;
		number = number * 10 + (uint32_t)(p[i] - '0');
	}
	return number;
}

uint32_t shard_number(struct slice origin, size_t *base_n)
{
	size_t at = origin.left;

	*base_n = origin.left;
	while (at && origin.p[at - 1] != '/')
		at--;
	if (at < 2 || at == origin.left || origin.p[at] != MARK[1])
		return 1;
	uint32_t number = take_number(origin.p + at + 1, origin.left - at - 1);
	if (number < 2)
		return 1;
	*base_n = at - 1;
	return number;
}

bool shard_is_of(struct slice origin, struct slice tree)
{
	size_t n;

	if (slice_equal(origin, tree))
		return true;
	return shard_number(origin, &n) > 1 && slice_equal(slice_of(origin.p, n), tree);
}

static enum err name(const char *origin, int step, char out[SHARD_ORIGIN_MAX + 1])
{
	size_t base;
	uint32_t number = shard_number(slice_text(origin), &base) + (uint32_t)step;
	int n = number == 1 ? snprintf(out, SHARD_ORIGIN_MAX + 1, "%.*s", (int)base, origin)
			    : snprintf(out, SHARD_ORIGIN_MAX + 1, "%.*s" MARK "%u", (int)base,
				       origin, number);

	return number && number <= SHARD_NUMBER_MAX && n > 0 && n <= SHARD_ORIGIN_MAX
		       ? OK
		       : failed(ERR_RANGE, "%s has no such shard", origin);
}

enum err shard_next(const char *origin, char out[SHARD_ORIGIN_MAX + 1])
{
	return name(origin, 1, out);
}

enum err shard_before(const char *origin, char out[SHARD_ORIGIN_MAX + 1])
{
	return name(origin, -1, out);
}

enum err shard_note(struct shard_notes *notes, const char *holder, const struct leaf *leaf)
{
	if (!leaf->shard_origin.left)
		return OK;
	if (notes->n >= SHARD_NOTES_MAX)
		return failed(ERR_RANGE, "too many records about shards");
	struct shard_note *more = reallocarray(notes->items, notes->n + 1, sizeof *more);
	if (!more)
		return failed(ERR_MEMORY, "records about shards");
	notes->items = more;
	struct shard_note *note = &more[notes->n++];
	*note = (struct shard_note){ .index = leaf->pos,
				     .type = leaf->type,
				     .size = leaf->shard_size };
	snprintf(note->holder, sizeof note->holder, "%s", holder);
	snprintf(note->origin, sizeof note->origin, "%.*s", (int)leaf->shard_origin.left,
		 leaf->shard_origin.p);
	memcpy(note->root, leaf->shard_root, SHA256_SIZE);
	return OK;
}

void shard_notes_free(struct shard_notes *notes)
{
	free(notes->items);
	*notes = (struct shard_notes){ 0 };
}

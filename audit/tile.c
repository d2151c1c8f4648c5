#include "audit/tile.h"

#include <stdio.h>
#include <string.h>

#define GROUP 1000

/* The groups of a number from the last to the first: 20 digits make 7. */
static size_t groups_of(uint64_t number, unsigned groups[7])
{
	size_t n = 0;

	do {
		groups[n++] = (unsigned)(number % GROUP);
		number /= GROUP;
	} while (number);
	return n;
}

void tile_path(const struct tile *tile, char path[TILE_PATH_MAX])
{
	CLEANUP(buf) struct buf text = { .max = TILE_PATH_MAX };
	unsigned groups[7];
	size_t n = groups_of(tile->number, groups);

	if (tile->level == TILE_ENTRIES)
		buf_put_text(&text, "tile/entries");
	else
		buf_printf(&text, "tile/%d", tile->level);
	while (n--)
		buf_printf(&text, n ? "/x%03u" : "/%03u", groups[n]);
	if (tile->width != TILE_WIDTH)
		buf_printf(&text, ".p/%u", tile->width);
	snprintf(path, TILE_PATH_MAX, "%.*s", (int)text.len, (const char *)text.data);
}

static bool take_text(const char **at, const char *text)
{
	size_t n = strlen(text);

	if (strncmp(*at, text, n) != 0)
		return false;
	*at += n;
	return true;
}

static bool take_digit(const char **at, uint64_t *v)
{
	if (**at < '0' || **at > '9' || __builtin_mul_overflow(*v, 10, v) ||
	    __builtin_add_overflow(*v, (uint64_t)(**at - '0'), v))
		return false;
	++*at;
	return true;
}

static bool take_group(const char **at, uint64_t *v)
{
	return take_digit(at, v) && take_digit(at, v) && take_digit(at, v);
}

/* Leniently: whether it is written as it must be shows when it is written again. */
static bool parse(const char *at, struct tile *out)
{
	uint64_t level = 0, width = 0;

	*out = (struct tile){ .level = TILE_ENTRIES, .width = TILE_WIDTH };
	if (!take_text(&at, "tile/entries/")) {
		if (!take_text(&at, "tile/") || !take_digit(&at, &level) || level >= TILE_LEVELS ||
		    !take_text(&at, "/"))
			return false;
		out->level = (int)level;
	}
	while (take_text(&at, "x"))
		if (!take_group(&at, &out->number) || !take_text(&at, "/"))
			return false;
	if (!take_group(&at, &out->number))
		return false;
	if (!*at)
		return true;
	if (!take_text(&at, ".p/"))
		return false;
	while (width < TILE_WIDTH && take_digit(&at, &width))
		;
	out->width = (unsigned)width;
	return !*at && width > 0 && width < TILE_WIDTH;
}

enum err tile_parse_path(const char *path, struct tile *out)
{
	char again[TILE_PATH_MAX];

	if (strnlen(path, TILE_PATH_MAX) == TILE_PATH_MAX || !parse(path, out))
		return failed(ERR_FORMAT, "not the path of a tile");
	tile_path(out, again);
	return strcmp(path, again) ? failed(ERR_FORMAT, "not how the path of a tile is written")
				   : OK;
}

/* How many hashes, or leaves, a level has. */
static uint64_t entries_of(int level, uint64_t size)
{
	return level == TILE_ENTRIES ? size : size >> (TILE_HEIGHT * level);
}

bool tile_in_tree(int level, uint64_t number, uint64_t size, struct tile *out)
{
	uint64_t entries = entries_of(level, size), full = entries / TILE_WIDTH;
	unsigned rest = (unsigned)(entries % TILE_WIDTH);

	*out = (struct tile){ .level = level, .number = number, .width = TILE_WIDTH };
	if (number == full)
		out->width = rest;
	return number < full || (number == full && rest);
}

uint64_t tile_count(int level, uint64_t size)
{
	uint64_t entries = entries_of(level, size);

	return entries / TILE_WIDTH + (entries % TILE_WIDTH != 0);
}

void tile_of_node(unsigned level, uint64_t i, uint64_t size, struct tile_span *out)
{
	unsigned above = level % TILE_HEIGHT;

	out->n = 1u << above;
	out->from = (unsigned)((i << above) % TILE_WIDTH);
	(void)tile_in_tree((int)(level / TILE_HEIGHT), i >> (TILE_HEIGHT - above), size,
			   &out->tile);
}

void tile_root(const tree_hash *hashes, unsigned n, tree_hash out)
{
	tree_hash half[TILE_WIDTH / 2];

	if (n == 1) {
		memcpy(out, hashes[0], SHA256_SIZE);
		return;
	}
	for (unsigned i = 0; i < n / 2; i++)
		tree_node(hashes[2 * i], hashes[2 * i + 1], half[i]);
	while ((n /= 2) > 1)
		for (unsigned i = 0; i < n / 2; i++)
			tree_node(half[2 * i], half[2 * i + 1], half[i]);
	memcpy(out, half[0], SHA256_SIZE);
}

enum err tile_put_leaf(struct buf *bundle, struct slice leaf)
{
	if (leaf.left > TILE_LEAF_MAX)
		return failed(ERR_RANGE, "a leaf of %zu bytes", leaf.left);
	buf_put_u16(bundle, (uint16_t)leaf.left);
	buf_put_slice(bundle, leaf);
	return buf_check(bundle);
}

enum err tile_take_leaf(struct slice *bundle, struct slice *leaf)
{
	struct slice at = *bundle;
	uint16_t n;

	if (slice_take_u16(&at, &n) || slice_take(&at, n, leaf))
		return failed(ERR_FORMAT, "a bundle of entries was cut short");
	*bundle = at;
	return OK;
}

enum err tile_split(struct slice bundle, unsigned width, struct slice leaves[TILE_WIDTH])
{
	enum err e;

	if (!width || width > TILE_WIDTH)
		return failed(ERR_FORMAT, "a bundle of %u entries", width);
	for (unsigned i = 0; i < width; i++)
		if ((e = tile_take_leaf(&bundle, &leaves[i])))
			return e;
	return bundle.left ? failed(ERR_FORMAT, "a bundle of entries goes on too long") : OK;
}

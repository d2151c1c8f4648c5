#include "audit/tiles.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config/base/dir.h"
#include "config/base/io.h"

/* As openat() does, but no link on the way is followed: in a few that lead in circles there is every tile
 * that somebody could ask for. */
static int open_below(int folder, const char *path, int flags)
{
	CLEANUP(fd) int above = -1;
	char part[TILE_PATH_MAX];

	for (const char *slash; (slash = strchr(path, '/')); path = slash + 1) {
		snprintf(part, sizeof part, "%.*s", (int)(slash - path), path);
		int next = openat(above < 0 ? folder : above, part,
				  O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (next < 0)
			return -1;
		fd_cleanup(&above);
		above = next;
	}
	return openat(above < 0 ? folder : above, path, flags | O_NOFOLLOW | O_CLOEXEC);
}

static enum err open_tile(int folder, const struct tile *tile, int *out)
{
	char path[TILE_PATH_MAX];

	tile_path(tile, path);
	*out = open_below(folder, path, IO_READ);
	if (*out >= 0)
		return OK;
	return errno == ENOENT || errno == ENOTDIR ? ERR_NOT_FOUND : failed(ERR_IO, "%s: %m", path);
}

/* The narrowest partial tile that is wider than @tile. */
static enum err find_wider(int folder, struct tile *tile)
{
	char path[TILE_PATH_MAX];
	unsigned best = TILE_WIDTH;

	tile_path(tile, path);
	*strrchr(path, '/') = 0;
	CLEANUP(fd) int fd = open_below(folder, path, O_RDONLY | O_DIRECTORY);
	CLEANUP(dir) DIR *list = fd < 0 ? NULL : dir_list(fd);
	if (!list)
		return ERR_NOT_FOUND;
	for (const char *name; (name = dir_next(list));) {
		unsigned long width = strtoul(name, NULL, 10);

		if (width > tile->width && width < best)
			best = (unsigned)width;
	}
	tile->width = best;
	return best < TILE_WIDTH ? OK : ERR_NOT_FOUND;
}

/* Opens the tile or a wider one of its number; @tile becomes the one that was opened. */
static enum err open_any(int folder, struct tile *tile, int *out)
{
	const struct tile wanted = *tile;
	enum err e = open_tile(folder, tile, out);

	if (e == ERR_NOT_FOUND && wanted.width < TILE_WIDTH) {
		tile->width = TILE_WIDTH;
		e = open_tile(folder, tile, out);
	}
	/* A few times: what was found may have been superseded meanwhile. */
	for (int i = 0; e == ERR_NOT_FOUND && wanted.width < TILE_WIDTH && i < 3; i++) {
		*tile = wanted;
		if ((e = find_wider(folder, tile)))
			tile->width = TILE_WIDTH;
		e = open_tile(folder, tile, out);
	}
	if (e == ERR_NOT_FOUND) {
		char path[TILE_PATH_MAX];

		tile_path(&wanted, path);
		return failed(ERR_MISMATCH, "%s is missing", path);
	}
	return e;
}

static enum err read_any(int folder, struct tile *tile, size_t max, struct buf *out)
{
	CLEANUP(fd) int fd = -1;
	enum err e;

	if ((e = open_any(folder, tile, &fd)))
		return e;
	e = io_read_all(fd, max, out);
	if (e == ERR_RANGE) {
		char path[TILE_PATH_MAX];

		tile_path(tile, path);
		return failed(ERR_MISMATCH, "%s is longer than a tile can be", path);
	}
	return e;
}

enum err tiles_hashes(int folder, const struct tile *tile, tree_hash out[TILE_WIDTH])
{
	CLEANUP(buf) struct buf raw = { .max = TILE_BYTES + 1 };
	struct tile found = *tile;
	char path[TILE_PATH_MAX];
	enum err e = read_any(folder, &found, TILE_BYTES, &raw);

	if (e)
		return e;
	tile_path(&found, path);
	if (raw.len != (size_t)found.width * SHA256_SIZE)
		return failed(ERR_MISMATCH, "%s has %zu bytes", path, raw.len);
	memcpy(out, raw.data, (size_t)tile->width * SHA256_SIZE);
	return OK;
}

enum err tiles_entries(int folder, const struct tile *tile, struct buf *bundle,
		       struct slice leaves[TILE_WIDTH])
{
	struct tile found = *tile;
	char path[TILE_PATH_MAX];
	enum err e;

	buf_reset(bundle);
	if ((e = read_any(folder, &found, TILE_ENTRIES_MAX, bundle)))
		return e;
	tile_path(&found, path);
	if (tile_split(buf_slice(bundle), found.width, leaves))
		return failed(ERR_MISMATCH, "%s: %s", path, err_reason());
	return OK;
}

enum err tiles_new(int folder, uint64_t size, struct tiles **out)
{
	struct tiles *tiles = calloc(1, sizeof *tiles);

	if (!tiles)
		return failed(ERR_MEMORY, "tiles");
	tiles->folder = folder;
	tiles->size = size;
	*out = tiles;
	return OK;
}

void tiles_cleanup(struct tiles **tiles)
{
	free(*tiles);
	*tiles = NULL;
}

static enum err read_node(void *context, unsigned level, uint64_t i, tree_hash out)
{
	struct tiles *tiles = context;
	struct tile_span span;
	enum err e;

	if (level / TILE_HEIGHT >= TILE_LEVELS)
		return failed(ERR_RANGE, "a tree of so many leaves is not supported");
	tile_of_node(level, i, tiles->size, &span);
	struct tile *last = &tiles->last[span.tile.level].tile;
	if (last->width != span.tile.width || last->number != span.tile.number) {
		last->width = 0;
		if ((e = tiles_hashes(tiles->folder, &span.tile,
				      tiles->last[span.tile.level].hash)))
			return e;
		*last = span.tile;
	}
	tile_root(&tiles->last[span.tile.level].hash[span.from], span.n, out);
	return OK;
}

struct tree_nodes tiles_nodes(struct tiles *tiles)
{
	return (struct tree_nodes){ read_node, tiles };
}

enum err tiles_root(int folder, uint64_t size, tree_hash root)
{
	CLEANUP(tiles) struct tiles *tiles = NULL;
	enum err e = tiles_new(folder, size, &tiles);

	if (e)
		return e;
	struct tree_nodes nodes = tiles_nodes(tiles);
	return tree_nodes_root(&nodes, size, root);
}

static bool is_there(int folder, const struct tile *tile)
{
	char path[TILE_PATH_MAX];

	tile_path(tile, path);
	CLEANUP(fd) int fd = open_below(folder, path, O_PATH);
	return fd >= 0;
}

/* Of the entries of a tile, how many there are in it or in what there is of narrower ones. */
static unsigned widest(int folder, struct tile tile)
{
	const unsigned wanted = tile.width;

	for (tile.width = TILE_WIDTH; tile.width > 0; tile.width--)
		if (is_there(folder, &tile))
			return tile.width < wanted ? tile.width : wanted;
	return 0;
}

/* Nodes of a level that its tiles have, from the left without a gap. */
static uint64_t reach_of(int folder, int level, uint64_t size)
{
	struct tile tile;
	uint64_t n = 0;
	unsigned some = TILE_WIDTH;

	while (some == TILE_WIDTH && tile_in_tree(level, n / TILE_WIDTH, size, &tile)) {
		some = widest(folder, tile);
		n += some;
	}
	return n;
}

uint64_t tiles_reach(int folder, uint64_t size)
{
	uint64_t reach = size;

	for (int level = TILE_ENTRIES; level < TILE_LEVELS; level++) {
		unsigned height = level == TILE_ENTRIES ? 0 : TILE_HEIGHT * (unsigned)level;
		uint64_t n = reach_of(folder, level, size);
		/* With one node more there would be one that no tile has. */
		uint64_t most = n < size >> height ? ((n + 1) << height) - 1 : size;

		reach = most < reach ? most : reach;
	}
	return reach;
}

enum err tiles_leaf(int folder, uint64_t index, uint64_t size, struct buf *leaf)
{
	CLEANUP(buf) struct buf bundle = { .max = TILE_ENTRIES_MAX + 1 };
	struct slice leaves[TILE_WIDTH];
	struct tile tile;
	enum err e;

	if (index >= size)
		return failed(ERR_RANGE, "no leaf %llu in a tree of %llu",
			      (unsigned long long)index, (unsigned long long)size);
	(void)tile_in_tree(TILE_ENTRIES, index / TILE_WIDTH, size, &tile);
	if ((e = tiles_entries(folder, &tile, &bundle, leaves)))
		return e;
	buf_put_slice(leaf, leaves[index % TILE_WIDTH]);
	return buf_check(leaf);
}

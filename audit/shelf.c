#include "audit/shelf.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "audit/history.h"
#include "audit/leaf.h"
#include "audit/partials.h"
#include "audit/tiles.h"
#include "config/base/io.h"

#define TEMPORARY "tile.tmp"

struct shelf {
	int folder;
	uint64_t size, settled;
	/* The last tile of each level, and of the entries, as far as they are filled. */
	tree_hash hash[TILE_LEVELS][TILE_WIDTH];
	struct buf bundle;
	/* Directories with names in them that are not durable yet, by level, the entries' last. */
	char unsynced[TILE_LEVELS + 1][TILE_PATH_MAX];
	struct history_list history;
};

uint64_t shelf_settled(const struct shelf *shelf)
{
	return shelf->settled;
}

int shelf_folder(const struct shelf *shelf)
{
	return shelf->folder;
}

void shelf_free(struct shelf *shelf)
{
	if (!shelf)
		return;
	fd_cleanup(&shelf->folder);
	buf_free(&shelf->bundle);
	free(shelf);
}

/* --- taking over what is there --- */

/* The entries of the last tile, which must be those of its hashes. */
static enum err load_bundle(struct shelf *shelf, const struct tile *hashes)
{
	CLEANUP(buf) struct buf raw = BUF_INIT;
	struct slice leaves[TILE_WIDTH];
	struct tile tile = *hashes;
	enum err e;

	tile.level = TILE_ENTRIES;
	if ((e = tiles_entries(shelf->folder, &tile, &raw, leaves)))
		return e;
	for (unsigned i = 0; i < tile.width; i++) {
		tree_hash hash;

		leaf_hash(leaves[i], hash);
		if (memcmp(hash, shelf->hash[0][i], SHA256_SIZE))
			return failed(ERR_MISMATCH, "an entry in a tile is not that of its hash");
		if ((e = tile_put_leaf(&shelf->bundle, leaves[i])))
			return e;
	}
	return OK;
}

static enum err load(struct shelf *shelf, const tree_hash root)
{
	tree_hash found;
	enum err e = tiles_root(shelf->folder, shelf->size, found);

	if (e)
		return e;
	if (memcmp(found, root, SHA256_SIZE))
		return failed(ERR_MISMATCH, "its tiles are not those of its first %llu records",
			      (unsigned long long)shelf->size);
	for (int level = 0; level < TILE_LEVELS; level++) {
		struct tile tile;

		if (!tile_in_tree(level, (shelf->size >> (8 * level)) / TILE_WIDTH, shelf->size,
				  &tile))
			continue;
		if ((e = tiles_hashes(shelf->folder, &tile, shelf->hash[level])) ||
		    (!level && (e = load_bundle(shelf, &tile))))
			return e;
	}
	return OK;
}

enum err shelf_open(int folder, uint64_t size, const tree_hash root, struct shelf **out)
{
	struct shelf *shelf = calloc(1, sizeof *shelf);

	if (!shelf) {
		fd_cleanup(&folder);
		return failed(ERR_MEMORY, "a tree's tiles");
	}
	shelf->folder = folder;
	shelf->size = shelf->settled = size;
	enum err e = size ? load(shelf, root) : OK;
	if (e || (e = history_read(shelf->folder, &shelf->history))) {
		shelf_free(shelf);
		return e;
	}
	*out = shelf;
	return OK;
}

/* --- writing --- */

static enum err sync_directory(const struct shelf *shelf, const char *path)
{
	CLEANUP(fd)
	int fd = openat(shelf->folder, *path ? path : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return failed(ERR_IO, "%s: %m", path);
	return io_sync_dir(fd);
}

/* The directory of @path, made durably where it is missing. */
static enum err make_directories(const struct shelf *shelf, char *path)
{
	for (char *slash = strchr(path, '/'); slash; slash = strchr(slash + 1, '/')) {
		char above[TILE_PATH_MAX];

		*slash = 0;
		int made = mkdirat(shelf->folder, path, 0755);
		if (made && errno != EEXIST)
			return failed(ERR_IO, "%s: %m", path);
		snprintf(above, sizeof above, "%s", path);
		char *last = strrchr(above, '/');
		*(last ? last : above) = 0;
		enum err e = made ? OK : sync_directory(shelf, above);
		*slash = '/';
		if (e)
			return e;
	}
	return OK;
}

/* Other names of the same level in the same directory wait for the same sync. */
static enum err will_sync(struct shelf *shelf, const struct tile *tile, const char *path)
{
	char *unsynced = shelf->unsynced[tile->level == TILE_ENTRIES ? TILE_LEVELS : tile->level];
	size_t n = (size_t)(strrchr(path, '/') - path);
	enum err e;

	if (*unsynced && (strlen(unsynced) != n || memcmp(unsynced, path, n)) &&
	    (e = sync_directory(shelf, unsynced)))
		return e;
	memcpy(unsynced, path, n);
	unsynced[n] = 0;
	return OK;
}

static enum err sync_names(struct shelf *shelf)
{
	for (int i = 0; i <= TILE_LEVELS; i++) {
		enum err e = *shelf->unsynced[i] ? sync_directory(shelf, shelf->unsynced[i]) : OK;

		if (e)
			return e;
		*shelf->unsynced[i] = 0;
	}
	return OK;
}

static enum err same_as(const struct shelf *shelf, const char *path, struct slice data)
{
	CLEANUP(fd) int fd = openat(shelf->folder, path, IO_READ);
	CLEANUP(buf) struct buf there = BUF_INIT;

	if (fd < 0)
		return errno == ENOENT || errno == ENOTDIR ? ERR_NOT_FOUND
							   : failed(ERR_IO, "%s: %m", path);
	enum err e = io_read_all(fd, TILE_ENTRIES_MAX, &there);
	if (!e && slice_equal(buf_slice(&there), data))
		return OK;
	return e && e != ERR_RANGE ? e : failed(ERR_MISMATCH, "%s was changed", path);
}

static enum err write_new(const struct shelf *shelf, const char *path, struct slice data)
{
	enum err e;

	if (unlinkat(shelf->folder, TEMPORARY, 0) && errno != ENOENT)
		return failed(ERR_IO, "%s: %m", TEMPORARY);
	CLEANUP(fd)
	int fd = openat(shelf->folder, TEMPORARY,
			O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0644);
	if (fd < 0)
		return failed(ERR_IO, "%s: %m", path);
	if ((e = io_write_all(fd, data)))
		return e;
	if (fsync(fd))
		return failed(ERR_IO, "%s: fsync: %m", path);
	if (linkat(shelf->folder, TEMPORARY, shelf->folder, path, 0))
		return failed(ERR_IO, "%s: %m", path);
	if (unlinkat(shelf->folder, TEMPORARY, 0))
		return failed(ERR_IO, "%s: %m", TEMPORARY);
	return OK;
}

/* One that was there already may not be durable yet. */
static enum err put_tile(struct shelf *shelf, const struct tile *tile, struct slice data)
{
	char path[TILE_PATH_MAX];
	enum err e;

	tile_path(tile, path);
	e = same_as(shelf, path, data);
	if (e == ERR_NOT_FOUND && !(e = make_directories(shelf, path)))
		e = write_new(shelf, path, data);
	return e ? e : will_sync(shelf, tile, path);
}

/* --- leaves --- */

static bool has_partials(const struct shelf *shelf, const struct tile *full)
{
	char path[TILE_PATH_MAX + 2];

	tile_path(full, path);
	strcat(path, ".p");
	return !faccessat(shelf->folder, path, F_OK, 0);
}

static enum err put_full(struct shelf *shelf, int level, uint64_t number, struct slice data)
{
	struct tile tile = { level, number, TILE_WIDTH };
	enum err e = put_tile(shelf, &tile, data);

	if (e || !has_partials(shelf, &tile))
		return e;
	return (e = sync_names(shelf)) ? e
				       : partials_superseded(shelf->folder, &shelf->history, &tile);
}

/* The tiles that leaf shelf->size - 1 filled, from level 0 up. */
static enum err put_filled(struct shelf *shelf)
{
	uint64_t n = shelf->size;
	enum err e;

	if ((e = put_full(shelf, TILE_ENTRIES, n / TILE_WIDTH - 1, buf_slice(&shelf->bundle))))
		return e;
	buf_reset(&shelf->bundle);
	for (int level = 0; n % TILE_WIDTH == 0; level++) {
		n /= TILE_WIDTH;
		if ((e = put_full(shelf, level, n - 1, SLICE(shelf->hash[level]))))
			return e;
		if (level + 1 == TILE_LEVELS)
			return failed(ERR_RANGE, "more leaves than tiles can be had for");
		tile_root((const tree_hash *)shelf->hash[level], TILE_WIDTH,
			  shelf->hash[level + 1][(n - 1) % TILE_WIDTH]);
	}
	return OK;
}

enum err shelf_add(struct shelf *shelf, struct slice leaf)
{
	enum err e = tile_put_leaf(&shelf->bundle, leaf);

	if (e)
		return e;
	leaf_hash(leaf, shelf->hash[0][shelf->size % TILE_WIDTH]);
	shelf->size++;
	return shelf->size % TILE_WIDTH ? OK : put_filled(shelf);
}

static enum err put_partial(struct shelf *shelf, int level)
{
	struct tile tile;

	if (!tile_in_tree(level, tile_count(level, shelf->size) - 1, shelf->size, &tile) ||
	    tile.width == TILE_WIDTH)
		return OK;
	return put_tile(shelf, &tile,
			level == TILE_ENTRIES
				? buf_slice(&shelf->bundle)
				: slice_of(shelf->hash[level], (size_t)tile.width * SHA256_SIZE));
}

enum err shelf_settle(struct shelf *shelf)
{
	enum err e;

	if (shelf->settled == shelf->size)
		return OK;
	for (int level = TILE_ENTRIES; level < TILE_LEVELS; level++)
		if (tile_count(level, shelf->size) && (e = put_partial(shelf, level)))
			return e;
	if ((e = sync_names(shelf)))
		return e;
	uint64_t before = shelf->settled;
	shelf->settled = shelf->size;
	return before ? partials_drop(shelf->folder, &shelf->history, before, shelf->settled) : OK;
}

/* Its tiles first: a name in the history that leads to none is nobody's loss. */
static enum err forget(struct shelf *shelf, size_t at)
{
	struct history_list others = shelf->history;

	others.items[at] = others.items[--others.n];
	enum err e = partials_drop(shelf->folder, &others, shelf->history.items[at].size,
				   shelf->settled);
	return e ? e : history_remove(shelf->folder, &shelf->history, at);
}

enum err shelf_published(struct shelf *shelf, uint64_t size, struct slice note)
{
	enum err e = history_put(shelf->folder, &shelf->history, size, note);
	size_t at;

	while (!e && history_due(&shelf->history, &at))
		e = forget(shelf, at);
	return e;
}

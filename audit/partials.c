#include "audit/partials.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "config/base/io.h"

static bool is_of(const struct tile *tile, uint64_t size)
{
	struct tile then;

	return tile_in_tree(tile->level, tile->number, size, &then) && then.width == tile->width;
}

static bool is_needed(const struct history_list *history, const struct tile *tile)
{
	for (size_t i = 0; i < history->n; i++)
		if (is_of(tile, history->items[i].size))
			return true;
	return false;
}

static enum err remove_tile(int folder, const struct tile *tile)
{
	char path[TILE_PATH_MAX];

	tile_path(tile, path);
	if (unlinkat(folder, path, 0) && errno != ENOENT && errno != ENOTDIR)
		return failed(ERR_IO, "%s: %m", path);
	return OK;
}

/* Of partial tiles whose full one is there, the last takes the directory with it. */
static enum err remove_folder(int folder, const struct tile *partial)
{
	char path[TILE_PATH_MAX];

	tile_path(partial, path);
	*strrchr(path, '/') = 0;
	if (unlinkat(folder, path, AT_REMOVEDIR) && errno != ENOENT && errno != ENOTEMPTY &&
	    errno != EEXIST)
		return failed(ERR_IO, "%s: %m", path);
	return OK;
}

enum err partials_drop(int folder, const struct history_list *history, uint64_t size, uint64_t now)
{
	enum err e = OK;

	for (int level = TILE_ENTRIES; !e && level < TILE_LEVELS; level++) {
		uint64_t n = tile_count(level, size);
		struct tile tile, then;

		if (!n || !tile_in_tree(level, n - 1, size, &tile) || tile.width == TILE_WIDTH ||
		    is_of(&tile, now) || is_needed(history, &tile))
			continue;
		e = remove_tile(folder, &tile);
		if (!e && tile_in_tree(level, n - 1, now, &then) && then.width == TILE_WIDTH)
			e = remove_folder(folder, &tile);
	}
	return e;
}

static enum err remove_unneeded(int list, const struct history_list *history,
				const struct tile *full)
{
	struct tile partial = *full;

	for (partial.width = 1; partial.width < TILE_WIDTH; partial.width++) {
		char name[8];

		snprintf(name, sizeof name, "%u", partial.width);
		if (!is_needed(history, &partial) && unlinkat(list, name, 0) && errno != ENOENT)
			return failed(ERR_IO, "a partial tile: %m");
	}
	return OK;
}

enum err partials_superseded(int folder, const struct history_list *history,
			     const struct tile *full)
{
	struct tile partial = { full->level, full->number, 1 };
	char path[TILE_PATH_MAX];

	tile_path(&partial, path);
	*strrchr(path, '/') = 0;
	CLEANUP(fd)
	int list = openat(folder, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (list < 0)
		return errno == ENOENT ? OK : failed(ERR_IO, "%s: %m", path);
	enum err e = remove_unneeded(list, history, full);
	return e ? e : remove_folder(folder, &partial);
}

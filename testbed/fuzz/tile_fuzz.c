/* Paths of tiles and bundles of entries: what is read is written the same way again. */
#include <stdlib.h>
#include <string.h>

#include "audit/tile.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void bundle(struct slice raw, unsigned width)
{
	CLEANUP(buf) struct buf again = BUF_INIT;
	struct slice leaves[TILE_WIDTH];

	if (tile_split(raw, width, leaves))
		return;
	for (unsigned i = 0; i < width; i++)
		if (tile_put_leaf(&again, leaves[i]))
			abort();
	if (!slice_equal(buf_slice(&again), raw))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	char path[TILE_PATH_MAX + 8] = "", again[TILE_PATH_MAX];
	struct tile tile;

	memcpy(path, data, n < sizeof path ? n : sizeof path - 1);
	if (!tile_parse_path(path, &tile)) {
		tile_path(&tile, again);
		if (strcmp(path, again))
			abort();
	}
	if (n)
		bundle(slice_of(data + 1, n - 1), data[0] + 1u);
	return 0;
}

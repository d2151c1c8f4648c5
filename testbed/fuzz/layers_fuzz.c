/* A layer of an image, twice: what is there after it was applied is a tree that packs, or is refused in
 * words; and a second time on top of itself it changes nothing but what whiteouts took away. */
#include <archive.h>
#include <stdlib.h>

#include "plugin/cli/layers.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static enum err apply(struct layers *layers, const uint8_t *data, size_t n)
{
	struct archive *tar = archive_read_new();
	enum err e = ERR_FORMAT;

	if (tar && !archive_read_support_format_tar(tar) &&
	    !archive_read_support_filter_gzip(tar) && !archive_read_support_filter_zstd(tar) &&
	    !archive_read_open_memory(tar, data, n))
		e = layers_apply(layers, tar);
	archive_read_free(tar);
	return e;
}

static size_t pack(const struct layers *layers)
{
	CLEANUP(buf) struct buf out = BUF_INIT;
	struct manifest manifest;
	struct entry *entries;
	size_t n;

	if (layers_entries(layers, &entries, &n))
		abort();
	manifest_default(&manifest);
	manifest.id = manifest.label = slice_text("a");
	manifest.version = slice_text("1");
	manifest.argv[manifest.argc++] = slice_text("/a");
	if (n)
		(void)!package_build(&manifest, entries, n, &out);
	free(entries);
	return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	CLEANUP(layers) struct layers *layers = NULL;

	if (layers_new(&layers))
		return 0;
	if (apply(layers, data, n))
		return 0;
	size_t before = pack(layers);
	if (!apply(layers, data, n) && pack(layers) > before)
		abort();
	return 0;
}

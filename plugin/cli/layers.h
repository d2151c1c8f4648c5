/* layers.h - the files that the layers of an OCI image add up to, in memory: each layer a tar archive over
 * those before, with whiteouts (OCI image specification, "Image Layer Filesystem Changeset"). One thread.
 *
 * A layer is hostile input. Owners, times, extended attributes and set-user-id bits are dropped, since
 * everything in a cell is one user's; a hard link becomes a copy, an absolute link the relative one that
 * leads to the same place; /dev is left out, since every cell has its own. Refused, with the path: what
 * a package can't hold (devices, pipes, sockets), absolute paths and "..", paths that lead through a
 * link, a path twice in one layer, and what is more than a package may be.
 */
#ifndef PLUGIN_CLI_LAYERS_H
#define PLUGIN_CLI_LAYERS_H

#include "sandbox/package.h"

#define LAYERS_MAX 128
/* What may be read of all layers, with what later ones replace. */
#define LAYERS_READ_MAX ((uint64_t)1 << 30)

struct archive; /* libarchive's */
struct layers;

MUST enum err layers_new(struct layers **out);
/* Reads a tar archive that was opened to its end. */
MUST enum err layers_apply(struct layers *layers, struct archive *tar);
/* All of them, in no order; they point into @layers. Freed by the caller. */
MUST enum err layers_entries(const struct layers *layers, struct entry **entries, size_t *n);
/* Is there an executable file, or a link, at this path (without its first "/")? */
bool layers_have_program(const struct layers *layers, const char *path);
void layers_free(struct layers *layers); /* NULL is allowed */
void layers_cleanup(struct layers **layers);

/* libarchive's last error as ours, with the reason that it gives. */
MUST enum err layers_failed(struct archive *archive, const char *what);

#endif

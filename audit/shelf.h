/* shelf.h - writes the tiles of one tree, leaf after leaf, into its public folder. One thread.
 *
 * A tile is written whole under a temporary name, synced, and linked to its own: what has a name is
 * whole, and never changes. After a crash the same leaves are added again: tiles that are there
 * already must be the same ones.
 */
#ifndef AUDIT_SHELF_H
#define AUDIT_SHELF_H

#include "audit/tile.h"

struct shelf;

/* A tree whose first @size leaves are in tiles already, with this root: ERR_MISMATCH when they are
 * not, or others. @folder becomes the shelf's, in any case. */
MUST enum err shelf_open(int folder, uint64_t size, const tree_hash root, struct shelf **out);
void shelf_free(struct shelf *shelf);

/* Takes the next leaf, and writes what tiles it fills. */
MUST enum err shelf_add(struct shelf *shelf, struct slice leaf);
/* Writes partial tiles, and makes all tiles of all leaves durable. Those of the call before are removed
 * if they are of no checkpoint. */
MUST enum err shelf_settle(struct shelf *shelf);
/* A checkpoint of @size leaves, all of them settled, is about to be published: keeps it in the history
 * (history.h), and lets go of what that does not keep any more, with its partial tiles. */
MUST enum err shelf_published(struct shelf *shelf, uint64_t size, struct slice note);
uint64_t shelf_settled(const struct shelf *shelf); /* leaves that are in durable tiles */
int shelf_folder(const struct shelf *shelf);

#endif

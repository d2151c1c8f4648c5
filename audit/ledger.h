/* ledger.h - the trees that a log's frames add up to. Pure: no I/O; one thread, but for what
 * tree.h allows.
 *
 * Checks what can be checked without signatures: that trees, indices and sizes follow one another
 * without gaps, that every head's root is the root of that many leaves, and that snapshots say what
 * the frames before them add up to. An empty ledger takes the first snapshot for its beginning: its
 * trees start at their frontiers, whose leaves are in tiles.
 */
#ifndef AUDIT_LEDGER_H
#define AUDIT_LEDGER_H

#include "audit/frame.h"
#include "audit/receipt.h"
#include "audit/tree.h"

struct ledger_tree {
	uint32_t number;
	char origin[FRAME_ORIGIN_MAX + 1];
	struct buf certificate, ca; /* of the key of now, DER */
	struct buf former;          /* the certificate before it; may be empty */
	struct tree tree;
	struct receipt_head head; /* the last one in the log; size is 0 when there is none */
	int64_t newest;           /* recovery's: time of the newest leaf that it read; 0: of none */
	bool closed;              /* its last leaf ends it: there is a next shard, or will be */
	bool pruned; /* its leaves are not kept any more, nor certificates and signature; closed */
};

#define LEDGER_TREES_MAX 4096 /* all of them go into each snapshot, pruned ones too */

struct ledger {
	struct ledger_tree **trees; /* by number */
	size_t n;
	uint64_t leaves, heads;
};
#define LEDGER_INIT ((struct ledger){ 0 })

/* Told of each entry once it has been applied. An error ends the walk. */
typedef enum err ledger_visit(void *context, struct ledger_tree *tree, const struct entry *entry);

/* Applies all entries of a frame; @leaves is how many of them were leaves. ERR_MISMATCH or
 * ERR_FORMAT: the frame does not continue the trees. */
MUST enum err ledger_apply(struct ledger *ledger, const struct frame *frame, ledger_visit *visit,
			   void *context, uint64_t *leaves);
/* Appends the entries of a snapshot of the first @trees trees. */
MUST enum err ledger_snapshot(const struct ledger *ledger, size_t trees, struct buf *out);
/* Of how many entries that is. */
uint32_t ledger_snapshot_entries(const struct ledger *ledger, size_t trees);
/* How long it is at most. */
size_t ledger_snapshot_max(const struct ledger *ledger);
/* Remembers a head as the last one in the log. */
MUST enum err ledger_head(struct ledger_tree *tree, uint64_t size, const uint8_t *root,
			  struct slice protected, struct slice signature);
struct ledger_tree *ledger_find(const struct ledger *ledger, const char *origin);
/* Adds a tree, or gives an existing one its new certificate. */
MUST enum err ledger_tree(struct ledger *ledger, const struct entry *entry,
			  struct ledger_tree **out);
/* Applies an ENTRY_CLOSED or an ENTRY_PRUNED. */
MUST enum err ledger_mark(struct ledger_tree *tree, enum entry_kind kind);
/* Takes back the tree that was added last. */
void ledger_undo(struct ledger *ledger);
void ledger_free(struct ledger *ledger);
void ledger_cleanup(struct ledger *ledger);

#endif

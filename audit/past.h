/* past.h - records and hashes of a ledger's tree that lie in its tiles alone.
 *
 * A ledger that was read from what is left of the write-ahead log begins where that does (tree.base):
 * what is before it is looked up in the tree's folder. Nothing that comes from there is believed here:
 * whoever asks compares the root with one that was signed. Any thread. @trees is the folder's descriptor.
 */
#ifndef AUDIT_PAST_H
#define AUDIT_PAST_H

#include "audit/ledger.h"

/* The root of the first @size records: from the tree, or from its tiles when it is older than that. */
MUST enum err past_root(int trees, const struct ledger_tree *tree, uint64_t size, tree_hash root);
/* The path from a record to the root of the first @size, likewise. */
MUST enum err past_inclusion(int trees, const struct ledger_tree *tree, uint64_t index,
			     uint64_t size, struct tree_path *path);
/* Shows the leaves with which the ledger began: those that are in tiles, and not in what is left of
 * the write-ahead log. Each comes as the entry that it was. Not checked: that is the auditor's part. */
MUST enum err past_walk(int trees, const struct ledger *ledger, ledger_visit *visit, void *context);

#endif

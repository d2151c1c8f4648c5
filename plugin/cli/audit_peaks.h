/* audit_peaks.h - the root of a tree that grows leaf by leaf, in constant memory. Pure. */
#ifndef PLUGIN_CLI_AUDIT_PEAKS_H
#define PLUGIN_CLI_AUDIT_PEAKS_H

#include "audit/tree.h"

struct peaks {
	uint64_t size;
	tree_hash hash[TREE_LEVELS]; /* roots of the complete subtrees that the leaves make */
};

void peaks_add(struct peaks *peaks, struct slice leaf);
void peaks_root(const struct peaks *peaks, tree_hash root);

#endif

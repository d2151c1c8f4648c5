#include "plugin/cli/audit_peaks.h"

#include <string.h>

#include "audit/leaf.h"

/* As a counter carries: each bit of the size that is set has a subtree of that height. */
void peaks_add(struct peaks *peaks, struct slice leaf)
{
	unsigned level = 0;
	tree_hash hash;

	leaf_hash(leaf, hash);
	for (; peaks->size >> level & 1; level++)
		tree_node(peaks->hash[level], hash, hash);
	memcpy(peaks->hash[level], hash, sizeof hash);
	peaks->size++;
}

void peaks_root(const struct peaks *peaks, tree_hash root)
{
	bool first = true;

	sha256_once(slice_of(NULL, 0), root);
	for (unsigned level = 0; level < TREE_LEVELS; level++) {
		if (!(peaks->size >> level & 1))
			continue;
		if (first)
			memcpy(root, peaks->hash[level], sizeof(tree_hash));
		else
			tree_node(peaks->hash[level], root, root);
		first = false;
	}
}

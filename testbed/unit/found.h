/* found.h - for tests of the log: what an auditor finds in it, tree by tree, and whether what was
 * promised is there. One log at a time.
 */
#ifndef TESTBED_UNIT_FOUND_H
#define TESTBED_UNIT_FOUND_H

#include <check.h>
#include <stdio.h>
#include <string.h>

#include "audit/auditor.h"
#include "audit/audit.h"
#include "audit/tree.h"

struct found {
	char origin[AUDITOR_ORIGIN];
	struct tree tree; /* of the leaves' hashes */
};
static struct found found[8];
static size_t found_n;

static inline struct found *found_of(const char *origin)
{
	for (size_t i = 0; i < found_n; i++)
		if (!strcmp(found[i].origin, origin))
			return &found[i];
	return NULL;
}

static inline enum err found_collect(void *context, const char *origin, uint64_t index,
				     struct slice raw, const struct leaf *leaf)
{
	struct found *f = found_of(origin);
	uint8_t hash[SHA256_SIZE];

	(void)context;
	(void)leaf;
	if (!f) {
		f = &found[found_n++];
		ck_assert_uint_le(found_n, sizeof found / sizeof *found);
		snprintf(f->origin, sizeof f->origin, "%s", origin);
	}
	ck_assert_uint_eq(f->tree.size, index);
	leaf_hash(raw, hash);
	return tree_append(&f->tree, hash);
}

static inline void found_forget(void)
{
	for (size_t i = 0; i < found_n; i++)
		tree_free(&found[i].tree);
	memset(found, 0, sizeof found);
	found_n = 0;
}

/* What auditor_verify() says; until found_forget() the leaves' hashes are kept. */
static inline enum err found_read(const char *path, struct slice ca)
{
	struct auditor_report report;

	found_forget();
	enum err e = auditor_verify(path, ca, found_collect, NULL, &report);
	if (!e)
		auditor_report_free(&report);
	return e;
}

static inline bool found_holds(const char *origin, uint64_t index, const uint8_t hash[SHA256_SIZE])
{
	const struct found *f = found_of(origin);

	return f && index < f->tree.size && !memcmp(tree_leaf(&f->tree, index), hash, SHA256_SIZE);
}

/* Is the tree an extension of this one? */
static inline bool found_extends(const char *origin, uint64_t size, const uint8_t root[SHA256_SIZE])
{
	const struct found *f = found_of(origin);
	tree_hash now;

	return f && size <= f->tree.size && !tree_root(&f->tree, size, now) &&
	       !memcmp(now, root, SHA256_SIZE);
}

#endif

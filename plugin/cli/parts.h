/* parts.h - measured components as `assay tcb` shows and compares them: those of a proof's leaf and
 * of the TCB record that came with it, or the files of a package.
 */
#ifndef PLUGIN_CLI_PARTS_H
#define PLUGIN_CLI_PARTS_H

#include "audit/leaf.h"

struct part {
	struct slice name, version; /* of a file: its path, and type and mode in words */
	uint8_t sha256[SHA256_SIZE];
};

/* Sorted by name; points into @raw. */
struct parts {
	struct buf raw, texts;
	struct part *list;
	size_t n;
};

/* A proof, the result of EXECUTE_FULL, or a package. ERR_FORMAT: none of them. Nothing is verified:
 * that is `assay verify`. */
MUST enum err parts_read(const char *path, struct parts *out);
int part_order(const struct part *a, const struct part *b); /* by name */
void parts_cleanup(struct parts *parts);

/* Who vouches for a component of that name, as a heading. The names' order is that of the groups. */
const char *parts_group(struct slice name);
/* All components of a record, group by group. @mark: words for one of them, or NULL. */
typedef const char *parts_mark(void *context, struct slice name);
void parts_print(const struct leaf *leaf, parts_mark *mark, void *context, struct buf *out);

#endif

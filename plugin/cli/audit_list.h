/* audit_list.h - the records that `assay audit show` prints: gathered in whatever order the log is
 * read, printed in order of time, each tree's own order kept. Their text waits in a file without a
 * name, so that a log may be larger than memory; 40 bytes for each stay there. One thread.
 */
#ifndef PLUGIN_CLI_AUDIT_LIST_H
#define PLUGIN_CLI_AUDIT_LIST_H

#include "audit/auditor.h"
#include "plugin/cli/audit_peaks.h"
#include "plugin/cli/audit_record.h"

struct list_tree {
	char origin[AUDITOR_ORIGIN];
	int64_t newest;       /* the latest time in it: its records never go back behind */
	uint64_t next;        /* index of the first record that was not seen yet */
	uint64_t signed_size; /* so many of its records are under a signed head */
	struct peaks seen;    /* of a tree that is followed: the records that were seen */
};

struct list_line {
	int64_t time;
	uint64_t index, at;
	uint32_t length, tree;
};

struct list {
	enum record_form form;
	struct list_tree *trees;
	size_t trees_n;
	struct list_line *lines;
	size_t n, room;
	struct buf text; /* not written to the file yet */
	uint64_t text_at;
	int fd; /* -1: no file yet */
};
#define LIST_INIT(form) ((struct list){ (form), .fd = -1 })

/* The tree of an origin, added if it is new; NULL when out of memory. Valid until the next call. */
struct list_tree *list_tree(struct list *list, const char *origin);
/* Puts a record of the tree that list_tree() gave last into the list. */
MUST enum err list_add(struct list *list, const struct list_tree *tree, const struct leaf *leaf);
/* Writes the last @most of them to stdout, by way of @out, and empties the list. */
MUST enum err list_print(struct list *list, size_t most, struct buf *out);
void list_cleanup(struct list *list);

#endif

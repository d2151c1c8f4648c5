/* history.h - checkpoints of before: checkpoints/<number> in a tree's public folder, signed notes as they
 * were published, so that a copy that took long still has one whose tiles it has too.
 *
 * They are numbered from 0, in order. Number n stays for 16 later ones, or for 4 times the largest
 * power of two that divides n where that is more, and 0 for ever: a few for each power of two. Of those
 * that were there when a copy was begun, one is there when it ends, and it is no older, before the
 * beginning, than the copy took, or it is the first. One thread writes.
 */
#ifndef AUDIT_HISTORY_H
#define AUDIT_HISTORY_H

#include "config/base/bytes.h"

#define HISTORY_FOLDER "checkpoints"
#define HISTORY_MAX 512 /* far more than stay */

struct history_item {
	uint64_t number;
	uint64_t size; /* of the tree */
};
struct history_list {
	struct history_item items[HISTORY_MAX]; /* in no order */
	size_t n;
	uint64_t next; /* number of the next one */
};

/* What is there, which may be nothing. ERR_MISMATCH: one is no checkpoint; ERR_RANGE: too many. */
MUST enum err history_read(int folder, struct history_list *out);
/* Appends one of them, whole; ERR_NOT_FOUND: it has gone. */
MUST enum err history_note(int folder, uint64_t number, struct buf *note);
/* Writes the next one. A crash may undo that, but never tear it. */
MUST enum err history_put(int folder, struct history_list *history, uint64_t size,
			  struct slice note);
/* The place of one that has to go now; false: all of them stay. */
bool history_due(const struct history_list *history, size_t *at);
/* Takes it off. */
MUST enum err history_remove(int folder, struct history_list *history, size_t at);

#endif

/* What is asked of a running log on behalf of witnesses, and what they gave. */

#include <string.h>

#include "audit/note.h"
#include "audit/state.h"

static struct audit_tree *find(struct audit *audit, const char *origin, uint64_t *released)
{
	struct audit_tree *found = NULL;

	pthread_mutex_lock(&audit->lock);
	for (size_t i = 0; !found && i < audit->trees_n; i++)
		if (!strcmp(audit->trees[i]->book->origin, origin))
			found = audit->trees[i];
	if (found)
		*released = found->released;
	pthread_mutex_unlock(&audit->lock);
	return found;
}

enum err audit_checkpoint(struct audit *audit, const char *origin, struct buf *note)
{
	return public_newest(audit->trees_dir, origin, note);
}

enum err audit_consistency(struct audit *audit, const char *origin, uint64_t old, uint64_t size,
			   struct tree_path *path)
{
	uint64_t released;
	struct audit_tree *tree = find(audit, origin, &released);

	if (!tree)
		return failed(ERR_NOT_FOUND, "no tree %s", origin);
	if (size > released)
		return failed(ERR_RANGE, "%s has %llu records", origin,
			      (unsigned long long)released);
	return old_consistency(tree, old, size, path);
}

/* Only the same text takes the lines; the publisher may have gone on. */
static enum err replace_same(struct audit *audit, const char *origin, struct slice note)
{
	CLEANUP(buf) struct buf now = BUF_INIT;
	const uint8_t *end = note.left ? memmem(note.p, note.left, "\n\n", 2) : NULL;
	enum err e = public_newest(audit->trees_dir, origin, &now);

	if (e)
		return e;
	size_t text = end ? (size_t)(end - note.p) + 2 : note.left;
	if (!end || now.len < text || memcmp(now.data, note.p, text) != 0)
		return OK;
	return public_checkpoint(audit->trees_dir, origin, note);
}

enum err audit_cosigned(struct audit *audit, const char *origin, struct slice note, bool enough)
{
	enum err e = enough ? public_put_witnessed(audit->trees_dir, origin, note) : OK;

	if (e)
		return e;
	pthread_mutex_lock(&audit->publishing);
	e = replace_same(audit, origin, note);
	pthread_mutex_unlock(&audit->publishing);
	return e;
}

/* Heads as somebody outside of the log remembers them. */
#include <stdlib.h>
#include <string.h>

#include "audit/past.h"
#include "audit/shard.h"
#include "audit/state.h"

static unsigned long long ull(uint64_t v)
{
	return v;
}

enum err audit_heads(struct audit *audit, struct audit_head **out, size_t *n)
{
	enum err e = OK;

	*n = 0;
	pthread_mutex_lock(&audit->lock);
	struct audit_head *heads = calloc(audit->trees_n ? audit->trees_n : 1, sizeof *heads);
	if (!heads)
		e = failed(ERR_MEMORY, "a list of heads");
	for (size_t i = 0; !e && i < audit->trees_n; i++) {
		struct audit_tree *tree = audit->trees[i];
		struct audit_head *head = &heads[*n];

		if (!tree->released)
			continue;
		memcpy(head->origin, tree->book->origin, sizeof head->origin);
		head->size = tree->released;
		pthread_rwlock_rdlock(&tree->trimming);
		e = tree_root(&tree->book->tree, head->size, head->root);
		pthread_rwlock_unlock(&tree->trimming);
		++*n;
	}
	pthread_mutex_unlock(&audit->lock);
	if (e)
		free(heads);
	else
		*out = heads;
	return e;
}

int64_t audit_newest(struct audit *audit)
{
	int64_t newest = 0;

	pthread_mutex_lock(&audit->lock);
	for (size_t i = 0; i < audit->trees_n; i++)
		if (audit->trees[i]->newest > newest)
			newest = audit->trees[i]->newest;
	pthread_mutex_unlock(&audit->lock);
	return newest;
}

enum err audit_unsigned(struct audit *audit, const char *origin, struct buf *certificate)
{
	enum err e = failed(ERR_NOT_FOUND, "%s: no record waits for its key", origin);

	pthread_mutex_lock(&audit->lock);
	for (size_t i = 0; i < audit->trees_n; i++) {
		const struct audit_tree *tree = audit->trees[i];

		if (tree->key || !tree->wants_head ||
		    !shard_is_of(slice_text(tree->book->origin), slice_text(origin)))
			continue;
		buf_put_slice(certificate, buf_slice(&tree->book->certificate));
		e = buf_check(certificate);
	}
	pthread_mutex_unlock(&audit->lock);
	return e;
}

static enum err check_head(const struct audit *audit, const struct audit_head *head)
{
	const struct ledger_tree *tree = ledger_find(&audit->ledger, head->origin);
	tree_hash root;
	enum err e;

	if (!tree || tree->tree.size < head->size)
		return failed(
			ERR_MISMATCH,
			"%s: the log has %llu records, there were %llu: it was put back to an "
			"earlier state, or cut",
			head->origin, ull(tree ? tree->tree.size : 0), ull(head->size));
	if (tree->pruned && head->size < tree->tree.base)
		return OK; /* as much as is known of it */
	if ((e = past_root(audit->trees_dir, tree, head->size, root)))
		return e;
	if (memcmp(root, head->root, SHA256_SIZE))
		return failed(ERR_MISMATCH,
			      "%s: the first %llu records are not those that the log had: it is "
			      "another one",
			      head->origin, ull(head->size));
	return OK;
}

enum err heads_check(const struct audit *audit, const struct audit_head *heads, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		enum err e = check_head(audit, &heads[i]);

		if (e)
			return e;
	}
	return OK;
}

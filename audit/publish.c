/* Checkpoints: a second signature per tree, off the path of release, at most once a second. */

#include "audit/note.h"
#include "audit/state.h"
#include "config/base/io.h"
#include "config/base/log.h"

static enum err publish_head(struct audit *audit, const struct head *head)
{
	CLEANUP(buf) struct buf text = BUF_INIT, signature = BUF_INIT, note = BUF_INIT;
	const char *origin = head->tree->book->origin;
	uint8_t digest[SHA256_SIZE], id[NOTE_KEY_ID];
	enum err e;

	if ((e = note_key_id(head->key->key.certificate, id)) ||
	    (e = note_prepare(origin, head->signed_head.size, head->signed_head.root, &text,
			      digest)) ||
	    (e = audit->signer.sign(audit->signer.context, head->key->key.handle, digest,
				    &signature)) ||
	    (e = buf_check(&signature)) ||
	    (e = note_write(buf_slice(&text), origin, id, buf_slice(&signature), &note)))
		return e;
	pthread_mutex_lock(&audit->publishing);
	e = public_checkpoint(audit->trees_dir, origin, buf_slice(&note));
	pthread_mutex_unlock(&audit->publishing);
	return e;
}

static void publish_tree(struct audit *audit, struct audit_tree *tree)
{
	struct head *head = NULL;

	pthread_mutex_lock(&audit->lock);
	if (tree->in_public && tree->head && tree->head->signed_head.size > tree->published)
		head = head_hold(tree->head);
	pthread_mutex_unlock(&audit->lock);
	if (!head)
		return;
	if (publish_head(audit, head))
		log_warning("audit: no new checkpoint of %s: %s", tree->book->origin, err_reason());
	else
		tree->published = head->signed_head.size;
	head_drop(head);
}

static void publish_all(struct audit *audit)
{
	for (size_t i = 0;; i++) {
		struct audit_tree *tree = NULL;

		pthread_mutex_lock(&audit->lock);
		if (i < audit->trees_n)
			tree = audit->trees[i];
		pthread_mutex_unlock(&audit->lock);
		if (!tree)
			return;
		publish_tree(audit, tree);
	}
}

void *publish_thread(void *argument)
{
	struct audit *audit = argument;
	bool stop = false;

	while (!stop) {
		struct timespec until = io_timespec(io_monotonic_ms() + PUBLISH_EVERY_MS);

		pthread_mutex_lock(&audit->lock);
		while (!audit->stop &&
		       !pthread_cond_timedwait(&audit->publish, &audit->lock, &until))
			;
		stop = audit->stop;
		pthread_mutex_unlock(&audit->lock);
		publish_all(audit);
	}
	return NULL;
}

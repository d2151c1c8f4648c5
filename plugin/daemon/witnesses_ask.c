/* One witness is asked about each tree of the round; what it answers is added, or told. */
#include <stdio.h>
#include <string.h>

#include "audit/witness.h"
#include "config/base/log.h"
#include "plugin/daemon/post.h"
#include "plugin/daemon/record.h"
#include "plugin/daemon/witnesses_inner.h"

#define WORDS_MAX 160 /* of what a witness says, in the operator's log */

/* What a bank has to look into, each a record in the log, once a start. */
enum alarm { ROLLED_BACK = 1, FORKED = 2 };

static enum err alarm_once(struct worker *worker, struct watched *tree, enum alarm alarm,
			   const char *words)
{
	struct daemon *daemon = worker->witnesses->daemon;
	const char *name = trust_witness(worker->witnesses->trust, worker->i)->name;

	if (tree->of[worker->i].alarmed & alarm)
		return ERR_MISMATCH;
	tree->of[worker->i].alarmed |= alarm;
	log_error("witness %s, %s: %s", name, tree->origin, words);
	if (record_write(daemon, NULL, NULL, LEAF_MANAGEMENT, slice_text(name), "witness of %s: %s",
			 tree->origin, words))
		log_error("%s", err_reason());
	return ERR_MISMATCH;
}

/* A checkpoint is no record: a crash may have brought an older one back, for a moment. */
static enum err saw_more(struct worker *worker, struct watched *tree)
{
	char words[200];

	if (tree->of[worker->i].seen <= tree->released)
		return OK;
	snprintf(words, sizeof words,
		 "it signed %llu records, and there are %llu: the log was rolled back, or a copy "
		 "of it lives elsewhere",
		 (unsigned long long)tree->of[worker->i].seen, (unsigned long long)tree->released);
	return alarm_once(worker, tree, ROLLED_BACK, words);
}

/* What is there now may have more lines than was sent: the text is the same. */
static enum err add_lines(struct worker *worker, struct watched *tree, struct slice lines)
{
	struct witnesses *w = worker->witnesses;
	uint64_t bit = UINT64_C(1) << worker->i;

	pthread_mutex_lock(&w->lock);
	bool had = trust_quorum(w->trust, tree->cosigned);
	buf_put_slice(&tree->note, lines);
	tree->cosigned |= bit;
	bool enough = trust_quorum(w->trust, tree->cosigned);
	enum err e = buf_check(&tree->note);
	if (!e)
		e = audit_cosigned(w->daemon->audit, tree->origin, buf_slice(&tree->note), enough);
	if (!e && enough)
		witnesses_cover_locked(w, tree);
	pthread_mutex_unlock(&w->lock);
	if (!e && enough && !had)
		log_debug("%s: %llu records are cosigned by a quorum", tree->origin,
			  (unsigned long long)tree->size);
	return e;
}

static enum err write_request(struct witnesses *w, const struct watched *tree, uint64_t old,
			      struct buf *out)
{
	struct tree_path path = { .n = 0 };
	enum err e;

	if (old && (e = audit_consistency(w->daemon->audit, tree->origin, old, tree->size, &path)))
		return e;
	return witness_request_write(old, &path, slice_of(tree->note.data, tree->checkpoint_n),
				     out);
}

/* Its words are a stranger's: so much of them, and only what is text. */
static enum err refused(struct worker *worker, struct watched *tree, struct post_reply *reply)
{
	const char *text = buf_text(&reply->body);
	char words[WORDS_MAX + 64];

	snprintf(words, sizeof words, "it answers %d: %.*s", reply->status, WORDS_MAX,
		 text ? text : "");
	words[strcspn(words, "\r\n")] = 0;
	for (char *c = words; *c; c++)
		if (*c < ' ' || *c > '~')
			*c = '?';
	if (reply->status == WITNESS_REFUSED)
		return alarm_once(worker, tree, FORKED, words);
	return failed(ERR_DENIED, "%s", words);
}

static enum err post(const struct worker *worker, struct slice request, struct post_reply *reply)
{
	const struct witnesses *w = worker->witnesses;
	const struct config *config = w->daemon->config;
	char url[TRUST_URL_MAX + 32];

	snprintf(url, sizeof url, "%s/add-checkpoint", trust_witness(w->trust, worker->i)->url);
	const struct post post = { .url = url,
				   .type = "text/plain; charset=utf-8",
				   .body = request,
				   .ca = config->audit_witness_ca,
				   .ms = config->audit_witness_ms,
				   .answer_max = WITNESS_ANSWER_MAX };
	return post_run(config, w->daemon->self, &post, reply);
}

/* One request. ERR_EXISTS: it signed another size last, which is known now. */
static enum err ask_once(struct worker *worker, struct watched *tree)
{
	struct witnesses *w = worker->witnesses;
	const struct trust_witness *witness = trust_witness(w->trust, worker->i);
	struct memory *memory = &tree->of[worker->i];
	CLEANUP(buf) struct buf request = BUF_INIT, lines = BUF_INIT;
	CLEANUP(post_reply) struct post_reply reply = { 0 };
	enum err e;

	if (memory->seen > tree->size)
		return saw_more(worker, tree);
	pthread_mutex_lock(&w->lock); /* the note may grow, and move */
	e = write_request(w, tree, memory->seen, &request);
	pthread_mutex_unlock(&w->lock);
	if (e || (e = post(worker, buf_slice(&request), &reply)))
		return e;
	if (reply.status == WITNESS_CONFLICT) {
		if ((e = witness_size_read(buf_slice(&reply.body), &memory->seen)))
			return e;
		return failed(ERR_EXISTS, "it signed %llu records last",
			      (unsigned long long)memory->seen);
	}
	if (reply.status != WITNESS_SIGN)
		return refused(worker, tree, &reply);
	struct slice checkpoint =
		slice_of(request.data + request.len - tree->checkpoint_n, tree->checkpoint_n);
	if ((e = witness_answer_read(buf_slice(&reply.body), &witness->key, checkpoint, &lines)))
		return e;
	memory->seen = tree->size;
	return add_lines(worker, tree, buf_slice(&lines));
}

static void say_once(struct worker *worker, struct watched *tree, enum err e)
{
	struct memory *memory = &tree->of[worker->i];
	bool new = e && memory->said != (unsigned)e;

	memory->said = (unsigned)e;
	if (new &&e != ERR_MISMATCH) /* an alarm was said */
		log_warning("witness %s, %s: %s",
			    trust_witness(worker->witnesses->trust, worker->i)->name, tree->origin,
			    err_reason());
}

static enum err ask(struct worker *worker, struct watched *tree)
{
	enum err e = ask_once(worker, tree);

	return e == ERR_EXISTS ? ask_once(worker, tree) : e;
}

static bool has_signed(const struct worker *worker, const struct watched *tree)
{
	struct witnesses *w = worker->witnesses;

	pthread_mutex_lock(&w->lock);
	bool is = tree->cosigned >> worker->i & 1;
	pthread_mutex_unlock(&w->lock);
	return is;
}

static bool stopping(struct witnesses *w)
{
	pthread_mutex_lock(&w->lock);
	bool is = w->stopping;
	pthread_mutex_unlock(&w->lock);
	return is;
}

void *witnesses_work(void *argument)
{
	struct worker *worker = argument;
	struct witnesses *w = worker->witnesses;
	const char *name = trust_witness(w->trust, worker->i)->name;

	for (size_t t = 0; t < w->watched_n && !stopping(w); t++) {
		struct watched *tree = w->watched[t];

		if (!tree->size || has_signed(worker, tree))
			continue;
		enum err e = ask(worker, tree);
		bool down = e == ERR_GONE || e == ERR_TIMEOUT || e == ERR_IO;
		if (!down || !worker->down)
			say_once(worker, tree, e);
		if (!down && worker->down)
			log_info("witness %s answers again", name);
		worker->down = down;
		if (down)
			break;
	}
	return NULL;
}

#include "plugin/daemon/witnesses.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "audit/trust.h"
#include "audit/witness.h"
#include "config/base/io.h"
#include "config/base/log.h"
#include "config/guard.h"
#include "plugin/daemon/post.h"
#include "plugin/daemon/record.h"

#define FIRST_MS 1500 /* the first checkpoint of a start is there by then */
#define HURRY_MS 200  /* between rounds, while somebody waits for a quorum */
#define WORDS_MAX 160 /* of what a witness says, in the operator's log */

/* What a bank has to look into, each a record in the log, once a start. */
enum alarm { ROLLED_BACK = 1, FORKED = 2 };

/* What is known of one witness and one tree; its worker's in a round, the thread's between. */
struct memory {
	uint64_t seen;    /* what it last signed, as far as is known */
	unsigned alarmed; /* bits of enum alarm */
	unsigned said;    /* the last failure, so that it is said once while it lasts */
};

struct watched {
	char origin[AUDIT_ORIGIN_MAX + 1];
	uint64_t done;    /* every witness signed so many records */
	uint64_t covered; /* a quorum did; under witnesses->lock */
	struct memory of[TRUST_MEMBERS_MAX];
	/* The round's: */
	struct buf note;     /* with the lines that came in; under witnesses->lock */
	size_t checkpoint_n; /* of the note, without them */
	uint64_t size;       /* 0: not asked about in this round */
	uint64_t released;   /* records, with those that the checkpoint has not yet */
	uint64_t cosigned;   /* bits of witnesses; under witnesses->lock */
};

struct worker {
	struct witnesses *witnesses;
	size_t i; /* the witness */
	pthread_t thread;
	bool started, down; /* down: could not be reached; said once */
};

struct witnesses {
	struct daemon *daemon;
	struct trust *trust;
	struct worker workers[TRUST_MEMBERS_MAX];
	pthread_t thread;
	/* The thread's alone to add to, between rounds; under lock too, for others to look at. */
	struct watched **watched;
	size_t watched_n;
	pthread_mutex_t lock;
	pthread_cond_t wake;    /* the thread */
	pthread_cond_t settled; /* who waits for a quorum */
	/* Under lock: */
	size_t waiting; /* so many do */
	bool stopping;
};

static bool stopping(struct witnesses *w)
{
	pthread_mutex_lock(&w->lock);
	bool is = w->stopping;
	pthread_mutex_unlock(&w->lock);
	return is;
}

/* ---- one witness, one tree ---- */

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

static void cover_locked(struct witnesses *w, struct watched *tree)
{
	if (tree->size <= tree->covered)
		return;
	tree->covered = tree->size;
	pthread_cond_broadcast(&w->settled);
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
		cover_locked(w, tree);
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

/* One witness, all trees. When it can't be reached for one it can't be for the others. */
static void *work(void *argument)
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

/* ---- a round ---- */

static struct watched *find(struct witnesses *w, const char *origin)
{
	for (size_t i = 0; i < w->watched_n; i++)
		if (!strcmp(w->watched[i]->origin, origin))
			return w->watched[i];
	struct watched *tree = calloc(1, sizeof *tree);
	if (!tree)
		return NULL;
	snprintf(tree->origin, sizeof tree->origin, "%s", origin);
	pthread_mutex_lock(&w->lock);
	struct watched **more = reallocarray(w->watched, w->watched_n + 1, sizeof *more);
	if (more) {
		w->watched = more;
		more[w->watched_n++] = tree;
	}
	pthread_mutex_unlock(&w->lock);
	if (more)
		return tree;
	free(tree);
	return NULL;
}

/* Takes the checkpoint that the whole round is about; lines that it has by now stay. */
static enum err prepare(struct witnesses *w, struct watched *tree, uint64_t released)
{
	struct trust_count count;
	struct note note;
	enum err e;

	tree->size = 0;
	tree->released = released;
	buf_reset(&tree->note);
	if ((e = audit_checkpoint(w->daemon->audit, tree->origin, &tree->note)))
		return e == ERR_NOT_FOUND ? OK : e;
	if ((e = note_read(buf_slice(&tree->note), &note)) ||
	    (e = trust_cosigned(w->trust, &note, &count)))
		return e;
	tree->checkpoint_n = tree->note.len;
	tree->cosigned = count.cosigned;
	tree->size = note.size == tree->done ? 0 : note.size;
	if (trust_quorum(w->trust, count.cosigned)) {
		pthread_mutex_lock(&w->lock);
		cover_locked(w, tree);
		pthread_mutex_unlock(&w->lock);
	}
	return OK;
}

static enum err prepare_all(struct witnesses *w)
{
	struct audit_head *heads = NULL;
	size_t n = 0;
	enum err e = audit_heads(w->daemon->audit, &heads, &n);

	for (size_t i = 0; !e && i < n; i++) {
		struct watched *tree = find(w, heads[i].origin);

		if (!tree)
			e = failed(ERR_MEMORY, "the list of trees");
		else if (prepare(w, tree, heads[i].size))
			log_warning("witnesses, %s: %s", tree->origin, err_reason());
	}
	free(heads);
	return e;
}

static bool has_work(const struct witnesses *w)
{
	for (size_t t = 0; t < w->watched_n; t++)
		if (w->watched[t]->size)
			return true;
	return false;
}

/* Asks all witnesses, and waits for the slowest: it has its time limit. */
static void ask_all(struct witnesses *w)
{
	for (size_t i = 0; i < trust_witnesses(w->trust); i++) {
		struct worker *worker = &w->workers[i];

		*worker = (struct worker){ .witnesses = w, .i = i, .down = worker->down };
		if (*trust_witness(w->trust, i)->url)
			worker->started = !pthread_create(&worker->thread, NULL, work, worker);
	}
	for (size_t i = 0; i < trust_witnesses(w->trust); i++)
		if (w->workers[i].started)
			pthread_join(w->workers[i].thread, NULL);
}

static void settle(struct witnesses *w)
{
	for (size_t t = 0; t < w->watched_n; t++) {
		struct watched *tree = w->watched[t];
		bool all = true;

		for (size_t i = 0; i < trust_witnesses(w->trust); i++)
			all = all && (!*trust_witness(w->trust, i)->url || tree->cosigned >> i & 1);
		if (tree->size && all)
			tree->done = tree->size;
	}
}

static void round_once(struct witnesses *w)
{
	if (prepare_all(w)) {
		log_warning("witnesses: %s", err_reason());
		return;
	}
	if (!has_work(w))
		return;
	ask_all(w);
	settle(w);
}

/* False when the thread shall end. */
static bool wait_for(struct witnesses *w, uint64_t ms)
{
	uint64_t since = io_monotonic_ms();

	pthread_mutex_lock(&w->lock);
	for (;;) {
		uint64_t until_ms = since + (w->waiting && ms > HURRY_MS ? HURRY_MS : ms);
		struct timespec until = io_timespec(until_ms);

		if (w->stopping || io_monotonic_ms() >= until_ms)
			break;
		pthread_cond_timedwait(&w->wake, &w->lock, &until);
	}
	bool go_on = !w->stopping;
	pthread_mutex_unlock(&w->lock);
	return go_on;
}

static void *run(void *argument)
{
	struct witnesses *w = argument;
	uint64_t ms = FIRST_MS;

	for (; wait_for(w, ms); ms = w->daemon->config->audit_witness_seconds * 1000)
		round_once(w);
	return NULL;
}

/* ---- who waits ---- */

bool witnesses_matter(const struct witnesses *w)
{
	return w && !trust_quorum(w->trust, 0);
}

static uint64_t covered_locked(const struct witnesses *w, const char *origin)
{
	for (size_t i = 0; i < w->watched_n; i++)
		if (!strcmp(w->watched[i]->origin, origin))
			return w->watched[i]->covered;
	return 0;
}

uint64_t witnesses_covered(struct witnesses *w, const char *origin)
{
	if (!w)
		return 0;
	pthread_mutex_lock(&w->lock);
	uint64_t covered = covered_locked(w, origin);
	pthread_mutex_unlock(&w->lock);
	return covered;
}

bool witnesses_await(struct witnesses *w, const char *origin, uint64_t size, uint64_t ms)
{
	struct timespec until = io_timespec(io_monotonic_ms() + ms);
	bool in_time = true;

	pthread_mutex_lock(&w->lock);
	if (!w->waiting++)
		pthread_cond_signal(&w->wake);
	while (covered_locked(w, origin) < size && in_time)
		in_time = !pthread_cond_timedwait(&w->settled, &w->lock, &until);
	w->waiting--;
	bool is = covered_locked(w, origin) >= size;
	pthread_mutex_unlock(&w->lock);
	return is;
}

/* ---- start and end ---- */

static enum err read_policy(const char *path, struct trust **out)
{
	CLEANUP(fd) int fd = -1;
	CLEANUP(buf) struct buf text = BUF_INIT;
	enum err e;

	if ((e = guard_open(path, &fd)) || (e = io_read_all(fd, TRUST_MAX, &text)))
		return failed(e, "audit.witnesses: %s", err_reason());
	return trust_read(buf_slice(&text), path, true, out);
}

static void free_all(struct witnesses *w)
{
	for (size_t i = 0; i < w->watched_n; i++) {
		buf_free(&w->watched[i]->note);
		free(w->watched[i]);
	}
	free(w->watched);
	trust_free(w->trust);
	pthread_cond_destroy(&w->wake);
	pthread_cond_destroy(&w->settled);
	pthread_mutex_destroy(&w->lock);
	free(w);
}

enum err witnesses_start(struct daemon *daemon, struct witnesses **out)
{
	CLEANUP(trust) struct trust *trust = NULL;
	pthread_condattr_t monotonic;
	enum err e;

	*out = NULL;
	if (!*daemon->config->audit_witnesses)
		return OK;
	if ((e = read_policy(daemon->config->audit_witnesses, &trust)))
		return e;
	struct witnesses *w = calloc(1, sizeof *w);
	if (!w)
		return failed(ERR_MEMORY, "witnesses");
	w->daemon = daemon;
	w->trust = STEAL(trust);
	pthread_mutex_init(&w->lock, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&w->wake, &monotonic);
	pthread_cond_init(&w->settled, &monotonic);
	pthread_condattr_destroy(&monotonic);
	int r = pthread_create(&w->thread, NULL, run, w);
	if (r) {
		free_all(w);
		return failed(ERR_MEMORY, "witnesses: %s", strerror(r));
	}
	*out = w;
	return OK;
}

void witnesses_stop(struct witnesses *w)
{
	if (!w)
		return;
	pthread_mutex_lock(&w->lock);
	w->stopping = true;
	pthread_cond_signal(&w->wake);
	pthread_mutex_unlock(&w->lock);
	pthread_join(w->thread, NULL);
	free_all(w);
}

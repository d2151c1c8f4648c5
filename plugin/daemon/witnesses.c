/* Rounds in which all witnesses are asked, and who waits for a quorum of them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/base/io.h"
#include "config/base/log.h"
#include "config/guard.h"
#include "plugin/daemon/witnesses_inner.h"

#define FIRST_MS 1500 /* the first checkpoint of a start is there by then */
#define HURRY_MS 200  /* between rounds, while somebody waits for a quorum */

void witnesses_cover_locked(struct witnesses *w, struct watched *tree)
{
	if (tree->size <= tree->covered)
		return;
	tree->covered = tree->size;
	pthread_cond_broadcast(&w->settled);
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
		witnesses_cover_locked(w, tree);
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
			worker->started =
				!pthread_create(&worker->thread, NULL, witnesses_work, worker);
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

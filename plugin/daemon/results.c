#include "plugin/daemon/results.h"

#include <stdlib.h>
#include <string.h>

#include "config/base/secret.h"

const char *result_application(enum result_part part)
{
	static const char *const names[RESULT_PARTS] = { "assay:output", "assay:proof",
							 "assay:stderr", "assay:keys" };

	return names[part];
}

void results_init(struct results *results, uint64_t quota, uint64_t ttl_ms)
{
	*results = (struct results){ .quota = quota, .ttl_ms = ttl_ms, .next_id = 1 };
	pthread_mutex_init(&results->lock, NULL);
}

enum err result_set_new(enum wire_role role, struct slice label, struct result_set **out)
{
	if (label.left > RESULT_LABEL_MAX)
		return failed(ERR_RANGE, "a label of %zu bytes, at most %d allowed", label.left,
			      RESULT_LABEL_MAX);
	struct result_set *set = calloc(1, sizeof *set);
	if (!set)
		return failed(ERR_MEMORY, "result");
	set->refs = 1;
	set->role = role;
	if (label.left)
		memcpy(set->label, label.p, label.left);
	*out = set;
	return OK;
}

void result_set_release(struct result_set *set)
{
	if (!set || atomic_fetch_sub(&set->refs, 1) != 1)
		return;
	if (set->parts[RESULT_KEYS].data)
		secret_wipe(set->parts[RESULT_KEYS].data, set->parts[RESULT_KEYS].cap);
	for (size_t i = 0; i < RESULT_PARTS; i++)
		buf_free(&set->parts[i]);
	free(set);
}

void result_set_cleanup(struct result_set **set)
{
	result_set_release(STEAL(*set));
}

static uint64_t weight(const struct result_set *set)
{
	uint64_t bytes = sizeof *set;

	for (size_t i = 0; i < RESULT_PARTS; i++)
		bytes += set->parts[i].cap;
	return bytes;
}

static void drop_oldest_locked(struct results *results)
{
	struct result_set *set = results->oldest;

	results->oldest = set->newer;
	if (set->newer)
		set->newer->older = NULL;
	else
		results->newest = NULL;
	results->bytes -= weight(set);
	result_set_release(set);
}

static void expire_locked(struct results *results, uint64_t now_ms)
{
	while (results->oldest && now_ms - results->oldest->made_ms > results->ttl_ms)
		drop_oldest_locked(results);
}

void results_expire(struct results *results, uint64_t now_ms)
{
	pthread_mutex_lock(&results->lock);
	expire_locked(results, now_ms);
	pthread_mutex_unlock(&results->lock);
}

void results_purge(struct results *results)
{
	pthread_mutex_lock(&results->lock);
	while (results->oldest)
		drop_oldest_locked(results);
	pthread_mutex_unlock(&results->lock);
}

bool results_fit(const struct results *results, const struct result_set *set)
{
	return weight(set) <= results->quota;
}

enum err results_put(struct results *results, struct result_set *set, uint64_t now_ms)
{
	uint64_t bytes = weight(set);

	if (!results_fit(results, set)) {
		result_set_release(set);
		return failed(ERR_LIMIT, "a result of %llu bytes is over the quota of %llu",
			      (unsigned long long)bytes, (unsigned long long)results->quota);
	}
	pthread_mutex_lock(&results->lock);
	expire_locked(results, now_ms);
	while (results->oldest && results->bytes + bytes > results->quota)
		drop_oldest_locked(results);
	set->id = results->next_id;
	results->next_id += RESULT_PARTS;
	set->made_ms = now_ms;
	set->older = results->newest;
	if (results->newest)
		results->newest->newer = set;
	else
		results->oldest = set;
	results->newest = set;
	results->bytes += bytes;
	pthread_mutex_unlock(&results->lock);
	return OK;
}

bool results_hold(struct results *results, const struct result_set *set, uint64_t now_ms)
{
	bool found = false;

	pthread_mutex_lock(&results->lock);
	expire_locked(results, now_ms);
	for (const struct result_set *s = results->newest; s && !found; s = s->older)
		found = s->role == set->role && !strcmp(s->label, set->label) &&
			slice_equal(buf_slice(&s->parts[RESULT_PROOF]),
				    buf_slice(&set->parts[RESULT_PROOF]));
	pthread_mutex_unlock(&results->lock);
	return found;
}

enum err results_get(struct results *results, enum wire_role role, uint64_t id, uint64_t now_ms,
		     struct result_set **out)
{
	enum err e = ERR_NOT_FOUND;

	pthread_mutex_lock(&results->lock);
	expire_locked(results, now_ms);
	for (struct result_set *set = results->newest; set && set->id + RESULT_PARTS > id;
	     set = set->older) {
		if (id < set->id || set->role != role || !set->has[id - set->id])
			continue;
		atomic_fetch_add(&set->refs, 1);
		*out = set;
		e = OK;
		break;
	}
	pthread_mutex_unlock(&results->lock);
	return e ? failed(e, "no such result, or it expired") : OK;
}

void results_each(struct results *results, enum wire_role role, struct slice label, uint64_t now_ms,
		  results_visit *call, void *context)
{
	bool more = true;

	pthread_mutex_lock(&results->lock);
	expire_locked(results, now_ms);
	for (struct result_set *set = results->newest; set && more; set = set->older) {
		if (set->role != role || (label.left && !slice_is(label, set->label)))
			continue;
		for (unsigned i = 0; i < RESULT_PARTS && more; i++)
			if (set->has[i])
				more = call(context, set, (enum result_part)i);
	}
	pthread_mutex_unlock(&results->lock);
}

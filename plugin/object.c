/* object.c - the table of our objects, by handle. */
#include "plugin/object.h"

#include <stdlib.h>
#include <string.h>

#include "plugin/handle.h"

/* Few applications and many results: a search for keys walks past the former alone. */
#define KEY_BUCKETS 64
#define RESULT_BUCKETS 1024
#define BUCKETS (KEY_BUCKETS + RESULT_BUCKETS)
/* Results that a process keeps handles of. */
#define RESULTS_MAX 16384

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* guards the buckets */
static struct object *buckets[BUCKETS];                  /* of keys, then of results */
static size_t results_n;                                 /* about how many of them are results */

void object_put(struct object *object)
{
	if (!object || atomic_fetch_sub(&object->refs, 1) != 1)
		return;
	for (size_t i = 0; i < FIELDS; i++)
		buf_free(&object->field[i]);
	free(object);
}

void object_cleanup(struct object **object)
{
	object_put(*object);
}

struct object *object_new(enum object_kind kind, struct slot *slot)
{
	struct object *object = calloc(1, sizeof *object);

	if (!object)
		return NULL;
	atomic_init(&object->refs, 1);
	object->kind = kind;
	object->slot = slot;
	return object;
}

static struct object **bucket(CK_OBJECT_HANDLE handle, bool result)
{
	return &buckets[result ? KEY_BUCKETS + handle % RESULT_BUCKETS : handle % KEY_BUCKETS];
}

/* Whether they are the same thing, of which the daemon may have told anew. */
static bool same(const struct object *a, const struct object *b)
{
	if (a->slot != b->slot || a->kind != b->kind || a->role != b->role)
		return false;
	return a->kind == OBJECT_DATA ? a->result == b->result
				      : slice_equal(buf_slice(&a->field[FIELD_APPLICATION]),
						    buf_slice(&b->field[FIELD_APPLICATION]));
}

static void insert_locked(struct object *object)
{
	struct object **at = bucket(object->handle, object->kind == OBJECT_DATA);

	object->next = *at;
	*at = object;
}

/* Which of a slot's objects a list from the daemon replaces. */
struct group {
	struct slot *slot; /* NULL: any */
	bool results, apps;
	enum wire_role role; /* of results; 0: any */
};

static bool in_group(const struct object *object, const struct group *group)
{
	if (group->slot && object->slot != group->slot)
		return false;
	if (object->kind != OBJECT_DATA)
		return group->apps;
	return group->results && (!group->role || object->role == group->role);
}

static struct object *take_group_locked(const struct group *group)
{
	struct object *out = NULL;

	for (size_t i = 0; i < BUCKETS; i++) {
		for (struct object **at = &buckets[i]; *at;) {
			struct object *object = *at;
			if (!in_group(object, group)) {
				at = &object->next;
				continue;
			}
			*at = object->next;
			object->next = out;
			out = object;
			results_n -= object->kind == OBJECT_DATA;
		}
	}
	return out;
}

void object_put_list(struct object *list)
{
	struct object *next;

	for (; list; list = next) {
		next = list->next;
		object_put(list);
	}
}

void object_replace_apps(struct slot *slot, struct object *fresh)
{
	const struct group group = { .slot = slot, .apps = true };
	struct object *next;

	pthread_mutex_lock(&lock);
	struct object *old = take_group_locked(&group);
	for (struct object *object = fresh; object; object = next) {
		struct object *was = old;
		next = object->next;
		while (was && !same(was, object))
			was = was->next;
		object->handle = was ? was->handle : handle_new();
		insert_locked(object);
	}
	pthread_mutex_unlock(&lock);
	object_put_list(old);
}

/* A result's handle follows from nothing, so they are looked for one by one; a list is no longer
 * than a message. */
static struct object *take_same_locked(const struct object *object)
{
	for (size_t i = KEY_BUCKETS; i < BUCKETS; i++) {
		for (struct object **at = &buckets[i]; *at; at = &(*at)->next) {
			struct object *was = *at;
			if (!same(was, object))
				continue;
			*at = was->next;
			was->next = NULL;
			return was;
		}
	}
	return NULL;
}

static void drop(struct group group)
{
	pthread_mutex_lock(&lock);
	struct object *old = take_group_locked(&group);
	pthread_mutex_unlock(&lock);
	object_put_list(old);
}

void object_drop_slot(struct slot *slot)
{
	drop((struct group){ .slot = slot, .results = true, .apps = true });
}

void object_drop_results(struct slot *slot)
{
	drop((struct group){ .slot = slot, .results = true });
}

static void make_room(struct slot *slot)
{
	pthread_mutex_lock(&lock);
	bool full = results_n > RESULTS_MAX;
	pthread_mutex_unlock(&lock);
	if (full)
		object_drop_results(slot);
}

void object_add_results(struct slot *slot, struct object *fresh)
{
	struct object *next;

	make_room(slot);
	for (struct object *object = fresh; object; object = next) {
		next = object->next;
		pthread_mutex_lock(&lock);
		struct object *was = take_same_locked(object);
		object->handle = was ? was->handle : handle_new();
		results_n += !was;
		insert_locked(object);
		pthread_mutex_unlock(&lock);
		object_put(was);
	}
}

void object_drop_all_results(void)
{
	drop((struct group){ .results = true });
}

void object_drop(struct object *object)
{
	pthread_mutex_lock(&lock);
	struct object **at = bucket(object->handle, object->kind == OBJECT_DATA);
	while (*at && *at != object)
		at = &(*at)->next;
	bool found = *at != NULL;
	if (found) {
		*at = object->next;
		results_n -= object->kind == OBJECT_DATA;
	}
	pthread_mutex_unlock(&lock);
	if (found)
		object_put(object);
}

void object_forked(void)
{
	pthread_mutex_init(&lock, NULL);
	memset(buckets, 0, sizeof buckets);
	results_n = 0;
}

static struct object *find_locked(CK_OBJECT_HANDLE handle, bool result)
{
	struct object *object = *bucket(handle, result);

	while (object && object->handle != handle)
		object = object->next;
	return object;
}

struct object *object_get(const struct session *session, CK_OBJECT_HANDLE handle)
{
	pthread_mutex_lock(&lock);
	struct object *object = find_locked(handle, false);
	if (!object)
		object = find_locked(handle, true);
	if (object)
		atomic_fetch_add(&object->refs, 1);
	pthread_mutex_unlock(&lock);
	if (object && (object->slot != session->slot ||
		       (object->role && object->role != session_role(session)))) {
		object_put(object);
		return NULL;
	}
	return object;
}

static int by_handle(const void *a, const void *b)
{
	CK_OBJECT_HANDLE x = *(const CK_OBJECT_HANDLE *)a, y = *(const CK_OBJECT_HANDLE *)b;

	return (x > y) - (x < y);
}

enum err object_collect(const struct session *session, unsigned kinds, object_match *match,
			void *context, CK_OBJECT_HANDLE **out, size_t *n)
{
	enum wire_role role = session_role(session);
	CLEANUP(buf) struct buf found = BUF_INIT;
	size_t first = kinds & ~(unsigned)OBJECT_DATA ? 0 : KEY_BUCKETS;
	size_t end = kinds & OBJECT_DATA ? BUCKETS : KEY_BUCKETS;

	pthread_mutex_lock(&lock);
	for (size_t i = first; i < end; i++)
		for (struct object *object = buckets[i]; object; object = object->next)
			if (object->slot == session->slot && object->kind & kinds &&
			    (!object->role || object->role == role) && match(context, object))
				buf_put(&found, &object->handle, sizeof object->handle);
	pthread_mutex_unlock(&lock);
	enum err e = buf_check(&found);
	if (e)
		return e;
	*n = found.len / sizeof **out;
	if (*n)
		qsort(found.data, *n, sizeof **out, by_handle);
	*out = (CK_OBJECT_HANDLE *)STEAL(found.data);
	return OK;
}

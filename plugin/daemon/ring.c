#include "plugin/daemon/ring.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "config/base/cbor.h"
#include "config/base/io.h"
#include "plugin/daemon/ring_record.h"

#define NOTE_MAX 200

void ring_init(struct ring *ring, const struct state *state, struct attest *attest,
	       const char *serial)
{
	pthread_rwlockattr_t kind;

	*ring = (struct ring){ .state = state, .attest = attest };
	hex_put(ring->name, serial, strlen(serial));
	pthread_mutex_init(&ring->changing, NULL);
	pthread_rwlockattr_init(&kind);
	/* Else those who seal one after the other would keep out whoever shreds. */
	pthread_rwlockattr_setkind_np(&kind, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
	pthread_rwlock_init(&ring->lock, &kind);
	pthread_rwlockattr_destroy(&kind);
}

/* ---- in memory: made aside, and put in its place at once ---- */

static void contents_cleanup(struct ring_contents *c)
{
	free(c->periods);
	secret_free(&c->key);
	buf_free(&c->notes);
	*c = (struct ring_contents){ 0 };
}

void ring_close(struct ring *ring)
{
	contents_cleanup(&ring->now);
	pthread_rwlock_destroy(&ring->lock);
	pthread_mutex_destroy(&ring->changing);
}

/* The periods without their keys; one key too, that of period @current. */
static enum err make_contents(const struct ring_keys *keys, size_t current, struct slice notes,
			      size_t notes_n, struct ring_contents *c)
{
	enum err e;

	if (!(c->periods = calloc(keys->n + 1, sizeof *c->periods)))
		return failed(ERR_MEMORY, "keys of sealed payloads");
	for (; c->n < keys->n; c->n++)
		ring_entry_period(keys->p + c->n * RING_ENTRY, &c->periods[c->n]);
	buf_put_slice(&c->notes, notes);
	c->notes_n = notes_n;
	if ((e = buf_check(&c->notes)) || !keys->n)
		return e;
	if ((e = secret_new(&c->key, RING_KEY)))
		return e;
	c->current = c->periods[current];
	memcpy(c->key.p, keys->p + current * RING_ENTRY + 8 + RING_ID, RING_KEY);
	return OK;
}

/* Waits until nobody uses a key of before; @c has that then. */
static void put_in_place(struct ring *ring, struct ring_contents *c)
{
	pthread_rwlock_wrlock(&ring->lock);
	struct ring_contents before = ring->now;
	ring->now = *c;
	pthread_rwlock_unlock(&ring->lock);
	*c = before;
}

/* What is in memory may not be what is on disk and token: the next one reads it again. */
static void forget(struct ring *ring)
{
	CLEANUP(contents) struct ring_contents none = { 0 };

	put_in_place(ring, &none);
}

static enum err adopt(struct ring *ring, uint64_t number, const struct ring_keys *keys,
		      size_t current, struct slice notes, size_t notes_n)
{
	CLEANUP(contents) struct ring_contents c = { .open = true, .number = number };
	enum err e = make_contents(keys, current, notes, notes_n, &c);

	if (!e)
		put_in_place(ring, &c);
	return e;
}

static size_t last(const struct ring_keys *keys)
{
	return keys->n ? keys->n - 1 : 0;
}

/* ---- on disk and token: "_locked" holds ring->changing ---- */

/* What a shredding that was cut short left on the token goes first. */
static enum err open_locked(struct ring *ring, bool *there)
{
	CLEANUP(buf) struct buf raw = BUF_INIT;
	CLEANUP(ring_keys) struct ring_keys keys = { 0 };
	struct ring_record record;
	enum err e;

	*there = true;
	if (ring->now.open)
		return OK;
	e = ring_record_read(ring, &raw, &record, &keys);
	*there = e != ERR_NOT_FOUND;
	if (!*there)
		return OK;
	if (e || (e = ring_token_destroy(ring, record.number + 1)))
		return e;
	return adopt(ring, record.number, &keys, last(&keys), record.notes, record.notes_n);
}

static bool is_open(struct ring *ring)
{
	pthread_rwlock_rdlock(&ring->lock);
	bool open = ring->now.open;
	pthread_rwlock_unlock(&ring->lock);
	return open;
}

enum err ring_look(struct ring *ring, bool *there)
{
	*there = is_open(ring);
	if (*there)
		return OK;
	pthread_mutex_lock(&ring->changing);
	enum err e = open_locked(ring, there);
	pthread_mutex_unlock(&ring->changing);
	return e;
}

/* Writes @keys under a new key of the token, and destroys the one before, once nobody uses what was
 * under it. When that comes to no end, the ring counts as closed, and it is tried again before anything
 * else. */
static enum err rewrite_locked(struct ring *ring, uint64_t number, const struct ring_keys *keys,
			       const struct buf *notes, size_t notes_n)
{
	CK_OBJECT_HANDLE handle;
	enum err e;

	if ((e = ring_token_make(ring, number, &handle)) ||
	    (e = ring_record_write(ring, number, handle, keys, notes, notes_n)) ||
	    (e = adopt(ring, number, keys, last(keys), buf_slice(notes), notes_n)) ||
	    (e = ring_token_destroy(ring, number + 1)))
		forget(ring);
	return e;
}

/* The record with the token's key as it is: nothing was taken away. */
static enum err write_locked(struct ring *ring, const struct ring_keys *keys,
			     const struct buf *notes, size_t notes_n)
{
	CK_OBJECT_HANDLE handle;
	uint64_t number = ring->now.number;
	enum err e;

	if ((e = ring_token_find(ring, number, &handle)) ||
	    (e = ring_record_write(ring, number, handle, keys, notes, notes_n)))
		return e;
	return adopt(ring, number, keys, last(keys), buf_slice(notes), notes_n);
}

static enum err add_period(const struct ring_keys *old, uint32_t day, uint32_t days,
			   struct ring_keys *new)
{
	struct ring_period period = { .day = day, .days = days };
	CLEANUP(secret) struct secret key = { 0 };
	enum err e;

	if (old->n >= RING_PERIODS_MAX)
		return failed(ERR_LIMIT, "sealed payloads of more than %d days", RING_PERIODS_MAX);
	if ((e = ring_keys_new(new, old->n + 1)) || (e = secret_new(&key, RING_KEY)) ||
	    (e = io_random(key.p, key.len)) || (e = io_random(period.id, sizeof period.id)))
		return e;
	if (old->n)
		memcpy(new->p, old->p, old->n * RING_ENTRY);
	ring_entry_set(new->p + old->n *RING_ENTRY, &period, key.p);
	return OK;
}

static enum err begin_day_locked(struct ring *ring, uint32_t day, uint32_t days)
{
	CLEANUP(buf) struct buf raw = BUF_INIT;
	CLEANUP(ring_keys) struct ring_keys old = { 0 }, new = { 0 };
	const struct ring_contents *now = &ring->now;
	struct ring_record record;
	bool there;
	enum err e = open_locked(ring, &there);

	if (e || (there && now->key.p && now->current.day == day))
		return e;
	if (there && (e = ring_record_read(ring, &raw, &record, &old)))
		return e;
	/* There already when the clock was put back, or the daemon started again. */
	for (size_t i = 0; i < old.n; i++)
		if (get_u32(old.p + i * RING_ENTRY) == day)
			return adopt(ring, record.number, &old, i, record.notes, record.notes_n);
	if ((e = add_period(&old, day, days, &new)))
		return e;
	return there ? write_locked(ring, &new, &now->notes, now->notes_n)
		     : rewrite_locked(ring, 1, &new, &now->notes, now->notes_n);
}

enum err ring_hold(struct ring *ring, uint32_t day, uint32_t days, struct ring_period *period,
		   const uint8_t **key)
{
	for (;;) {
		pthread_rwlock_rdlock(&ring->lock);
		if (ring->now.open && ring->now.key.p && ring->now.current.day == day) {
			*period = ring->now.current;
			*key = ring->now.key.p;
			return OK;
		}
		pthread_rwlock_unlock(&ring->lock);
		pthread_mutex_lock(&ring->changing);
		enum err e = begin_day_locked(ring, day, days);
		pthread_mutex_unlock(&ring->changing);
		if (e)
			return e;
	}
}

void ring_hold_periods(struct ring *ring)
{
	pthread_rwlock_rdlock(&ring->lock);
}

void ring_release(struct ring *ring)
{
	pthread_rwlock_unlock(&ring->lock);
}

static enum err find_key(const struct ring_keys *keys, const struct ring_period *period,
			 struct secret *key)
{
	enum err e;

	for (size_t i = 0; i < keys->n; i++)
		if (!memcmp(keys->p + i * RING_ENTRY + 8, period->id, RING_ID)) {
			if ((e = secret_new(key, RING_KEY)))
				return e;
			memcpy(key->p, keys->p + i * RING_ENTRY + 8 + RING_ID, RING_KEY);
			return OK;
		}
	return failed(ERR_NOT_FOUND, "this period was shredded");
}

enum err ring_key(struct ring *ring, const struct ring_period *period, struct secret *key)
{
	CLEANUP(buf) struct buf raw = BUF_INIT;
	CLEANUP(ring_keys) struct ring_keys keys = { 0 };
	struct ring_record record;

	pthread_mutex_lock(&ring->changing);
	enum err e = ring_record_read(ring, &raw, &record, &keys);
	pthread_mutex_unlock(&ring->changing);
	return e ? e : find_key(&keys, period, key);
}

/* ---- shredding ---- */

static enum err put_note(struct buf *notes, size_t *notes_n, const struct ring_keys *gone,
			 const char *why)
{
	char first[11], last[11], note[NOTE_MAX];
	struct ring_period a = { 0 }, b = { 0 };

	if (*notes_n == RING_NOTES_MAX)
		return failed(ERR_LIMIT, "%d shreddings are not in the log yet", RING_NOTES_MAX);
	if (gone->n) {
		ring_entry_period(gone->p, &a);
		ring_entry_period(gone->p + (gone->n - 1) * RING_ENTRY, &b);
		ring_day_name(a.day, first);
		ring_day_name(b.day, last);
		snprintf(note, sizeof note,
			 "keys of sealed payloads destroyed: %zu periods, from %s to %s; %s",
			 gone->n, first, last, why);
	} else {
		snprintf(note, sizeof note,
			 "keys of all sealed payloads destroyed, lost or put back before; %s", why);
	}
	cbor_put_text(notes, note);
	++*notes_n;
	return buf_check(notes);
}

static enum err sort_out(const struct ring_keys *keys, ring_test *test, void *context,
			 struct ring_keys *stay, struct ring_keys *go)
{
	struct ring_period period;
	enum err e;

	if ((e = ring_keys_new(stay, keys->n)) || (e = ring_keys_new(go, keys->n)))
		return e;
	stay->n = go->n = 0;
	for (size_t i = 0; i < keys->n; i++) {
		const uint8_t *entry = keys->p + i * RING_ENTRY;

		ring_entry_period(entry, &period);
		struct ring_keys *to = test(context, &period) ? go : stay;
		memcpy(to->p + to->n++ * RING_ENTRY, entry, RING_ENTRY);
	}
	return OK;
}

static enum err shred_locked(struct ring *ring, ring_test *test, void *context, const char *why,
			     size_t *n)
{
	CLEANUP(buf) struct buf raw = BUF_INIT, notes = BUF_INIT;
	CLEANUP(ring_keys) struct ring_keys keys = { 0 }, stay = { 0 }, go = { 0 };
	struct ring_record record;
	bool there;
	enum err e = open_locked(ring, &there);

	*n = 0;
	if (e)
		return e;
	if (there && ((e = ring_record_read(ring, &raw, &record, &keys)) ||
		      (e = sort_out(&keys, test, context, &stay, &go))))
		return e;
	if (!go.n)
		return failed(ERR_NOT_FOUND, "no sealed payloads are of that period");
	*n = go.n;
	buf_put_slice(&notes, record.notes);
	if ((e = put_note(&notes, &record.notes_n, &go, why)))
		return e;
	return rewrite_locked(ring, record.number + 1, &stay, &notes, record.notes_n);
}

/* Both keys of the token go, whichever the record was under. */
static enum err begin_anew_locked(struct ring *ring, const char *why)
{
	const struct ring_keys none = { 0 };
	CLEANUP(buf) struct buf notes = BUF_INIT;
	size_t notes_n = 0;
	enum err e;

	forget(ring);
	if ((e = ring_token_destroy(ring, 0)) || (e = ring_token_destroy(ring, 1)) ||
	    (e = put_note(&notes, &notes_n, &none, why)))
		return e;
	return rewrite_locked(ring, 1, &none, &notes, notes_n);
}

enum err ring_shred(struct ring *ring, ring_test *test, void *context, bool all, const char *why,
		    size_t *n)
{
	pthread_mutex_lock(&ring->changing);
	enum err e = shred_locked(ring, test, context, why, n);
	if (all && e == ERR_STATE)
		e = begin_anew_locked(ring, why);
	pthread_mutex_unlock(&ring->changing);
	return e;
}

enum err ring_notes(struct ring *ring, struct buf *out, size_t *n)
{
	pthread_rwlock_rdlock(&ring->lock);
	*n = ring->now.notes_n;
	buf_put_slice(out, buf_slice(&ring->now.notes));
	pthread_rwlock_unlock(&ring->lock);
	return buf_check(out);
}

static enum err drop_notes(struct slice notes, size_t n, struct buf *rest)
{
	struct slice note;
	enum err e;

	for (size_t i = 0; i < n; i++)
		if ((e = cbor_take_text(&notes, NOTE_MAX, &note)))
			return e;
	buf_put_slice(rest, notes);
	return buf_check(rest);
}

enum err ring_noted(struct ring *ring, size_t n)
{
	CLEANUP(buf) struct buf raw = BUF_INIT, rest = BUF_INIT;
	CLEANUP(ring_keys) struct ring_keys keys = { 0 };
	struct ring_record record;
	bool there;

	pthread_mutex_lock(&ring->changing);
	enum err e = open_locked(ring, &there);
	if (!e && there && n <= ring->now.notes_n &&
	    !(e = ring_record_read(ring, &raw, &record, &keys)) &&
	    !(e = drop_notes(buf_slice(&ring->now.notes), n, &rest)))
		e = write_locked(ring, &keys, &rest, ring->now.notes_n - n);
	pthread_mutex_unlock(&ring->changing);
	return e;
}

/* ---- names ---- */

void ring_day_name(uint32_t day, char name[11])
{
	time_t at = (time_t)day * 86400;
	struct tm tm;

	if (!gmtime_r(&at, &tm) || tm.tm_year > 9999 - 1900 || !strftime(name, 11, "%Y-%m-%d", &tm))
		strcpy(name, "?");
}

void ring_period_name(const struct ring_period *period, char name[RING_PERIOD_NAME])
{
	char day[11], id[2 * RING_ID + 1];

	ring_day_name(period->day, day);
	hex_put(id, period->id, RING_ID);
	snprintf(name, RING_PERIOD_NAME, "%s-%s", day, id);
}

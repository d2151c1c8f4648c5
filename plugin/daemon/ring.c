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
	pthread_rwlockattr_init(&kind);
	/* Else those who seal one after the other would keep out whoever shreds. */
	pthread_rwlockattr_setkind_np(&kind, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
	pthread_rwlock_init(&ring->lock, &kind);
	pthread_rwlockattr_destroy(&kind);
}

static void forget(struct ring *ring)
{
	free(ring->periods);
	ring->periods = NULL;
	ring->n = ring->notes_n = 0;
	secret_free(&ring->key);
	buf_free(&ring->notes);
	ring->open = false;
}

void ring_close(struct ring *ring)
{
	forget(ring);
	pthread_rwlock_destroy(&ring->lock);
}

/* ---- in memory ---- */

static enum err set_current(struct ring *ring, const uint8_t *entry)
{
	if (!ring->key.p) {
		enum err e = secret_new(&ring->key, RING_KEY);

		if (e)
			return e;
	}
	ring_entry_period(entry, &ring->current);
	memcpy(ring->key.p, entry + 8 + RING_ID, RING_KEY);
	return OK;
}

/* The periods without their keys; the last one's key too. */
static enum err adopt(struct ring *ring, const struct ring_keys *keys)
{
	struct ring_period *periods = calloc(keys->n + 1, sizeof *periods);

	if (!periods)
		return failed(ERR_MEMORY, "keys of sealed payloads");
	for (size_t i = 0; i < keys->n; i++)
		ring_entry_period(keys->p + i * RING_ENTRY, &periods[i]);
	free(ring->periods);
	ring->periods = periods;
	ring->n = keys->n;
	secret_free(&ring->key);
	return keys->n ? set_current(ring, keys->p + (keys->n - 1) * RING_ENTRY) : OK;
}

/* What a shredding that was cut short left on the token goes first. */
static enum err open_locked(struct ring *ring, bool *there)
{
	CLEANUP(buf) struct buf raw = BUF_INIT;
	CLEANUP(ring_keys) struct ring_keys keys = { 0 };
	struct ring_record record;
	enum err e;

	*there = true;
	if (ring->open)
		return OK;
	e = ring_record_read(ring, &raw, &record, &keys);
	*there = e != ERR_NOT_FOUND;
	if (!*there)
		return OK;
	if (e || (e = ring_token_destroy(ring, record.number + 1)) || (e = adopt(ring, &keys)))
		return e;
	ring->number = record.number;
	buf_reset(&ring->notes);
	buf_put_slice(&ring->notes, record.notes);
	ring->notes_n = record.notes_n;
	if ((e = buf_check(&ring->notes)))
		return e;
	ring->open = true;
	return OK;
}

enum err ring_look(struct ring *ring, bool *there)
{
	pthread_rwlock_rdlock(&ring->lock);
	*there = ring->open;
	pthread_rwlock_unlock(&ring->lock);
	if (*there)
		return OK;
	pthread_rwlock_wrlock(&ring->lock);
	enum err e = open_locked(ring, there);
	pthread_rwlock_unlock(&ring->lock);
	return e;
}

/* Writes @keys under a new key of the token, and destroys the one before. Until that is done the ring
 * counts as closed, so that it is tried again before anything else. */
static enum err rewrite_locked(struct ring *ring, const struct ring_keys *keys)
{
	CK_OBJECT_HANDLE handle;
	enum err e;

	ring->open = false;
	if ((e = ring_token_make(ring, ring->number + 1, &handle)) ||
	    (e = ring_record_write(ring, ring->number + 1, handle, keys, &ring->notes,
				   ring->notes_n)))
		return e;
	ring->number++;
	if ((e = ring_token_destroy(ring, ring->number + 1)) || (e = adopt(ring, keys)))
		return e;
	ring->open = true;
	return OK;
}

/* The record with the token's key as it is: nothing was taken away. */
static enum err write_locked(struct ring *ring, const struct ring_keys *keys)
{
	CK_OBJECT_HANDLE handle;
	enum err e;

	if ((e = ring_token_find(ring, ring->number, &handle)) ||
	    (e = ring_record_write(ring, ring->number, handle, keys, &ring->notes, ring->notes_n)))
		return e;
	return adopt(ring, keys);
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
	struct ring_record record;
	bool there;
	enum err e = open_locked(ring, &there);

	if (e || (there && ring->key.p && ring->current.day == day))
		return e;
	if (there && (e = ring_record_read(ring, &raw, &record, &old)))
		return e;
	/* There already when the clock was put back, or the daemon started again. */
	for (size_t i = 0; i < old.n; i++)
		if (get_u32(old.p + i * RING_ENTRY) == day)
			return set_current(ring, old.p + i * RING_ENTRY);
	if ((e = add_period(&old, day, days, &new)))
		return e;
	return there ? write_locked(ring, &new) : rewrite_locked(ring, &new);
}

enum err ring_hold(struct ring *ring, uint32_t day, uint32_t days, struct ring_period *period,
		   const uint8_t **key)
{
	for (;;) {
		pthread_rwlock_rdlock(&ring->lock);
		if (ring->open && ring->key.p && ring->current.day == day) {
			*period = ring->current;
			*key = ring->key.p;
			return OK;
		}
		pthread_rwlock_unlock(&ring->lock);
		pthread_rwlock_wrlock(&ring->lock);
		enum err e = begin_day_locked(ring, day, days);
		pthread_rwlock_unlock(&ring->lock);
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

enum err ring_key(const struct ring *ring, const struct ring_period *period, struct secret *key)
{
	CLEANUP(buf) struct buf raw = BUF_INIT;
	CLEANUP(ring_keys) struct ring_keys keys = { 0 };
	struct ring_record record;
	enum err e = ring_record_read(ring, &raw, &record, &keys);

	if (e || (e = secret_new(key, RING_KEY)))
		return e;
	for (size_t i = 0; i < keys.n; i++)
		if (!memcmp(keys.p + i * RING_ENTRY + 8, period->id, RING_ID)) {
			memcpy(key->p, keys.p + i * RING_ENTRY + 8 + RING_ID, RING_KEY);
			return OK;
		}
	return failed(ERR_NOT_FOUND, "this period was shredded");
}

/* ---- shredding ---- */

static enum err put_note(struct ring *ring, const struct ring_keys *gone, const char *why)
{
	char first[11], last[11], note[NOTE_MAX];
	struct ring_period a = { 0 }, b = { 0 };

	if (ring->notes_n == RING_NOTES_MAX)
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
	cbor_put_text(&ring->notes, note);
	ring->notes_n++;
	return buf_check(&ring->notes);
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
	CLEANUP(buf) struct buf raw = BUF_INIT;
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
	size_t noted = ring->notes.len;
	if ((e = put_note(ring, &go, why)) || (e = rewrite_locked(ring, &stay))) {
		ring->notes.len = noted;
		ring->open = false;
	}
	return e;
}

/* Both keys of the token go, whichever the record was under. */
static enum err begin_anew_locked(struct ring *ring, const char *why)
{
	const struct ring_keys none = { 0 };
	enum err e;

	forget(ring);
	if ((e = ring_token_destroy(ring, 0)) || (e = ring_token_destroy(ring, 1)) ||
	    (e = put_note(ring, &none, why)))
		return e;
	return rewrite_locked(ring, &none);
}

enum err ring_shred(struct ring *ring, ring_test *test, void *context, bool all, const char *why,
		    size_t *n)
{
	pthread_rwlock_wrlock(&ring->lock);
	enum err e = shred_locked(ring, test, context, why, n);
	if (all && e == ERR_STATE)
		e = begin_anew_locked(ring, why);
	pthread_rwlock_unlock(&ring->lock);
	return e;
}

enum err ring_notes(struct ring *ring, struct buf *out, size_t *n)
{
	pthread_rwlock_rdlock(&ring->lock);
	*n = ring->open ? ring->notes_n : 0;
	buf_put_slice(out, buf_slice(&ring->notes));
	pthread_rwlock_unlock(&ring->lock);
	return buf_check(out);
}

static enum err drop_notes(struct ring *ring, size_t n)
{
	CLEANUP(buf) struct buf rest = BUF_INIT;
	struct slice in = buf_slice(&ring->notes), note;
	enum err e;

	for (size_t i = 0; i < n; i++)
		if ((e = cbor_take_text(&in, NOTE_MAX, &note)))
			return e;
	buf_put_slice(&rest, in);
	buf_reset(&ring->notes);
	buf_put_slice(&ring->notes, buf_slice(&rest));
	ring->notes_n -= n;
	return buf_check(&ring->notes);
}

enum err ring_noted(struct ring *ring, size_t n)
{
	CLEANUP(buf) struct buf raw = BUF_INIT;
	CLEANUP(ring_keys) struct ring_keys keys = { 0 };
	struct ring_record record;
	bool there;

	pthread_rwlock_wrlock(&ring->lock);
	enum err e = open_locked(ring, &there);
	if (!e && there && n <= ring->notes_n &&
	    !(e = ring_record_read(ring, &raw, &record, &keys)) && !(e = drop_notes(ring, n)))
		e = write_locked(ring, &keys);
	pthread_rwlock_unlock(&ring->lock);
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

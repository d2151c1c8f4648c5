/* ring_record.h - a ring's record on the disk, and its key on the token: for ring.c only.
 *
 * The record: [1, number, key sealed by the token, iv || entries || tag, [note...]]. The token's key
 * has one of two names, which take turns: that of number n is the other than that of n + 1. The
 * caller holds the ring's lock.
 */
#ifndef PLUGIN_DAEMON_RING_RECORD_H
#define PLUGIN_DAEMON_RING_RECORD_H

#include "plugin/daemon/ring.h"

#define RING_ENTRY (8 + RING_ID + RING_KEY) /* day, days, id, key */
#define RING_NOTES_MAX 64

/* The entries in a row. Allocated once, wiped when freed. */
struct ring_keys {
	uint8_t *p;
	size_t n;
};

struct ring_record {
	uint64_t number;
	struct slice sealed, entries, notes; /* in the bytes that it was read from */
	size_t notes_n;
};

MUST enum err ring_keys_new(struct ring_keys *keys, size_t n);
void ring_keys_cleanup(struct ring_keys *keys);
void ring_entry_period(const uint8_t *entry, struct ring_period *period);
void ring_entry_set(uint8_t *entry, const struct ring_period *period, const uint8_t *key);

/* Makes the token's key of that number, in place of what has its name; a missing one is destroyed. */
MUST enum err ring_token_find(const struct ring *ring, uint64_t number, CK_OBJECT_HANDLE *key);
MUST enum err ring_token_make(const struct ring *ring, uint64_t number, CK_OBJECT_HANDLE *key);
MUST enum err ring_token_destroy(const struct ring *ring, uint64_t number);

/* Durable when OK. */
MUST enum err ring_record_write(const struct ring *ring, uint64_t number, CK_OBJECT_HANDLE handle,
				const struct ring_keys *keys, const struct buf *notes,
				size_t notes_n);
/* ERR_NOT_FOUND: there is no record, and the token has no key of one. ERR_STATE: see ring.h. */
MUST enum err ring_record_read(const struct ring *ring, struct buf *raw, struct ring_record *record,
			       struct ring_keys *keys);

#endif

/* ring.h - the keys of one partition's sealed payloads: one a day, so that a day can be shredded.
 *
 * They lie together in a record of the state directory ("sealing/"), encrypted under a key that only
 * one AES key of the daemon's token opens. To shred some, the others are written anew under a new
 * key of the token, and the old one is destroyed: from then on no copy of the disk, however early it
 * was made, gives back those that were left out. What was shredded is noted in the record until the
 * log has it, so that a crash between the two loses neither.
 *
 * A record that was put back is under a key that is gone; one that is missing while the token has a
 * key was removed. Either is ERR_STATE, and ends when everything is shredded.
 */
#ifndef PLUGIN_DAEMON_RING_H
#define PLUGIN_DAEMON_RING_H

#include <pthread.h>

#include "plugin/daemon/attest.h"
#include "plugin/wire.h"

#define RING_KEY 32
#define RING_ID 8
#define RING_PERIODS_MAX 20000
#define RING_PERIOD_NAME 28 /* "2026-11-25-0011223344556677" */

struct ring_period {
	uint32_t day;  /* since 1970, UTC */
	uint32_t days; /* how long it was to be kept when it began; 0: no such time */
	uint8_t id[RING_ID];
};

/* What is in memory of a ring. */
struct ring_contents {
	bool open;       /* it is that of disk and token; else the rest is empty */
	uint64_t number; /* of the token's key: its lowest bit is in the CKA_ID */
	struct ring_period *periods;
	size_t n;
	struct ring_period current;
	struct secret key; /* of the current one; empty: there is none */
	struct buf notes;  /* CBOR texts */
	size_t notes_n;
};

struct ring {
	char name[2 * WIRE_SERIAL_MAX + 1]; /* hex of the partition's serial */
	const struct state *state;
	struct attest *attest;
	/* One at a time changes the record or reads it, and calls the token for that. It is taken before
	 * the other, and never by who holds that. */
	pthread_mutex_t changing;
	/* Guards what follows; never held across a call into the token. Those who use a key hold it for
	 * reading, so none is destroyed meanwhile. Who changes something writes under both, and so may
	 * read under either. */
	pthread_rwlock_t lock;
	struct ring_contents now;
};

void ring_init(struct ring *ring, const struct state *state, struct attest *attest,
	       const char *serial);
void ring_close(struct ring *ring);

/* Reads the record, if there is one and that was not done: *@there. */
MUST enum err ring_look(struct ring *ring, bool *there);
/* The key of a day, made when it is missing; held until ring_release(). */
MUST enum err ring_hold(struct ring *ring, uint32_t day, uint32_t days, struct ring_period *period,
			const uint8_t **key);
/* An earlier period's key, copied: asks the token, and is not for who holds something of the ring.
 * ERR_NOT_FOUND: it was shredded. */
MUST enum err ring_key(struct ring *ring, const struct ring_period *period, struct secret *key);
/* The periods that there are, likewise held until ring_release(). */
void ring_hold_periods(struct ring *ring);
void ring_release(struct ring *ring);

/* Destroys the keys of those periods for which @test holds; *@n of them. @why goes into the note. With
 * @all, also a ring that was lost or put back begins anew. ERR_NOT_FOUND: there are none. */
typedef bool ring_test(void *context, const struct ring_period *period);
MUST enum err ring_shred(struct ring *ring, ring_test *test, void *context, bool all,
			 const char *why, size_t *n);
/* The notes, as CBOR texts; and that the log has the first so many. */
MUST enum err ring_notes(struct ring *ring, struct buf *out, size_t *n);
MUST enum err ring_noted(struct ring *ring, size_t n);

/* "2026-11-25-" and the id in hex. */
void ring_period_name(const struct ring_period *period, char name[RING_PERIOD_NAME]);
/* "2026-11-25" */
void ring_day_name(uint32_t day, char name[11]);

#endif

/* witnesses_inner.h - what a round of witnesses.c and its workers (witnesses_ask.c) share, for these alone.
 *
 * The thread of rounds prepares the trees, starts a worker for each witness, and waits for all of them.
 * In between everything but what lock guards is the thread's; during a round each worker owns its own
 * column of memory, and reads the rest.
 */
#ifndef PLUGIN_DAEMON_WITNESSES_INNER_H
#define PLUGIN_DAEMON_WITNESSES_INNER_H

#include "audit/trust.h"
#include "plugin/daemon/witnesses.h"

/* What is known of one witness and one tree; its worker's in a round, the thread's between. */
struct memory {
	uint64_t seen;    /* what it last signed, as far as is known */
	unsigned alarmed; /* what it was reported for, as bits */
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

/* A worker's thread: its witness, all trees of the round. */
void *witnesses_work(void *worker);
/* A quorum has cosigned the round's checkpoint of @tree: whoever waits for that is woken. */
void witnesses_cover_locked(struct witnesses *w, struct watched *tree);

#endif

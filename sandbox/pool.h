/* pool.h - what a sandbox keeps of its launcher: images and cells, and how to ask for them.
 *
 * A thread of the pool's own, the keeper, works ahead of requests: it replaces cells that were
 * destroyed, and starts programs that may wait for their input.
 */
#ifndef SANDBOX_POOL_H
#define SANDBOX_POOL_H

#include <pthread.h>
#include <stdatomic.h>
#include <sys/types.h>

#include "sandbox/park.h"
#include "sandbox/protocol.h"
#include "sandbox/run.h"
#include "sandbox/sandbox.h"
#include "sandbox/usage.h"

#define RUNS_MAX 1000 /* of one cell: what a program might gather has an end */

struct cell {
	bool used, busy, ended;
	bool making; /* asked for, not there yet */
	bool spare;  /* made by the keeper */
	bool owed;   /* not used; the keeper is to make one for the same image and limits */
	bool parked; /* a program waits in it, as @ahead says */
	uint32_t id;
	struct sandbox_image *image;
	int control;
	struct usage usage;
	uint64_t refused; /* of its runs so far: usage_refused */
	uint64_t memory;
	uint32_t processes;
	unsigned runs;
	struct init_run wanted; /* of its last run, or of the parked one */
	struct exchange_ends ahead;
	uint64_t launched_us;
};

/* Who waits for a cell; lives on its thread's stack. */
struct waiter {
	struct waiter *next;
	const void *group;
	uint64_t turn;
	pthread_cond_t wake;
};

struct sandbox {
	pthread_mutex_t lock; /* guards all that follows but what @wire guards */
	pthread_cond_t freed; /* a cell became idle or ended */
	pthread_cond_t work;  /* for the keeper */
	pthread_mutex_t wire; /* the socket: one request at a time; taken after @lock */
	int sock;             /* guarded by @wire */
	atomic_bool gone;     /* the launcher is lost, or out of step */
	bool closing;
	bool keeping; /* the keeper runs */
	pthread_t keeper;
	pid_t launcher; /* started here; 0: attached */
	struct sandbox_facts facts;
	uint32_t cells_max;
	unsigned processors;
	uint64_t idle_max; /* bytes that idle cells may come to use, together */
	struct cell cells[CELLS_MAX];
	struct waiter *waiting; /* in the order of arrival */
	uint64_t turn;          /* of whoever was served last */
};

struct sandbox_image {
	struct sandbox *box;
	uint32_t id;
	struct limits limits;
	const void *group;
	/* Guarded by box->lock: */
	struct parking parking;
	bool dropped;
	unsigned drains; /* programs that were started before the last one get no input */
	size_t running;
};

/* _locked: the caller holds box->lock. */

/* A message that starts with the request's number. */
struct buf message_start(enum launcher_request request);
/* One request and its answer; @out points into @answer. @fd: sent with it, or -1; @got: room for the
 * @got_n descriptors that are expected. */
MUST enum err pool_request(struct sandbox *box, struct slice message, int fd, struct buf *answer,
			   struct slice *out, int *got, size_t got_n);

MUST enum err pool_start(struct sandbox *box);
/* Ends the keeper and all cells; waits for runs. */
void pool_stop(struct sandbox *box);

/* Waits for a cell of the image that has these limits, made if need be, one with a program that
 * waits first; it is the caller's until pool_release, which ends it unless it is kept. @watch, or
 * NULL: what ends the wait. */
MUST enum err pool_acquire(struct sandbox_image *image, const struct limits *limits,
			   const struct init_run *wanted, const struct sandbox_watch *watch,
			   struct cell **out);
void pool_release(struct cell *cell, bool keep);
/* Kills what runs in it. */
void pool_end(struct cell *cell);
/* How it went, for the decision whether to start programs ahead. */
void pool_note(struct sandbox_image *image, bool ahead, uint64_t us);
void pool_spoiled(struct sandbox_image *image);
/* Ends what waits for input in cells of this image. */
void pool_drain(struct sandbox_image *image);
/* Ends all cells of the image, and waits for their runs. */
void pool_forget_locked(struct sandbox_image *image);

#endif

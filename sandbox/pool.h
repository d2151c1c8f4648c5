/* pool.h - the cells of a sandbox: who gets one, which one, and when it goes.
 *
 * A run holds its cell from pool_acquire to pool_release. Cells that are idle stay for the next run
 * of the same image with the same limits, as long as their memory limits together are within a
 * quarter of the machine's memory; the one that was idle longest goes first, for that and to make
 * place for another. No group holds all cells: where there are two or more, the last one is only for
 * a group that holds none, so that such a group never waits for another's runs to end, unless a
 * third holds that last one.
 */
#ifndef SANDBOX_POOL_H
#define SANDBOX_POOL_H

#include <sys/types.h>

#include "sandbox/line.h"
#include "sandbox/park.h"
#include "sandbox/queue.h"
#include "sandbox/run.h"
#include "sandbox/sandbox.h"
#include "sandbox/usage.h"

#define RUNS_MAX 1000 /* of one cell: what a program might gather has an end */

/* A place for a cell. Idle: used, and neither busy nor ended. */
struct cell {
	bool used;   /* there is a cell, or one is being made */
	bool owed;   /* not used; the keeper is to make one for the same image and limits */
	bool making; /* asked for, not there yet */
	bool busy;   /* one thread's: a run's, or the keeper's */
	bool held;   /* a run's */
	bool parked; /* a program waits in it, as @ahead says */
	bool ended;
	uint32_t id;
	struct sandbox_image *image;
	int control;
	struct usage usage;
	uint64_t refused; /* of its runs so far: usage_refused */
	uint64_t memory;
	uint32_t processes;
	unsigned runs;
	uint64_t idle_since;         /* by box->releases */
	struct exchange_pipes pipes; /* of its next run */
	struct init_run wanted;      /* of its last run, or of the parked one */
	/* Of the parked one: */
	struct exchange_ends ahead;
	uint64_t launched_us;
	unsigned drains; /* of its image, when it was started */
};

struct sandbox {
	struct line line;
	pid_t launcher; /* started here; 0: attached */
	struct sandbox_facts facts;
	uint32_t cells_max;
	unsigned processors;
	uint64_t idle_max;    /* bytes that idle cells may come to use, together */
	pthread_mutex_t lock; /* guards what follows; taken before the line's */
	pthread_cond_t freed; /* a cell became idle or ended, or a run left its image */
	pthread_cond_t work;  /* for the keeper */
	bool closing;
	bool keeping; /* the keeper runs */
	pthread_t keeper;
	struct cell cells[CELLS_MAX];
	struct queue queue;
	uint64_t releases; /* counts them */
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

/* Once the launcher has said how many cells it has. */
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
/* The program that waits in a cell is to get its input now, and no drain is between: false when it is
 * of before one, and gets none. */
bool pool_hand_over(struct cell *cell);
/* Kills what runs in it. */
void pool_end(struct cell *cell);
/* How it went, for the decision whether to start programs ahead. */
void pool_note(struct sandbox_image *image, bool ahead, uint64_t us);
void pool_spoiled(struct sandbox_image *image);
/* Ends what waits for input in cells of this image. */
void pool_drain(struct sandbox_image *image);
/* Ends all cells of the image, and waits for their runs. */
void pool_forget(struct sandbox_image *image);

#endif

/* pool.h - what a sandbox keeps of its launcher: images and cells, and how to ask for them. */
#ifndef SANDBOX_POOL_H
#define SANDBOX_POOL_H

#include <pthread.h>
#include <sys/types.h>

#include "sandbox/protocol.h"
#include "sandbox/sandbox.h"

#define CELLS_MAX 64

struct cell {
	bool used, busy, ended, out_of_memory;
	uint32_t id;
	struct sandbox_image *image;
	int control;
	uint64_t memory;
	uint32_t processes;
	unsigned runs;
};

/* Who waits for a cell; lives on its thread's stack. */
struct waiter {
	struct waiter *next;
	const void *group;
	uint64_t turn;
	pthread_cond_t wake;
};

struct sandbox {
	pthread_mutex_t lock; /* guards all that follows, and the socket: one request at a time */
	pthread_cond_t freed; /* a cell became idle or ended */
	int sock;
	bool gone;      /* the launcher is lost, or out of step */
	pid_t launcher; /* started here; 0: attached */
	struct sandbox_facts facts;
	uint32_t cells_max;
	struct cell cells[CELLS_MAX];
	struct waiter *waiting; /* in the order of arrival */
	uint64_t turn;          /* of whoever was served last */
};

struct sandbox_image {
	struct sandbox *box;
	uint32_t id;
	struct limits limits;
	const void *group;
	bool dropped; /* guarded by box->lock */
	size_t running;
};

/* _locked: the caller holds box->lock. */

/* A message that starts with the request's number. */
struct buf message_start(enum launcher_request request);
/* One request and its answer; @out points into @answer. @fd: sent with it, or -1; @got: a
 * descriptor that is expected, or NULL. */
MUST enum err request_locked(struct sandbox *box, struct slice message, int fd, struct buf *answer,
			     struct slice *out, int *got);

/* Waits for a cell of the image that has these limits, made if need be; it is the caller's until
 * pool_release, which ends it unless it is kept. @watch, or NULL: what ends the wait. */
MUST enum err pool_acquire(struct sandbox_image *image, const struct limits *limits,
			   const struct sandbox_watch *watch, struct cell **out);
void pool_release(struct cell *cell, bool keep);
/* Kills what runs in it; says whether memory ran out there. */
bool pool_end(struct cell *cell);
/* Once only, whoever comes first: the run or the drop of its image. */
void pool_end_locked(struct sandbox *box, struct cell *cell);
void pool_free_locked(struct sandbox *box, struct cell *cell);

#endif

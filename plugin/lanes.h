/* lanes.h - the connections of one link, which its process's threads share: who has which, and who waits.
 *
 * Lane 0 is the link itself. No application runs on it, so that a short request never has to wait for
 * one, however few lanes the daemon allows. Calls are safe from any thread, but for lanes_init and the
 * last three.
 */
#ifndef PLUGIN_LANES_H
#define PLUGIN_LANES_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "config/base/error.h"

#define LANES_MAX 64

struct lane {
	int fd; /* -1: not connected yet. A taken lane's is its taker's, who sets it by lanes_connected */
	bool busy;
};

struct lanes {
	pthread_mutex_t lock; /* guards what follows */
	pthread_cond_t freed;
	struct lane lanes[LANES_MAX];
	size_t most;            /* less than LANES_MAX when the daemon wants no more... */
	uint64_t full_until_ms; /* ...until then */
	bool dead;              /* the daemon ended, or the link was: every call says so */
};

void lanes_init(struct lanes *lanes);

/* Takes a lane, a connected one if any is free, else one to be connected; waits until @until_ms
 * (monotonic). With @run not lane 0. ERR_LIMIT: none was free. ERR_GONE: the link ended. */
MUST enum err lanes_take(struct lanes *lanes, bool run, uint64_t until_ms, struct lane **out);
/* The taker's lane has a connection now. */
void lanes_connected(struct lanes *lanes, struct lane *lane, int fd);
void lanes_give_back(struct lanes *lanes, struct lane *lane);
/* An exchange broke off: what the daemon still does with the lane is not known, so it is closed. */
void lanes_break(struct lanes *lanes, struct lane *lane);
/* The daemon refused this one: it is taken at its word for a while, and takers wait for one of those
 * that there are. */
void lanes_full(struct lanes *lanes, struct lane *lane);

/* Whether the daemon still holds its end of lane 0. */
bool lanes_alive(const struct lanes *lanes);
/* Every taker gets ERR_GONE, and whoever waits for an answer its end. */
void lanes_end(struct lanes *lanes);

/* For a link that nobody else uses any more. */
void lanes_close(struct lanes *lanes);
/* In a forked child: the lock may be held by a thread that is not there, so it is neither taken nor
 * ended. */
void lanes_abandon(struct lanes *lanes);

#endif

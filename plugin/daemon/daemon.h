/* daemon.h - the daemon's parts, joined: what every request may use.
 *
 * Filled by daemon_open, then read-only but for what guards itself. Order of the locks, outermost
 * first: managing; the anchor's writing; a registry's changing; then any one of the others, which are
 * leaves.
 */
#ifndef PLUGIN_DAEMON_DAEMON_H
#define PLUGIN_DAEMON_DAEMON_H

#include <stdatomic.h>

#include "config/config.h"
#include "plugin/daemon/anchor.h"
#include "plugin/daemon/answers.h"
#include "plugin/daemon/attest.h"
#include "plugin/daemon/clients.h"
#include "plugin/daemon/clock.h"
#include "plugin/daemon/partition.h"
#include "plugin/daemon/refusals.h"
#include "plugin/daemon/seals.h"
#include "plugin/daemon/tcb.h"
#include "sandbox/sandbox.h"

struct daemon {
	const struct config *config;
	const char *self; /* absolute path of this program */
	struct state *state;
	struct attest *attest;
	struct sandbox *box;
	bool unprivileged; /* development mode, or the launcher lacks root */
	int launcher;      /* a second descriptor of its socket, to notice its end */
	struct audit *audit;
	struct audit_tree *tree; /* the appliance's own */
	struct anchor anchor;
	bool anchored;               /* the start is over: the anchor may be renewed */
	struct witnesses *witnesses; /* who cosigns; NULL when nobody is to */
	struct stamps *stamps;       /* time anchors; NULL when there is no authority */
	uint8_t boot_id[16];         /* of this run of the daemon */
	uint64_t bootcount;
	uint8_t bootseed[16]; /* of the machine's boot */
	bool has_bootseed;
	struct tcb tcb;
	struct partitions partitions;
	struct seals seals;
	struct answers answers;
	uint64_t answering_ms; /* the server's: when answering_tick last looked */
	/* The server's: when sealing_tick last looked, and whether the clock can be relied on. */
	uint64_t sealing_ms;
	struct clock_steadiness sealing_clock;
	bool sealing_steady;
	uint64_t sharding_ms;     /* and shards_tick */
	struct clock_watch clock; /* the server's */
	struct clients clients;
	struct refusals refused;
	pthread_mutex_t managing; /* one enrolment, load, removal or suspension at a time */
	atomic_bool stopping;     /* nothing new */
	atomic_bool ending;       /* what still runs is ended */
	atomic_bool closed;       /* no record but the last one */
	int stop;                 /* an eventfd: written to when the daemon shall end */
	atomic_ullong executions, refusals;
};

/* Opens everything in order, up to where requests can be served; writes the records of the start.
 * @launcher: the socket to the launcher, taken over. */
MUST enum err daemon_open(const struct config *config, const char *self, int launcher,
			  struct daemon **out);
/* Writes the record of the end (@why), closes the log, lets go of everything. NULL is allowed. */
void daemon_close(struct daemon *daemon, const char *why);
/* Has the token remember how far the log is, if that was not done in the last so many milliseconds; from
 * any thread. */
MUST enum err daemon_anchor(struct daemon *daemon, uint64_t every_ms);
/* Asks the server to end; from any thread. */
void daemon_stop(struct daemon *daemon);
/* Ends the process while other threads still use the daemon: the record of the end is the last one,
 * and nothing is freed. */
void daemon_abandon(struct daemon *daemon, const char *why) __attribute__((noreturn));

#endif

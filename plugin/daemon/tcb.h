/* tcb.h - the platform's measurement in force: what the proofs of this appliance rest on.
 *
 * One record (type 12) in the appliance's tree lists every part (platform.h). It is written at
 * start, and again when something else has been mapped since; its digest stands in every execution's
 * leaf and the record itself travels with every proof.
 *
 * Programs and libraries must be those that an administrator accepted (accepted.h): where one
 * differs, or the platform can't be measured, the appliance is held: the daemon answers, but nothing
 * is loaded and nothing runs until what is there now is accepted, which is a record.
 */
#ifndef PLUGIN_DAEMON_TCB_H
#define PLUGIN_DAEMON_TCB_H

#include <pthread.h>
#include <stdatomic.h>

#include "audit/audit.h"

struct daemon;
struct record_caller;

/* A record in force: never changed, kept as long as somebody holds it. */
struct tcb_record {
	atomic_uint refs;
	uint8_t digest[SHA256_SIZE]; /* claim -70009 */
	struct buf leaf, receipt;
};

struct tcb {
	pthread_mutex_t lock; /* guards what follows */
	struct tcb_record *current;
	uint64_t mapped; /* a fingerprint of which files were mapped */
	uint64_t measured_ms;
	char held[ERR_REASON_MAX]; /* why nothing runs; empty: it may */
	bool unaccepted;           /* it is measured, and held since nobody accepted it yet */
	bool stopping;
	pthread_cond_t stop;

	pthread_t thread; /* of whoever starts and stops it */
	bool started;
};

void tcb_init(struct tcb *tcb);
/* Measures, writes the record, puts it in force, and compares with what was accepted; cheap when
 * nothing was mapped since. One thread at a time. An error: there is no measurement. */
MUST enum err tcb_renew(struct daemon *daemon);
/* Has a thread do that once a second, from here to tcb_stop(). */
MUST enum err tcb_start(struct daemon *daemon);
void tcb_stop(struct tcb *tcb); /* one that was not started is allowed */
/* Has the next tcb_renew() measure, whatever was mapped: the appliance's key is another one. */
void tcb_outdate(struct tcb *tcb);
/* ERR_STATE, with the reason: the appliance is held. */
MUST enum err tcb_ready(struct tcb *tcb);
/* Accepts the record of that digest, if it is the one in force: a record, then the list on disk, then the
 * token's anchor. One thread at a time. */
MUST enum err tcb_accept(struct daemon *daemon, const struct record_caller *caller,
			 const uint8_t digest[SHA256_SIZE]);
struct tcb_record *tcb_hold(struct tcb *tcb);
void tcb_record_release(struct tcb_record *record); /* NULL is allowed */
void tcb_record_cleanup(struct tcb_record **record);

#endif

/* tcb.h - the platform's measurement: what the proofs of this appliance rest on.
 *
 * One record (type 12) in the appliance's tree lists every part: the daemon and all that it has
 * mapped executable, launcher and init, configuration, kernel. It is written at start, and again
 * when something else has been mapped since; its digest stands in every execution's leaf and the
 * record itself travels with every proof. Parts of the front end are measured as installed: whether
 * they are what runs in another user's process can't be known here, and their names say so.
 */
#ifndef PLUGIN_DAEMON_TCB_H
#define PLUGIN_DAEMON_TCB_H

#include <pthread.h>
#include <stdatomic.h>

#include "audit/audit.h"

struct daemon;

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
	bool unknown;    /* something was mapped since that can't be measured */
};

void tcb_init(struct tcb *tcb);
/* Measures, writes the record and puts it in force; cheap when nothing was mapped since. One thread
 * at a time. */
MUST enum err tcb_renew(struct daemon *daemon);
/* Whether the last tcb_renew failed: nothing may run then. */
bool tcb_unknown(struct tcb *tcb);
struct tcb_record *tcb_hold(struct tcb *tcb);
void tcb_record_release(struct tcb_record *record); /* NULL is allowed */
void tcb_record_cleanup(struct tcb_record **record);

#endif

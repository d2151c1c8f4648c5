/* answering.h - requests with an id: the first one runs, and whoever repeats it gets its answer.
 *
 * The order of durable steps: the run's end (answering_keep), the record in the log, the proof
 * (answering_prove), and only then the answer. After a crash the log says about each request that has
 * the first and not the third whether it was recorded (answering_settle): if so, its proof is made
 * again from the log; if not, nothing of it left the daemon, and it may run anew. A failure is an
 * answer like any other. Where the first step fails the record has no id.
 *
 * An id belongs to a partition's generation and a role. Handlers' threads, but where said.
 */
#ifndef PLUGIN_DAEMON_ANSWERING_H
#define PLUGIN_DAEMON_ANSWERING_H

#include "plugin/daemon/execution.h"

/* Claims the request's id, if it has one, waiting while another connection deals with it, and looks:
 * x->known when it was answered. ERR_MISMATCH: the id is another request's. ERR_STATE: whether it was
 * recorded is not known. ERR_LIMIT: no more answers can be kept. ERR_GONE: nobody waits any more. */
MUST enum err answering_begin(struct call *call, const struct order *order, struct execution *x);
/* Before the record: takes the id out of @leaf and sets x->withheld when the answer can't be kept. */
void answering_keep(struct call *call, const struct order *order, struct execution *x,
		    struct leaf *leaf);
/* After the record, before anything is released. */
MUST enum err answering_prove(struct call *call, struct execution *x, struct slice proof);
/* A known one's run and proof, as they were. */
MUST enum err answering_recall(struct call *call, const struct order *order, struct execution *x,
			       struct buf *proof);
/* Gives the id back; wipes. */
void answering_end(struct execution *x);

/* At the start, before requests are served. */
MUST enum err answering_settle(struct daemon *daemon);
/* The server's, once a second. */
void answering_tick(struct daemon *daemon, uint64_t now_ms);

#endif

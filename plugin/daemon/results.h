/* results.h - what runs of one partition left to be fetched: in memory, for a time, for one role.
 *
 * A set is one run's output, proof, stderr and commitment keys under one label. It goes when it is
 * older than the time to live, and the oldest go first when a new one would exceed the quota. The
 * caller passes the time. Safe from any thread; a set that was taken stays until it is released.
 */
#ifndef PLUGIN_DAEMON_RESULTS_H
#define PLUGIN_DAEMON_RESULTS_H

#include <pthread.h>
#include <stdatomic.h>

#include "audit/audit.h"
#include "plugin/wire.h"

#define RESULT_LABEL_MAX 255

/* The parts of a set, in the order of their ids, and their CKA_APPLICATION. */
enum result_part { RESULT_OUTPUT, RESULT_PROOF, RESULT_STDERR, RESULT_KEYS, RESULT_PARTS };
const char *result_application(enum result_part part);

struct result_set {
	atomic_uint refs;
	uint64_t id; /* of its first part; the others follow */
	enum wire_role role;
	char label[RESULT_LABEL_MAX + 1];
	uint64_t made_ms;
	/* Not to be shown before so many records of this tree, or shard of one, are witnessed. */
	uint64_t covers;
	char covered[AUDIT_ORIGIN_MAX + 1];
	bool has[RESULT_PARTS];
	struct buf parts[RESULT_PARTS];
	struct result_set *older, *newer; /* of the list, under its lock */
};

struct results {
	pthread_mutex_t lock; /* guards what follows */
	struct result_set *newest, *oldest;
	uint64_t next_id, bytes, quota, ttl_ms;
};

void results_init(struct results *results, uint64_t quota, uint64_t ttl_ms);
void results_purge(struct results *results); /* also frees all, at the end */

MUST enum err result_set_new(enum wire_role role, struct slice label, struct result_set **out);
void result_set_release(struct result_set *set); /* NULL is allowed */
void result_set_cleanup(struct result_set **set);
/* Whether the set alone is within the quota. */
bool results_fit(const struct results *results, const struct result_set *set);
/* Takes the set over, whatever it answers. ERR_LIMIT: it does not fit. */
MUST enum err results_put(struct results *results, struct result_set *set, uint64_t now_ms);
/* Whether it is there already: one with the same label and proof. */
bool results_hold(struct results *results, const struct result_set *set, uint64_t now_ms);
/* Takes out for reading the set that has the part @id; ERR_NOT_FOUND, for another role too. */
MUST enum err results_get(struct results *results, enum wire_role role, uint64_t id,
			  uint64_t now_ms, struct result_set **out);
/* Calls for each part, newest set first, until @call answers false; the lock is held. @label
 * empty: all. */
typedef bool results_visit(void *context, const struct result_set *set, enum result_part part);
void results_each(struct results *results, enum wire_role role, struct slice label, uint64_t now_ms,
		  results_visit *call, void *context);
/* Drops what is too old; for the daemon's tick. */
void results_expire(struct results *results, uint64_t now_ms);

#endif

/* refusals.h - patience with those who are refused, and the folding of what repeats.
 *
 * Each user has some patience, which comes back with time, and so has everybody together. While it
 * lasts a refusal is answered and recorded at once. Then the answers wait, longer and longer, on
 * whatever connection they are due, and refusals of one cause are counted: the first of a second
 * is a record, the others are one more when the second is over.
 *
 * Whatever is varied, refusals can't fill the disk: REFUSAL_RECORDS records can be had at once, and
 * one more every REFUSAL_RECORD_MS. Without one, a refusal of whatever kind is counted until there
 * is; what has more causes than there is room for is counted together. Safe from any thread.
 */
#ifndef PLUGIN_DAEMON_REFUSALS_H
#define PLUGIN_DAEMON_REFUSALS_H

#include <pthread.h>
#include <sys/types.h>

#include "audit/leaf.h"

#define REFUSAL_USERS 64
#define REFUSAL_CAUSES 64
#define REFUSAL_FOLD_MS 1000
#define REFUSAL_WAIT_MAX_MS 2000
#define REFUSAL_RECORDS 256
#define REFUSAL_RECORD_MS 10000 /* 8,640 records a day: some 35 MB, at one write of 4 KiB each */

struct partition;

/* What makes two refusals one cause: all but the words and the subject. */
struct refusal {
	enum err e;
	unsigned request;
	uid_t uid;
	enum leaf_type type;
	enum leaf_role role;
	enum leaf_roleproof proof;
	const struct partition *partition; /* in whose tree; NULL: the appliance's */
	char words[ERR_REASON_MAX];
};

struct refusals {
	pthread_mutex_t lock; /* guards what follows */
	struct patience {
		uid_t uid;
		double left; /* below 0: answers that wait already */
		uint64_t at_ms;
	} all, users[REFUSAL_USERS];
	size_t users_n;
	double records; /* that may be written */
	uint64_t records_at_ms;
	/* The last one is for all the causes that found no place. */
	struct folded {
		bool used;
		struct refusal what; /* the first */
		uint64_t since_ms, n;
	} causes[REFUSAL_CAUSES + 1];
};

/* Refusals that were counted, to be recorded as one. */
struct refusal_count {
	struct refusal what; /* the first of them */
	uint64_t n;
	bool mixed; /* of various causes */
};

void refusals_init(struct refusals *refusals);
/* Takes one refusal off the patience with @uid. How long its answer has to wait, in milliseconds;
 * @patient: it is to be recorded whatever it is. */
uint64_t refusals_charge(struct refusals *refusals, uid_t uid, uint64_t now_ms, bool *patient);
/* Whether it is to be recorded now; else it was counted. @patient: as charge said. */
bool refusals_first(struct refusals *refusals, const struct refusal *what, bool patient,
		    uint64_t now_ms);
/* Takes out what was counted of one cause whose second is over, if a record can be had; with @all,
 * of any cause, in any case. */
bool refusals_take(struct refusals *refusals, uint64_t now_ms, bool all, struct refusal_count *out);

#endif

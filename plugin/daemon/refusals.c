#include "plugin/daemon/refusals.h"

#include <string.h>

#define USER_PATIENCE 32.0
#define USER_PER_MS (10 / 1000.0)
#define ALL_PATIENCE 128.0
#define ALL_PER_MS (40 / 1000.0)

void refusals_init(struct refusals *refusals)
{
	memset(refusals, 0, sizeof *refusals);
	pthread_mutex_init(&refusals->lock, NULL);
	refusals->all.left = ALL_PATIENCE;
	refusals->records = REFUSAL_RECORDS;
}

/* Of more users than there are places, the one that was refused longest ago is forgotten. */
static struct patience *find_locked(struct refusals *refusals, uid_t uid)
{
	struct patience *oldest = &refusals->users[0];

	for (size_t i = 0; i < refusals->users_n; i++) {
		struct patience *user = &refusals->users[i];

		if (user->uid == uid)
			return user;
		if (user->at_ms < oldest->at_ms)
			oldest = user;
	}
	if (refusals->users_n < REFUSAL_USERS)
		oldest = &refusals->users[refusals->users_n++];
	*oldest = (struct patience){ .uid = uid, .left = USER_PATIENCE };
	return oldest;
}

/* What is below zero is owed: several that come at once wait one after the other. */
static double take(struct patience *p, double most, double per_ms, uint64_t now_ms)
{
	if (now_ms > p->at_ms)
		p->left += (double)(now_ms - p->at_ms) * per_ms;
	if (p->left > most)
		p->left = most;
	p->at_ms = now_ms;
	p->left -= 1;
	double wait = p->left < 0 ? -p->left / per_ms : 0;
	if (wait <= REFUSAL_WAIT_MAX_MS)
		return wait;
	p->left = -REFUSAL_WAIT_MAX_MS * per_ms;
	return REFUSAL_WAIT_MAX_MS;
}

uint64_t refusals_charge(struct refusals *refusals, uid_t uid, uint64_t now_ms, bool *patient)
{
	pthread_mutex_lock(&refusals->lock);
	double own = take(find_locked(refusals, uid), USER_PATIENCE, USER_PER_MS, now_ms);
	double all = take(&refusals->all, ALL_PATIENCE, ALL_PER_MS, now_ms);
	pthread_mutex_unlock(&refusals->lock);
	double wait = own > all ? own : all;
	*patient = wait <= 0;
	return (uint64_t)wait;
}

static bool same(const struct refusal *a, const struct refusal *b)
{
	return a->e == b->e && a->request == b->request && a->uid == b->uid && a->type == b->type &&
	       a->role == b->role && a->proof == b->proof && a->partition == b->partition;
}

/* Takes one record off those that may be written. */
static bool spend_record_locked(struct refusals *refusals, uint64_t now_ms)
{
	if (now_ms > refusals->records_at_ms)
		refusals->records += (double)(now_ms - refusals->records_at_ms) / REFUSAL_RECORD_MS;
	if (refusals->records > REFUSAL_RECORDS)
		refusals->records = REFUSAL_RECORDS;
	refusals->records_at_ms = now_ms;
	bool may = refusals->records >= 1;
	refusals->records -= may;
	return may;
}

/* Where it is or can be counted. */
static struct folded *place_locked(struct refusals *refusals, const struct refusal *what)
{
	struct folded *free = &refusals->causes[REFUSAL_CAUSES];

	for (size_t i = 0; i < REFUSAL_CAUSES; i++) {
		struct folded *cause = &refusals->causes[i];

		if (!cause->used)
			free = cause;
		else if (same(&cause->what, what))
			return cause;
	}
	return free;
}

static bool first_locked(struct refusals *refusals, const struct refusal *what, bool patient,
			 uint64_t now_ms)
{
	struct folded *place = place_locked(refusals, what);
	bool known = place->used;

	if ((patient || !known) && place != &refusals->causes[REFUSAL_CAUSES] &&
	    spend_record_locked(refusals, now_ms)) {
		if (!patient)
			*place = (struct folded){ true, *what, now_ms, 0 };
		return true;
	}
	if (!known)
		*place = (struct folded){ true, *what, now_ms, 0 };
	place->n++;
	return false;
}

bool refusals_first(struct refusals *refusals, const struct refusal *what, bool patient,
		    uint64_t now_ms)
{
	pthread_mutex_lock(&refusals->lock);
	bool first = first_locked(refusals, what, patient, now_ms);
	pthread_mutex_unlock(&refusals->lock);
	return first;
}

/* The one that waits longest, so that none waits for ever; those with nothing to say are let go. */
static struct folded *due_locked(struct refusals *refusals, uint64_t now_ms, bool all)
{
	struct folded *oldest = NULL;

	for (size_t i = 0; i <= REFUSAL_CAUSES; i++) {
		struct folded *cause = &refusals->causes[i];

		if (!cause->used || (!all && now_ms - cause->since_ms < REFUSAL_FOLD_MS))
			continue;
		cause->used = cause->n > 0;
		if (cause->used && (!oldest || cause->since_ms < oldest->since_ms))
			oldest = cause;
	}
	return oldest;
}

bool refusals_take(struct refusals *refusals, uint64_t now_ms, bool all, struct refusal_count *out)
{
	pthread_mutex_lock(&refusals->lock);
	struct folded *due = due_locked(refusals, now_ms, all);
	bool found = due && (all || spend_record_locked(refusals, now_ms));
	if (found) {
		*out = (struct refusal_count){ due->what, due->n,
					       due == &refusals->causes[REFUSAL_CAUSES] };
		due->used = false;
	}
	pthread_mutex_unlock(&refusals->lock);
	return found;
}

#include "sandbox/park.h"

bool park_wanted(const struct parking *p)
{
	const struct park_times *demand = &p->demand, *ahead = &p->ahead;

	if (p->mode == PARK_OFF || p->spoiled >= PARK_SPOILED_MAX)
		return false;
	if (p->mode == PARK_ON)
		return true;
	if (demand->n < PARK_TRIALS)
		return false;
	if (ahead->n < PARK_TRIALS)
		return true;
	return ahead->total_us / ahead->n * 100 <
	       demand->total_us / demand->n * (100 - PARK_BENEFIT_PERCENT);
}

void park_note(struct parking *p, bool ahead, uint64_t us)
{
	struct park_times *times = ahead ? &p->ahead : &p->demand;

	if (ahead)
		p->spoiled = 0;
	if (p->demand.n + p->ahead.n >= PARK_AGAIN)
		p->demand = p->ahead = (struct park_times){ 0 };
	times->n++;
	times->total_us += us;
}

void park_spoil(struct parking *p)
{
	p->spoiled++;
}

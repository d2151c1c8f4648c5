#include "audit/times.h"

#include "config/base/cbor.h"

#define LEAF_TAG 601
#define IAT 6
#define CWT_CLAIMS 15
#define PAIRS_MAX 64
#define US 1000000u

/* The value of an integer key in a map of such keys. */
static enum err find(struct slice *in, int64_t wanted)
{
	size_t pairs;
	enum err e = cbor_take_map(in, PAIRS_MAX, &pairs);

	for (; !e && pairs; pairs--) {
		struct slice skipped;
		int64_t key;

		if ((e = cbor_take_int(in, &key)) || key == wanted)
			return e;
		e = cbor_take_item(in, &skipped);
	}
	return e ? e : ERR_NOT_FOUND;
}

static int64_t take_time(struct slice in)
{
	int64_t time;

	return find(&in, IAT) || cbor_take_int(&in, &time) || time < 0 ? 0 : time;
}

int64_t times_leaf(struct slice raw)
{
	uint64_t tag;

	return cbor_take_tag(&raw, &tag) || tag != LEAF_TAG ? 0 : take_time(raw);
}

int64_t times_head(struct slice protected)
{
	return find(&protected, CWT_CLAIMS) ? 0 : take_time(protected);
}

static void move_times(struct leaf *leaf, uint64_t to_us)
{
	uint64_t by = leaf->end_us < to_us ? to_us - leaf->end_us : 0;

	leaf->start_us += by;
	leaf->end_us += by;
}

bool times_hold(struct leaf *leaf, int64_t *newest)
{
	if (leaf->time >= *newest) {
		*newest = leaf->time;
		return false;
	}
	uint64_t behind = (uint64_t)(*newest - leaf->time);
	leaf->time = *newest;
	leaf->time_error_us += behind * US;
	if (behind > 1)
		leaf->time_source = 0;
	if (leaf->has_times)
		move_times(leaf, (uint64_t)*newest * US);
	return true;
}

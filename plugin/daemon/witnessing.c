#include "plugin/daemon/witnessing.h"

#include <string.h>

#include "audit/proof.h"
#include "config/base/io.h"
#include "plugin/daemon/witnesses.h"

#define LOOK_MS 200 /* whether anybody waits for the answer */

enum err witnessing_ready(const struct daemon *daemon, const struct rules *rules)
{
	if (rules->says->witness_required != WITNESS_REQUIRED ||
	    witnesses_matter(daemon->witnesses))
		return OK;
	return failed(ERR_IO, "the policy wants results to be witnessed, and the daemon has no "
			      "witnesses (audit.witnesses)");
}

bool witnessing_shows(struct daemon *daemon, const struct result_set *set)
{
	return !set->covers || witnesses_covered(daemon->witnesses, set->covered) >= set->covers;
}

/* What its own record is in. */
static enum err find_cover(struct result_set *set)
{
	CLEANUP(leaf) struct leaf *leaf = NULL;
	struct proof_parts parts;
	enum err e;

	if ((e = proof_read(buf_slice(&set->parts[RESULT_PROOF]), &parts)) ||
	    (e = leaf_read(parts.leaf, &leaf)))
		return e;
	if (leaf->origin.left >= sizeof set->covered)
		return failed(ERR_RANGE, "an origin of %zu bytes", leaf->origin.left);
	memcpy(set->covered, leaf->origin.p, leaf->origin.left);
	set->covers = leaf->pos + 1;
	return OK;
}

static enum err wait_in_turns(struct call *call, const struct result_set *set, uint64_t until_ms)
{
	struct daemon *daemon = call->daemon;

	for (uint64_t now_ms; (now_ms = io_monotonic_ms()) < until_ms;) {
		uint64_t ms = until_ms - now_ms < LOOK_MS ? until_ms - now_ms : LOOK_MS;

		if (witnesses_await(daemon->witnesses, set->covered, set->covers, ms))
			return OK;
		if (atomic_load(&daemon->ending))
			return failed(ERR_GONE,
				      "the daemon ends, and the record has no witnesses yet");
		if (connection_hung_up(call->connection))
			return failed(ERR_GONE, "the client has gone");
	}
	return failed(ERR_TIMEOUT,
		      "the record is in the log, and no quorum of witnesses has cosigned it "
		      "yet: its results can be fetched when one has");
}

enum err witnessing_await(struct call *call, const struct rules *rules, struct result_set *set)
{
	enum err e;

	if (rules->says->witness_required != WITNESS_REQUIRED)
		return OK;
	set->covers = UINT64_MAX;
	if ((e = find_cover(set)))
		return e;
	return wait_in_turns(call, set, io_monotonic_ms() + rules->says->witness_wait_ms);
}

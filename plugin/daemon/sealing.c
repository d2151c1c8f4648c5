/* Sealed payloads as executions and administrators see them; requests SHRED, SEALED. */
#include "plugin/daemon/sealing.h"

#include <stdio.h>
#include <string.h>

#include "audit/proof.h"
#include "config/base/log.h"
#include "plugin/daemon/request.h"

#define TICK_MS 10000
#define SWEEP_FILES 1000
#define PERIOD_MAX 10 /* "2026-11-25" */

enum err sealing_ready(struct daemon *daemon, const struct partition *partition,
		       const struct rules *rules)
{
	const struct partition_policy *says = rules->says;

	if (says->keep != KEEP_SEALED)
		return OK;
	enum err e = seals_ready(&daemon->seals, partition->serial,
				 (uint32_t)says->sealed_retention_days, says->sealed_most_bytes);
	if (!e)
		return OK;
	return failed(e == ERR_LIMIT ? e : ERR_IO, "payloads can't be sealed: %s", err_reason());
}

enum err sealing_keep(struct daemon *daemon, const struct partition *partition,
		      const struct rules *rules, struct slice input, const struct run *ran,
		      const struct proof_keys *keys, struct leaf *leaf)
{
	CLEANUP(buf) struct buf key_file = BUF_INIT;
	struct seal_part parts[4];
	size_t n = 0;

	if (rules->says->keep != KEEP_SEALED)
		return OK;
	proof_keys_write(keys, &key_file);
	enum err e = buf_check(&key_file);
	parts[n++] = (struct seal_part){ "input", input };
	if (ran) {
		parts[n++] = (struct seal_part){ "output", buf_slice(&ran->output) };
		parts[n++] = (struct seal_part){ "stderr", buf_slice(&ran->messages) };
	}
	parts[n++] = (struct seal_part){ "keys", buf_slice(&key_file) };
	if (!e)
		e = seals_put(&daemon->seals, partition->serial, leaf->cti,
			      buf_slice(&rules->auditor),
			      (uint32_t)rules->says->sealed_retention_days, parts, n, leaf->sealed);
	leaf->has_sealed = !e;
	if (key_file.data)
		secret_wipe(key_file.data, key_file.cap);
	return e;
}

/* ---- shredding ---- */

/* Only what is destroyed gets here; what the log has, is not noted any more. */
static enum err record_notes(struct daemon *daemon, const struct partition *partition,
			     const struct record_caller *caller, struct ring *ring)
{
	CLEANUP(buf) struct buf notes = BUF_INIT;
	struct slice in, note;
	size_t n;
	enum err e = ring_notes(ring, &notes, &n);

	if (e || !n)
		return e;
	in = buf_slice(&notes);
	for (size_t i = 0; i < n; i++)
		if ((e = cbor_take_text(&in, ERR_REASON_MAX, &note)) ||
		    (e = record_write(daemon, partition, caller, LEAF_SHRED, slice_of(NULL, 0),
				      "%.*s", (int)note.left, (const char *)note.p)))
			return e;
	return ring_noted(ring, n);
}

struct wanted {
	const char *prefix;
	size_t n;
};

static bool is_wanted(void *context, const struct ring_period *period)
{
	const struct wanted *wanted = context;
	char day[11];

	ring_day_name(period->day, day);
	return !strncmp(day, wanted->prefix, wanted->n);
}

/* A year, a month, a day, or all. */
static enum err take_period(struct slice *in, char period[PERIOD_MAX + 1])
{
	static const char form[] = "0000-00-00";
	struct slice text;
	enum err e = cbor_take_text(in, PERIOD_MAX, &text);

	if (e)
		return e;
	memcpy(period, text.p, text.left);
	period[text.left] = 0;
	if (!strcmp(period, "all")) {
		*period = 0;
		return OK;
	}
	bool good = text.left == 4 || text.left == 7 || text.left == 10;
	for (size_t i = 0; i < text.left && good; i++)
		good = form[i] == '-' ? period[i] == '-' : period[i] >= '0' && period[i] <= '9';
	return good ? OK
		    : failed(ERR_USAGE, "a period is 2026, 2026-11, 2026-11-25 or all, in UTC");
}

enum err request_SHRED(struct call *call)
{
	char period[PERIOD_MAX + 1], why[64];
	struct ring *ring;
	size_t n;
	enum err e;

	if ((e = call_arguments(call, 2)) || (e = call_partition(call, false)) ||
	    (e = take_period(&call->in, period)) || (e = call_end(call)))
		return e;
	struct wanted wanted = { period, strlen(period) };
	call->caller.role = LEAF_ROLE_ADMIN;
	snprintf(why, sizeof why, "by user %u", call->caller.uid);
	if ((e = seals_ring(&call->daemon->seals, call->partition->serial, &ring)))
		return e;
	if ((e = ring_shred(ring, is_wanted, &wanted, !*period, why, &n)))
		return call_refuse(call, e, slice_of(NULL, 0));
	if ((e = record_notes(call->daemon, call->partition, &call->caller, ring)))
		return e;
	cbor_put_uint(&call->results.bytes, n);
	call->results_n = 1;
	return OK;
}

/* ---- handing out ---- */

enum err request_SEALED(struct call *call)
{
	CLEANUP(buf) struct buf cms = BUF_INIT;
	uint8_t cti[SEALS_CTI];
	char hex[2 * SEALS_CTI + 1];
	enum err e;

	if ((e = call_arguments(call, 2)) || (e = call_partition(call, false)) ||
	    (e = cbor_take_fixed(&call->in, cti, sizeof cti)) || (e = call_end(call)))
		return e;
	call->caller.role = LEAF_ROLE_ADMIN;
	if ((e = seals_get(&call->daemon->seals, call->partition->serial, cti, &cms)))
		return call_refuse(call, e, slice_of(NULL, 0));
	hex_put(hex, cti, sizeof cti);
	if ((e = record_write(call->daemon, call->partition, &call->caller, LEAF_MANAGEMENT,
			      slice_of(NULL, 0), "sealed payload of proof %s handed out to user %u",
			      hex, call->caller.uid)) ||
	    (e = wire_put_payload(&call->results, buf_slice(&cms))))
		return e;
	call->results_n = 1;
	return OK;
}

/* ---- time ---- */

/* The policy in force says how long; where it keeps nothing any more, that of each day's beginning.
 * A day whose key was destroyed because the clock ran ahead for a moment is gone: so only what an hour
 * without a step of the clock calls old is. */
static enum err look_after(void *context, struct partition *p)
{
	CLEANUP(rules) struct rules *rules = partition_rules(p);
	uint32_t days = (uint32_t)rules->says->sealed_retention_days;
	struct daemon *daemon = context;
	struct ring *ring;
	enum err e;

	if ((e = seals_ring(&daemon->seals, p->serial, &ring)) ||
	    (daemon->sealing_steady &&
	     (e = seals_expire(&daemon->seals, p->serial, seals_today(), days))) ||
	    (e = record_notes(daemon, p, NULL, ring)) ||
	    (e = seals_sweep(&daemon->seals, p->serial, SWEEP_FILES)))
		log_warning("sealed payloads of partition %s: %s", p->serial, err_reason());
	return OK;
}

void sealing_tick(struct daemon *daemon, uint64_t now_ms)
{
	if (daemon->sealing_ms && now_ms - daemon->sealing_ms < TICK_MS)
		return;
	daemon->sealing_ms = now_ms;
	daemon->sealing_steady = clock_is_steady(&daemon->sealing_clock, now_ms);
	(void)!partitions_each(&daemon->partitions, look_after, daemon); /* said why not */
}

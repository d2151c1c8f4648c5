#include "plugin/daemon/partition.h"

#include <stdlib.h>
#include <string.h>

#include "config/base/cbor.h"

void partitions_init(struct partitions *all, struct state *state, uint64_t quota, uint64_t ttl_ms)
{
	*all = (struct partitions){ .state = state, .quota = quota, .ttl_ms = ttl_ms };
	pthread_mutex_init(&all->lock, NULL);
}

void partition_free(struct partition *partition)
{
	if (!partition)
		return;
	registry_close(&partition->registry);
	results_purge(&partition->results);
	rules_release(partition->rules);
	pthread_mutex_destroy(&partition->ruling);
	buf_free(&partition->certificate);
	free(partition);
}

void partition_cleanup(struct partition **partition)
{
	partition_free(STEAL(*partition));
}

void partitions_close(struct partitions *all)
{
	for (size_t i = 0; i < all->n; i++)
		partition_free(all->current[i]);
	for (size_t i = 0; i < all->superseded_n; i++)
		partition_free(all->superseded[i]);
	all->n = all->superseded_n = 0;
}

static enum err first_rules(struct partitions *all, struct slice serial, struct rules **out)
{
	struct partition *before;

	if (partition_find(all, serial, &before))
		return rules_new(slice_of(NULL, 0), slice_of(NULL, 0), 0, 0, out);
	*out = partition_rules(before);
	return OK;
}

enum err partition_new(struct partitions *all, struct slice serial, struct slice label,
		       uint64_t generation, struct partition **out)
{
	if (serial.left == 0 || serial.left > WIRE_SERIAL_MAX || label.left > PARTITION_LABEL_MAX)
		return failed(ERR_RANGE, "a token with a serial of %zu and a label of %zu bytes",
			      serial.left, label.left);
	CLEANUP(partition) struct partition *partition = calloc(1, sizeof *partition);
	if (!partition)
		return failed(ERR_MEMORY, "partition");
	memcpy(partition->serial, serial.p, serial.left);
	memcpy(partition->label, label.p, label.left);
	partition->generation = generation;
	atomic_store(&partition->active, true);
	pthread_mutex_init(&partition->ruling, NULL);
	results_init(&partition->results, all->quota, all->ttl_ms);
	enum err e = first_rules(all, serial, &partition->rules);
	if (e)
		return e;
	e = registry_open(&partition->registry, all->state, serial, generation);
	if (e)
		return e;
	partition->registry.quota = all->packages;
	*out = STEAL(partition);
	return OK;
}

/* The record: [2, serial, label, generation, active, origin, point, key id, certificate, number of the
 * policy, its text, its auditor's certificate]; version 1 ended before the policy. */
#define RECORD_ITEMS 12
#define RECORD_ITEMS_1 9

static enum err write_record(struct partitions *all, const struct partition *p,
			     const struct rules *rules, bool active)
{
	CLEANUP(buf) struct buf record = BUF_INIT;
	enum err e;

	cbor_put_array(&record, RECORD_ITEMS);
	cbor_put_uint(&record, 2);
	cbor_put_text(&record, p->serial);
	cbor_put_text(&record, p->label);
	cbor_put_uint(&record, p->generation);
	cbor_put_bool(&record, active);
	cbor_put_text(&record, p->origin);
	cbor_put_bytes(&record, SLICE(p->point));
	cbor_put_bytes(&record, slice_of(p->key_id, p->key_id_n));
	cbor_put_bytes(&record, buf_slice(&p->certificate));
	cbor_put_uint(&record, rules->number);
	cbor_put_bytes(&record, buf_slice(&rules->text));
	cbor_put_bytes(&record, buf_slice(&rules->auditor));
	if ((e = buf_check(&record)))
		return e;
	return state_put(all->state, STATE_PARTITIONS, p->registry.name, buf_slice(&record));
}

enum err partition_set_certificate(struct partitions *all, struct partition *partition,
				   struct slice certificate)
{
	CLEANUP(rules) struct rules *rules = partition_rules(partition);
	struct buf old = partition->certificate;
	enum err e;

	partition->certificate = BUF_INIT;
	buf_put_slice(&partition->certificate, certificate);
	if (!(e = buf_check(&partition->certificate)) &&
	    !(e = write_record(all, partition, rules, atomic_load(&partition->active)))) {
		buf_free(&old);
		return OK;
	}
	buf_free(&partition->certificate);
	partition->certificate = old;
	return e;
}

static enum err take_rest(struct slice *in, struct partition *p)
{
	struct slice origin, key_id, certificate;
	enum err e;

	if ((e = cbor_take_text(in, AUDIT_ORIGIN_MAX - 1, &origin)) ||
	    (e = cbor_take_fixed(in, p->point, sizeof p->point)) ||
	    (e = cbor_take_bytes(in, PARTITION_KEY_ID_MAX, &key_id)) ||
	    (e = cbor_take_bytes(in, STATE_RECORD_MAX, &certificate)))
		return e;
	memcpy(p->origin, origin.p, origin.left);
	memcpy(p->key_id, key_id.p, key_id.left);
	p->key_id_n = key_id.left;
	buf_put_slice(&p->certificate, certificate);
	return buf_check(&p->certificate);
}

static enum err take_rules(struct slice *in, struct partition *p)
{
	struct slice text, auditor;
	struct rules *rules;
	uint64_t number;
	enum err e;

	if ((e = cbor_take_uint(in, &number)) ||
	    (e = cbor_take_bytes(in, PARTITION_POLICY_MAX, &text)) ||
	    (e = cbor_take_bytes(in, CERTIFICATE_MAX, &auditor)) ||
	    (e = rules_new(text, auditor, number, 0, &rules)))
		return e;
	rules_release(p->rules);
	p->rules = rules;
	return OK;
}

static enum err read_record(struct partitions *all, struct slice in, struct partition **out)
{
	CLEANUP(partition) struct partition *p = NULL;
	uint64_t version, generation;
	struct slice serial, label;
	size_t n;
	bool active;
	enum err e;

	if ((e = cbor_take_array(&in, RECORD_ITEMS, &n)) || (e = cbor_take_uint(&in, &version)))
		return e;
	if (!(n == RECORD_ITEMS && version == 2) && !(n == RECORD_ITEMS_1 && version == 1))
		return failed(ERR_FORMAT, "an enrolment of version %llu",
			      (unsigned long long)version);
	if ((e = cbor_take_text(&in, WIRE_SERIAL_MAX, &serial)) ||
	    (e = cbor_take_text(&in, PARTITION_LABEL_MAX, &label)) ||
	    (e = cbor_take_uint(&in, &generation)) || (e = cbor_take_bool(&in, &active)) ||
	    (e = partition_new(all, serial, label, generation, &p)) || (e = take_rest(&in, p)) ||
	    (version == 2 && (e = take_rules(&in, p))) || (e = cbor_take_end(in)))
		return e;
	registry_check(&p->registry, p->rules->says);
	atomic_store(&p->active, active);
	*out = STEAL(p);
	return OK;
}

static enum err load_one(void *context, const char *name)
{
	struct partitions *all = context;
	CLEANUP(buf) struct buf record = BUF_INIT;
	enum err e;

	if (all->n == PARTITIONS_MAX)
		return failed(ERR_LIMIT, "more than %d partitions", PARTITIONS_MAX);
	if ((e = state_get(all->state, STATE_PARTITIONS, name, &record)) ||
	    (e = read_record(all, buf_slice(&record), &all->current[all->n])))
		return e;
	all->n++;
	return OK;
}

enum err partitions_load(struct partitions *all)
{
	return state_each(all->state, STATE_PARTITIONS, load_one, all);
}

static size_t find_locked(const struct partitions *all, struct slice serial)
{
	size_t i = 0;

	while (i < all->n && !slice_is(serial, all->current[i]->serial))
		i++;
	return i;
}

enum err partition_find(struct partitions *all, struct slice serial, struct partition **out)
{
	pthread_mutex_lock(&all->lock);
	size_t at = find_locked(all, serial);
	struct partition *found = at < all->n ? all->current[at] : NULL;
	pthread_mutex_unlock(&all->lock);
	if (!found)
		return failed(ERR_NOT_FOUND, "this token is not an enrolled partition");
	*out = found;
	return OK;
}

enum err partition_usable(const struct partition *partition)
{
	return atomic_load(&partition->active)
		       ? OK
		       : failed(ERR_NOT_FOUND, "this partition is suspended: enrol it again");
}

uint64_t partition_next_generation(struct partitions *all, struct slice serial)
{
	struct partition *p;

	return partition_find(all, serial, &p) ? 1 : p->generation + 1;
}

size_t partitions_count(struct partitions *all)
{
	pthread_mutex_lock(&all->lock);
	size_t n = all->n;
	pthread_mutex_unlock(&all->lock);
	return n;
}

enum err partitions_each(struct partitions *all, partition_visit *call, void *context)
{
	struct partition *list[PARTITIONS_MAX];
	enum err e = OK;

	pthread_mutex_lock(&all->lock);
	size_t n = all->n;
	memcpy(list, all->current, n * sizeof *list);
	pthread_mutex_unlock(&all->lock);
	for (size_t i = 0; i < n && !e; i++)
		e = call(context, list[i]);
	return e;
}

static enum err note_use(void *context, struct partition *partition)
{
	return registry_uses(&partition->registry, context) ? ERR_EXISTS : OK;
}

void partitions_drop_unused(struct partitions *all, const uint8_t package[SHA256_SIZE])
{
	if (!partitions_each(all, note_use, (void *)package))
		state_drop_package(all->state, package);
}

/* Whether there is room for one more, so that nothing is written which can't be published. */
static enum err check_room(struct partitions *all, const struct partition *partition)
{
	pthread_mutex_lock(&all->lock);
	size_t at = find_locked(all, slice_text(partition->serial));
	bool full = at == PARTITIONS_MAX || (at < all->n && all->superseded_n == PARTITIONS_MAX);
	pthread_mutex_unlock(&all->lock);
	return full ? failed(ERR_LIMIT, "more than %d partitions, or enrolments in one run",
			     PARTITIONS_MAX)
		    : OK;
}

/* What a partition that is none any more has no use for: results, unpacked images with their cells. */
static void let_go(struct partition *partition)
{
	results_purge(&partition->results);
	while (registry_evict(&partition->registry))
		;
}

/* The one whose place it takes, or NULL. */
static struct partition *place_locked(struct partitions *all, struct partition *partition)
{
	size_t at = find_locked(all, slice_text(partition->serial));
	struct partition *replaced = NULL;

	if (at < all->n) {
		replaced = all->current[at];
		atomic_store(&replaced->active, false);
		all->superseded[all->superseded_n++] = replaced;
	} else {
		all->n++;
	}
	all->current[at] = partition;
	return replaced;
}

enum err partition_publish(struct partitions *all, struct partition *partition)
{
	enum err e;

	if ((e = check_room(all, partition)) ||
	    (e = write_record(all, partition, partition->rules, true)))
		return e;
	pthread_mutex_lock(&all->lock);
	struct partition *replaced = place_locked(all, partition);
	pthread_mutex_unlock(&all->lock);
	if (replaced)
		let_go(replaced);
	return OK;
}

enum err partition_suspend(struct partitions *all, struct partition *partition)
{
	/* First in memory: from here on nothing is granted, whatever the disk does. */
	atomic_store(&partition->active, false);
	let_go(partition);
	CLEANUP(rules) struct rules *rules = partition_rules(partition);
	return write_record(all, partition, rules, false);
}

/* ---- the policy ---- */

struct rules *partition_rules(const struct partition *partition)
{
	pthread_mutex_t *ruling = (pthread_mutex_t *)&partition->ruling;

	pthread_mutex_lock(ruling);
	struct rules *rules = rules_hold(partition->rules);
	pthread_mutex_unlock(ruling);
	return rules;
}

void partition_rules_digest(const struct partition *partition, uint8_t digest[SHA256_SIZE])
{
	CLEANUP(rules) struct rules *rules = partition_rules(partition);

	memcpy(digest, rules->digest, SHA256_SIZE);
}

enum err partition_set_rules(struct partitions *all, struct partition *partition,
			     struct rules *rules)
{
	enum err e = write_record(all, partition, rules, atomic_load(&partition->active));

	if (e)
		return e;
	pthread_mutex_lock(&partition->ruling);
	struct rules *old = partition->rules;
	partition->rules = rules_hold(rules);
	partition->allowance_at_ms = 0;
	pthread_mutex_unlock(&partition->ruling);
	rules_release(old);
	return OK;
}

/* A minute's executions may come at once; then so many more as time has passed. */
static bool spend_locked(struct partition *p, uint64_t now_ms)
{
	double most = (double)p->rules->says->execute_per_minute;

	if (most == 0)
		return true;
	if (p->allowance_at_ms)
		p->allowance += most * (double)(now_ms - p->allowance_at_ms) / 60000;
	if (!p->allowance_at_ms || p->allowance > most)
		p->allowance = most;
	p->allowance_at_ms = now_ms;
	if (p->allowance < 1)
		return false;
	p->allowance--;
	return true;
}

enum err partition_may_begin(struct partition *partition, uint64_t now_ms)
{
	pthread_mutex_lock(&partition->ruling);
	bool may = spend_locked(partition, now_ms);
	uint64_t most = partition->rules->says->execute_per_minute;
	pthread_mutex_unlock(&partition->ruling);
	return may ? OK
		   : failed(ERR_LIMIT, "the policy allows %llu executions in a minute",
			    (unsigned long long)most);
}

#include "plugin/daemon/shards.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "config/base/log.h"
#include "plugin/daemon/request.h"

#define TICK_MS 5000
#define DAY_S 86400
#define LEAST 3 /* records, in a shard that is closed for its age */

static enum err turn(struct daemon *daemon, const struct partition *partition,
		     struct audit_tree *tree)
{
	struct leaf *leaves = calloc(2, sizeof *leaves);
	enum err e;

	if (!leaves)
		return failed(ERR_MEMORY, "a shard");
	if (!(e = record_fill(daemon, partition, NULL, LEAF_CLOSE, &leaves[0])) &&
	    !(e = record_fill(daemon, partition, NULL, LEAF_OPEN, &leaves[1]))) {
		leaves[0].reason = slice_text("shard closed");
		leaves[1].reason = slice_text("shard begun");
		e = audit_turn(tree, &leaves[0], &leaves[1]);
	}
	free(leaves);
	return e;
}

enum err shards_resume(struct daemon *daemon, const struct partition *partition,
		       struct audit_tree *tree)
{
	struct audit_shard shard;
	enum err e = audit_shard(tree, &shard);

	return e || !shard.ended ? e : turn(daemon, partition, tree);
}

static bool is_due(const struct config *config, const struct audit_shard *shard)
{
	int64_t age = shard->began ? (int64_t)time(NULL) - shard->began : 0;

	if (shard->ended) /* a turn that failed half-way */
		return true;
	if (config->audit_shard_records && shard->size >= config->audit_shard_records)
		return true;
	return config->audit_shard_days && shard->size >= LEAST &&
	       age / DAY_S >= (int64_t)config->audit_shard_days;
}

static void look_after(struct daemon *daemon, const struct partition *partition,
		       struct audit_tree *tree)
{
	struct audit_shard shard;
	enum err e = audit_shard(tree, &shard);

	if (!e && is_due(daemon->config, &shard) && !(e = turn(daemon, partition, tree)))
		log_info("%s is closed, with %llu records and the one that says so", shard.origin,
			 (unsigned long long)shard.size);
	if (e)
		log_error("%s does not go on in a new shard: %s", shard.origin, err_reason());
}

static enum err look_after_partition(void *daemon, struct partition *p)
{
	look_after(daemon, p, p->tree);
	return OK;
}

void shards_tick(struct daemon *daemon, uint64_t now_ms)
{
	if (daemon->sharding_ms && now_ms - daemon->sharding_ms < TICK_MS)
		return;
	daemon->sharding_ms = now_ms;
	look_after(daemon, NULL, daemon->tree);
	(void)!partitions_each(&daemon->partitions, look_after_partition,
			       daemon); /* said why not */
}

/* ---- pruning ---- */

static enum err record_pruning(struct call *call, const struct audit_head *shard)
{
	struct daemon *daemon = call->daemon;
	CLEANUP(leaf) struct leaf *leaf = calloc(1, sizeof *leaf);
	CLEANUP(buf) struct buf words = BUF_INIT;
	enum err e;

	if (!leaf)
		return failed(ERR_MEMORY, "a record");
	buf_printf(&words, "shard pruned by user %u, who has an export of it", call->caller.uid);
	if ((e = buf_check(&words)) ||
	    (e = record_fill(daemon, NULL, &call->caller, LEAF_MANAGEMENT, leaf)))
		return e;
	leaf->reason = buf_slice(&words);
	leaf->shard_origin = slice_text(shard->origin);
	leaf->shard_size = shard->size;
	memcpy(leaf->shard_root, shard->root, SHA256_SIZE);
	return audit_record(daemon->tree, leaf);
}

/* The record comes first: what is missing without one is a hole. */
static enum err prune(struct call *call, const struct audit_head *shard)
{
	enum err e;

	if ((e = record_pruning(call, shard)))
		return e;
	return audit_prune(call->daemon->audit, shard);
}

enum err request_PRUNE(struct call *call)
{
	struct audit_head shard = { 0 };
	struct slice origin;
	enum err e;

	if ((e = call_arguments(call, 3)) ||
	    (e = cbor_take_text(&call->in, AUDIT_ORIGIN_MAX, &origin)) ||
	    (e = cbor_take_uint(&call->in, &shard.size)) ||
	    (e = cbor_take_fixed(&call->in, shard.root, sizeof shard.root)) || (e = call_end(call)))
		return e;
	memcpy(shard.origin, origin.p, origin.left);
	call->caller.role = LEAF_ROLE_ADMIN;
	if ((e = audit_prunable(call->daemon->audit, &shard)))
		return call_refuse(call, e, slice_of(NULL, 0));
	pthread_mutex_lock(&call->daemon->managing);
	e = prune(call, &shard);
	pthread_mutex_unlock(&call->daemon->managing);
	return e;
}

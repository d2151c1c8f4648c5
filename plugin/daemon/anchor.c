#include "plugin/daemon/anchor.h"

#include <stdlib.h>
#include <string.h>

#include "config/base/cbor.h"
#include "config/base/log.h"

#define TREES_MAX 65536

/* The body: [[[origin, size, root]...], [[serial, generation, epoch, active, number of the policy]...],
 * [number, digest] of the list of accepted programs]; that of an appliance that never ran is empty. */

static unsigned long long ull(uint64_t v)
{
	return v;
}

/* ---- reading ---- */

static enum err take_head(struct slice *in, struct audit_head *head)
{
	struct slice origin;
	size_t n;
	enum err e;

	if ((e = cbor_take_array(in, 3, &n)) ||
	    (e = cbor_take_text(in, AUDIT_ORIGIN_MAX, &origin)) ||
	    (e = cbor_take_uint(in, &head->size)) ||
	    (e = cbor_take_fixed(in, head->root, sizeof head->root)))
		return e;
	memcpy(head->origin, origin.p, origin.left);
	return n == 3 ? OK : failed(ERR_FORMAT, "a tree of %zu items", n);
}

static enum err take_partition(struct slice *in, struct anchored_partition *p)
{
	struct slice serial;
	size_t n;
	enum err e;

	/* Those of before there were policies have four items. */
	if ((e = cbor_take_array(in, 5, &n)) ||
	    (e = cbor_take_text(in, WIRE_SERIAL_MAX, &serial)) ||
	    (e = cbor_take_uint(in, &p->generation)) || (e = cbor_take_uint(in, &p->epoch)) ||
	    (e = cbor_take_bool(in, &p->active)) ||
	    (n == 5 && (e = cbor_take_uint(in, &p->policy))))
		return e;
	memcpy(p->serial, serial.p, serial.left);
	return n >= 4 ? OK : failed(ERR_FORMAT, "a partition of %zu items", n);
}

static enum err take_heads(struct slice *in, struct anchor *anchor)
{
	size_t n;
	enum err e = cbor_take_array(in, TREES_MAX, &n);

	if (e)
		return e;
	if (!(anchor->heads = calloc(n + 1, sizeof *anchor->heads)))
		return failed(ERR_MEMORY, "the anchor");
	for (; !e && anchor->heads_n < n; anchor->heads_n++)
		e = take_head(in, &anchor->heads[anchor->heads_n]);
	return e;
}

static enum err take_partitions(struct slice *in, struct anchor *anchor)
{
	size_t n;
	enum err e = cbor_take_array(in, PARTITIONS_MAX, &n);

	if (e)
		return e;
	if (!(anchor->partitions = calloc(n + 1, sizeof *anchor->partitions)))
		return failed(ERR_MEMORY, "the anchor");
	for (; !e && anchor->partitions_n < n; anchor->partitions_n++)
		e = take_partition(in, &anchor->partitions[anchor->partitions_n]);
	return e;
}

static enum err take_accepted(struct slice *in, struct accepted_mark *out)
{
	size_t n;
	enum err e;

	if ((e = cbor_take_array(in, 2, &n)) || (e = cbor_take_uint(in, &out->number)) ||
	    (e = cbor_take_fixed(in, out->digest, sizeof out->digest)))
		return e;
	return n == 2 ? OK : failed(ERR_FORMAT, "a list of programs of %zu items", n);
}

static enum err take_body(struct slice in, struct anchor *anchor)
{
	size_t n;
	enum err e;

	if (!in.left)
		return OK;
	if ((e = cbor_take_array(&in, 3, &n)))
		return e;
	if (n < 2)
		return failed(ERR_FORMAT, "trees and partitions expected");
	/* Those of before it knew accepted programs have two items. */
	if ((e = take_heads(&in, anchor)) || (e = take_partitions(&in, anchor)) ||
	    (n == 3 && (e = take_accepted(&in, &anchor->accepted))))
		return e;
	return cbor_take_end(in);
}

void anchor_init(struct anchor *anchor)
{
	pthread_mutex_init(&anchor->lock, NULL);
	pthread_mutex_init(&anchor->writing, NULL);
}

enum err anchor_open(struct anchor *anchor, struct attest *attest)
{
	enum err e;

	anchor->attest = attest;
	if ((e = attest_read_anchor(attest, &anchor->body)))
		return e;
	if ((e = take_body(buf_slice(&anchor->body), anchor)))
		return failed(e, "the anchor on the token is damaged: %s", err_reason());
	return OK;
}

void anchor_close(struct anchor *anchor)
{
	pthread_mutex_destroy(&anchor->lock);
	pthread_mutex_destroy(&anchor->writing);
	free(anchor->heads);
	free(anchor->partitions);
	buf_free(&anchor->body);
}

/* ---- comparing ---- */

static enum err check_partition(const struct anchored_partition *was, struct partitions *all)
{
	struct partition *p;

	if (partition_find(all, slice_text(was->serial), &p))
		return failed(ERR_MISMATCH, "partition %s was enrolled, and its record is gone",
			      was->serial);
	CLEANUP(rules) struct rules *rules = partition_rules(p);
	if (rules->number < was->policy)
		return failed(ERR_MISMATCH,
			      "partition %s has policy %llu, and had %llu: its record was put back "
			      "to an earlier state",
			      was->serial, ull(rules->number), ull(was->policy));
	if (p->generation > was->generation)
		return OK;
	uint64_t epoch = registry_epoch(&p->registry);
	if (p->generation < was->generation || epoch < was->epoch)
		return failed(ERR_MISMATCH,
			      "partition %s is of generation %llu and epoch %llu, and was of "
			      "%llu and %llu: its records were put back to an earlier state",
			      was->serial, ull(p->generation), ull(epoch), ull(was->generation),
			      ull(was->epoch));
	/* It counts in memory before it is on the disk: this is no sign of tampering by itself. */
	if (was->active || !atomic_load(&p->active))
		return OK;
	log_warning("partition %s is suspended, as the token remembers", was->serial);
	return partition_suspend(all, p);
}

enum err anchor_check(const struct anchor *anchor, struct partitions *partitions)
{
	for (size_t i = 0; i < anchor->partitions_n; i++) {
		enum err e = check_partition(&anchor->partitions[i], partitions);

		if (e)
			return e;
	}
	return OK;
}

/* ---- the list of accepted programs ---- */

void anchor_accepted(struct anchor *anchor, struct accepted_mark *out)
{
	pthread_mutex_lock(&anchor->lock);
	*out = anchor->accepted;
	pthread_mutex_unlock(&anchor->lock);
}

void anchor_accept(struct anchor *anchor, const struct accepted_mark *list)
{
	pthread_mutex_lock(&anchor->lock);
	if (list->number > anchor->accepted.number)
		anchor->accepted = *list;
	pthread_mutex_unlock(&anchor->lock);
}

/* ---- writing ---- */

static enum err put_heads(struct audit *audit, struct buf *out)
{
	struct audit_head *heads;
	size_t n;
	enum err e = audit_heads(audit, &heads, &n);

	if (e)
		return e;
	cbor_put_array(out, n);
	for (size_t i = 0; i < n; i++) {
		cbor_put_array(out, 3);
		cbor_put_text(out, heads[i].origin);
		cbor_put_uint(out, heads[i].size);
		cbor_put_bytes(out, SLICE(heads[i].root));
	}
	free(heads);
	return OK;
}

/* Enrolments come from other threads: the number is that of what was written. */
struct items {
	struct buf bytes;
	size_t n;
};

static enum err put_partition(void *context, struct partition *p)
{
	struct items *items = context;
	CLEANUP(rules) struct rules *rules = partition_rules(p);
	struct buf *out = &items->bytes;

	items->n++;
	cbor_put_array(out, 5);
	cbor_put_text(out, p->serial);
	cbor_put_uint(out, p->generation);
	cbor_put_uint(out, registry_epoch(&p->registry));
	cbor_put_bool(out, atomic_load(&p->active));
	cbor_put_uint(out, rules->number);
	return OK;
}

static enum err put_body(struct audit *audit, struct partitions *all,
			 const struct accepted_mark *accepted, struct buf *out)
{
	struct items items = { BUF_INIT, 0 };
	enum err e;

	cbor_put_array(out, 3);
	if (!(e = put_heads(audit, out)) && !(e = partitions_each(all, put_partition, &items)) &&
	    !(e = buf_check(&items.bytes))) {
		cbor_put_array(out, items.n);
		buf_put_slice(out, buf_slice(&items.bytes));
		cbor_put_array(out, 2);
		cbor_put_uint(out, accepted->number);
		cbor_put_bytes(out, SLICE(accepted->digest));
	}
	buf_free(&items.bytes);
	return e ? e : buf_check(out);
}

static enum err renew_locked(struct anchor *anchor, struct audit *audit,
			     struct partitions *partitions, uint64_t now_ms)
{
	CLEANUP(buf) struct buf body = BUF_INIT;
	struct accepted_mark accepted;
	enum err e;

	anchor_accepted(anchor, &accepted);
	if ((e = put_body(audit, partitions, &accepted, &body)))
		return e;
	if (slice_equal(buf_slice(&body), buf_slice(&anchor->body)))
		return OK;
	if ((e = attest_write_anchor(anchor->attest, buf_slice(&body))))
		return e;
	struct buf old = anchor->body;
	anchor->body = body;
	body = old;
	anchor->written_ms = now_ms;
	return OK;
}

enum err anchor_renew(struct anchor *anchor, struct audit *audit, struct partitions *partitions,
		      uint64_t now_ms, uint64_t every_ms)
{
	enum err e = OK;

	pthread_mutex_lock(&anchor->writing);
	if (!anchor->written_ms || now_ms - anchor->written_ms >= every_ms) {
		e = renew_locked(anchor, audit, partitions, now_ms);
		if (e && !anchor->failing)
			log_warning("the token's anchor of the log is not renewed: %s",
				    err_reason());
		anchor->failing = e != OK;
	}
	pthread_mutex_unlock(&anchor->writing);
	return e;
}

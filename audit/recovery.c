/* Opening a log that was there: verify the last signed heads, scan the chain of batches, cut a torn
 * tail, keep whole entries that nobody signed yet. scan.h says what is refused. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "audit/published.h"
#include "audit/state.h"
#include "audit/times.h"
#include "config/base/dir.h"
#include "config/base/io.h"

/* A frame whose sync failed may be in the page cache and not on the disk: what is read here must
 * come from the disk. */
static enum err forget_cache(int dir)
{
	CLEANUP(dir) DIR *list = dir_list(dir);

	if (!list)
		return failed(ERR_IO, "the log's directory: %m");
	for (const char *name; (name = dir_next(list));) {
		CLEANUP(fd) int fd = openat(dir, name, IO_READ);

		if (fd < 0 || name[0] == '.')
			continue;
		(void)fdatasync(fd); /* a failure shows as a torn tail */
		(void)posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
	}
	return OK;
}

/* The last frame is not applied until the next one is there: a new segment repeats it behind a
 * snapshot of what was before. */
struct last {
	struct frame frame;
	struct buf raw;
	struct buf snapshot; /* of the trees before it */
	uint32_t snapshot_entries;
	bool any, has_leaves;
};

/* Besides, what else than heads does it hold? */
static enum err count_leaves(const struct frame *frame, uint64_t *leaves, bool *more)
{
	struct slice payload = frame->payload;

	*leaves = 0;
	*more = false;
	while (payload.left) {
		struct entry entry;
		enum err e = entry_take(&payload, &entry);

		if (e)
			return e;
		*leaves += entry.kind == ENTRY_LEAF;
		*more |= entry.kind != ENTRY_HEAD;
	}
	return OK;
}

static enum err note_time(void *context, struct ledger_tree *tree, const struct entry *entry)
{
	(void)context;
	int64_t time = entry->kind == ENTRY_LEAF ? times_leaf(entry->leaf) : 0;
	if (time > tree->newest)
		tree->newest = time;
	return OK;
}

static enum err apply_last(struct audit *audit, const struct last *last)
{
	uint64_t leaves;

	return last->any ? ledger_apply(&audit->ledger, &last->frame, note_time, NULL, &leaves)
			 : OK;
}

static enum err read_all(struct audit *audit, struct scan *scan, struct last *last)
{
	struct frame frame;
	uint64_t leaves;
	enum err e;

	while (!(e = scan_next(scan, &frame))) {
		if ((e = apply_last(audit, last)) ||
		    (e = count_leaves(&frame, &leaves, &last->has_leaves)))
			return e;
		scan_advance(scan, &frame, leaves);
		struct buf swap = last->raw;
		last->raw = scan->raw;
		scan->raw = swap;
		last->frame = frame;
		last->any = true;
	}
	if (e != ERR_NOT_FOUND)
		return e;
	/* The first snapshot of all says what was before itself. */
	bool beginning = last->any && !audit->ledger.n && frame_is_snapshot(&last->frame);
	if (beginning && (e = apply_last(audit, last)))
		return e;
	last->snapshot_entries = ledger_snapshot_entries(&audit->ledger, audit->ledger.n);
	if ((e = ledger_snapshot(&audit->ledger, audit->ledger.n, &last->snapshot)))
		return e;
	return beginning ? OK : apply_last(audit, last);
}

static enum err verify_heads(const struct ledger *ledger)
{
	for (size_t i = 0; i < ledger->n; i++) {
		const struct ledger_tree *tree = ledger->trees[i];
		enum err e = OK;

		if (tree->pruned)
			continue;
		if (tree->head.size)
			e = receipt_head_verify(&tree->head, tree->origin,
						buf_slice(&tree->certificate));
		if (e && tree->former.len)
			e = receipt_head_verify(&tree->head, tree->origin,
						buf_slice(&tree->former));
		if (e)
			return failed(ERR_CRYPTO, "%s: the last head is not signed by its key: %s",
				      tree->origin, err_reason());
	}
	return OK;
}

static void take_unsigned(const struct ledger_tree *tree, struct audit_recovery *out)
{
	if (tree->tree.size < 2 || tree->pruned || tree->head.size == tree->tree.size)
		return;
	out->unsigned_kept += tree->tree.size - tree->head.size;
	if (out->ranges_n < AUDIT_RANGES_MAX) {
		struct audit_range *range = &out->ranges[out->ranges_n];

		snprintf(range->origin, sizeof range->origin, "%s", tree->origin);
		range->first = tree->head.size;
		range->last = tree->tree.size - 1;
	}
	out->ranges_n++;
}

static enum err recover(struct audit *audit, struct scan *scan, struct last *last,
			const struct audit_options *options, struct audit_recovery *out)
{
	CLEANUP(published) struct published published = { 0 };
	enum err e;

	if ((e = forget_cache(audit->dir)) || (e = published_read(audit->trees_dir, &published)) ||
	    (e = read_all(audit, scan, last)) ||
	    (e = published_check(&published, audit->trees_dir, &audit->ledger)) ||
	    (e = verify_heads(&audit->ledger)) ||
	    (e = heads_check(audit, options->anchored, options->anchored_n)) ||
	    (e = publish_prepare(audit)))
		return e;
	*out = (struct audit_recovery){ .found = audit->ledger.n > 0,
					.records = audit->ledger.leaves,
					.cut_bytes = scan->torn_bytes };
	for (size_t i = 0; i < audit->ledger.n; i++)
		take_unsigned(audit->ledger.trees[i], out);
	memcpy(out->cut_sha256, scan->torn_sha256, SHA256_SIZE);
	/* A frame of heads alone at the end: the log was closed, or had time to settle. Otherwise
	 * the last frame, and only the last, may never have become durable. */
	struct wal_start start = { .keep = scan->frames && !scan->torn_bytes && !last->has_leaves,
				   .snapshot = buf_slice(&last->snapshot),
				   .snapshot_entries = last->snapshot_entries,
				   .last = last->any ? &last->frame : NULL,
				   .repeat = last->any && !frame_is_snapshot(&last->frame) };
	if ((e = wal_open(audit->dir, &audit->signer, options->segment_bytes, scan, &start,
			  &audit->wal)))
		return e;
	audit->released_sequence = wal_sequence(audit->wal);
	audit->segment = audit->tiled_segment = wal_segment(audit->wal);
	return wal_reserve(audit->wal, ledger_snapshot_max(&audit->ledger));
}

enum err recovery_run(struct audit *audit, const struct audit_options *options,
		      struct audit_recovery *recovery)
{
	CLEANUP(scan) struct scan scan = { .fd = -1 };
	struct last last = { 0 };
	enum err e = scan_start(&scan, audit->dir, wal_unwrap, &audit->signer);

	if (!e)
		e = recover(audit, &scan, &last, options, recovery);
	buf_free(&last.raw);
	buf_free(&last.snapshot);
	return e;
}

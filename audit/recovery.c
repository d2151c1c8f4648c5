/* Opening a log that was there: verify the last signed heads, scan the chain of batches, cut a torn
 * tail, keep whole entries that nobody signed yet. scan.h says what is refused. */
#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "audit/state.h"
#include "config/base/io.h"

/* A frame whose sync failed may be in the page cache and not on the disk: what is read here must
 * come from the disk. */
static enum err forget_cache(int dir)
{
	int copy = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *list = copy < 0 ? NULL : fdopendir(copy);

	if (!list) {
		fd_cleanup(&copy);
		return failed(ERR_IO, "the log's directory: %m");
	}
	for (struct dirent *d; (d = readdir(list));) {
		CLEANUP(fd) int fd = openat(dir, d->d_name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

		if (fd < 0 || d->d_name[0] == '.')
			continue;
		(void)fdatasync(fd); /* a failure shows as a torn tail */
		(void)posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
	}
	closedir(list);
	return OK;
}

/* What of the last frame is needed once the scan is over. */
struct last {
	struct frame frame;
	struct buf raw;
	bool any, has_leaves;
};

static enum err note_leaf(void *context, struct ledger_tree *tree, const struct entry *entry)
{
	struct last *last = context;

	(void)tree;
	last->has_leaves |= entry->kind != ENTRY_HEAD;
	return OK;
}

static enum err read_all(struct audit *audit, struct scan *scan, struct last *last)
{
	struct frame frame;
	uint64_t leaves;
	enum err e;

	while (!(e = scan_next(scan, &frame))) {
		last->has_leaves = false;
		if ((e = ledger_apply(&audit->ledger, &frame, note_leaf, last, &leaves)))
			return e;
		scan_advance(scan, &frame, leaves);
		struct buf swap = last->raw;
		last->raw = scan->raw;
		scan->raw = swap;
		last->frame = frame;
		last->any = true;
	}
	return e == ERR_NOT_FOUND ? OK : e;
}

static enum err verify_heads(const struct ledger *ledger)
{
	for (size_t i = 0; i < ledger->n; i++) {
		const struct ledger_tree *tree = ledger->trees[i];
		enum err e = OK;

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

static uint64_t count_unsigned(const struct ledger *ledger)
{
	uint64_t n = 0;

	for (size_t i = 0; i < ledger->n; i++)
		if (ledger->trees[i]->tree.size >= 2)
			n += ledger->trees[i]->tree.size - ledger->trees[i]->head.size;
	return n;
}

static enum err recover(struct audit *audit, struct scan *scan, struct last *last,
			const struct audit_options *options, struct audit_recovery *out)
{
	CLEANUP(public_list) struct public_list published = { 0 };
	enum err e;

	if ((e = forget_cache(audit->dir)) || (e = public_read(audit->trees_dir, &published)) ||
	    (e = read_all(audit, scan, last)) || (e = public_check(&published, &audit->ledger)) ||
	    (e = verify_heads(&audit->ledger)) ||
	    (e = heads_check(&audit->ledger, options->anchored, options->anchored_n)))
		return e;
	*out = (struct audit_recovery){ .found = last->any,
					.records = audit->ledger.leaves,
					.unsigned_kept = count_unsigned(&audit->ledger),
					.cut_bytes = scan->torn_bytes };
	memcpy(out->cut_sha256, scan->torn_sha256, SHA256_SIZE);
	/* A frame of heads alone at the end: the log was closed, or had time to settle. Otherwise
	 * the last frame, and only the last, may never have become durable. */
	bool settled = scan->frames && !scan->torn_bytes && !last->has_leaves;
	return wal_open(audit->dir, &audit->signer, options->segment_bytes, scan, settled,
			last->any ? &last->frame : NULL, &audit->wal);
}

enum err recovery_run(struct audit *audit, const struct audit_options *options,
		      struct audit_recovery *recovery)
{
	CLEANUP(scan) struct scan scan;
	struct last last = { 0 };

	scan_start(&scan, audit->dir, wal_unwrap, &audit->signer);
	enum err e = recover(audit, &scan, &last, options, recovery);
	buf_free(&last.raw);
	return e;
}

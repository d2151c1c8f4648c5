/* wal.h - writes the write-ahead log: segments made ready beforehand, frames, one sync per batch.
 *
 * All calls but wal_budget() belong to one thread at a time (the opener's, then who has the turn to
 * commit). A thread of
 * the wal's own makes the next segment ready, so that a full disk shows there, while the current
 * segment still has room, and never in the middle of a commit.
 */
#ifndef AUDIT_WAL_H
#define AUDIT_WAL_H

#include "audit/audit.h"
#include "audit/frame.h"
#include "audit/scan.h"

#define WAL_SEGMENT_DEFAULT ((uint64_t)16 << 20)
#define WAL_SEGMENT_MIN ((uint64_t)256 << 10)
#define WAL_SEGMENT_MAX ((uint64_t)1 << 30)

struct wal;

/* For scan_start(): unwraps the key of a segment; @context is a struct audit_signer. */
enum err wal_unwrap(void *context, const struct segment *segment, struct secret *key);

/* How a log goes on behind what a scan found. */
struct wal_start {
	bool keep; /* in its last segment, as if nothing had happened; else in a new one */
	/* For a new one: the trees as the frame @last (NULL: none) found them. The new segment takes
	 * the place of that frame and whatever lies behind it, and repeats it when @repeat: nobody
	 * knows whether it ever became durable. */
	struct slice snapshot;
	uint32_t snapshot_entries;
	const struct frame *last;
	bool repeat;
};
/* Takes over where @scan ended; a new segment is begun durably. @dir is the segments' directory; it
 * stays the caller's. */
MUST enum err wal_open(int dir, const struct audit_signer *signer, uint64_t segment_bytes,
		       const struct scan *scan, const struct wal_start *start, struct wal **out);
void wal_close(struct wal *wal);

/* The largest payload that the next frame may have, at least @least. Where that doesn't fit into the
 * current segment, waits for the next one and goes on to it: @fresh says so, and then the next frame
 * must be a snapshot, to be synced before there is another. ERR_IO: no disk. */
MUST enum err wal_room(struct wal *wal, size_t least, size_t *room, bool *fresh);
/* Writes one frame, in @raw as frame_seal() wants it. It is not durable yet. */
MUST enum err wal_write(struct wal *wal, struct buf *raw, uint32_t entries, uint32_t leaves);
/* Makes everything written durable. ERR_STATE when the segment was removed or replaced under us.
 * Never to be tried again after a failure: the kernel forgets what it could not write. */
MUST enum err wal_sync(struct wal *wal);

/* The number of the segment of now. */
uint64_t wal_segment(const struct wal *wal);
/* The sequence of the next frame. */
uint64_t wal_sequence(const struct wal *wal);

/* Any thread: how many bytes a snapshot may take at most, from now on. ERR_RANGE: too many for such
 * segments. */
MUST enum err wal_reserve(struct wal *wal, size_t snapshot);
/* Any thread: bytes that frames can surely still have. Where the next segment could not be made
 * ready, @why says so ("the log's disk is full"); else it is empty. */
uint64_t wal_budget(struct wal *wal, char why[ERR_REASON_MAX]);

#endif

/* wal.h - writes the write-ahead log: segments made ready beforehand, frames, one sync per batch.
 *
 * All calls but wal_budget() belong to one thread (the opener's, then the committer's). A thread of
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

/* Takes over where @scan ended. With @keep the last segment goes on; else a new one is begun,
 * durably, with @copy (NULL: none), the last frame of the log, at its head: whatever lies behind
 * that frame is cut, and the frame, of which nobody knows whether it ever became durable, is made
 * so. @dir is the segments' directory; it stays the caller's. */
MUST enum err wal_open(int dir, const struct audit_signer *signer, uint64_t segment_bytes,
		       const struct scan *scan, bool keep, const struct frame *copy,
		       struct wal **out);
void wal_close(struct wal *wal);

/* The largest payload that the next frame may have. Waits for the next segment if @least bytes
 * don't fit in the current one. ERR_IO: no disk. */
MUST enum err wal_room(struct wal *wal, size_t least, size_t *room);
/* Writes one frame, in @raw as frame_seal() wants it. It is not durable yet. */
MUST enum err wal_write(struct wal *wal, struct buf *raw, uint32_t entries, uint32_t leaves);
/* Makes everything written durable. ERR_STATE when the segment was removed or replaced under us.
 * Never to be tried again after a failure: the kernel forgets what it could not write. */
MUST enum err wal_sync(struct wal *wal);

/* Any thread: bytes that frames can surely still have. Where the next segment could not be made
 * ready, @why says so ("the log's disk is full"); else it is empty. */
uint64_t wal_budget(struct wal *wal, char why[ERR_REASON_MAX]);

#endif

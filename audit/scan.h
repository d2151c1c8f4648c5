/* scan.h - reads the write-ahead log from its first frame to its last, and tells a torn tail from
 * corruption. Read-only; also on a log that another process is writing.
 *
 * What a crash may leave behind the last whole frame is at most one batch, which nobody was told
 * about: a torn tail. Anything else out of order is ERR_MISMATCH: a damaged frame with a whole one
 * behind it, more debris than one batch, a gap, a frame that is whole but continues another chain.
 * Older segments may have been retired (removed): the log begins with the first one that is there, and
 * whether the leaves before it are in tiles is for others to check.
 * With the segments' keys (recovery) a frame only counts when its HMAC holds, and one with a right
 * CRC and a wrong HMAC in the place of the next frame is ERR_CRYPTO: no torn write looks like that.
 * A struct scan belongs to one thread.
 */
#ifndef AUDIT_SCAN_H
#define AUDIT_SCAN_H

#include <sys/types.h>

#include "audit/frame.h"
#include "config/base/secret.h"

#define SCAN_NAME "%08llu" /* of segment files */

/* Gives the frame key of a segment. */
typedef enum err scan_key(void *context, const struct segment *segment, struct secret *key);

struct scan {
	int dir;   /* of the segments; the caller's */
	int *held; /* segments opened beforehand, from number @first_segment on */
	size_t held_n;
	uint64_t first_segment;
	scan_key *key; /* NULL: HMACs are not checked */
	void *context;

	/* The segment being read; fd is -1 before the first and when there is none. */
	int fd;
	uint64_t number, bytes, at;
	struct segment segment;
	struct secret frame_key;
	uint64_t frames; /* read from this segment */
	bool has_limit;  /* the next segment was recovered: it goes on from @limit */
	uint64_t limit;

	bool has_last; /* nothing beyond segment @last is read, nor what is behind it judged */
	uint64_t last;

	/* What the next frame must carry; @first is known once @begun. */
	bool begun;
	uint64_t sequence, first, epoch;
	uint8_t previous[SHA256_SIZE];

	struct buf raw; /* of the last frame */

	/* Once scan_next said ERR_NOT_FOUND: what lies behind the last frame. */
	uint64_t torn_bytes;
	uint8_t torn_sha256[SHA256_SIZE];
	bool torn_in_next; /* in a segment whose header is torn */
};

/* Finds the first segment; none at all is legal. */
MUST enum err scan_start(struct scan *scan, int dir, scan_key *key, void *context);
/* For a log that is being written, maybe faster than it can be read: ends no later than with the
 * segment that is the last one now, and opens all of them (up to a thousand) at once, since they may
 * be retired while they are read. */
MUST enum err scan_to_present(struct scan *scan);
/* The next frame, valid until the next call. ERR_NOT_FOUND: that was the last. Its @leaves must be
 * told to scan_advance() before the next call, once the caller has counted them. */
MUST enum err scan_next(struct scan *scan, struct frame *out);
void scan_advance(struct scan *scan, const struct frame *frame, uint64_t leaves);
void scan_end(struct scan *scan);
void scan_cleanup(struct scan *scan);

#endif

/* frame.h - the bytes of the write-ahead log: segment headers, frames, and the entries in a frame.
 * Pure: no I/O.
 *
 * A segment is a header block and then frames, each padded with zeros to FRAME_BLOCK. All numbers
 * are big-endian.
 *   frame:  "ASSAYFR1", epoch u64, sequence u64, first u64 (leaves in the log before this frame),
 *           count u32 (entries), length u32 (payload), SHA-256 of the previous frame, HMAC, CRC32C,
 *           0 u32, payload, zeros
 *   header: "ASSAYSG2", epoch u64, number u64, flags u32, wrapped key's length u32, sequence u64
 *           (of its first frame), SHA-256 of the frame before that, bytes u64 (of the file),
 *           wrapped key (256), HMAC, CRC32C, zeros
 * The first frame of a segment, and no other one, is a snapshot: the trees as all frames before left
 * them, so that older segments can be retired. The last frame of a log that was not closed is repeated
 * behind the snapshot of a new segment, which is SEGMENT_RECOVERED then and takes its place.
 * A frame's hash is SHA-256 over all of its header before the HMAC, and the payload; the HMAC
 * (SHA-256, under the segment's frame key) is over that hash; the CRC over all of it with the field
 * itself as zeros. The same goes for headers. The CRC tells torn writes, the HMAC forgeries, and
 * the hash chains each frame to everything before it.
 */
#ifndef AUDIT_FRAME_H
#define AUDIT_FRAME_H

#include "config/base/bytes.h"
#include "config/base/sha256.h"

#define FRAME_BLOCK 4096
#define FRAME_HEADER 144
#define FRAME_PAYLOAD_MAX ((size_t)4 << 20)
#define FRAME_KEY 32
#define FRAME_WRAPPED_MAX 256
#define FRAME_PROTECTED_MAX 1024
#define FRAME_SIGNATURE_MAX 256
#define FRAME_CERTIFICATE_MAX 8192
#define FRAME_ORIGIN_MAX 200

/* Bytes that a frame with such a payload takes on disk. */
#define FRAME_BYTES(payload) \
	(((payload) + FRAME_HEADER + FRAME_BLOCK - 1) / FRAME_BLOCK * FRAME_BLOCK)

struct frame {
	uint64_t epoch, sequence, first;
	uint32_t count;
	uint8_t previous[SHA256_SIZE];
	struct slice payload;
	uint8_t hash[SHA256_SIZE]; /* set by both frame_seal and frame_read */
	uint8_t hmac[SHA256_SIZE]; /* set by frame_read */
};

/* In @out, a buf that starts with FRAME_HEADER bytes of room and the payload behind them: fills in
 * the header, pads. Sets hash; frame->payload is ignored. */
MUST enum err frame_seal(struct frame *frame, const uint8_t key[FRAME_KEY], struct buf *out);
/* How many bytes the frame that starts with this block claims; 0 when it is none. */
size_t frame_claims(const uint8_t block[FRAME_BLOCK]);
/* And the sequence that it claims. */
uint64_t frame_claims_sequence(const uint8_t block[FRAME_BLOCK]);
/* @raw is exactly what frame_claims() said. ERR_FORMAT: no frame, or a torn one. The HMAC is left
 * to frame_authentic(). */
MUST enum err frame_read(struct slice raw, struct frame *out);
/* Was this hash sealed with that key? */
bool frame_authentic(const uint8_t hash[SHA256_SIZE], const uint8_t hmac[SHA256_SIZE],
		     const uint8_t key[FRAME_KEY]);

#define SEGMENT_RECOVERED 1u /* repeats what an older segment's tail holds, and replaces it */

struct segment {
	uint64_t epoch, number, sequence, bytes;
	uint32_t flags;
	uint8_t previous[SHA256_SIZE];
	uint8_t wrapped[FRAME_WRAPPED_MAX];
	size_t wrapped_n;
	uint8_t hash[SHA256_SIZE], hmac[SHA256_SIZE]; /* as in a frame */
};
void segment_seal(struct segment *segment, const uint8_t key[FRAME_KEY],
		  uint8_t block[FRAME_BLOCK]);
/* ERR_FORMAT: no header, or a torn one. ERR_UNSUPPORTED: of a log that an older version wrote. */
MUST enum err segment_read(const uint8_t block[FRAME_BLOCK], struct segment *out);

/* One entry of a frame. Trees are numbered from 0 in order of their making; a further ENTRY_TREE
 * for a number gives that tree a new certificate, for the heads from there on. ENTRY_CLOSED follows the
 * last leaf that a tree may have; ENTRY_PRUNED says that a closed one is not kept any more. A snapshot
 * is an ENTRY_SNAPSHOT and for each tree an ENTRY_STATE, with one of these two behind it where it
 * applies; the state of a pruned tree has neither certificates nor signature. */
enum entry_kind {
	ENTRY_TREE = 1,
	ENTRY_LEAF = 2,
	ENTRY_HEAD = 3,
	ENTRY_SNAPSHOT = 4,
	ENTRY_STATE = 5,
	ENTRY_CLOSED = 6,
	ENTRY_PRUNED = 7
};
struct entry {
	enum entry_kind kind;
	uint32_t tree;                        /* ENTRY_SNAPSHOT: how many there are */
	struct slice origin, certificate, ca; /* ENTRY_TREE, ENTRY_STATE */
	uint64_t index;                       /* ENTRY_LEAF */
	struct slice leaf;
	uint64_t size; /* ENTRY_HEAD, ENTRY_STATE: of the last head, or 0 */
	struct slice root, protected, signature;
	/* ENTRY_STATE: */
	struct slice former;   /* the certificate before this one, or nothing */
	uint64_t leaves;       /* the tree's size */
	struct slice frontier; /* hashes, as tree_frontier() gives them */
};
#define ENTRY_MARK 5 /* CLOSED, PRUNED, SNAPSHOT */
#define ENTRY_LEAF_OVERHEAD 17
#define ENTRY_HEAD_MAX (13 + 32 + 8 + FRAME_PROTECTED_MAX + FRAME_SIGNATURE_MAX)
#define ENTRY_FRONTIER_MAX (64 * SHA256_SIZE)
/* A state's bytes at most, besides origin and certificates. */
#define ENTRY_STATE_MAX (64 + ENTRY_FRONTIER_MAX + ENTRY_HEAD_MAX)
/* And those of a pruned one, besides its frontier. */
#define ENTRY_PRUNED_MAX (64 + FRAME_ORIGIN_MAX + SHA256_SIZE)
void entry_put(struct buf *out, const struct entry *entry);
/* Takes the next entry of a payload; ERR_FORMAT when it is none. */
MUST enum err entry_take(struct slice *payload, struct entry *out);

bool frame_is_snapshot(const struct frame *frame);

/* CRC-32C (Castagnoli), as in RFC 3720; start with 0. */
uint32_t crc32c(uint32_t crc, const void *p, size_t n);
bool all_zero(const uint8_t *p, size_t n);

#endif

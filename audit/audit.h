/* audit.h - the log: nothing is released before it is durable and signed.
 *
 * One struct audit per state directory and process; calls are safe from any thread. What was queued
 * while the last batch was being synced is written with one fdatasync, and one signature is made per
 * touched tree, side by side, by threads of the log's own; where nothing is under way, the caller that
 * waits for its record writes and syncs it itself. With an HSM that takes its time, batches follow each
 * other while heads of those before are being signed, as many at a time as there are signers. Other
 * threads make segments ready and publish checkpoints.
 *
 * Directory (all below the path given):
 *   wal/NNNNNNNN          segments of frames, zeroed beforehand, private; retired once they are tiled
 *   trees/<hex of SHA-256(origin)[0..8]>/   one for each tree, to be published as it is:
 *       origin, certificate.der, former.der, ed25519.der, former-ed25519.der, ca.der, checkpoint,
 *       tile/...  (C2SP tlog-tiles)
 *   lock                  held while the log is open
 */
#ifndef AUDIT_AUDIT_H
#define AUDIT_AUDIT_H

#include "audit/leaf.h"

struct audit;
struct audit_tree;

#define AUDIT_ORIGIN_MAX 200
#define AUDIT_SIGNERS_MAX 64

/* A tree's Ed25519 key, for a line of its own in checkpoints; without a certificate (DER): none. */
struct audit_ed25519 {
	unsigned long handle;
	struct slice certificate;
};

/* A signing key, known to the signer by @handle. */
struct audit_key {
	unsigned long handle;
	int alg;                  /* COSE_ES256 (cose.h) */
	struct slice certificate; /* DER of the leaf certificate; its SHA-256 gives kid and x5t */
	struct slice chain; /* DER of its issuer, the appliance's CA, and those above (chain.h) */
	/* After a rollover: the tree's key before this one, which checkpoints are signed by too. */
	bool overlap;
	unsigned long former;
	struct audit_ed25519 ed25519, former_ed25519; /* the latter in an overlap */
};

/* What the log needs of the HSM. Called from several threads at once: callers and the log's own. */
struct audit_signer {
	void *context;
	/* ES256: CKM_ECDSA over a SHA-256 digest; appends r || s. An error is tried again. */
	enum err (*sign)(void *context, unsigned long handle, const uint8_t digest[SHA256_SIZE],
			 struct buf *signature);
	/* A segment's frame key, wrapped by a key that never leaves the token, and back. */
	enum err (*wrap)(void *context, struct slice key, struct buf *wrapped);
	enum err (*unwrap)(void *context, struct slice wrapped, uint8_t *key, size_t key_n);
	/* Ed25519 over the message itself; appends 64 bytes. NULL: there are no such keys. After an error
	 * the checkpoint goes without that line, and the next one tries again. */
	enum err (*sign_ed25519)(void *context, unsigned long handle, struct slice message,
				 struct buf *signature);
};

/* A tree as it was: no log that has fewer records, or others, is this one. */
struct audit_head {
	char origin[AUDIT_ORIGIN_MAX + 1];
	uint64_t size;
	uint8_t root[SHA256_SIZE];
};

struct audit_options {
	const char *path;
	struct audit_signer signer;
	uint64_t segment_bytes; /* of the write-ahead log, 256 KiB to 1 GiB; 0: 16 MiB */
	size_t queue_max;       /* records that may wait; a further audit_begin blocks; 0: 4096 */
	const char *issuer;     /* iss in receipts: the appliance's identity */
	unsigned signers;       /* signatures of heads at a time, 1 to AUDIT_SIGNERS_MAX; 0: 4 */
	/* What audit_heads said last, from a place that nobody puts back together with the log: a
	 * log that is behind it is refused, and so is a missing one when there are any. */
	const struct audit_head *anchored;
	size_t anchored_n;
};

/* Records of one tree, from the first to the last, that were kept without a signed head. */
struct audit_range {
	char origin[AUDIT_ORIGIN_MAX + 1];
	uint64_t first, last;
};
#define AUDIT_RANGES_MAX 16

/* What recovery found: reported once by audit_open, to be logged and, if cut_bytes, recorded. */
struct audit_recovery {
	bool found;             /* there was a log */
	uint64_t records;       /* kept, in all trees */
	uint64_t unsigned_kept; /* of these, without a signed head when the log stopped */
	struct audit_range ranges[AUDIT_RANGES_MAX]; /* where these are */
	size_t ranges_n;                             /* in so many trees, maybe more than listed */
	uint64_t cut_bytes;                          /* of a torn tail */
	uint8_t cut_sha256[SHA256_SIZE];
};

/* Opens or makes the log; recovers. ERR_CRYPTO or ERR_MISMATCH: corruption or tampering, nothing
 * was touched. ERR_STATE: another process has it open. */
MUST enum err audit_open(const struct audit_options *options, struct audit_recovery *recovery,
			 struct audit **out);
/* Commits what is queued, signs, writes checkpoints, closes. Every ticket must be freed, and every
 * other thread out of the log, by then. NULL is allowed. */
void audit_close(struct audit *audit);
/* Only last records come now: a signer that fails is given up after some seconds, and what it was to
 * sign is ERR_IO, in the log, and for the next start to sign. */
void audit_end(struct audit *audit);

/* The tree of an origin. Made with @genesis as its leaf 0 when it does not exist yet; @genesis may
 * be NULL when it must exist (ERR_NOT_FOUND). The key is copied; give the key of now. */
MUST enum err audit_tree(struct audit *audit, const char *origin, const struct audit_key *key,
			 struct leaf *genesis, struct audit_tree **out);
uint64_t audit_tree_size(struct audit_tree *tree); /* released leaves of its newest shard */
/* Of all its shards, one after the other: for audit_leaf(). */
uint64_t audit_tree_count(struct audit_tree *tree);

/* A tree's shards (shard.h). audit_tree() is given the tree's own origin, and what it gives stands for
 * all of them: what is begun there goes to the newest one. */
struct audit_shard {
	char origin[AUDIT_ORIGIN_MAX + 1];
	uint64_t size; /* released leaves */
	int64_t began; /* time of its genesis; 0: not known yet */
	bool ended;    /* a crash came before the next one: audit_turn() makes it */
};
/* The newest one. */
MUST enum err audit_shard(struct audit_tree *tree, struct audit_shard *out);
/* Closes the newest one with @close and begins the next with @genesis; both get the claim "shard", and
 * what is begun meanwhile waits. When it fails in between, nothing more can be begun until it was done
 * again. */
MUST enum err audit_turn(struct audit_tree *tree, struct leaf *close, struct leaf *genesis);
/* May a shard's leaves be removed: is it closed and published, of just this size and root, and is
 * there a next one? ERR_NOT_FOUND, ERR_STATE, ERR_MISMATCH. */
MUST enum err audit_prunable(struct audit *audit, const struct audit_head *shard);
/* Removes its folder, for ever. That it was exported, and that a record says so, is the caller's part. */
MUST enum err audit_prune(struct audit *audit, const struct audit_head *shard);

/* A record on its way. */
struct audit_ticket;

/* Gives the leaf its index and origin, encodes it and queues it. From here on it is part of the log,
 * whatever becomes of the caller. Its time becomes that of the tree's newest record if it is an
 * earlier one, and the bound of its error grows by that (times.h). */
MUST enum err audit_begin(struct audit_tree *tree, struct leaf *leaf, struct audit_ticket **out);
/* The leaf's bytes; valid as long as the ticket. */
struct slice audit_ticket_leaf(const struct audit_ticket *ticket);
/* Waits until the record is durable and its tree's head is signed, and appends the tagged COSE
 * Receipt (RFC 9942). Leaf 0 has none: it completes when it is durable, and appends nothing. ERR_IO:
 * the log is poisoned, the record is in doubt, restart. */
MUST enum err audit_finish(struct audit_ticket *ticket, struct buf *receipt);
void audit_ticket_free(struct audit_ticket *ticket); /* NULL is allowed */
void audit_ticket_cleanup(struct audit_ticket **ticket);

/* audit_begin and audit_finish for whoever wants no receipt. */
MUST enum err audit_record(struct audit_tree *tree, struct leaf *leaf);

/* The compact proof (COSE_Sign1, at most 512 bytes) for a leaf that is being committed. */
MUST enum err audit_compact(struct audit_tree *tree, struct slice leaf, struct buf *out);

/* Appends the bytes of any released record, whose index counts on from shard to shard, and a fresh receipt under the last signed head (nothing
 * for the genesis of a tree that has no head yet). Reads tiles: O(log n). ERR_NOT_FOUND: there is no
 * such record. ERR_MISMATCH: its tiles were changed. */
MUST enum err audit_leaf(struct audit_tree *tree, uint64_t index, struct buf *leaf,
			 struct buf *receipt);

/* Every tree with a released record, as it is now; to be freed. */
MUST enum err audit_heads(struct audit *audit, struct audit_head **out, size_t *n);

/* The newest time in the log, seconds since 1970; 0 in an empty one. */
int64_t audit_newest(struct audit *audit);

/* For who asks witnesses about a tree: its published checkpoint, whole (ERR_NOT_FOUND when there is
 * none yet), and the proof that its first @old records are those of the first @size, which must be
 * released (ERR_RANGE). */
struct tree_path;
MUST enum err audit_checkpoint(struct audit *audit, const char *origin, struct buf *note);
MUST enum err audit_consistency(struct audit *audit, const char *origin, uint64_t old,
				uint64_t size, struct tree_path *path);
/* Publishes a checkpoint with cosignatures in place of the same one without, as long as there is no
 * newer one; and when there are enough, as the newest that witnesses vouch for. */
MUST enum err audit_cosigned(struct audit *audit, const char *origin, struct slice note,
			     bool enough);

/* The certificate of a tree with records that wait, since the log was opened, for audit_tree() to
 * bring their key; appended. ERR_NOT_FOUND: no such tree, or none such. */
MUST enum err audit_unsigned(struct audit *audit, const char *origin, struct buf *certificate);

/* For tests and status: what the log did since it was opened. */
struct audit_counts {
	uint64_t records, batches, syncs;
	uint64_t signatures; /* of heads */
};
void audit_counts(struct audit *audit, struct audit_counts *out);

#endif

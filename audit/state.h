/* state.h - the inside of a running log, shared by audit.c (callers), commit.c (who does what, and
 * the turn to commit), batch.c (what goes into a frame), signing.c (heads), release.c, publish.c (tiles
 * and checkpoints), cosigned.c (checkpoints), old.c (records from tiles), open.c, heads.c and
 * recovery.c (opening). Not for other folders.
 *
 * Locks: audit->making is taken before audit->lock; audit->lock is never held while the signer is
 * called. While audit->publishing is held no other is taken. What is "of the turn" belongs to the
 * thread that has it (audit->committing).
 */
#ifndef AUDIT_STATE_H
#define AUDIT_STATE_H

#include <pthread.h>
#include <stdatomic.h>

#include "audit/audit.h"
#include "audit/gate.h"
#include "audit/ledger.h"
#include "audit/public.h"
#include "audit/wal.h"

#define HEADS_WITHIN_MS 20    /* signed heads are durable at the latest so long after */
#define PUBLISH_EVERY_MS 1000 /* checkpoints */
#define OLD_WAIT_MS 10000     /* for a record to be in a tile */
#define CLOSE_SIGN_MS 3000    /* how long audit_close waits for a signer that fails */
#define QUEUE_DEFAULT 4096
#define SIGNERS_DEFAULT 4
#define SEGMENTS_BEHIND 4   /* so many may wait for the publisher: then records do */
#define BEHIND_EVERY_MS 250 /* readers of partial tiles get time to read them */
#define TRIM_EVERY 8192     /* leaves in tiles whose hashes are let go of at once */

/* A tree's key of one time, with copies of its certificates. */
struct key {
	atomic_uint references;
	struct audit_key key;
	struct buf certificate, chain, ed25519, former_ed25519;
};

/* A signed head on its way, and then what receipts are written from. */
struct head {
	atomic_uint references;
	struct audit_tree *tree;
	struct key *key;
	struct receipt_head signed_head;
	uint8_t digest[SHA256_SIZE];
};

struct audit_tree {
	struct audit *audit;
	struct ledger_tree *book; /* its tree is appended to by who has the turn alone */
	bool touched;             /* of the turn: by the batch at hand */
	struct head *fresh;       /* of the turn: that batch's head */
	bool in_log;              /* of the turn: the log has an entry that introduces it */
	/* Held by whoever reads the book's tree, but for who has the turn, who takes it to trim. */
	pthread_rwlock_t trimming;
	/* Under audit->lock: */
	struct key *key; /* NULL until audit_tree() gave one */
	/* Index of the next leaf; read without the lock as a guess. */
	_Atomic uint64_t next;
	uint64_t released; /* leaves that are durable and signed */
	/* Times of the newest leaf and the newest head: none is earlier from here on. */
	int64_t newest, headed;
	/* Leaves that are in durable tiles; only grows, and read without the lock too. */
	_Atomic uint64_t tiled;
	bool wants_head;        /* holds leaves that nobody signed before the log was opened */
	struct head *head;      /* the last one released; may be NULL */
	struct head *unwritten; /* the same, while it is not in the log yet */
	struct audit_tree *next_unwritten;
	_Atomic uint64_t published; /* size of the checkpoint; set by the publisher */
	bool in_public;             /* its folder is there: nothing is published before */
	bool ed25519_fails;         /* the publisher's: that was told */
	/* Shards. A record that is begun here goes to the last of the successors; while this one is
	 * turning, it waits. */
	struct audit_tree *successor;
	bool turning, ended;   /* ended: the record that closes it is queued, or in the log */
	atomic_bool moved;     /* one of these; read without the lock as a guess */
	_Atomic int64_t began; /* time of its genesis, once it was looked for; else 0 */
};

enum ticket_state { TICKET_QUEUED, TICKET_RELEASED, TICKET_IN_DOUBT };

struct audit_ticket {
	atomic_uint references; /* the caller's and the log's */
	struct audit *audit;
	struct audit_tree *tree;
	bool has_leaf;
	uint64_t index;
	struct buf leaf;
	struct key *new_key;       /* goes into an ENTRY_TREE ahead of the leaf; else NULL */
	enum entry_kind mark;      /* ENTRY_CLOSED, ENTRY_PRUNED: behind the leaf; else 0 */
	size_t cost;               /* bytes of the write-ahead log, at worst */
	struct audit_ticket *next; /* under audit->lock, then its batch's */
	unsigned place;            /* in audit->gate */
	struct head *head;         /* its batch's; NULL for a tree of one leaf */
	_Atomic uint32_t state;    /* enum ticket_state; written under audit->lock, and last */
};

/* What goes into one frame, from when it is gathered until it is released. */
struct batch {
	struct batch *next;
	struct audit_ticket *first, **last;
	uint64_t cost;
	uint32_t entries, leaves;
	struct head **carried; /* heads of earlier batches that are in this frame */
	size_t carried_n;
	size_t touched;      /* trees */
	struct head **heads; /* this batch's, one per touched tree of more than one leaf */
	size_t heads_n;
	uint64_t sequence, segment; /* of what comes after it */
	/* Under audit->lock, once it is in flight: */
	size_t taken, signed_n; /* of its heads */
	bool durable;
};

struct audit {
	struct audit_signer signer;
	char *issuer;
	size_t queue_max;
	int root, dir, trees_dir, lock_fd; /* path, path/wal, path/trees, path/lock */
	int above;                         /* the directory that holds path, as @name */
	char *name;
	struct ledger ledger;
	struct wal *wal;
	struct publisher *tiler; /* the publisher's, after opening */

	pthread_mutex_t making;     /* one audit_tree() at a time */
	pthread_mutex_t publishing; /* one writer of published checkpoints at a time */

	pthread_mutex_t lock; /* guards what follows */
	pthread_cond_t work, room, publish, tiled;
	struct audit_tree **trees;
	size_t trees_n;
	struct audit_ticket *first, **last; /* the queue */
	size_t queued;
	unsigned gathering; /* number of the batch that the queue will be */
	uint64_t reserved;  /* sum of the costs of records that are queued or in flight */
	bool wants_heads;   /* some tree's wants_head is set */
	bool closing, poisoned;
	bool ending; /* a signer that fails is not waited for any more */
	uint64_t closing_ms;
	char why[ERR_REASON_MAX]; /* it was poisoned */
	struct audit_counts counts;
	bool committing; /* somebody has the turn: gathers a batch, writes and syncs it */
	bool timed;      /* a worker looks after the heads that are due */
	/* Batches that are written and not released, in order. After a poisoning they stay. */
	struct batch *flight, **flight_last;
	size_t flight_n;
	size_t to_sign;   /* their heads that nobody took yet */
	unsigned signing; /* signatures that are being made */
	uint64_t sign_us,
		sync_us; /* how long one takes; what is held up for a while counts little */
	/* Trees whose last head is released and not yet in the log. */
	struct audit_tree *pending, **pending_last;
	size_t pending_n;
	uint64_t pending_due_ms;
	atomic_bool alone; /* the last batch was of one record; read without the lock as a guess */
	bool stop;         /* for the publishing thread */
	bool publish_now;
	uint64_t released_sequence; /* frames before this one are released */
	/* Segments of the write-ahead log: that of now, and the one that the publisher reads. Where
	 * it can't go on, nobody waits for it: then it is the disk that bounds the log. */
	uint64_t segment, tiled_segment;
	uint64_t told_ms; /* when it did last */
	bool publishing_fails;
	atomic_ulong rounds;   /* of the publisher, that went well */
	unsigned long trimmed; /* of the turn: the round after which it trimmed */
	struct buf raw;        /* of the turn: a frame */

	struct gate gate; /* where callers wait for their tickets */
	unsigned signers; /* signatures at a time */
	pthread_t *workers, publisher;
	size_t workers_n;
	bool has_publisher;
};

struct key *key_new(const struct audit_key *key);
struct key *key_hold(struct key *key);
void key_drop(struct key *key);
struct head *head_hold(struct head *head);
void head_drop(struct head *head);
void ticket_drop(struct audit_ticket *ticket);

/* Encoded size of the entries that a ticket puts into a frame. */
size_t ticket_bytes(const struct audit_ticket *ticket);

/* audit.c: a record, or what else is to be written, on its way: made, queued (the ticket's tree may
 * become its current shard), and waited for. */
struct audit_ticket *ticket_new(struct audit_tree *tree);
MUST enum err ticket_submit(struct audit_ticket *ticket, struct leaf *leaf);
MUST enum err ticket_await(struct audit_ticket *ticket);
/* The tree of an origin, made if need be, under this key; audit->making is held. */
MUST enum err tree_ready(struct audit *audit, const char *origin, struct key *key,
			 struct leaf *genesis, struct audit_tree **out);
struct audit_tree *tree_of_locked(const struct audit *audit, const char *origin);
/* turn.c: links the shards that were found, and removes what is left of pruned ones. */
MUST enum err turn_adopt(struct audit *audit);
/* The last of a tree's shards. */
struct audit_tree *turn_last_locked(struct audit_tree *tree);

/* audit.c: makes the running side of a tree of the ledger. */
MUST enum err tree_wake(struct audit *audit, struct ledger_tree *book, struct audit_tree **out);
void tree_sleep(struct audit_tree *tree);

/* batch.c, for who has the turn: gathers a batch, writes its frame, not durably, and makes its heads.
 * May wait for what is in flight. */
MUST enum err batch_write(struct audit *audit, struct batch *batch);
struct batch *batch_new(void);
void batch_free(struct batch *batch);

/* signing.c: is there a head to be signed, and is it its turn? Signs the next one. _locked here and below:
 * the lock is held, and let go of meanwhile. */
bool signing_due(const struct audit *audit);
void signing_next_locked(struct audit *audit);
/* How long something takes, once it took @us. */
void signing_note_time(uint64_t *usual, uint64_t us);

/* release.c: appends a batch that is written to those in flight. */
void release_queue_locked(struct audit *audit, struct batch *batch);
/* Releases those in flight that are durable and signed, oldest first, up to one that is not. */
void release_ready_locked(struct audit *audit);
/* After what err_reason() says nothing is released any more: what is queued or in flight is in doubt, and so
 * is @batch (NULL: none), which is not in flight. */
void release_stop_locked(struct audit *audit, struct batch *batch);

/* commit.c: the threads that commit and sign. */
void *commit_thread(void *audit);
/* If there is something to do, somebody will. */
void commit_share_locked(struct audit *audit);
/* For who is about to wait for a ticket: commits it, if nobody else is at work. */
void commit_lead(struct audit_ticket *ticket);
/* publish.c. Preparing checks that what the write-ahead log does not hold any more is in tiles. */
MUST enum err publish_prepare(struct audit *audit);
void *publish_thread(void *audit);
void publish_free(struct publisher *publisher);

/* old.c: the path from a released leaf to the root of @size, from memory or from tiles. */
MUST enum err old_inclusion(struct audit_tree *tree, uint64_t index, uint64_t size,
			    struct tree_path *path);
/* And the proof that the first @old of @size leaves, all of them released, stayed as they were. */
MUST enum err old_consistency(struct audit_tree *tree, uint64_t old, uint64_t size,
			      struct tree_path *path);

/* open.c: ERR_STATE when the log's directories were moved, removed or replaced under us. */
MUST enum err open_in_place(const struct audit *audit);

/* recovery.c: reads the log into audit->ledger and opens audit->wal. */
MUST enum err recovery_run(struct audit *audit, const struct audit_options *options,
			   struct audit_recovery *recovery);
/* heads.c: ERR_MISMATCH when the ledger is behind one of these, or another. */
MUST enum err heads_check(const struct audit *audit, const struct audit_head *heads, size_t n);

#endif

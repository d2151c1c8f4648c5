/* state.h - the inside of a running log, shared by audit.c (callers), commit.c (the committer),
 * publish.c (tiles and checkpoints), cosigned.c (checkpoints), old.c (records from tiles), open.c,
 * heads.c and recovery.c (opening). Not for other folders.
 *
 * Locks: audit->making is taken before audit->lock; the signer is called under neither. While
 * audit->publishing is held no other is taken.
 */
#ifndef AUDIT_STATE_H
#define AUDIT_STATE_H

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>

#include "audit/audit.h"
#include "audit/ledger.h"
#include "audit/public.h"
#include "audit/wal.h"

#define HEADS_WITHIN_MS 20    /* signed heads are durable at the latest so long after */
#define PUBLISH_EVERY_MS 1000 /* checkpoints */
#define OLD_WAIT_MS 10000     /* for a record to be in a tile */
#define CLOSE_SIGN_MS 3000    /* how long audit_close waits for a signer that fails */
#define QUEUE_DEFAULT 4096
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
	struct head *next; /* the committer's list of heads that are not in the log yet */
};

struct audit_tree {
	struct audit *audit;
	struct ledger_tree *book; /* its tree is appended to by the committer alone */
	bool touched;             /* the committer's: by the batch at hand */
	bool in_log;              /* the committer's: the log has an entry that introduces it */
	/* Held by whoever reads the book's tree, but for the committer, who takes it to trim. */
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
	bool wants_head;            /* holds leaves that nobody signed before the log was opened */
	struct head *head;          /* the last one released; may be NULL */
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
	atomic_uint references; /* the caller's and the committer's */
	struct audit *audit;
	struct audit_tree *tree;
	bool has_leaf;
	uint64_t index;
	struct buf leaf;
	struct key *new_key;       /* goes into an ENTRY_TREE ahead of the leaf; else NULL */
	enum entry_kind mark;      /* ENTRY_CLOSED, ENTRY_PRUNED: behind the leaf; else 0 */
	size_t cost;               /* bytes of the write-ahead log, at worst */
	struct audit_ticket *next; /* under audit->lock, then the committer's */
	/* Written by the committer before it posts @settled, read by the caller after. A semaphore
	 * each, since waking up to a common lock costs more than all the rest. */
	sem_t settled;
	enum ticket_state state;
	struct head *head; /* NULL for a tree of one leaf */
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
	pthread_cond_t work, room, sign, signed_all, publish, tiled;
	struct audit_tree **trees;
	size_t trees_n;
	struct audit_ticket *first, **last; /* the queue */
	size_t queued;
	uint64_t reserved; /* sum of the costs of records that are queued or being written */
	bool wants_heads;  /* some tree's wants_head is set */
	bool closing, poisoned;
	bool ending; /* a signer that fails is not waited for any more */
	uint64_t closing_ms;
	char why[ERR_REASON_MAX]; /* it was poisoned */
	struct audit_counts counts;
	/* Heads to be signed: the committer and the signing thread take from them in turn. */
	struct head **to_sign;
	size_t to_sign_n, taken, signed_n;
	bool sign_failed; /* given up, since the log is being closed */
	bool stop;        /* for the signing and the publishing thread */
	bool publish_now;
	uint64_t released_sequence; /* frames before this one are released */
	/* Segments of the write-ahead log: that of now, and the one that the publisher reads. Where
	 * it can't go on, nobody waits for it: then it is the disk that bounds the log. */
	uint64_t segment, tiled_segment;
	uint64_t told_ms; /* when it did last */
	bool publishing_fails;
	atomic_ulong rounds;   /* of the publisher, that went well */
	unsigned long trimmed; /* the committer's: the round after which it trimmed */

	/* The committer's. */
	struct head *pending, **pending_last; /* signed, released, not yet in the log */
	uint64_t pending_due_ms;
	atomic_size_t pending_n;
	struct buf raw;

	pthread_t committer, signer_thread, publisher;
	bool has_committer, has_signer, has_publisher;
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

/* commit.c: threads. */
void *commit_thread(void *audit);
void *sign_thread(void *audit);
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

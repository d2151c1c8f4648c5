/* witness.h - what is asked of a witness, and what it answers: the body of POST /add-checkpoint in
 * C2SP tlog-witness, and the rules of that page. Pure: no I/O; any thread.
 *
 *   old SIZE \n { base64 hash \n } \n CHECKPOINT
 */
#ifndef AUDIT_WITNESS_H
#define AUDIT_WITNESS_H

#include "audit/trust.h"
#include "audit/tree.h"

#define WITNESS_PROOF_MAX 63
#define WITNESS_REQUEST_MAX (NOTE_MAX + 4096)
#define WITNESS_ANSWER_MAX 16384

struct witness_request {
	uint64_t old; /* the size that the asker takes for the witness's last */
	struct tree_path proof;
	struct slice checkpoint; /* these point into what was read */
	struct note note;
};
MUST enum err witness_request_read(struct slice body, struct witness_request *out);
MUST enum err witness_request_write(uint64_t old, const struct tree_path *proof,
				    struct slice checkpoint, struct buf *out);

/* What a witness last signed of an origin; nothing yet: size 0. */
struct witness_seen {
	uint64_t size;
	uint8_t root[SHA256_SIZE];
};

/* Statuses are HTTP's, for whoever speaks it. */
enum witness_verdict {
	WITNESS_SIGN = 200,
	WITNESS_MALFORMED = 400, /* or the old size is over the new one */
	WITNESS_UNSIGNED = 403,  /* not by a key that is known for the origin */
	WITNESS_UNKNOWN = 404,   /* no log of this origin is known */
	WITNESS_CONFLICT = 409,  /* the old size is not what was last signed: seen.size is */
	WITNESS_REFUSED = 422 /* it does not continue what was last signed: a fork, or no proof */
};
/* @logs: the logs that are watched. err_reason() has the words for any other verdict than SIGN. */
enum witness_verdict witness_judge(const struct trust *logs, const struct witness_request *request,
				   const struct witness_seen *seen);

/* Do witnesses vouch for a tree's head that somebody holds? @file is a checkpoint of just that head, or
 * a request whose proof leads from it to a later checkpoint. ERR_MISMATCH: they are not of one tree,
 * or the quorum is not there; as trust_check() and witness_request_read() otherwise. */
struct witness_head {
	struct slice origin;
	uint64_t size;
	uint8_t root[SHA256_SIZE];
};
MUST enum err witness_vouches(const struct trust *trust, struct slice file,
			      const struct witness_head *head, struct trust_count *count);

/* The two answers that a client of the protocol reads. Appends to @note the lines of @answer that are
 * by @key and verify for the note's text; ERR_NOT_FOUND when there is none, ERR_FORMAT or ERR_CRYPTO
 * when it is no answer. */
MUST enum err witness_answer_read(struct slice answer, const struct vkey *key, struct slice note,
				  struct buf *lines);
/* The size in a 409's body. */
MUST enum err witness_size_read(struct slice body, uint64_t *size);

#endif

/* answers.h - what requests with an id were answered, kept so that they are answered the same again.
 *
 *   requests/<hex of the partition's serial>-<generation>/<name>          how the run went
 *   requests/<hex of the partition's serial>-<generation>/<name>.proof    the proof of it
 *
 * The name is a keyed hash over partition, role and id. The first file is durable before the run's
 * record goes to the log, the second before anything is released; so one without the other is a
 * request of which only the log can say whether it was recorded (answering.h). A file is
 *
 *   80 bytes: "assay-answer-1", name (at 16), id of the day's key (at 48), iv (at 56), seconds since
 *             1970 (at 68), which of the two (at 76)
 *   AES-256-GCM of CBOR under HMAC-SHA256(day's key, the 80 bytes), which it also covers
 *   16 bytes: the tag
 *
 * and the day's key that of sealed payloads (ring.h): shredding a day takes these with it. An answer
 * is kept for requests.ttl_seconds; after that its id is a new one. Safe from any thread, but a
 * name's files are for whoever claimed it.
 */
#ifndef PLUGIN_DAEMON_ANSWERS_H
#define PLUGIN_DAEMON_ANSWERS_H

#include "plugin/daemon/partition.h"
#include "plugin/daemon/seals.h"

#define ANSWER_NAME 32
#define ANSWER_CTI 16

/* What a repeated request must have in common with the first one, each a keyed hash. */
enum answer_bound { BOUND_APPLICATION, BOUND_CALLER, BOUND_FORM, BOUND_INPUT, BOUNDS };

struct answer {
	uint8_t cti[ANSWER_CTI];
	uint64_t from; /* records in the tree just before its own was added */
	uint64_t operation;
	uint8_t bound[BOUNDS][32];
	enum err end; /* OK, or what the caller is told */
	struct slice reason, cancelled, keys, tcb_leaf, tcb_receipt, output, messages;
	/* Of the second file; an empty proof: there is none. */
	struct slice proof, compact;
	struct buf run_file, proof_file; /* what answers_get's slices point into */
};
void answer_free(struct answer *answer);

/* Whoever deals with a name. */
struct answer_claim {
	uint8_t name[ANSWER_NAME];
	struct partition *partition; /* NULL: nothing is claimed */
	struct answers *answers;
	struct answer_claim *next; /* under the lock of struct answers */
};

struct answers {
	struct state *state;
	struct seals *seals;
	uint64_t ttl_seconds, quota; /* bytes of a partition's, on disk */
	pthread_mutex_t lock;        /* guards what follows, and partition->answered */
	pthread_cond_t released;
	struct answer_claim *claims;
};

void answers_init(struct answers *answers, struct state *state, struct seals *seals,
		  uint64_t ttl_seconds, uint64_t quota);

/* Claims the name of a request, waiting for whoever has it as long as @still answers OK. */
typedef enum err answers_still(void *context);
MUST enum err answers_claim(struct answers *answers, struct partition *partition,
			    enum wire_role role, struct slice id, answers_still *still,
			    void *context, struct answer_claim *claim);
void answers_release(struct answer_claim *claim);

/* Whether one more can be kept. ERR_LIMIT: quota or disk. */
MUST enum err answers_ready(struct answers *answers, const struct answer_claim *claim);
/* Fills @out, to be freed. ERR_NOT_FOUND: the id is new, or it is so again. ERR_STATE: there was an
 * answer, and it can't be read: it was shredded, or changed. */
MUST enum err answers_get(struct answers *answers, const struct answer_claim *claim,
			  struct answer *out);
/* Writes the first file, or the second, durably; @days: how long the day's key is to be kept when it
 * begins with this. */
MUST enum err answers_put_run(struct answers *answers, const struct answer_claim *claim,
			      uint32_t days, const struct answer *answer);
MUST enum err answers_put_proof(struct answers *answers, const struct answer_claim *claim,
				uint32_t days, const struct answer *answer);
/* Removes both. */
MUST enum err answers_drop(struct answers *answers, const struct answer_claim *claim);

/* At the start: every name with a first file and no second one, as a claim; and folders of partitions
 * that are no more, are removed. */
typedef enum err answers_visit(void *context, const struct answer_claim *claim);
MUST enum err answers_each_open(struct answers *answers, struct partition *partition,
				answers_visit *call, void *context);
MUST enum err answers_clear(struct answers *answers, struct partitions *partitions);
/* Removes what is too old, and counts the rest. */
MUST enum err answers_sweep(struct answers *answers, struct partition *partition);

#endif

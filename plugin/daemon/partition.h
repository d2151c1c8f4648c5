/* partition.h - the enrolled partitions: a token's serial, a generation, and what goes with them.
 *
 * An enrolment is a record (state.h). A struct partition is never changed, except as said beside its
 * fields, and never freed before the daemon ends, so a pointer to one stays good; enrolling a serial
 * again makes another struct that takes its place and leaves the old one suspended.
 */
#ifndef PLUGIN_DAEMON_PARTITION_H
#define PLUGIN_DAEMON_PARTITION_H

#include <pthread.h>
#include <stdatomic.h>

#include "audit/audit.h"
#include "plugin/daemon/registry.h"
#include "plugin/daemon/results.h"
#include "plugin/daemon/rules.h"

#define PARTITIONS_MAX 128
#define PARTITION_LABEL_MAX 32
#define PARTITION_KEY_ID_MAX 64

struct partition {
	char serial[WIRE_SERIAL_MAX + 1], label[PARTITION_LABEL_MAX + 1];
	uint64_t generation;
	char origin[AUDIT_ORIGIN_MAX];
	uint8_t point[65]; /* public half of the role key */
	uint8_t key_id[PARTITION_KEY_ID_MAX];
	size_t key_id_n;
	struct buf certificate;  /* DER of the attestation key's; daemon->managing guards it */
	atomic_bool active;      /* false: suspended, or enrolled again since */
	struct audit_tree *tree; /* set before it is published */
	struct registry registry;
	struct results results;
	uint64_t answered;      /* bytes of its answers (answers.h), whose lock guards it */
	pthread_mutex_t ruling; /* guards what follows */
	struct rules *rules;    /* never NULL */
	double allowance;       /* executions that may begin at once */
	uint64_t allowance_at_ms;
};

struct partitions {
	struct state *state;
	uint64_t quota, ttl_ms; /* of results */
	uint64_t packages; /* bytes for a partition's; 0: no limit. Set before they are loaded. */
	pthread_mutex_t lock; /* guards what follows */
	struct partition *current[PARTITIONS_MAX];
	size_t n;
	struct partition *superseded[PARTITIONS_MAX]; /* kept until the end */
	size_t superseded_n;
};

void partitions_init(struct partitions *all, struct state *state, uint64_t quota, uint64_t ttl_ms);
/* Reads every enrolment with its applications; trees are left for the caller to open. */
MUST enum err partitions_load(struct partitions *all);
void partitions_close(struct partitions *all);

/* ERR_NOT_FOUND when that serial was never enrolled; a suspended one is found. */
MUST enum err partition_find(struct partitions *all, struct slice serial, struct partition **out);
/* ERR_NOT_FOUND when it is suspended, or enrolled again since. */
MUST enum err partition_usable(const struct partition *partition);
/* The generation that an enrolment of @serial would have. */
uint64_t partition_next_generation(struct partitions *all, struct slice serial);
size_t partitions_count(struct partitions *all);
/* Calls for each current partition; no lock is held. */
typedef enum err partition_visit(void *context, struct partition *partition);
MUST enum err partitions_each(struct partitions *all, partition_visit *call, void *context);
/* Removes a package from disk unless a current partition still needs it. The caller sees to it that
 * none begins to meanwhile. */
void partitions_drop_unused(struct partitions *all, const uint8_t package[SHA256_SIZE]);

/* A new, active one to fill in: origin, point, key_id, certificate, tree. A further generation is
 * under the policy of the one before. */
MUST enum err partition_new(struct partitions *all, struct slice serial, struct slice label,
			    uint64_t generation, struct partition **out);
void partition_free(struct partition *partition);
void partition_cleanup(struct partition **partition);
/* Writes it durably, and publishes it in place of an earlier generation. Takes it over when OK. One
 * at a time: the caller orders publications. */
MUST enum err partition_publish(struct partitions *all, struct partition *partition);
/* The policy in force, held; and its digest, claim -70013. */
struct rules *partition_rules(const struct partition *partition);
void partition_rules_digest(const struct partition *partition, uint8_t digest[SHA256_SIZE]);
/* Has these take their place, durably; held once more when OK. One at a time, as publications. */
MUST enum err partition_set_rules(struct partitions *all, struct partition *partition,
				  struct rules *rules);
/* Has the attestation key be that of @certificate, durably. */
MUST enum err partition_set_certificate(struct partitions *all, struct partition *partition,
					struct slice certificate);
/* Takes one execution off what the policy in force allows in a minute, or ERR_LIMIT. */
MUST enum err partition_may_begin(struct partition *partition, uint64_t now_ms);
/* Suspends, durably: applications hidden, results purged. */
MUST enum err partition_suspend(struct partitions *all, struct partition *partition);

#endif

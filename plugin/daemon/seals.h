/* seals.h - sealed payloads: what the policy keeps of an execution, for its auditor alone.
 *
 * A file is the payload as audit/seal.h makes it, a CMS message to the auditor's certificate,
 * encrypted once more under the key of its partition and day (ring.h):
 *
 *   sealed/<hex of the serial>/<day>-<id of the day's key>/<hex of the proof's cti>
 *   64 bytes: "assay-sealed-1", cti (at 16), id of the day's key (at 32), iv (at 40), zeros
 *   AES-256-GCM of the CMS message under HMAC-SHA256(day's key, the 64 bytes), which it also covers
 *   16 bytes: the tag
 *
 * So nobody reads it without the auditor's private key, the daemon included; and nobody, the auditor
 * included, once the day's key is destroyed, wherever copies of the file are. Claim -70010 is the
 * SHA-256 of the CMS message. Safe from any thread.
 */
#ifndef PLUGIN_DAEMON_SEALS_H
#define PLUGIN_DAEMON_SEALS_H

#include "audit/seal.h"
#include "config/base/sha256.h"
#include "plugin/daemon/partition.h"
#include "plugin/daemon/ring.h"

#define SEALS_PAYLOAD_MAX ((size_t)256 << 20) /* input, output and messages together */
#define SEALS_CTI 16

/* One partition's. */
struct seals_partition {
	struct ring ring;
	pthread_mutex_t lock; /* guards what follows; held while files are counted, or removed */
	bool counted;
	uint64_t bytes; /* of its files, once counted */
	size_t strange; /* of seals_sweep(): what it was last told of */
};

struct seals {
	struct state *state;
	struct attest *attest;
	pthread_mutex_t lock; /* guards what follows; partitions are never taken away */
	struct seals_partition *partitions[PARTITIONS_MAX];
	size_t n;
};

void seals_init(struct seals *seals, struct state *state, struct attest *attest);
void seals_close(struct seals *seals);
MUST enum err seals_ring(struct seals *seals, const char *serial, struct ring **out);

/* Whether a payload could be sealed now. ERR_LIMIT: the disk is too full, or the partition's payloads
 * take @most bytes already (0: no matter how many). Comes before the first seals_put(). */
MUST enum err seals_ready(struct seals *seals, const char *serial, uint32_t days, uint64_t most);
/* Seals @parts durably; @digest is for claim -70010. @days: how long it is to be kept; 0: for ever. */
MUST enum err seals_put(struct seals *seals, const char *serial, const uint8_t cti[SEALS_CTI],
			struct slice certificate, uint32_t days, const struct seal_part *parts,
			size_t n, uint8_t digest[SHA256_SIZE]);
/* Appends the CMS message. ERR_NOT_FOUND: there is none, or it was shredded. */
MUST enum err seals_get(struct seals *seals, const char *serial, const uint8_t cti[SEALS_CTI],
			struct buf *cms);
/* Shreds the days that are over: by @days, or, where that is 0, by what they began with. A payload is
 * kept for so many whole days at least. */
MUST enum err seals_expire(struct seals *seals, const char *serial, uint32_t today, uint32_t days);
/* Removes files whose keys were destroyed, so many at a time. What is there and is none of these is
 * passed over, with one warning. One thread. */
MUST enum err seals_sweep(struct seals *seals, const char *serial, size_t most);

/* Days since 1970, UTC. */
uint32_t seals_today(void);

#endif

/* park.h - whether programs of an image are started ahead of their requests.
 *
 * Pure arithmetic. The manifest consents or not; PARK_AUTO measures a few runs of both ways and keeps
 * the faster one, until it is time to measure again. A program that does not wait for its input,
 * several times in a row, is not started ahead any more. Guarded by the owner.
 */
#ifndef SANDBOX_PARK_H
#define SANDBOX_PARK_H

#include "sandbox/package.h"

#define PARK_TRIALS 16          /* runs of each way before PARK_AUTO decides */
#define PARK_AGAIN 4096         /* runs after which it measures anew */
#define PARK_SPOILED_MAX 3      /* in a row */
#define PARK_BENEFIT_PERCENT 10 /* less is not worth a waiting process */

struct park_times {
	uint64_t n, total_us;
};

struct parking {
	enum park mode;
	unsigned spoiled; /* programs in a row that wrote or ended before their input */
	struct park_times demand, ahead;
};

bool park_wanted(const struct parking *p);
/* A run came to its end: from input to report. */
void park_note(struct parking *p, bool ahead, uint64_t us);
void park_spoil(struct parking *p);

#endif

/* tcb_claim - what it costs an execution to name the platform's TCB record: its leaf made and hashed with
 * that claim, beside the same leaf without it, by turns, in processor time. The record itself is made
 * when the platform changes, not for an execution. Prints a row for testbed/bench/bench. */
#include <stdio.h>
#include <stdlib.h>

#include "testbed/bench/measure.h"
#include "testbed/unit/appliance.h"

#define LEAVES 20000
#define ROUNDS 41

/* As the daemon makes one: the encoding, its hash, and room that is used again. */
static double make(struct leaf *leaf, struct buf *raw)
{
	uint8_t hash[SHA256_SIZE];
	uint64_t began = cpu_ns();

	for (uint64_t i = 0; i < LEAVES; i++) {
		buf_reset(raw);
		leaf->pos = i;
		appliance_must(leaf_encode(leaf, raw));
		leaf_hash(buf_slice(raw), hash);
	}
	return (double)(cpu_ns() - began) / LEAVES;
}

int main(void)
{
	struct leaf *with = appliance_leaf(), *without = appliance_leaf();
	double claim[ROUNDS], none[ROUNDS];
	struct buf raw = BUF_INIT;

	without->has_tcb = false;
	for (int i = 0; i < ROUNDS; i++) {
		claim[i] = make(with, &raw);
		none[i] = make(without, &raw);
	}
	double value = median(claim, ROUNDS), baseline = median(none, ROUNDS);
	printf("tcb_claim|%.0f|ns|%.0f|%d|\"difference_ns\": %.0f|the same execution's leaf "
	       "without "
	       "the claim: making and hashing it differs by %.0f ns\n",
	       value, baseline, ROUNDS, value - baseline, value - baseline);
	buf_free(&raw);
	free(with);
	free(without);
	return 0;
}

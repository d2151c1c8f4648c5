/* gate.h - many threads wait, each for a word of its own, and one call wakes those of a batch.
 *
 * A thread that waits says in which of GATE_PLACES places; opening the gate wakes who is in the places
 * given, whose word may have become other than 0. Any thread.
 */
#ifndef AUDIT_GATE_H
#define AUDIT_GATE_H

#include <stdatomic.h>
#include <stdint.h>

#define GATE_PLACES 32

struct gate {
	_Atomic uint32_t opened; /* how often */
};

/* Until @word is not 0, which somebody makes so and then opens the gate for @place. Who sees it sees all
 * that was written before it. */
void gate_wait(struct gate *gate, const _Atomic uint32_t *word, unsigned place);
/* @places: a bit for each. */
void gate_open(struct gate *gate, uint32_t places);

#endif

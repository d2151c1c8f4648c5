/* A semaphore for each would be a system call for each, one after the other, by the thread that all wait for;
 * a condition would have all of them wait again, for its lock. */
#include "audit/gate.h"

#include <limits.h>
#include <linux/futex.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <unistd.h>

void gate_wait(struct gate *gate, const _Atomic uint32_t *word, unsigned place)
{
	for (;;) {
		uint32_t opened = atomic_load(&gate->opened);

		if (atomic_load(word))
			return;
		(void)syscall(SYS_futex, &gate->opened, FUTEX_WAIT_BITSET_PRIVATE, opened, NULL,
			      NULL, 1u << place % GATE_PLACES);
	}
}

void gate_open(struct gate *gate, uint32_t places)
{
	atomic_fetch_add(&gate->opened, 1);
	if (places)
		(void)syscall(SYS_futex, &gate->opened, FUTEX_WAKE_BITSET_PRIVATE, INT_MAX, NULL,
			      NULL, places);
}

/* keeper.h - the thread of a pool that works ahead of requests: it replaces cells that were destroyed,
 * and starts programs that may wait for their input. The pool's own.
 */
#ifndef SANDBOX_KEEPER_H
#define SANDBOX_KEEPER_H

#include "sandbox/pool.h"

MUST enum err keeper_start(struct sandbox *box);
/* Waits for its end. The caller does not hold the lock. */
void keeper_stop(struct sandbox *box);

#endif

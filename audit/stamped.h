/* stamped.h - time stamps of signed heads, for everybody: trees/<16 hex digits>/timestamp/<size>, each
 * the receipt of a record under that head, with a third party's token over the head's signature in
 * it. It shows that the tree's first <size> records were there before the token's time, whoever kept
 * them. A file never changes.
 */
#ifndef AUDIT_STAMPED_H
#define AUDIT_STAMPED_H

#include "audit/audit.h"

/* Appends a receipt of the last record under the newest signed head, in the tree's newest shard; nothing
 * while there is no head. Any thread. */
MUST enum err audit_stampable(struct audit_tree *tree, struct buf *receipt);
/* Publishes it durably. ERR_EXISTS: there is one of that size. Any thread. */
MUST enum err audit_stamped(struct audit *audit, const char *origin, uint64_t size,
			    struct slice receipt);
/* The largest size that has one; 0: none. */
MUST enum err audit_stamped_newest(struct audit *audit, const char *origin, uint64_t *size);

#endif

/* times.h - the times of a tree, which never go back: of its records (iat), in their order, and of its
 * signed heads, none of which is of before a record in it. Pure.
 */
#ifndef AUDIT_TIMES_H
#define AUDIT_TIMES_H

#include "audit/leaf.h"

/* Seconds since 1970 of an encoded leaf, and of a head's protected header; 0 when there is none. */
int64_t times_leaf(struct slice raw);
int64_t times_head(struct slice protected);

/* A leaf of before @newest becomes one of @newest, what it says of start and end moves with it, and the
 * bound of the error grows by as much: two threads may get into the log in another order than they
 * took the time (a second at most), and a system clock may go back, which then counts as not
 * synchronised. True: it was changed. */
bool times_hold(struct leaf *leaf, int64_t *newest);

#endif

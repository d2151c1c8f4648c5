/* leaf_text.h - a record for people and for programs that read JSON. Pure.
 *
 * Names are those of claims.def. Byte strings are hexadecimal. Text that came from outside is
 * escaped: control characters never reach a terminal.
 */
#ifndef AUDIT_LEAF_TEXT_H
#define AUDIT_LEAF_TEXT_H

#include "audit/leaf.h"

/* Appends one JSON object, without a newline. Numbers over 2^53 stay numbers. */
void leaf_json(const struct leaf *leaf, struct buf *out);
/* Appends lines "name: value". */
void leaf_print(const struct leaf *leaf, struct buf *out);
/* Appends one line for a listing: index, time, type, application, outcome or reason. */
void leaf_print_line(const struct leaf *leaf, struct buf *out);

/* Appends seconds since 1970 as "2026-11-25T16:00:00Z". */
void leaf_put_time(struct buf *out, int64_t seconds);

/* Names of the values that are numbers in a leaf; "unknown" for others. */
const char *leaf_role_name(enum leaf_role role);
const char *leaf_roleproof_name(enum leaf_roleproof proof);
const char *leaf_start_name(uint64_t kind);   /* of claim confinement: "parked" */
const char *leaf_mode_name(uint64_t mode);    /* likewise: "privileged launcher" */
const char *leaf_status_name(uint64_t kind);  /* "exit" */
const char *leaf_status_words(uint64_t kind); /* for a sentence, before the code: "exit status" */

#endif

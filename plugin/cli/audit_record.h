/* audit_record.h - a record as a line for people, as a line of JSON, or as a row of CSV; README.md of
 * this folder describes the latter two. Pure.
 *
 * Whether a record is under a signed head is known last: record_put writes all the rest, and
 * record_finish puts that and the tree's origin around it.
 */
#ifndef PLUGIN_CLI_AUDIT_RECORD_H
#define PLUGIN_CLI_AUDIT_RECORD_H

#include "audit/leaf.h"

enum record_form { RECORD_LINE, RECORD_JSON, RECORD_CSV };

void record_put_heading(enum record_form form, struct buf *out); /* CSV has one */
void record_put(enum record_form form, const struct leaf *leaf, struct buf *out);
void record_finish(enum record_form form, const char *origin, struct slice put, bool is_signed,
		   struct buf *out);

/* One cell of RFC 4180: quoted where it must be, control characters as "?", and an apostrophe before
 * what a spreadsheet would take for a formula. */
void csv_put_cell(struct buf *out, struct slice text);

#endif

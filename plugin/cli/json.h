/* json.h - text for machines (RFC 8259) and for terminals. */
#ifndef PLUGIN_CLI_JSON_H
#define PLUGIN_CLI_JSON_H

#include "config/base/bytes.h"

/* A JSON string of UTF-8; bytes that are none become U+FFFD, controls become escapes. */
void json_put_text(struct buf *out, struct slice text);
/* "name": and then what the caller puts; @first leaves out the comma before it. */
void json_put_name(struct buf *out, const char *name, bool first);
/* "name": "text" and "name": "hex digits". */
void json_put_field(struct buf *out, const char *name, struct slice text, bool first);
void json_put_hex(struct buf *out, const char *name, struct slice bytes, bool first);

/* The text as a terminal may have it: control characters become "?". */
void plain_put_text(struct buf *out, struct slice text);

#endif

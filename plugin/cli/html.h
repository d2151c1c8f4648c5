/* html.h - text inside a page: nothing that a record holds can be markup. Pure. */
#ifndef PLUGIN_CLI_HTML_H
#define PLUGIN_CLI_HTML_H

#include "config/base/bytes.h"

/* For elements and for attributes in double quotes. Control characters, marks that turn text around
 * and what is no UTF-8 become "?". */
void html_put_text(struct buf *out, struct slice text);
void html_put(struct buf *out, const char *text);
/* "12,345" */
void html_put_number(struct buf *out, uint64_t value);
/* "2026-11-25 16:00:05", or without seconds; UTC. */
void html_put_time(struct buf *out, int64_t seconds);
void html_put_minute(struct buf *out, int64_t seconds);
/* Microseconds as "1.52 ms", "2.3 s". */
void html_put_span(struct buf *out, uint64_t us);

#endif

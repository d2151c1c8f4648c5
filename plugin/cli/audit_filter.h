/* audit_filter.h - which records are wanted: one table of options, how each is read, and what it lets
 * through. Pure, but for the clock. One thread.
 */
#ifndef PLUGIN_CLI_AUDIT_FILTER_H
#define PLUGIN_CLI_AUDIT_FILTER_H

#include "audit/leaf.h"
#include "plugin/cli/cli.h"

#define FILTER_OPTIONS_N 9
#define FILTER_FROM 0 /* the rows that say which period */
#define FILTER_TO 1

/* What the command line asked for; all zero lets everything through. */
struct filter {
	const char *given[FILTER_OPTIONS_N]; /* by the table's rows; NULL: not given */
	int64_t from, to;                    /* seconds since 1970: from <= time < to */
	uint64_t types, roles, statuses;     /* one bit for each that is wanted */
};

/* Fills FILTER_OPTIONS_N options that write to @filter. */
void filter_options(struct filter *filter, struct cli_option *options);
/* Reads what was given. ERR_USAGE says what makes no sense. */
MUST enum err filter_read(struct filter *filter);
/* Does a record of the tree @origin pass? */
bool filter_passes(const struct filter *filter, const char *origin, const struct leaf *leaf);
/* Says in a paragraph of HTML what is let through besides the period, where that is not everything. */
void filter_put_words(const struct filter *filter, struct buf *out);

#endif

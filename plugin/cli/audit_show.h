/* audit_show.h - `assay audit show`, and how it goes on while a log grows. One thread. */
#ifndef PLUGIN_CLI_AUDIT_SHOW_H
#define PLUGIN_CLI_AUDIT_SHOW_H

#include "plugin/cli/audit.h"
#include "plugin/cli/audit_filter.h"
#include "plugin/cli/audit_list.h"

struct show {
	struct trail trail;
	struct filter filter;
	struct list list;
	struct cli_number limit;
	bool csv, follow;
};

/* Puts a record into the list, if it is wanted. An auditor_visit; ERR_GONE: interrupted. */
MUST enum err show_record(void *context, const char *origin, uint64_t index, struct slice raw,
			  const struct leaf *leaf);

/* To be called before anything is read: SIGINT and SIGTERM end what follows. */
void show_follow_start(void);
bool show_interrupted(void);
/* Shows what comes in after the checkpoints that the list was read up to, until it is interrupted:
 * new records are read from tiles, and must lead to the next signed checkpoint. */
MUST enum err show_follow(struct show *show, struct buf *out);

#endif

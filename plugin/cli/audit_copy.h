/* audit_copy.h - a log's directory, copied whole and made read-only. Any thread. */
#ifndef PLUGIN_CLI_AUDIT_COPY_H
#define PLUGIN_CLI_AUDIT_COPY_H

#include "config/base/error.h"

/* Copies the log in @from, which may be growing meanwhile, to @name below @folder, which must not be
 * there yet. Checkpoints go first, and what came while all others were copied last, so that whatever
 * checkpoints speak of is in the copy. ERR_FORMAT for
 * anything that is neither file nor directory. What was copied is read-only, and on disk. */
MUST enum err copy_log(const char *from, int folder, const char *name);
/* Removes a copy, or what there is of one; one that is not there is none. */
MUST enum err copy_remove(const char *path);

#endif

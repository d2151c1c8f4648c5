/* measure.h - a package, read and measured, as several commands need it. */
#ifndef PLUGIN_CLI_MEASURE_H
#define PLUGIN_CLI_MEASURE_H

#include "plugin/cli/json.h"
#include "sandbox/package.h"

/* Reads and checks a package; @out points into @raw. */
MUST enum err measure_read(const char *path, struct buf *raw, struct package *out);
/* Its names and digests. */
void measure_print(const struct package *package, bool json, struct buf *out);

#endif

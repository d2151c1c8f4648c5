/* measure.h - a package, read and measured, as several commands need it. */
#ifndef PLUGIN_CLI_MEASURE_H
#define PLUGIN_CLI_MEASURE_H

#include "plugin/cli/json.h"
#include "sandbox/trailer.h"

/* Reads and checks a package; @out points into @raw, and so does @signers, which may be NULL. */
MUST enum err measure_read(const char *path, struct buf *raw, struct package *out,
			   struct trailer *signers);
/* Its names, digests and signers. ERR_CRYPTO: a signature does not hold. */
MUST enum err measure_print(const struct package *package, const struct trailer *signers, bool json,
			    struct buf *out);

#endif

/* version.h - versions as dotted numbers of any length: 1, 1.0, 2.10.3. Pure. */
#ifndef CONFIG_BASE_VERSION_H
#define CONFIG_BASE_VERSION_H

#include "config/base/bytes.h"

/* Is @version the same as @least, or later? One that goes on where the other ends is the later one.
 * What is no number, on either side, is nothing that could be compared: false. */
bool version_is_least(struct slice version, struct slice least);

#endif

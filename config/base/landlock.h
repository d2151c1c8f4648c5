/* landlock.h - a process gives up the files that it has no use for (Landlock: Linux 5.13 or newer). */
#ifndef CONFIG_BASE_LANDLOCK_H
#define CONFIG_BASE_LANDLOCK_H

#include <stdbool.h>
#include <stddef.h>

#include "config/base/error.h"

struct landlock_path {
	const char *path; /* a file, or a folder with all that is below it */
	bool write;       /* to be written to as well; nothing can be made or removed */
};

/* From here on this process opens nothing else; what is open stays so. One that is not there is left
 * out. ERR_UNSUPPORTED: the kernel can't do it, and nothing changed. */
MUST enum err landlock_files(const struct landlock_path *paths, size_t n);

#endif

/* guard.h - opens a file that nobody but root and its owner could have put there or changed. */
#ifndef CONFIG_GUARD_H
#define CONFIG_GUARD_H

#include <limits.h>

#include "config/base/io.h"

/* A relative path is taken from the working directory, whose name, as the kernel has it, holds no
 * symbolic link. */
MUST enum err guard_absolute(const char *path, char out[PATH_MAX]);

/* Opens a regular file for reading. Walks down from the root, one name at a time and through no
 * symbolic link. Each directory on the way belongs to root or the file's owner, and others may not
 * write to it; a sticky one (/tmp) may do so when the file belongs to root or the caller. Otherwise
 * ERR_DENIED, with "@path:1: ..." in the reason; ERR_NOT_FOUND when it is not there. */
MUST enum err guard_open(const char *path, int *out);

#endif

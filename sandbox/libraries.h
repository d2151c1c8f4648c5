/* libraries.h - the files that a dynamic program needs beside itself, as this machine's loader would
 * find them: from the files alone, nothing is executed.
 *
 * For the command line. Every library goes to /lib in the image, under the name by which it is asked
 * for, and the loader to the place that the program names. /etc/ld.so.cache there lists them, so that
 * the loader finds each at once. What a program opens later by itself (dlopen, locales, the modules of
 * an interpreter) is not seen.
 */
#ifndef SANDBOX_LIBRARIES_H
#define SANDBOX_LIBRARIES_H

#include "sandbox/package.h"

#define LIBRARIES_MAX 256
#define LIBRARIES_DIRECTORY "lib/" /* in the image */

struct libraries {
	struct library {
		struct buf content;
		char *path;   /* in the image */
		char *origin; /* here: the directory that $ORIGIN stands for */
	} list[LIBRARIES_MAX];
	size_t n;
	struct buf cache; /* of the image: /etc/ld.so.cache */
};

/* Of the program at @path, whose bytes are @program. ERR_NOT_FOUND: a library is nowhere. */
MUST enum err libraries_find(const char *path, struct slice program, struct libraries *out);
void libraries_cleanup(struct libraries *libraries);

#endif

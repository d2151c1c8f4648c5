/* platform.h - measures the parts of the machine that every proof rests on: claim 273 of a TCB record.
 *
 * Names tell who says so. "daemon" and "mapped:PATH" are files that this process has mapped to
 * execute, compared by device and inode; "launcher" and "init" were hashed through the descriptor
 * that was executed; "configuration" is the file in force. "as-installed:..." are files of the front
 * end, where it can't be known here whether they are what runs in another user's process; and of the
 * daemon's helpers, which it starts by their names: one of them says whether an SO is one. All others
 * are the kernel's own words (platform.def): self-reported.
 *
 * Any thread; nothing is kept between calls.
 */
#ifndef PLUGIN_DAEMON_PLATFORM_H
#define PLUGIN_DAEMON_PLATFORM_H

#include "audit/leaf.h"

struct daemon;

#define PLATFORM_NAME 320

/* The parts, with the texts that they point to. */
struct platform {
	struct leaf_component list[LEAF_COMPONENTS_MAX];
	char names[LEAF_COMPONENTS_MAX][PLATFORM_NAME];
	char versions[LEAF_COMPONENTS_MAX][72];
	size_t n;
};

/* ERR_MISMATCH: a file was replaced since it was mapped, so that what runs can't be measured. */
MUST enum err platform_measure(const struct daemon *daemon, struct platform *out);
/* Adds the files that this process has mapped to execute; @self is its own program's path. */
MUST enum err platform_add_mapped(struct platform *platform, const char *self);
/* Adds a part, by its bytes or its digest; @version may be empty. ERR_LIMIT: there are too many. */
MUST enum err platform_add(struct platform *platform, const char *name, const char *version,
			   struct slice bytes);
MUST enum err platform_add_digest(struct platform *platform, const char *name, const char *version,
				  const uint8_t digest[SHA256_SIZE]);
/* A number for what is mapped now: cheap, and another one when something was loaded since. */
MUST enum err platform_fingerprint(uint64_t *out);
/* Is the component of that name a program or library, so that a change must be accepted? */
bool platform_is_program(struct slice name);

#endif

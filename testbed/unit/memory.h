/* memory.h - where tests write and remove so much that a disk would be slow, and aren't about the disk. */
#ifndef TESTBED_UNIT_MEMORY_H
#define TESTBED_UNIT_MEMORY_H

#include <sched.h>
#include <sys/mount.h>

#include "testbed/unit/place.h"

/* place_make() in memory, where root may mount that, in a namespace of the test's own, so that nothing stays;
 * place_remove_memory() takes it away. */
static inline void place_make_memory(char *path, size_t n, const char *name)
{
	place_make(path, n, name);
	if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	    mount("none", path, "tmpfs", 0, "mode=0700"))
		(void)fprintf(stderr, "no tmpfs: slower\n");
}

static inline void place_remove_memory(const char *path)
{
	(void)umount2(path, MNT_DETACH);
	place_remove(path);
}

#endif

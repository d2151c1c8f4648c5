/* place.h - where tests keep files: in directories of their own below $TMPDIR, or else /tmp. */
#ifndef TESTBED_UNIT_PLACE_H
#define TESTBED_UNIT_PLACE_H

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* A name for mkstemp or mkdtemp in an array of @n bytes. */
static inline void place_template(char *path, size_t n, const char *name)
{
	const char *base = getenv("TMPDIR");

	if ((size_t)snprintf(path, n, "%s/assay-%s.XXXXXX", base ? base : "/tmp", name) >= n)
		abort();
}

/* Makes a directory, 0700; place_remove() takes it away again with all that is in it. */
static inline void place_make(char *path, size_t n, const char *name)
{
	place_template(path, n, name);
	if (!mkdtemp(path))
		abort();
}

static inline int place_remove_one(const char *path, const struct stat *s, int type, struct FTW *f)
{
	(void)s;
	(void)type;
	(void)f;
	return remove(path);
}

static inline void place_remove(const char *path)
{
	nftw(path, place_remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

#endif

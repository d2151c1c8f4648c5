/* secret.h - bytes that must not get out: locked in memory, kept out of core dumps and of child
 * processes' copies, wiped when freed, never grown. Only the length may be printed.
 */
#ifndef CONFIG_BASE_SECRET_H
#define CONFIG_BASE_SECRET_H

#include "config/base/bytes.h"

struct secret {
	uint8_t *p;
	size_t len; /* bytes in use */
	size_t room;
};

#define SECRET_MAX 4096

/* Room for @room bytes (at most SECRET_MAX), zeroed; len is set to @room. */
MUST enum err secret_new(struct secret *s, size_t room);
/* A file which only its owner may read (no group or other bits: ERR_DENIED), as far as SECRET_MAX; and
 * the first line of one. */
MUST enum err secret_read(struct secret *s, const char *path);
MUST enum err secret_from_file(struct secret *s, const char *path);
/* Compares in constant time for equal lengths. */
bool secret_equal(const void *a, const void *b, size_t n);
void secret_free(struct secret *s);
void secret_cleanup(struct secret *s);
/* Overwrites memory in a way that no compiler removes. */
void secret_wipe(void *p, size_t n);

#endif

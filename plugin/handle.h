/* handle.h - object handles: ours, the HSM's, and no collision between them.
 *
 * Our objects take handles of a range of their own. An HSM may hand out any number; should one fall
 * into that range, or into the range of the aliases, the client is given an alias for it, and the
 * same one for as long as the process lives. For handles inside a mechanism's parameter see
 * parameter.h. Any thread.
 */
#ifndef PLUGIN_HANDLE_H
#define PLUGIN_HANDLE_H

#include <stdbool.h>

#include "pkcs11/cryptoki.h"

/* Positive in 64 bits, for clients that keep handles in signed integers. */
#define HANDLE_OURS 0x4159000000000000UL
#define HANDLE_ALIAS 0x415a000000000000UL
#define HANDLE_RANGE 0xffff000000000000UL

static inline bool handle_is_ours(CK_OBJECT_HANDLE h)
{
	return (h & HANDLE_RANGE) == HANDLE_OURS;
}
static inline bool handle_is_reserved(CK_OBJECT_HANDLE h)
{
	return handle_is_ours(h) || (h & HANDLE_RANGE) == HANDLE_ALIAS;
}

/* A new handle of ours, never given out before. */
CK_OBJECT_HANDLE handle_new(void);

/* What the client is to see of an HSM's handle: in most cases the same. false: out of memory. */
bool handle_to_client(CK_OBJECT_HANDLE *h);
/* What the HSM calls a handle of the client's; false for ours, and for an alias never given out. */
bool handle_to_hsm(CK_OBJECT_HANDLE *h);

void handle_forked(void);

#endif

/* profile.h - how an application runs, as the bytes whose SHA-256 is the component "profile" of an
 * execution's leaf: sandbox/manifest.h writes them. So whoever has a package, or these bytes alone, can
 * show which limits a proof is about. Pure.
 */
#ifndef AUDIT_PROFILE_H
#define AUDIT_PROFILE_H

#include "audit/leaf.h"

#define PROFILE_MAX 32768

/* In the order of the profile's list of limits. No run has more: configuration, the partition's policy
 * and the caller can only lower them. */
struct profile_limits {
	uint64_t memory_bytes, output_bytes, wall_ms, cpu_ms, processes, open_files, scratch_bytes;
};

/* ERR_MISMATCH: these bytes are not the profile that the leaf names; ERR_NOT_FOUND: it names none. */
MUST enum err profile_limits_read(struct slice raw, const struct leaf *leaf,
				  struct profile_limits *out);

/* What the component's version says, in manifest_purity_put()'s words: takes "pure", or "pure but for "
 * in front of the needs, and is false where it says anything else; then, while words are left, the next
 * need. */
bool profile_take_pure(struct slice *words);
struct slice profile_take_need(struct slice *words);

#endif

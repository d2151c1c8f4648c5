/* manifest.h - how an application is named and run: reading, writing, checking and measuring it.
 *
 * Pure and without allocation, apart from what the caller's buf does. The list is manifest.def.
 */
#ifndef SANDBOX_MANIFEST_H
#define SANDBOX_MANIFEST_H

#include "sandbox/package.h"

/* ERR_FORMAT, with the rule that is broken; @out points into @raw. */
MUST enum err manifest_decode(struct slice raw, struct manifest *out);
MUST enum err manifest_encode(const struct manifest *manifest, struct buf *out);
/* SHA-256 of deterministic CBOR: "assay-profile-1", arguments, environment, limits (scratch space
 * only where there is some), refuse_code, dynamic, SHA-256 of the seccomp filter's bytes, names of
 * the steps that build a cell, park unless that is 0, and, of a pure one, "pure" and what it needs. */
MUST enum err manifest_profile(const struct manifest *manifest, uint8_t profile[SHA256_SIZE]);
/* What is hashed there: audit/profile.h reads it. At most MANIFEST_PROFILE_MAX bytes. */
#define MANIFEST_PROFILE_MAX (MANIFEST_MAX + 4096)
MUST enum err manifest_profile_put(const struct manifest *manifest, struct buf *out);
/* "pure", or "pure but for clock, random"; of others "not pure". */
void manifest_purity_put(uint8_t purity, struct buf *out);
/* Parts joined by "/": none empty, "." or "..", or over 255 bytes; no NUL; not over the maximum. */
MUST enum err package_path_check(struct slice path);

#endif

/* trailer.h - who approved a package: signatures that may follow it, and are no part of it.
 *
 *   "ASSAYSG1"  u16 length of the whole trailer
 *   u8 number of signatures, 1 to 16, then each, ascending by signer, no signer twice:
 *     u16 length  key         DER of a SubjectPublicKeyInfo
 *     u16 length  signature   by that key over the package, which ends where its header says
 *
 * A signer is the SHA-256 of its key. Numbers are big-endian, and there is one way to write each
 * trailer. A package's measurement, and the SHA-256 that names it, are those of the package alone; the
 * launcher never sees a trailer. Pure: whether a signature holds is for others to check.
 */
#ifndef SANDBOX_TRAILER_H
#define SANDBOX_TRAILER_H

#include "sandbox/package.h"

#define TRAILER_SIGNATURES_MAX 16
#define TRAILER_MAX 8192
#define SIGNED_PACKAGE_MAX (PACKAGE_MAX + TRAILER_MAX)

struct signature {
	uint8_t signer[SHA256_SIZE];
	struct slice key, signature;
};

struct trailer {
	struct signature list[TRAILER_SIGNATURES_MAX];
	size_t n; /* 0: nobody signed */
};

/* Takes the trailer off @package, by the length in the package's header; @out points into the same
 * bytes. ERR_FORMAT: what follows the package is no trailer. What is no package, or a cut one, is left
 * for package_parse to refuse. */
MUST enum err trailer_split(struct slice *package, struct trailer *out);
/* A trailer by itself; nothing at all is one of nobody's. */
MUST enum err trailer_parse(struct slice raw, struct trailer *out);
/* Adds a signature, or puts it in the place of an earlier one by the same key. ERR_LIMIT: too many. */
MUST enum err trailer_add(struct trailer *trailer, struct slice key, struct slice signature);
/* ERR_RANGE: over TRAILER_MAX. */
MUST enum err trailer_put(const struct trailer *trailer, struct buf *out);

#endif

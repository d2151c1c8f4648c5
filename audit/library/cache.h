/* cache.h - what struct assay_cache holds: the verifier's own memory (audit/known.h), and the caller's
 * expectations as they were read last, by the digest of what they were read from. Not for callers.
 */
#ifndef AUDIT_LIBRARY_CACHE_H
#define AUDIT_LIBRARY_CACHE_H

#include "audit/known.h"
#include "audit/library/assay-verify.h"
#include "config/appraisal.h"

struct cache_file {
	uint8_t digest[SHA256_SIZE];
	struct buf der; /* empty: nothing was read yet */
};

struct assay_cache {
	struct known *known;
	struct cache_file ca, certificate, tsa;
	uint8_t policy_digest[SHA256_SIZE];
	struct appraisal *policy; /* NULL: none was read yet */
};

typedef enum err cache_reader(struct known *known, struct slice contents, struct buf *der);
/* Appends what @read makes of a file, or made of it before. @file may be NULL. */
MUST enum err cache_file(struct cache_file *file, cache_reader *read, struct known *known,
			 struct slice contents, struct buf *der);
/* The policy, which is the cache's, and lasts until another one is asked for. */
MUST enum err cache_policy(struct assay_cache *cache, struct slice text, const char *name,
			   const struct appraisal **out);

#endif

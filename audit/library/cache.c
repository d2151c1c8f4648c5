#include "audit/library/cache.h"

#include <stdlib.h>
#include <string.h>

struct assay_cache *assay_cache_new(void)
{
	struct assay_cache *cache = calloc(1, sizeof *cache);

	if (cache && known_new(&cache->known)) {
		free(cache);
		return NULL;
	}
	return cache;
}

void assay_cache_free(struct assay_cache *cache)
{
	if (!cache)
		return;
	known_free(cache->known);
	buf_free(&cache->ca.der);
	buf_free(&cache->certificate.der);
	buf_free(&cache->tsa.der);
	appraisal_free(cache->policy);
	free(cache);
}

static enum err read_anew(struct cache_file *file, cache_reader *read, struct known *known,
			  struct slice contents, const uint8_t digest[SHA256_SIZE])
{
	enum err e;

	buf_free(&file->der);
	file->der = BUF_INIT;
	if ((e = read(known, contents, &file->der))) {
		buf_free(&file->der);
		file->der = BUF_INIT;
		return e;
	}
	memcpy(file->digest, digest, SHA256_SIZE);
	return OK;
}

enum err cache_file(struct cache_file *file, cache_reader *read, struct known *known,
		    struct slice contents, struct buf *der)
{
	uint8_t digest[SHA256_SIZE];
	enum err e;

	if (!file)
		return read(known, contents, der);
	sha256_once(contents, digest);
	if ((!file->der.len || memcmp(file->digest, digest, sizeof digest) != 0) &&
	    (e = read_anew(file, read, known, contents, digest)))
		return e;
	buf_put_slice(der, buf_slice(&file->der));
	return buf_check(der);
}

enum err cache_policy(struct assay_cache *cache, struct slice text, const char *name,
		      const struct appraisal **out)
{
	uint8_t digest[SHA256_SIZE];
	struct sha256 h;
	enum err e;

	/* Its name is in its reasons; the 0 ends it. */
	sha256_init(&h);
	sha256_add(&h, name, strlen(name) + 1);
	sha256_add(&h, text.p, text.left);
	sha256_end(&h, digest);
	if (!cache->policy || memcmp(cache->policy_digest, digest, sizeof digest) != 0) {
		appraisal_free(cache->policy);
		cache->policy = NULL;
		if ((e = appraisal_parse(text, name, &cache->policy)))
			return e;
		memcpy(cache->policy_digest, digest, sizeof digest);
	}
	*out = cache->policy;
	return OK;
}

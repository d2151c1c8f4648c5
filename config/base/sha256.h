/* sha256.h - SHA-256 (FIPS 180-4) of public data.
 *
 * Our own, because the launcher, which checks what it unpacks, links to nothing, and the module
 * brings no cryptographic library into its host's process. For anything keyed use OpenSSL.
 */
#ifndef CONFIG_BASE_SHA256_H
#define CONFIG_BASE_SHA256_H

#include "config/base/bytes.h"

#define SHA256_SIZE 32

struct sha256 {
	uint32_t state[8];
	uint64_t total; /* bytes so far */
	uint8_t block[64];
};

/* Whether the processor's own instructions are used, where it has any; false: this process goes without
 * from now on, so that tests see both ways. Returns what is used. */
bool sha256_accelerate(bool wanted);

void sha256_init(struct sha256 *h);
void sha256_add(struct sha256 *h, const void *p, size_t n);
void sha256_end(struct sha256 *h, uint8_t digest[SHA256_SIZE]);
void sha256_once(struct slice s, uint8_t digest[SHA256_SIZE]);

#endif

/* aead.h - AES-256-GCM in pieces, for what lies on the disk under keys that the daemon's token seals.
 *
 * One direction and one use each; not for two threads. A key with an iv is used once.
 */
#ifndef PLUGIN_DAEMON_AEAD_H
#define PLUGIN_DAEMON_AEAD_H

#include "config/base/bytes.h"

#define AEAD_KEY 32
#define AEAD_IV 12
#define AEAD_TAG 16

struct aead;

/* @with: bytes that are authenticated, and not part of the text. */
MUST enum err aead_begin(bool seal, const uint8_t key[AEAD_KEY], const uint8_t iv[AEAD_IV],
			 struct slice with, struct aead **out);
/* As many bytes come out as go in; @out may be the same memory. */
MUST enum err aead_put(struct aead *aead, struct slice in, uint8_t *out);
MUST enum err aead_tag(struct aead *aead, uint8_t tag[AEAD_TAG]);
/* ERR_CRYPTO: nothing of what came out may be used. */
MUST enum err aead_check(struct aead *aead, const uint8_t tag[AEAD_TAG]);
void aead_free(struct aead *aead); /* wipes the key; NULL is allowed */
void aead_cleanup(struct aead **aead);

#endif

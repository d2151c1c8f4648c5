#include "plugin/daemon/aead.h"

#include <limits.h>

#include "audit/openssl.h"

#define PIECE ((size_t)1 << 30) /* OpenSSL counts in int */

/* What struct aead is: OpenSSL's context. */
static EVP_CIPHER_CTX *context_of(struct aead *aead)
{
	return (EVP_CIPHER_CTX *)aead;
}

static enum err no(const char *what)
{
	ERR_clear_error();
	return failed(ERR_CRYPTO, "AES-GCM: %s", what);
}

void aead_free(struct aead *aead)
{
	EVP_CIPHER_CTX_free(context_of(aead));
}

void aead_cleanup(struct aead **aead)
{
	aead_free(STEAL(*aead));
}

enum err aead_begin(bool seal, const uint8_t key[AEAD_KEY], const uint8_t iv[AEAD_IV],
		    struct slice with, struct aead **out)
{
	CLEANUP(aead) struct aead *aead = (struct aead *)EVP_CIPHER_CTX_new();
	int n;

	if (!aead || with.left > INT_MAX ||
	    EVP_CipherInit_ex(context_of(aead), EVP_aes_256_gcm(), NULL, key, iv, seal) != 1 ||
	    EVP_CipherUpdate(context_of(aead), NULL, &n, with.p, (int)with.left) != 1)
		return no("it can't begin");
	*out = STEAL(aead);
	return OK;
}

enum err aead_put(struct aead *aead, struct slice in, uint8_t *out)
{
	while (in.left) {
		size_t piece = in.left < PIECE ? in.left : PIECE;
		int n;

		if (EVP_CipherUpdate(context_of(aead), out, &n, in.p, (int)piece) != 1)
			return no("it can't go on");
		in = slice_of(in.p + piece, in.left - piece);
		out += piece;
	}
	return OK;
}

static bool end(struct aead *aead)
{
	uint8_t none[AEAD_TAG];
	int n;

	return EVP_CipherFinal_ex(context_of(aead), none, &n) == 1;
}

enum err aead_tag(struct aead *aead, uint8_t tag[AEAD_TAG])
{
	if (!end(aead) ||
	    EVP_CIPHER_CTX_ctrl(context_of(aead), EVP_CTRL_AEAD_GET_TAG, AEAD_TAG, tag) != 1)
		return no("there is no tag");
	return OK;
}

enum err aead_check(struct aead *aead, const uint8_t tag[AEAD_TAG])
{
	if (EVP_CIPHER_CTX_ctrl(context_of(aead), EVP_CTRL_AEAD_SET_TAG, AEAD_TAG, (void *)tag) !=
		    1 ||
	    !end(aead))
		return no("the bytes were changed, or the key is another");
	return OK;
}

#include "audit/cosignature.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "audit/x509.h"
#include "config/base/io.h"

#define SEED 32
#define SIGNATURE 64
#define PREFIX "PRIVATE+KEY+"

struct cosigner {
	struct vkey vkey;
	EVP_PKEY *key;
};

static void digest_cleanup(EVP_MD_CTX **context)
{
	EVP_MD_CTX_free(*context);
}

/* A buf that held a seed. */
static void wiped_cleanup(struct buf *b)
{
	if (b->data)
		secret_wipe(b->data, b->cap);
	buf_free(b);
}

enum err cosignature_message(struct slice text, uint64_t time, struct buf *out)
{
	buf_printf(out, "cosignature/v1\ntime %llu\n", (unsigned long long)time);
	buf_put_slice(out, text);
	return buf_check(out);
}

static enum err from_seed(struct slice name, const uint8_t seed[SEED], struct cosigner *c)
{
	uint8_t public[VKEY_ED25519_SIZE];
	size_t n = sizeof public;

	c->key = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, seed, SEED);
	if (!c->key || EVP_PKEY_get_raw_public_key(c->key, public, &n) != 1 || n != sizeof public)
		return failed(ERR_CRYPTO, "Ed25519 key: %s", x509_reason());
	return vkey_make(name, VKEY_COSIGNATURE, SLICE(public), &c->vkey);
}

/* The line's id is that of an ordinary Ed25519 key, whatever the key is used for. */
static enum err note_id(const struct vkey *cosignature, uint8_t id[NOTE_KEY_ID])
{
	struct vkey plain;
	enum err e = vkey_make(slice_text(cosignature->name), VKEY_ED25519,
			       slice_of(cosignature->key, cosignature->key_n), &plain);

	if (!e)
		memcpy(id, plain.id, NOTE_KEY_ID);
	return e;
}

static enum err new_cosigner(struct cosigner **out)
{
	*out = calloc(1, sizeof **out);
	return *out ? OK : failed(ERR_MEMORY, "a witness's key");
}

enum err cosigner_make(struct slice name, struct secret *text)
{
	CLEANUP(cosigner) struct cosigner *c = NULL;
	CLEANUP(secret) struct secret seed = { 0 };
	CLEANUP(wiped) struct buf line = { .max = SECRET_MAX };
	uint8_t id[NOTE_KEY_ID];
	enum err e;

	if ((e = new_cosigner(&c)) || (e = secret_new(&seed, 1 + SEED)) ||
	    (e = io_random(seed.p + 1, SEED)))
		return e;
	seed.p[0] = VKEY_ED25519;
	if ((e = from_seed(name, seed.p + 1, c)) || (e = note_id(&c->vkey, id)))
		return e;
	/* Room at once, so that no copy is left behind by a buffer that grows. */
	if (!buf_add(&line, SECRET_MAX))
		return buf_check(&line);
	line.len = 0;
	buf_printf(&line, PREFIX "%s+", c->vkey.name);
	buf_put_hex(&line, SLICE(id));
	buf_put_text(&line, "+");
	buf_put_base64(&line, slice_of(seed.p, seed.len));
	if ((e = buf_check(&line)) || (e = secret_new(text, line.len)))
		return e;
	memcpy(text->p, line.data, line.len);
	return OK;
}

/* name+id+base64, where base64 is the last part and may hold a "+" itself. */
static enum err split(struct slice in, struct slice *name, struct slice *id, struct slice *key)
{
	size_t prefix = strlen(PREFIX);

	if (in.left <= prefix || memcmp(in.p, PREFIX, prefix) != 0)
		return ERR_FORMAT;
	in = slice_of(in.p + prefix, in.left - prefix);
	const uint8_t *plus = memchr(in.p, '+', in.left);
	size_t skip = plus ? (size_t)(plus - in.p) + 1 : 0;
	if (!plus || in.left - skip <= 2 * NOTE_KEY_ID || plus[1 + 2 * NOTE_KEY_ID] != '+')
		return ERR_FORMAT;
	*name = slice_of(in.p, skip - 1);
	*id = slice_of(plus + 1, 2 * NOTE_KEY_ID);
	*key = slice_of(plus + 2 + 2 * NOTE_KEY_ID, in.left - skip - 2 * NOTE_KEY_ID - 1);
	return OK;
}

enum err cosigner_open(const struct secret *text, struct cosigner **out)
{
	CLEANUP(cosigner) struct cosigner *c = NULL;
	CLEANUP(wiped) struct buf seed = { .max = 64 };
	struct slice name, id, key;
	char hex[2 * NOTE_KEY_ID + 1] = "";
	uint8_t said[NOTE_KEY_ID], right[NOTE_KEY_ID];
	enum err e;

	if ((e = new_cosigner(&c)))
		return e;
	if (!buf_add(&seed, 64))
		return buf_check(&seed);
	seed.len = 0;
	if (split(slice_of(text->p, text->len), &name, &id, &key) || base64_take(key, &seed) ||
	    seed.len != 1 + SEED || seed.data[0] != VKEY_ED25519)
		return failed(ERR_FORMAT,
			      "a witness's key is the line %sname+id+base64 of an "
			      "Ed25519 key",
			      PREFIX);
	memcpy(hex, id.p, id.left);
	if ((e = from_seed(name, seed.data + 1, c)) || (e = note_id(&c->vkey, right)))
		return e;
	if (hex_take(hex, said, sizeof said) || memcmp(said, right, sizeof said) != 0)
		return failed(ERR_FORMAT, "a witness's key: the id is not its key's");
	*out = STEAL(c);
	return OK;
}

const struct vkey *cosigner_vkey(const struct cosigner *cosigner)
{
	return &cosigner->vkey;
}

enum err cosigner_sign(const struct cosigner *c, struct slice text, uint64_t time, struct buf *line)
{
	CLEANUP(digest) EVP_MD_CTX *context = EVP_MD_CTX_new();
	CLEANUP(buf) struct buf message = BUF_INIT;
	uint8_t bytes[COSIGNATURE_SIZE], *signature = bytes + COSIGNATURE_SIZE - SIGNATURE;
	size_t n = SIGNATURE;
	enum err e = cosignature_message(text, time, &message);

	if (e)
		return e;
	if (!context || EVP_DigestSignInit(context, NULL, NULL, NULL, c->key) != 1 ||
	    EVP_DigestSign(context, signature, &n, message.data, message.len) != 1 ||
	    n != SIGNATURE)
		return failed(ERR_CRYPTO, "cosignature: %s", x509_reason());
	set_u64(bytes, time);
	return note_put_line(slice_text(c->vkey.name), c->vkey.id, SLICE(bytes), line);
}

void cosigner_free(struct cosigner *c)
{
	if (!c)
		return;
	EVP_PKEY_free(c->key);
	free(c);
}

void cosigner_cleanup(struct cosigner **cosigner)
{
	cosigner_free(*cosigner);
	*cosigner = NULL;
}

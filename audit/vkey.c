#include "audit/vkey.h"

#include <string.h>

#include "audit/certificate.h"
#include "audit/cosignature.h"
#include "audit/ecdsa.h"
#include "audit/x509.h"

static void pkey_cleanup(EVP_PKEY **key)
{
	EVP_PKEY_free(*key);
}

static void digest_cleanup(EVP_MD_CTX **context)
{
	EVP_MD_CTX_free(*context);
}

/* OpenSSL's form of the key; refuses another curve, and bytes behind the key. */
static enum err open_key(enum vkey_type type, struct slice key, EVP_PKEY **out)
{
	const uint8_t *p = key.p;
	char group[32];

	if (type != VKEY_ECDSA) {
		if (key.left != VKEY_ED25519_SIZE)
			return failed(ERR_FORMAT, "an Ed25519 key has %d bytes, this one %zu",
				      VKEY_ED25519_SIZE, key.left);
		*out = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, key.p, key.left);
		return *out ? OK : failed(ERR_FORMAT, "Ed25519 key: %s", x509_reason());
	}
	CLEANUP(pkey) EVP_PKEY *found = d2i_PUBKEY(NULL, &p, (long)key.left);
	if (!found || p != key.p + key.left)
		return failed(ERR_FORMAT, "no SubjectPublicKeyInfo: %s", x509_reason());
	if (!EVP_PKEY_is_a(found, "EC") ||
	    EVP_PKEY_get_group_name(found, group, sizeof group, NULL) != 1 ||
	    strcmp(group, "prime256v1") != 0)
		return failed(ERR_UNSUPPORTED, "a key that is not on P-256");
	*out = STEAL(found);
	return OK;
}

/* signed-note, "Signature types": ECDSA's id is of the key alone. */
static void make_id(struct vkey *k)
{
	struct sha256 hash;
	uint8_t digest[SHA256_SIZE], type = (uint8_t)k->type;

	sha256_init(&hash);
	if (k->type != VKEY_ECDSA) {
		sha256_add(&hash, k->name, strlen(k->name));
		sha256_add(&hash, "\n", 1);
		sha256_add(&hash, &type, 1);
	}
	sha256_add(&hash, k->key, k->key_n);
	sha256_end(&hash, digest);
	memcpy(k->id, digest, sizeof k->id);
}

enum err vkey_make(struct slice name, enum vkey_type type, struct slice key, struct vkey *out)
{
	CLEANUP(pkey) EVP_PKEY *opened = NULL;
	enum err e;

	memset(out, 0, sizeof *out);
	if ((e = note_check_origin(name)))
		return failed(e,
			      "the name of a key: 1 to %d printable ASCII characters, no blank "
			      "or +",
			      AUDIT_ORIGIN_MAX);
	if (type != VKEY_ED25519 && type != VKEY_ECDSA && type != VKEY_COSIGNATURE)
		return failed(ERR_UNSUPPORTED, "a key of type %#x", (unsigned)type);
	if (key.left > sizeof out->key)
		return failed(ERR_RANGE, "a public key of %zu bytes", key.left);
	if ((e = open_key(type, key, &opened)))
		return e;
	memcpy(out->name, name.p, name.left);
	out->type = type;
	memcpy(out->key, key.p, key.left);
	out->key_n = key.left;
	make_id(out);
	return OK;
}

enum err vkey_of_certificate(struct slice certificate, const char *origin, struct vkey *out)
{
	CLEANUP(buf) struct buf spki = BUF_INIT;
	uint8_t key[CERTIFICATE_ED25519];
	enum err e = certificate_ed25519(certificate, key);

	if (e != ERR_UNSUPPORTED)
		return e ? e : vkey_make(slice_text(origin), VKEY_ED25519, SLICE(key), out);
	e = certificate_spki(certificate, &spki);
	return e ? e : vkey_make(slice_text(origin), VKEY_ECDSA, buf_slice(&spki), out);
}

/* Takes what stands before the next "+". */
static enum err take_part(struct slice *in, struct slice *part)
{
	const uint8_t *plus = in->left ? memchr(in->p, '+', in->left) : NULL;

	if (!plus)
		return failed(ERR_FORMAT, "a verifier key is name+id+key");
	*part = slice_of(in->p, (size_t)(plus - in->p));
	in->left -= part->left + 1;
	in->p = plus + 1;
	return OK;
}

enum err vkey_read(struct slice text, struct vkey *out)
{
	CLEANUP(buf) struct buf tagged = { .max = 1 + VKEY_KEY_MAX };
	struct slice name, id;
	char right[2 * NOTE_KEY_ID + 1];
	enum err e;

	if (text.left > VKEY_TEXT_MAX)
		return failed(ERR_FORMAT, "a verifier key of %zu bytes", text.left);
	if ((e = take_part(&text, &name)) || (e = take_part(&text, &id)))
		return e;
	if (base64_take(text, &tagged) || tagged.len < 2)
		return failed(ERR_FORMAT, "a verifier key is name+id+key, the key in base64");
	if ((e = vkey_make(name, tagged.data[0], slice_of(tagged.data + 1, tagged.len - 1), out)))
		return failed(ERR_FORMAT, "a verifier key: %s", err_reason());
	hex_put(right, out->id, sizeof out->id);
	return slice_is(id, right) ? OK
				   : failed(ERR_FORMAT, "the id of %s is not its key's", out->name);
}

void vkey_write(const struct vkey *k, struct buf *out)
{
	uint8_t tagged[1 + VKEY_KEY_MAX] = { (uint8_t)k->type };

	memcpy(tagged + 1, k->key, k->key_n);
	buf_printf(out, "%s+", k->name);
	buf_put_hex(out, SLICE(k->id));
	buf_put_text(out, "+");
	buf_put_base64(out, slice_of(tagged, 1 + k->key_n));
}

bool vkey_same(const struct vkey *a, const struct vkey *b)
{
	return slice_equal(slice_of(a->key, a->key_n), slice_of(b->key, b->key_n));
}

bool vkey_claims(const struct vkey *k, const struct note_signature *line)
{
	return slice_is(line->name, k->name) && memcmp(line->id, k->id, sizeof k->id) == 0;
}

enum err vkey_check(const struct vkey *k, struct slice message, struct slice signature)
{
	CLEANUP(pkey) EVP_PKEY *key = NULL;
	CLEANUP(digest) EVP_MD_CTX *context = EVP_MD_CTX_new();
	const EVP_MD *md = k->type == VKEY_ECDSA ? EVP_sha256() : NULL;
	uint8_t raw[ECDSA_RAW];
	enum err e;

	if ((e = open_key(k->type, slice_of(k->key, k->key_n), &key)))
		return e;
	if (k->type == VKEY_ECDSA && ecdsa_from_der(signature, raw))
		return failed(ERR_CRYPTO, "a signature of %s is not ECDSA in DER", k->name);
	if (!context || EVP_DigestVerifyInit(context, NULL, md, NULL, key) != 1)
		return failed(ERR_MEMORY, "signature: %s", x509_reason());
	if (EVP_DigestVerify(context, signature.p, signature.left, message.p, message.left) != 1) {
		(void)x509_reason();
		return failed(ERR_CRYPTO, "a signature of %s does not verify", k->name);
	}
	return OK;
}

static enum err verify_line(const struct vkey *k, const struct note *note,
			    const struct note_signature *s, uint64_t *time)
{
	CLEANUP(buf) struct buf message = BUF_INIT;
	enum err e;

	if (k->type != VKEY_COSIGNATURE)
		return vkey_check(k, note->text, slice_of(s->bytes, s->n));
	if (s->n != COSIGNATURE_SIZE)
		return failed(ERR_CRYPTO, "a cosignature of %s has %zu bytes, and not %d", k->name,
			      s->n, COSIGNATURE_SIZE);
	*time = get_u64(s->bytes);
	if (*time == 0 || *time > INT64_MAX)
		return failed(ERR_CRYPTO, "a cosignature of %s has no time", k->name);
	if ((e = cosignature_message(note->text, *time, &message)))
		return e;
	return vkey_check(k, buf_slice(&message), slice_of(s->bytes + 8, s->n - 8));
}

enum err vkey_verify(const struct vkey *k, const struct note *note, uint64_t *time)
{
	uint64_t when = 0;
	bool found = false;
	enum err e;

	/* Each line that claims to be by this key must be, not only the first one. */
	for (size_t i = 0; i < note->signatures_n; i++) {
		const struct note_signature *s = &note->signatures[i];

		if (!vkey_claims(k, s))
			continue;
		if ((e = verify_line(k, note, s, &when)))
			return e;
		found = true;
	}
	if (time)
		*time = when;
	return found ? OK : failed(ERR_NOT_FOUND, "no signature by %s", k->name);
}

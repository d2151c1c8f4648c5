/* signer.h - for tests of the log: a signer with OpenSSL keys, in memory or kept in a folder so that
 * another process can go on with them; and logs, trees and records to go with it.
 */
#ifndef TESTBED_UNIT_SIGNER_H
#define TESTBED_UNIT_SIGNER_H

#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "audit/certificate.h"
#include "audit/cose.h"
#include "audit/ecdsa.h"
#include "audit/openssl.h"
#include "config/base/io.h"
#include "testbed/unit/place.h"

#define SIGNER_CA 0
#define SIGNER_KEY 1
#define SIGNER_NEXT 2 /* made by those who roll the key over */
#define SIGNER_KEYS 3
#define SIGNER_CERTIFICATES 8
#define SIGNER_ED25519 2 /* as many keys as a rollover has */

struct signer {
	EVP_PKEY *keys[SIGNER_KEYS];
	char folder[200]; /* empty: in memory */
	struct buf ca, certificates[SIGNER_CERTIFICATES];
	size_t certificates_n;
	EVP_PKEY *ed25519[SIGNER_ED25519]; /* made by those who use them */
	struct buf ed25519_certificates[SIGNER_ED25519];
	uint8_t wrapping[32];
	atomic_uint failures; /* so many calls of sign() fail from here on */
	atomic_bool closed;   /* sign() fails unless a pass is left */
	atomic_uint passes;
	atomic_ulong calls;
	atomic_bool ed25519_fails, ed25519_lies; /* a signature that is none */
	atomic_ulong ed25519_calls;
	struct audit_signer signer;
	unsigned signers; /* of the logs that signer_open() opens; 0: the log's default */
};

static inline void signer_must(enum err e, const char *what)
{
	if (e) {
		(void)fprintf(stderr, "%s: %s: %s\n", what, err_name(e), err_reason());
		abort();
	}
}
#define MUST_DO(call) signer_must(call, #call)

static inline enum err signer_sign(void *context, unsigned long handle,
				   const uint8_t digest[SHA256_SIZE], struct buf *signature)
{
	struct signer *s = context;
	uint8_t der[ECDSA_DER_MAX], raw[ECDSA_RAW];
	size_t n = sizeof der;
	enum err e;

	atomic_fetch_add(&s->calls, 1);
	if (atomic_load(&s->failures)) {
		atomic_fetch_sub(&s->failures, 1);
		return failed(ERR_GONE, "the token is gone");
	}
	if (atomic_load(&s->closed)) {
		if (!atomic_load(&s->passes))
			return failed(ERR_GONE, "the token is away");
		atomic_fetch_sub(&s->passes, 1);
	}
	EVP_PKEY_CTX *c = EVP_PKEY_CTX_new(s->keys[handle], NULL);
	bool good = c && EVP_PKEY_sign_init(c) == 1 &&
		    EVP_PKEY_sign(c, der, &n, digest, SHA256_SIZE) == 1;
	EVP_PKEY_CTX_free(c);
	if (!good)
		return failed(ERR_CRYPTO, "no signature");
	if ((e = ecdsa_from_der(slice_of(der, n), raw)))
		return e;
	buf_put(signature, raw, sizeof raw);
	return buf_check(signature);
}

static inline enum err signer_sign_ed25519(void *context, unsigned long handle,
					   struct slice message, struct buf *signature)
{
	struct signer *s = context;
	EVP_MD_CTX *c = EVP_MD_CTX_new();
	uint8_t out[64];
	size_t n = sizeof out;

	atomic_fetch_add(&s->ed25519_calls, 1);
	bool good = !atomic_load(&s->ed25519_fails) &&
		    EVP_DigestSignInit(c, NULL, NULL, NULL, s->ed25519[handle]) == 1 &&
		    EVP_DigestSign(c, out, &n, message.p, message.left) == 1;
	EVP_MD_CTX_free(c);
	if (!good)
		return failed(ERR_CRYPTO, "C_Sign: CKR_DEVICE_ERROR");
	out[0] ^= atomic_load(&s->ed25519_lies);
	buf_put(signature, out, n);
	return buf_check(signature);
}

static inline bool signer_cipher(struct signer *s, int wrap, struct slice in, uint8_t *out, int *n)
{
	EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
	int more = 0;

	EVP_CIPHER_CTX_set_flags(c, EVP_CIPHER_CTX_FLAG_WRAP_ALLOW);
	bool good = EVP_CipherInit_ex(c, EVP_aes_256_wrap(), NULL, s->wrapping, NULL, wrap) == 1 &&
		    EVP_CipherUpdate(c, out, n, in.p, (int)in.left) == 1 &&
		    EVP_CipherFinal_ex(c, out + *n, &more) == 1;
	*n += more;
	EVP_CIPHER_CTX_free(c);
	return good;
}

static inline enum err signer_wrap(void *context, struct slice key, struct buf *wrapped)
{
	uint8_t out[64];
	int n = 0;

	if (!signer_cipher(context, 1, key, out, &n))
		return failed(ERR_CRYPTO, "no wrapping");
	buf_put(wrapped, out, (size_t)n);
	return OK;
}

static inline enum err signer_unwrap(void *context, struct slice wrapped, uint8_t *key,
				     size_t key_n)
{
	uint8_t out[64];
	int n = 0;

	if (wrapped.left != 40 || !signer_cipher(context, 0, wrapped, out, &n) ||
	    (size_t)n != key_n)
		return failed(ERR_CRYPTO, "a key that was not wrapped here");
	memcpy(key, out, key_n);
	return OK;
}

/* Waits until sign() was called again since @before calls: a batch is in the log's file by then. */
static inline void signer_await(struct signer *s, unsigned long before)
{
	for (int i = 0; i < 2000 && atomic_load(&s->calls) == before; i++)
		usleep(5000);
}

/* Reads what the folder holds under a name, or makes it with @make and keeps it there. */
static inline bool signer_stored(struct signer *s, const char *name, struct buf *out)
{
	char path[256];

	if (!*s->folder)
		return false;
	snprintf(path, sizeof path, "%s/%s", s->folder, name);
	return io_read_file(path, 65536, out) == OK;
}

static inline void signer_store(struct signer *s, const char *name, struct slice bytes)
{
	CLEANUP(fd) int dir = *s->folder ? open(s->folder, O_RDONLY | O_CLOEXEC) : -1;

	if (dir >= 0)
		MUST_DO(io_replace_file(dir, name, 0600, bytes));
}

static inline EVP_PKEY *signer_new_key(struct signer *s, const char *name)
{
	CLEANUP(buf) struct buf der = BUF_INIT;
	uint8_t *p = NULL;

	if (signer_stored(s, name, &der)) {
		const uint8_t *from = der.data;
		return d2i_AutoPrivateKey(NULL, &from, (long)der.len);
	}
	EVP_PKEY *key = EVP_EC_gen("P-256");
	int n = i2d_PrivateKey(key, &p);
	signer_store(s, name, slice_of(p, (size_t)n));
	OPENSSL_free(p);
	return key;
}

static inline void signer_certificate(struct signer *s, const char *name, const char *origin,
				      struct buf *out)
{
	struct certificate_spec spec = { .ca = !origin,
					 .name = "Assay test",
					 .origin = origin,
					 .issuer = origin ? buf_slice(&s->ca) : slice_text(""),
					 .not_before = time(NULL) - 86400,
					 .not_after = time(NULL) + 86400 };
	uint8_t *point = NULL;

	if (signer_stored(s, name, out))
		return;
	EVP_PKEY_get1_encoded_public_key(s->keys[origin ? SIGNER_KEY : SIGNER_CA], &point);
	memcpy(spec.point, point, sizeof spec.point);
	OPENSSL_free(point);
	MUST_DO(certificate_make(&spec, &s->signer, SIGNER_CA, out));
	signer_store(s, name, buf_slice(out));
}

static inline void signer_start(struct signer *s, const char *folder)
{
	memset(s, 0, sizeof *s);
	if (folder)
		snprintf(s->folder, sizeof s->folder, "%s", folder);
	if (folder)
		mkdir(folder, 0700);
	s->signer = (struct audit_signer){ s, signer_sign, signer_wrap, signer_unwrap,
					   signer_sign_ed25519 };
	memset(s->wrapping, 0x5a, sizeof s->wrapping);
	s->keys[SIGNER_CA] = signer_new_key(s, "ca.key");
	s->keys[SIGNER_KEY] = signer_new_key(s, "signing.key");
	signer_certificate(s, "ca.der", NULL, &s->ca);
}

/* The key with a certificate for @origin; its slices stay valid until signer_end(). */
static inline struct audit_key signer_key(struct signer *s, const char *origin)
{
	uint8_t digest[SHA256_SIZE];
	char name[32];

	if (s->certificates_n == SIGNER_CERTIFICATES)
		abort();
	struct buf *certificate = &s->certificates[s->certificates_n++];
	sha256_once(slice_text(origin), digest);
	hex_put(name, digest, 8);
	signer_certificate(s, name, origin, certificate);
	return (struct audit_key){ .handle = SIGNER_KEY,
				   .alg = COSE_ES256,
				   .certificate = buf_slice(certificate),
				   .chain = buf_slice(&s->ca) };
}

/* An Ed25519 key, made on first use, with its certificate for @origin; one origin for each. */
static inline struct audit_ed25519 signer_ed25519(struct signer *s, unsigned which,
						  const char *origin)
{
	struct buf *certificate = &s->ed25519_certificates[which];
	struct audit_ed25519 key = { .handle = which };
	uint8_t public_key[CERTIFICATE_ED25519];
	size_t n = sizeof public_key;
	struct certificate_spec spec = { .name = "Assay test, Ed25519",
					 .origin = origin,
					 .issuer = buf_slice(&s->ca),
					 .ed25519 = public_key,
					 .not_before = time(NULL) - 86400,
					 .not_after = time(NULL) + 86400 };

	if (!certificate->len) {
		s->ed25519[which] = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
		EVP_PKEY_get_raw_public_key(s->ed25519[which], public_key, &n);
		MUST_DO(certificate_make(&spec, &s->signer, SIGNER_CA, certificate));
	}
	key.certificate = buf_slice(certificate);
	return key;
}

static inline void signer_end(struct signer *s)
{
	for (size_t i = 0; i < SIGNER_ED25519; i++) {
		EVP_PKEY_free(s->ed25519[i]);
		buf_free(&s->ed25519_certificates[i]);
	}
	for (size_t i = 0; i < SIGNER_KEYS; i++)
		EVP_PKEY_free(s->keys[i]);
	buf_free(&s->ca);
	for (size_t i = 0; i < s->certificates_n; i++)
		buf_free(&s->certificates[i]);
}

/* A small record with a text of its own. */
static inline void signer_leaf(struct leaf *leaf, const char *text)
{
	memset(leaf, 0, sizeof *leaf);
	leaf->type = LEAF_EXECUTION;
	leaf->issuer = slice_text("bank-a");
	leaf->subject = slice_text("screen");
	leaf->time = time(NULL);
	leaf->ueid = slice_of("\1test-appliance", 15);
	leaf->profile = slice_text(LEAF_PROFILE_ES256);
	leaf->dbgstat = LEAF_DEBUG_DISABLED;
	leaf->reason = slice_text(text);
	MUST_DO(io_random(leaf->cti, sizeof leaf->cti));
}

static inline enum err signer_record(struct audit_tree *tree, const char *text)
{
	struct leaf *leaf = malloc(sizeof *leaf);

	signer_leaf(leaf, text);
	enum err e = audit_record(tree, leaf);
	free(leaf);
	return e;
}

static inline enum err signer_tree(struct signer *s, struct audit *audit, const char *origin,
				   struct audit_tree **tree)
{
	struct leaf *genesis = malloc(sizeof *genesis);
	struct audit_key key = signer_key(s, origin);

	signer_leaf(genesis, "genesis");
	genesis->type = LEAF_OPEN;
	enum err e = audit_tree(audit, origin, &key, genesis, tree);
	free(genesis);
	return e;
}

static inline enum err signer_open(struct signer *s, const char *path, uint64_t segment_bytes,
				   struct audit_recovery *recovery, struct audit **audit)
{
	struct audit_options options = { .path = path,
					 .signer = s->signer,
					 .segment_bytes = segment_bytes,
					 .signers = s->signers,
					 .issuer = "assay:appliance:test" };

	return audit_open(&options, recovery, audit);
}

/* A fresh folder, and its end with all that is in it. */
static inline void signer_folder(char path[64])
{
	place_make(path, 64, "log");
}

static inline void signer_remove(const char *path)
{
	place_remove(path);
}

#endif

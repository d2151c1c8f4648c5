/* developer.h - developers of a test's own, who approve packages. */
#ifndef TESTBED_UNIT_DEVELOPER_H
#define TESTBED_UNIT_DEVELOPER_H

#include <stdlib.h>
#include <string.h>

#include "audit/devkey.h"
#include "audit/openssl.h"
#include "sandbox/trailer.h"
#include "testbed/unit/check.h"

struct developer {
	struct secret pem;
	struct buf key, signature; /* of the last package that was signed */
	char name[2 * SHA256_SIZE + 1];
};

static inline void developer_sign(struct developer *d, struct slice package,
				  struct trailer *trailer)
{
	static const struct devkey_passphrase none;
	uint8_t digest[SHA256_SIZE];

	sha256_once(package, digest);
	d->key.len = d->signature.len = 0;
	ck_assert_ok(devkey_sign(&d->pem, &none, digest, &d->key, &d->signature));
	ck_assert_ok(trailer_add(trailer, buf_slice(&d->key), buf_slice(&d->signature)));
}

static inline void developer_make(struct developer *d)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	BIO *bio = BIO_new(BIO_s_mem());
	struct trailer trailer = { .n = 0 };
	char *text;

	*d = (struct developer){ .key = BUF_INIT, .signature = BUF_INIT };
	ck_assert_int_eq(PEM_write_bio_PKCS8PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL), 1);
	long n = BIO_get_mem_data(bio, &text);
	ck_assert_ok(secret_new(&d->pem, (size_t)n));
	memcpy(d->pem.p, text, (size_t)n);
	BIO_free(bio);
	EVP_PKEY_free(key);
	developer_sign(d, slice_text("anything"), &trailer);
	hex_put(d->name, trailer.list[0].signer, SHA256_SIZE);
}

static inline void developer_free(struct developer *d)
{
	secret_free(&d->pem);
	buf_free(&d->key);
	buf_free(&d->signature);
}

#endif

#include "audit/certificate.h"

#include <string.h>
#include <time.h>

#include "audit/shard.h"
#include "audit/x509.h"
#include "config/base/io.h"

void x509_cleanup(X509 **certificate)
{
	X509_free(*certificate);
}

static void names_cleanup(GENERAL_NAMES **names)
{
	GENERAL_NAMES_free(*names);
}

static void bio_cleanup(BIO **bio)
{
	BIO_free(*bio);
}

const char *x509_reason(void)
{
	unsigned long code = ERR_peek_last_error();

	ERR_clear_error();
	const char *words = code ? ERR_reason_error_string(code) : NULL;
	return words ? words : "no reason given";
}

enum err x509_parse(struct slice der, X509 **out)
{
	const uint8_t *p = der.p;

	if (der.left == 0 || der.left > CERTIFICATE_MAX)
		return failed(ERR_CRYPTO, "a certificate of %zu bytes", der.left);
	CLEANUP(x509) X509 *x = d2i_X509(NULL, &p, (long)der.left);
	if (!x)
		return failed(ERR_CRYPTO, "not an X.509 certificate: %s", x509_reason());
	if (p != der.p + der.left)
		return failed(ERR_CRYPTO, "bytes after the end of a certificate");
	/* Whoever goes by its SHA-256 must not have two for one. */
	uint8_t again[CERTIFICATE_MAX], *end = again;
	if (i2d_X509(x, NULL) != (int)der.left || i2d_X509(x, &end) != (int)der.left ||
	    memcmp(again, der.p, der.left))
		return failed(ERR_CRYPTO, "a certificate that is not in DER");
	*out = STEAL(x);
	return OK;
}

enum err x509_put(X509 *certificate, struct buf *out)
{
	uint8_t *der = NULL;
	int n = i2d_X509(certificate, &der);

	if (n <= 0 || n > CERTIFICATE_MAX) {
		OPENSSL_free(der);
		return failed(ERR_CRYPTO, "certificate of %d bytes: %s", n, x509_reason());
	}
	buf_put(out, der, (size_t)n);
	OPENSSL_free(der);
	return buf_check(out);
}

enum err x509_key(X509 *certificate, EVP_PKEY **key)
{
	char group[32];
	size_t n;

	*key = X509_get0_pubkey(certificate);
	if (!*key || !EVP_PKEY_is_a(*key, "EC") ||
	    EVP_PKEY_get_group_name(*key, group, sizeof group, &n) != 1 ||
	    strcmp(group, SN_X9_62_prime256v1) != 0) {
		(void)x509_reason();
		return failed(ERR_UNSUPPORTED, "the certificate's key is not on P-256");
	}
	return OK;
}

enum err certificate_point(struct slice certificate, uint8_t point[CERTIFICATE_POINT])
{
	CLEANUP(x509) X509 *x = NULL;
	EVP_PKEY *key;
	enum err e;

	if ((e = x509_parse(certificate, &x)) || (e = x509_key(x, &key)))
		return e;
	const ASN1_BIT_STRING *bits = X509_get0_pubkey_bitstr(x);
	if (bits->length != CERTIFICATE_POINT || bits->data[0] != 4)
		return failed(ERR_UNSUPPORTED,
			      "the certificate's key is not an uncompressed point");
	memcpy(point, bits->data, CERTIFICATE_POINT);
	return OK;
}

enum err certificate_ed25519(struct slice certificate, uint8_t key[CERTIFICATE_ED25519])
{
	CLEANUP(x509) X509 *x = NULL;
	size_t n = CERTIFICATE_ED25519;
	enum err e = x509_parse(certificate, &x);

	if (e)
		return e;
	EVP_PKEY *found = X509_get0_pubkey(x);
	if (found && EVP_PKEY_is_a(found, "ED25519") &&
	    EVP_PKEY_get_raw_public_key(found, key, &n) == 1 && n == CERTIFICATE_ED25519)
		return OK;
	(void)x509_reason();
	return failed(ERR_UNSUPPORTED, "the certificate's key is not on Ed25519");
}

enum err certificate_spki(struct slice certificate, struct buf *out)
{
	CLEANUP(x509) X509 *x = NULL;
	uint8_t *p = NULL;
	enum err e = x509_parse(certificate, &x);

	if (e)
		return e;
	int n = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(x), &p);
	if (n <= 0)
		return failed(ERR_CRYPTO, "public key: %s", x509_reason());
	buf_put(out, p, (size_t)n);
	OPENSSL_free(p);
	return buf_check(out);
}

void x509_put_pem(const char *what, struct slice der, struct buf *out)
{
	CLEANUP(buf) struct buf base64 = BUF_INIT;

	buf_put_base64(&base64, der);
	if (base64.failed)
		out->failed = true;
	buf_printf(out, "-----BEGIN %s-----\n", what);
	for (size_t at = 0; at < base64.len; at += 64) {
		buf_put(out, base64.data + at, base64.len - at < 64 ? base64.len - at : 64);
		buf_put_text(out, "\n");
	}
	buf_printf(out, "-----END %s-----\n", what);
}

/* ---- what it says ---- */

enum err certificate_check_ca(struct slice certificate, const uint8_t point[CERTIFICATE_POINT])
{
	CLEANUP(x509) X509 *x = NULL;
	uint8_t found[CERTIFICATE_POINT];
	enum err e;

	if ((e = x509_parse(certificate, &x)) || (e = certificate_point(certificate, found)))
		return e;
	if (memcmp(found, point, sizeof found) != 0)
		return failed(ERR_CRYPTO, "the certificate is for another key than this token's");
	if (X509_check_ca(x) != 1 || !(X509_get_key_usage(x) & KU_KEY_CERT_SIGN) ||
	    !X509_get0_subject_key_id(x))
		return failed(ERR_CRYPTO,
			      "the certificate is not one of a CA that may issue others");
	return OK;
}

static bool seconds_of(const ASN1_TIME *time, int64_t *out)
{
	struct tm parts;
	bool read = ASN1_TIME_to_tm(time, &parts) == 1;

	*out = read ? (int64_t)timegm(&parts) : 0;
	return read;
}

/* OpenSSL takes the last second for one too late. */
enum err x509_period(X509 *x, int64_t *from, int64_t *to)
{
	if (!seconds_of(X509_get0_notBefore(x), from) || !seconds_of(X509_get0_notAfter(x), to))
		return failed(ERR_CRYPTO, "a certificate without times: %s", x509_reason());
	--*to;
	return OK;
}

enum err certificate_period(struct slice certificate, int64_t *from, int64_t *to)
{
	CLEANUP(x509) X509 *x = NULL;
	enum err e = x509_parse(certificate, &x);

	return e ? e : x509_period(x, from, to);
}

enum err certificate_name(struct slice certificate, char name[CERTIFICATE_NAME])
{
	CLEANUP(x509) X509 *x = NULL;
	enum err e = x509_parse(certificate, &x);

	if (e)
		return e;
	int n = X509_NAME_get_text_by_NID(X509_get_subject_name(x), NID_commonName, name,
					  CERTIFICATE_NAME);
	return n > 0 && (size_t)n == strlen(name)
		       ? OK
		       : failed(ERR_CRYPTO, "the certificate has no proper name");
}

/* What the one URI in subjectAltName names; empty: none, or more. */
static struct slice origin_of(const GENERAL_NAMES *names)
{
	size_t scheme = strlen(ORIGIN_SCHEME);

	if (!names || sk_GENERAL_NAME_num(names) != 1)
		return slice_text("");
	const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, 0);
	if (name->type != GEN_URI)
		return slice_text("");
	struct slice uri = slice_of(name->d.uniformResourceIdentifier->data,
				    (size_t)name->d.uniformResourceIdentifier->length);
	return uri.left > scheme && memcmp(uri.p, ORIGIN_SCHEME, scheme) == 0
		       ? slice_of(uri.p + scheme, uri.left - scheme)
		       : slice_text("");
}

enum err x509_names_origin(X509 *x, const char *origin)
{
	CLEANUP(names) GENERAL_NAMES *names = X509_get_ext_d2i(x, NID_subject_alt_name, NULL, NULL);
	struct slice found = origin_of(names);

	return found.left && (!origin || shard_is_of(slice_text(origin), found))
		       ? OK
		       : failed(ERR_CRYPTO, "the certificate is not for the log %s",
				origin ? origin : "of an appliance");
}

enum err certificate_origin(struct slice certificate, struct buf *out)
{
	CLEANUP(x509) X509 *x = NULL;
	enum err e = x509_parse(certificate, &x);

	if (e)
		return e;
	CLEANUP(names) GENERAL_NAMES *names = X509_get_ext_d2i(x, NID_subject_alt_name, NULL, NULL);
	struct slice found = origin_of(names);
	if (!found.left)
		return failed(ERR_CRYPTO, "the certificate is for no log");
	buf_put_slice(out, found);
	return buf_check(out);
}

/* ---- files ---- */

static void openssl_cleanup(uint8_t **p)
{
	OPENSSL_free(*p);
}

bool x509_take_pem(BIO *bio, struct buf *der)
{
	CLEANUP(openssl) uint8_t *bytes = NULL;
	long n;

	if (PEM_bytes_read_bio(&bytes, &n, NULL, PEM_STRING_X509, bio, NULL, NULL) != 1)
		return false;
	buf_put(der, bytes, (size_t)n);
	return true;
}

enum err certificate_bytes(struct slice contents, struct buf *der)
{
	if (contents.left > 4 * CERTIFICATE_MAX)
		return failed(ERR_RANGE, "a certificate file of %zu bytes", contents.left);
	if (contents.left && contents.p[0] == 0x30) {
		buf_put_slice(der, contents);
		return buf_check(der);
	}
	CLEANUP(bio) BIO *bio = BIO_new_mem_buf(contents.p, (int)contents.left);
	if (!bio || !x509_take_pem(bio, der))
		return failed(ERR_CRYPTO, "not a certificate in PEM or DER: %s", x509_reason());
	return buf_check(der);
}

enum err certificate_from_file(struct slice contents, struct buf *der)
{
	CLEANUP(x509) X509 *x = NULL;
	size_t before = der->len;
	enum err e = certificate_bytes(contents, der);

	return e ? e : x509_parse(slice_of(der->data + before, der->len - before), &x);
}

void certificate_put_pem(struct slice certificate, struct buf *out)
{
	x509_put_pem("CERTIFICATE", certificate, out);
}

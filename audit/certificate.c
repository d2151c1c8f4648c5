#include "audit/certificate.h"

#include <string.h>

#include "audit/ecdsa.h"
#include "audit/note.h"
#include "audit/shard.h"
#include "audit/x509.h"
#include "config/base/io.h"

#define ORIGIN_SCHEME "assay:"

void x509_cleanup(X509 **certificate)
{
	X509_free(*certificate);
}

static void key_cleanup(EVP_PKEY **key)
{
	EVP_PKEY_free(*key);
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

/* ---- making ---- */

static enum err set_key(X509 *x, const uint8_t point[CERTIFICATE_POINT])
{
	CLEANUP(key) EVP_PKEY *key = EVP_PKEY_new();
	CLEANUP(key) EVP_PKEY *parameters = EVP_EC_gen(SN_X9_62_prime256v1);

	/* A key to take the curve from, and then the point of the real one. */
	if (!key || !parameters || EVP_PKEY_copy_parameters(key, parameters) != 1 ||
	    EVP_PKEY_set1_encoded_public_key(key, point, CERTIFICATE_POINT) != 1 ||
	    X509_set_pubkey(x, key) != 1)
		return failed(ERR_CRYPTO, "public key of a certificate: %s", x509_reason());
	return OK;
}

static enum err set_serial(X509 *x)
{
	uint8_t bytes[16];
	enum err e = io_random(bytes, sizeof bytes);

	if (e)
		return e;
	bytes[0] = (bytes[0] & 0x7f) | 0x40; /* positive, and always of this length */
	BIGNUM *number = BN_bin2bn(bytes, sizeof bytes, NULL);
	bool set = number && BN_to_ASN1_INTEGER(number, X509_get_serialNumber(x));
	BN_free(number);
	return set ? OK : failed(ERR_MEMORY, "serial number: %s", x509_reason());
}

static enum err add_extension(X509 *x, X509 *issuer, int nid, const char *value)
{
	X509V3_CTX c;

	X509V3_set_ctx(&c, issuer, x, NULL, NULL, 0);
	X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &c, nid, value);
	bool added = extension && X509_add_ext(x, extension, -1) == 1;
	X509_EXTENSION_free(extension);
	return added ? OK
		     : failed(ERR_CRYPTO, "certificate extension %s: %s", value, x509_reason());
}

/* As an object, not as text: OpenSSL's text form gives commas in an origin a meaning. */
static enum err add_origin(X509 *x, const char *origin)
{
	CLEANUP(buf) struct buf uri = BUF_INIT;
	CLEANUP(names) GENERAL_NAMES *names = sk_GENERAL_NAME_new_null();
	GENERAL_NAME *name = GENERAL_NAME_new();
	ASN1_IA5STRING *text = ASN1_IA5STRING_new();
	enum err e;

	buf_put_text(&uri, ORIGIN_SCHEME);
	buf_put_text(&uri, origin);
	e = buf_check(&uri);
	if (!e && (!names || !name || !text || !ASN1_STRING_set(text, uri.data, (int)uri.len) ||
		   !sk_GENERAL_NAME_push(names, name)))
		e = failed(ERR_MEMORY, "no memory for a certificate");
	if (e) {
		GENERAL_NAME_free(name);
		ASN1_IA5STRING_free(text);
		return e;
	}
	GENERAL_NAME_set0_value(name, GEN_URI, text);
	if (X509_add1_ext_i2d(x, NID_subject_alt_name, names, 0, 0) != 1)
		return failed(ERR_CRYPTO, "certificate's origin: %s", x509_reason());
	return OK;
}

static enum err add_extensions(X509 *x, X509 *issuer, const struct certificate_spec *spec)
{
	enum err e;

	if ((e = add_extension(x, issuer, NID_basic_constraints,
			       spec->ca ? "critical,CA:TRUE,pathlen:0" : "critical,CA:FALSE")) ||
	    (e = add_extension(x, issuer, NID_key_usage,
			       spec->ca ? "critical,keyCertSign,cRLSign"
					: "critical,digitalSignature")) ||
	    (e = add_extension(x, issuer, NID_subject_key_identifier, "hash")) ||
	    (e = add_extension(x, issuer, NID_authority_key_identifier, "keyid:always")))
		return e;
	return spec->ca ? OK : add_origin(x, spec->origin);
}

static enum err set_names_and_times(X509 *x, X509 *issuer, const struct certificate_spec *spec)
{
	X509_NAME *name = X509_get_subject_name(x);

	if (X509_NAME_add_entry_by_NID(name, NID_commonName, MBSTRING_UTF8,
				       (const unsigned char *)spec->name, -1, -1, 0) != 1 ||
	    X509_set_issuer_name(x, X509_get_subject_name(issuer)) != 1)
		return failed(ERR_RANGE, "certificate's name \"%s\": %s", spec->name,
			      x509_reason());
	if (!ASN1_TIME_set(X509_getm_notBefore(x), (time_t)spec->not_before) ||
	    !ASN1_TIME_set(X509_getm_notAfter(x), (time_t)spec->not_after))
		return failed(ERR_RANGE, "certificate's times: %s", x509_reason());
	return OK;
}

/* The algorithm stands in two places, inside and outside of what is signed. OpenSSL gives them out
 * as const only, since it usually signs by itself. */
static enum err set_algorithm(X509 *x)
{
	const X509_ALGOR *outer;

	X509_get0_signature(NULL, &outer, x);
	X509_ALGOR *places[] = { (X509_ALGOR *)X509_get0_tbs_sigalg(x), (X509_ALGOR *)outer };
	for (size_t i = 0; i < 2; i++)
		if (X509_ALGOR_set0(places[i], OBJ_nid2obj(NID_ecdsa_with_SHA256), V_ASN1_UNDEF,
				    NULL) != 1)
			return failed(ERR_MEMORY, "no memory for a certificate");
	return OK;
}

static enum err fill(X509 *x, X509 *issuer, const struct certificate_spec *spec)
{
	enum err e;

	if (X509_set_version(x, X509_VERSION_3) != 1)
		return failed(ERR_MEMORY, "no memory for a certificate");
	if ((e = set_serial(x)) || (e = set_names_and_times(x, issuer, spec)) ||
	    (e = set_key(x, spec->point)) || (e = add_extensions(x, issuer, spec)))
		return e;
	return set_algorithm(x);
}

static enum err sign(X509 *x, const struct audit_signer *signer, unsigned long handle)
{
	CLEANUP(buf) struct buf raw = BUF_INIT;
	CLEANUP(buf) struct buf der = BUF_INIT;
	uint8_t digest[SHA256_SIZE], *tbs = NULL;
	enum err e;

	int n = i2d_re_X509_tbs(x, &tbs);
	if (n <= 0)
		return failed(ERR_CRYPTO, "certificate: %s", x509_reason());
	sha256_once(slice_of(tbs, (size_t)n), digest);
	OPENSSL_free(tbs);
	if ((e = signer->sign(signer->context, handle, digest, &raw)) ||
	    (e = ecdsa_to_der(buf_slice(&raw), &der)))
		return e;
	const ASN1_BIT_STRING *bits;
	X509_get0_signature(&bits, NULL, x);
	ASN1_BIT_STRING *place = (ASN1_BIT_STRING *)bits;
	if (!ASN1_STRING_set(place, der.data, (int)der.len))
		return failed(ERR_MEMORY, "no memory for a certificate");
	place->flags &= ~(ASN1_STRING_FLAG_BITS_LEFT | 7);
	place->flags |= ASN1_STRING_FLAG_BITS_LEFT; /* no unused bits */
	return OK;
}

static enum err check_spec(const struct certificate_spec *spec)
{
	if (spec->not_before >= spec->not_after)
		return failed(ERR_RANGE, "a certificate that ends before it begins");
	if (!spec->name || !*spec->name)
		return failed(ERR_RANGE, "a certificate without a name");
	if (spec->ca)
		return OK;
	return note_check_origin(slice_text(spec->origin ? spec->origin : ""));
}

enum err certificate_make(const struct certificate_spec *spec, const struct audit_signer *signer,
			  unsigned long handle, struct buf *out)
{
	CLEANUP(x509) X509 *issuer = NULL;
	CLEANUP(x509) X509 *x = X509_new();
	enum err e;

	if (!x)
		return failed(ERR_MEMORY, "no memory for a certificate");
	if ((e = check_spec(spec)) || (!spec->ca && (e = x509_parse(spec->issuer, &issuer))) ||
	    (e = fill(x, spec->ca ? x : issuer, spec)) || (e = sign(x, signer, handle)))
		return e;
	/* A key or a point that was mixed up shows here, and not in years. */
	if (X509_verify(x, X509_get0_pubkey(spec->ca ? x : issuer)) != 1)
		return failed(ERR_CRYPTO, "a new certificate does not verify: %s", x509_reason());
	return x509_put(x, out);
}

/* ---- what it says ---- */

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

enum err certificate_from_file(struct slice contents, struct buf *der)
{
	CLEANUP(x509) X509 *x = NULL;

	if (contents.left > 4 * CERTIFICATE_MAX)
		return failed(ERR_RANGE, "a certificate file of %zu bytes", contents.left);
	if (contents.left && contents.p[0] == 0x30) {
		enum err e = x509_parse(contents, &x);

		if (e)
			return e;
		buf_put_slice(der, contents);
		return buf_check(der);
	}
	CLEANUP(bio) BIO *bio = BIO_new_mem_buf(contents.p, (int)contents.left);
	x = bio ? PEM_read_bio_X509(bio, NULL, NULL, NULL) : NULL;
	return x ? x509_put(x, der)
		 : failed(ERR_CRYPTO, "not a certificate in PEM or DER: %s", x509_reason());
}

void certificate_put_pem(struct slice certificate, struct buf *out)
{
	CLEANUP(buf) struct buf base64 = BUF_INIT;

	buf_put_base64(&base64, certificate);
	if (base64.failed)
		out->failed = true;
	buf_put_text(out, "-----BEGIN CERTIFICATE-----\n");
	for (size_t at = 0; at < base64.len; at += 64) {
		buf_put(out, base64.data + at, base64.len - at < 64 ? base64.len - at : 64);
		buf_put_text(out, "\n");
	}
	buf_put_text(out, "-----END CERTIFICATE-----\n");
}

/* Making certificates, and asking somebody else for one. */
#include <string.h>

#include "audit/certificate.h"
#include "audit/ecdsa.h"
#include "audit/note.h"
#include "audit/x509.h"
#include "config/base/io.h"

static void key_cleanup(EVP_PKEY **key)
{
	EVP_PKEY_free(*key);
}

static void names_cleanup(GENERAL_NAMES **names)
{
	GENERAL_NAMES_free(*names);
}

static enum err make_ed25519(const uint8_t bytes[CERTIFICATE_ED25519], EVP_PKEY **out)
{
	*out = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, bytes, CERTIFICATE_ED25519);
	return *out ? OK : failed(ERR_CRYPTO, "public key of a certificate: %s", x509_reason());
}

static enum err make_key(const uint8_t point[CERTIFICATE_POINT], EVP_PKEY **out)
{
	CLEANUP(key) EVP_PKEY *key = EVP_PKEY_new();
	CLEANUP(key) EVP_PKEY *parameters = EVP_EC_gen(SN_X9_62_prime256v1);

	/* A key to take the curve from, and then the point of the real one. */
	if (!key || !parameters || EVP_PKEY_copy_parameters(key, parameters) != 1 ||
	    EVP_PKEY_set1_encoded_public_key(key, point, CERTIFICATE_POINT) != 1)
		return failed(ERR_CRYPTO, "public key of a certificate: %s", x509_reason());
	*out = STEAL(key);
	return OK;
}

static enum err set_key(X509 *x, const struct certificate_spec *spec)
{
	CLEANUP(key) EVP_PKEY *key = NULL;
	enum err e =
		spec->ed25519 ? make_ed25519(spec->ed25519, &key) : make_key(spec->point, &key);

	if (e)
		return e;
	return X509_set_pubkey(x, key) == 1
		       ? OK
		       : failed(ERR_CRYPTO, "public key of a certificate: %s", x509_reason());
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

#define CA_CONSTRAINTS "critical,CA:TRUE,pathlen:0"
#define CA_USAGE "critical,keyCertSign,cRLSign"

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
			       spec->ca ? CA_CONSTRAINTS : "critical,CA:FALSE")) ||
	    (e = add_extension(x, issuer, NID_key_usage,
			       spec->ca ? CA_USAGE : "critical,digitalSignature")) ||
	    (e = add_extension(x, issuer, NID_subject_key_identifier, "hash")) ||
	    (e = add_extension(x, issuer, NID_authority_key_identifier, "keyid:always")))
		return e;
	return spec->ca ? OK : add_origin(x, spec->origin);
}

static enum err add_name(X509_NAME *name, int nid, const char *text)
{
	return X509_NAME_add_entry_by_NID(name, nid, MBSTRING_UTF8, (const unsigned char *)text, -1,
					  -1, 0) == 1
		       ? OK
		       : failed(ERR_RANGE, "certificate's name \"%s\": %s", text, x509_reason());
}

/* X.520 allows few characters in a serialNumber (PrintableString); a token may have others. */
static enum err add_serial(X509_NAME *name, const char *serial)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "0123456789 '()+,-./:=?";
	char hex[4 + 2 * CERTIFICATE_SERIAL_MAX + 1] = "hex:";
	size_t n = strlen(serial);

	if (n > CERTIFICATE_SERIAL_MAX)
		return failed(ERR_RANGE, "a serial of %zu bytes", n);
	if (strspn(serial, allowed) == n)
		return add_name(name, NID_serialNumber, serial);
	hex_put(hex + 4, serial, n);
	return add_name(name, NID_serialNumber, hex);
}

static enum err set_subject(X509_NAME *name, const struct certificate_spec *spec)
{
	enum err e;

	if (spec->unit && *spec->unit &&
	    (e = add_name(name, NID_organizationalUnitName, spec->unit)))
		return e;
	if (spec->serial && *spec->serial && (e = add_serial(name, spec->serial)))
		return e;
	return add_name(name, NID_commonName, spec->name);
}

/* Nobody's signature outlasts what vouches for it. */
static enum err set_end(X509 *x, X509 *issuer, int64_t end)
{
	const ASN1_TIME *last = X509_get0_notAfter(issuer);
	time_t wanted = (time_t)end;

	if (issuer != x && X509_cmp_time(last, &wanted) < 0)
		return X509_set1_notAfter(x, last) == 1
			       ? OK
			       : failed(ERR_MEMORY, "no memory for a certificate");
	return ASN1_TIME_set(X509_getm_notAfter(x), wanted)
		       ? OK
		       : failed(ERR_RANGE, "certificate's times: %s", x509_reason());
}

static enum err set_names_and_times(X509 *x, X509 *issuer, const struct certificate_spec *spec)
{
	enum err e = set_subject(X509_get_subject_name(x), spec);

	if (e)
		return e;
	if (X509_set_issuer_name(x, X509_get_subject_name(issuer)) != 1)
		return failed(ERR_MEMORY, "no memory for a certificate");
	if (!ASN1_TIME_set(X509_getm_notBefore(x), (time_t)spec->not_before))
		return failed(ERR_RANGE, "certificate's times: %s", x509_reason());
	return set_end(x, issuer, spec->not_after);
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
	    (e = set_key(x, spec)) || (e = add_extensions(x, issuer, spec)))
		return e;
	return set_algorithm(x);
}

/* The signature over @n bytes, in DER. */
static enum err sign_der(const uint8_t *bytes, int n, const struct audit_signer *signer,
			 unsigned long handle, struct buf *der)
{
	CLEANUP(buf) struct buf raw = BUF_INIT;
	uint8_t digest[SHA256_SIZE];
	enum err e;

	if (n <= 0)
		return failed(ERR_CRYPTO, "certificate: %s", x509_reason());
	sha256_once(slice_of(bytes, (size_t)n), digest);
	e = signer->sign(signer->context, handle, digest, &raw);
	return e ? e : ecdsa_to_der(buf_slice(&raw), der);
}

static enum err put_signature(ASN1_BIT_STRING *place, struct slice der)
{
	if (!ASN1_STRING_set(place, der.p, (int)der.left))
		return failed(ERR_MEMORY, "no memory for a certificate");
	place->flags &= ~(ASN1_STRING_FLAG_BITS_LEFT | 7);
	place->flags |= ASN1_STRING_FLAG_BITS_LEFT; /* no unused bits */
	return OK;
}

static enum err sign(X509 *x, const struct audit_signer *signer, unsigned long handle)
{
	CLEANUP(buf) struct buf der = BUF_INIT;
	const ASN1_BIT_STRING *bits;
	uint8_t *tbs = NULL;
	int n = i2d_re_X509_tbs(x, &tbs);
	enum err e = sign_der(tbs, n, signer, handle, &der);

	OPENSSL_free(tbs);
	if (e)
		return e;
	X509_get0_signature(&bits, NULL, x);
	return put_signature((ASN1_BIT_STRING *)bits, buf_slice(&der));
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

/* ---- asking somebody else for one ---- */

static void request_cleanup(X509_REQ **request)
{
	X509_REQ_free(*request);
}

static void extensions_cleanup(X509_EXTENSIONS **extensions)
{
	sk_X509_EXTENSION_pop_free(*extensions, X509_EXTENSION_free);
}

static enum err add_wish(X509_EXTENSIONS *wishes, X509_REQ *request, int nid, const char *value)
{
	X509V3_CTX c;

	X509V3_set_ctx(&c, NULL, NULL, request, NULL, 0);
	X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &c, nid, value);
	if (extension && sk_X509_EXTENSION_push(wishes, extension) > 0)
		return OK;
	X509_EXTENSION_free(extension);
	return failed(ERR_CRYPTO, "extension %s: %s", value, x509_reason());
}

static enum err fill_request(X509_REQ *request, const struct certificate_spec *spec)
{
	CLEANUP(extensions) X509_EXTENSIONS *wishes = sk_X509_EXTENSION_new_null();
	CLEANUP(key) EVP_PKEY *key = NULL;
	enum err e;

	if (!wishes || X509_REQ_set_version(request, X509_REQ_VERSION_1) != 1)
		return failed(ERR_MEMORY, "no memory for a request");
	if ((e = make_key(spec->point, &key)) ||
	    (e = set_subject(X509_REQ_get_subject_name(request), spec)))
		return e;
	if (X509_REQ_set_pubkey(request, key) != 1)
		return failed(ERR_CRYPTO, "public key of a request: %s", x509_reason());
	if ((e = add_wish(wishes, request, NID_basic_constraints, CA_CONSTRAINTS)) ||
	    (e = add_wish(wishes, request, NID_key_usage, CA_USAGE)) ||
	    (e = add_wish(wishes, request, NID_subject_key_identifier, "hash")))
		return e;
	return X509_REQ_add_extensions(request, wishes) == 1
		       ? OK
		       : failed(ERR_CRYPTO, "extensions of a request: %s", x509_reason());
}

static enum err sign_request(X509_REQ *request, const struct audit_signer *signer,
			     unsigned long handle)
{
	CLEANUP(buf) struct buf der = BUF_INIT;
	const ASN1_BIT_STRING *bits;
	const X509_ALGOR *algorithm;
	uint8_t *tbs = NULL;
	int n = i2d_re_X509_REQ_tbs(request, &tbs);
	enum err e = sign_der(tbs, n, signer, handle, &der);

	OPENSSL_free(tbs);
	if (e)
		return e;
	X509_REQ_get0_signature(request, &bits, &algorithm);
	if (X509_ALGOR_set0((X509_ALGOR *)algorithm, OBJ_nid2obj(NID_ecdsa_with_SHA256),
			    V_ASN1_UNDEF, NULL) != 1)
		return failed(ERR_MEMORY, "no memory for a request");
	return put_signature((ASN1_BIT_STRING *)bits, buf_slice(&der));
}

enum err certificate_request(const struct certificate_spec *spec, const struct audit_signer *signer,
			     unsigned long handle, struct buf *out)
{
	CLEANUP(request) X509_REQ *request = X509_REQ_new();
	uint8_t *der = NULL;
	enum err e;

	if (!request)
		return failed(ERR_MEMORY, "no memory for a request");
	if ((e = fill_request(request, spec)) || (e = sign_request(request, signer, handle)))
		return e;
	if (X509_REQ_verify(request, X509_REQ_get0_pubkey(request)) != 1)
		return failed(ERR_CRYPTO, "a new request does not verify: %s", x509_reason());
	int n = i2d_X509_REQ(request, &der);
	if (n <= 0)
		return failed(ERR_CRYPTO, "request: %s", x509_reason());
	x509_put_pem("CERTIFICATE REQUEST", slice_of(der, (size_t)n), out);
	OPENSSL_free(der);
	return buf_check(out);
}

#include "audit/timestamp.h"

#include <string.h>

#include "audit/x509.h"
#include "config/base/cbor.h"
#include "config/base/io.h"
#include "config/base/sha256.h"

#define NONCE_BYTES 8
#define SECURITY_LEVEL 2 /* as chain.c has it */

static void request_cleanup(TS_REQ **request)
{
	TS_REQ_free(*request);
}

static void imprint_cleanup(TS_MSG_IMPRINT **imprint)
{
	TS_MSG_IMPRINT_free(*imprint);
}

static void algorithm_cleanup(X509_ALGOR **algorithm)
{
	X509_ALGOR_free(*algorithm);
}

static void integer_cleanup(ASN1_INTEGER **integer)
{
	ASN1_INTEGER_free(*integer);
}

static void response_cleanup(TS_RESP **response)
{
	TS_RESP_free(*response);
}

static void token_cleanup(PKCS7 **token)
{
	PKCS7_free(*token);
}

static void store_cleanup(X509_STORE **store)
{
	X509_STORE_free(*store);
}

static void verify_cleanup(TS_VERIFY_CTX **context)
{
	TS_VERIFY_CTX_free(*context);
}

/* RFC 9921 section 3.1.1: over the signature as CBOR has it, the byte string's head included. */
static enum err imprint_of(struct slice signature, uint8_t digest[SHA256_SIZE])
{
	CLEANUP(buf) struct buf field = BUF_INIT;

	cbor_put_bytes(&field, signature);
	enum err e = buf_check(&field);
	if (!e)
		sha256_once(buf_slice(&field), digest);
	return e;
}

static enum err set_imprint(TS_REQ *request, const uint8_t digest[SHA256_SIZE])
{
	CLEANUP(imprint) TS_MSG_IMPRINT *imprint = TS_MSG_IMPRINT_new();
	CLEANUP(algorithm) X509_ALGOR *algorithm = X509_ALGOR_new();

	if (!imprint || !algorithm ||
	    !X509_ALGOR_set0(algorithm, OBJ_nid2obj(NID_sha256), V_ASN1_NULL, NULL) ||
	    !TS_MSG_IMPRINT_set_algo(imprint, algorithm) ||
	    !TS_MSG_IMPRINT_set_msg(imprint, (unsigned char *)(uintptr_t)digest, SHA256_SIZE) ||
	    !TS_REQ_set_msg_imprint(request, imprint))
		return failed(ERR_MEMORY, "time-stamp request: %s", x509_reason());
	return OK;
}

static enum err set_nonce(TS_REQ *request)
{
	CLEANUP(integer) ASN1_INTEGER *nonce = ASN1_INTEGER_new();
	uint8_t bytes[NONCE_BYTES];
	enum err e = io_random(bytes, sizeof bytes);

	if (e)
		return e;
	if (!nonce || !ASN1_INTEGER_set_uint64(nonce, get_u64(bytes)) ||
	    !TS_REQ_set_nonce(request, nonce))
		return failed(ERR_MEMORY, "time-stamp request: %s", x509_reason());
	return OK;
}

enum err timestamp_request(struct slice signature, struct buf *out)
{
	CLEANUP(request) TS_REQ *request = TS_REQ_new();
	uint8_t digest[SHA256_SIZE], *der = NULL;
	enum err e;

	if (!request || !TS_REQ_set_version(request, 1) || !TS_REQ_set_cert_req(request, 1))
		return failed(ERR_MEMORY, "time-stamp request: %s", x509_reason());
	if ((e = imprint_of(signature, digest)) || (e = set_imprint(request, digest)) ||
	    (e = set_nonce(request)))
		return e;
	int n = i2d_TS_REQ(request, &der);
	if (n <= 0)
		return failed(ERR_MEMORY, "time-stamp request: %s", x509_reason());
	buf_put(out, der, (size_t)n);
	OPENSSL_free(der);
	return buf_check(out);
}

/* One PKCS #7 structure of a time stamp's kind, and nothing after it. */
static enum err parse_token(struct slice der, PKCS7 **out)
{
	const uint8_t *p = der.p;

	if (der.left == 0 || der.left > TIMESTAMP_MAX)
		return failed(ERR_CRYPTO, "a time stamp of %zu bytes", der.left);
	CLEANUP(token) PKCS7 *token = d2i_PKCS7(NULL, &p, (long)der.left);
	if (!token || p != der.p + der.left || !PKCS7_type_is_signed(token)) {
		(void)x509_reason();
		return failed(ERR_CRYPTO, "not a time-stamp token (RFC 3161)");
	}
	*out = STEAL(token);
	return OK;
}

static enum err put_token(PKCS7 *token, struct buf *out)
{
	uint8_t *der = NULL;
	int n = i2d_PKCS7(token, &der);

	if (n <= 0)
		return failed(ERR_CRYPTO, "time stamp: %s", x509_reason());
	buf_put(out, der, (size_t)n);
	OPENSSL_free(der);
	return buf_check(out);
}

enum err timestamp_take(struct slice response, struct buf *token)
{
	CLEANUP(token) PKCS7 *bare = NULL;
	const uint8_t *p = response.p;

	if (response.left == 0 || response.left > TIMESTAMP_MAX)
		return failed(ERR_CRYPTO, "a time-stamp response of %zu bytes", response.left);
	if (!parse_token(response, &bare)) {
		buf_put_slice(token, response);
		return buf_check(token);
	}
	CLEANUP(response) TS_RESP *parsed = d2i_TS_RESP(NULL, &p, (long)response.left);
	if (!parsed || p != response.p + response.left) {
		(void)x509_reason();
		return failed(ERR_CRYPTO, "neither a time-stamp response nor a token (RFC 3161)");
	}
	if (!TS_RESP_get_token(parsed))
		return failed(ERR_CRYPTO, "the time-stamping authority refused: status %ld",
			      ASN1_INTEGER_get(
				      TS_STATUS_INFO_get0_status(TS_RESP_get_status_info(parsed))));
	/* OpenSSL reads some BER that it writes as something else. */
	size_t before = token->len;
	enum err e = put_token(TS_RESP_get_token(parsed), token);
	return e ? e : parse_token(slice_of(token->data + before, token->len - before), &bare);
}

/* ---- checking ---- */

static enum err token_time(PKCS7 *token, int64_t *out)
{
	TS_TST_INFO *info = PKCS7_to_TS_TST_INFO(token);
	const ASN1_GENERALIZEDTIME *time = info ? TS_TST_INFO_get_time(info) : NULL;
	struct tm parts;
	bool read = time && ASN1_TIME_to_tm(time, &parts) == 1;

	TS_TST_INFO_free(info);
	if (!read) {
		(void)x509_reason();
		return failed(ERR_CRYPTO, "the time stamp has no time");
	}
	*out = timegm(&parts);
	return *out > 0 ? OK : failed(ERR_CRYPTO, "the time stamp is of before 1970");
}

/* The one authority, and the time at which everybody is judged. */
static enum err make_store(struct slice ca, int64_t at, X509_STORE **out)
{
	CLEANUP(store) X509_STORE *store = X509_STORE_new();
	CLEANUP(x509) X509 *authority = NULL;
	enum err e = x509_parse(ca, &authority);

	if (e)
		return e;
	X509_VERIFY_PARAM *param = store ? X509_STORE_get0_param(store) : NULL;
	if (!param || X509_STORE_add_cert(store, authority) != 1)
		return failed(ERR_MEMORY, "time stamp: %s", x509_reason());
	X509_VERIFY_PARAM_set_time(param, at);
	X509_VERIFY_PARAM_set_auth_level(param, SECURITY_LEVEL);
	/* An authority may be named by itself, without whoever issued it. */
	X509_VERIFY_PARAM_set_flags(param, X509_V_FLAG_PARTIAL_CHAIN | X509_V_FLAG_X509_STRICT);
	*out = STEAL(store);
	return OK;
}

static void name_authority(PKCS7 *token, char out[static 128])
{
	STACK_OF(X509) *signers = PKCS7_get0_signers(token, NULL, 0);
	X509 *signer = signers && sk_X509_num(signers) ? sk_X509_value(signers, 0) : NULL;

	if (!signer ||
	    X509_NAME_get_text_by_NID(X509_get_subject_name(signer), NID_commonName, out, 128) <= 0)
		memcpy(out, "an authority without a name", sizeof "an authority without a name");
	sk_X509_free(signers);
	(void)x509_reason();
}

/* The context takes store and imprint over, and frees them. */
static enum err make_context(X509_STORE *store, const uint8_t digest[SHA256_SIZE],
			     TS_VERIFY_CTX **out)
{
	CLEANUP(verify) TS_VERIFY_CTX *context = TS_VERIFY_CTX_new();
	uint8_t *copy = OPENSSL_memdup(digest, SHA256_SIZE);

	if (!context || !copy) {
		OPENSSL_free(copy);
		X509_STORE_free(store);
		return failed(ERR_MEMORY, "time stamp");
	}
	TS_VERIFY_CTX_set_flags(context,
				TS_VFY_VERSION | TS_VFY_SIGNER | TS_VFY_SIGNATURE | TS_VFY_IMPRINT);
	TS_VERIFY_CTX_set_store(context, store);
	TS_VERIFY_CTX_set_imprint(context, copy, SHA256_SIZE);
	*out = STEAL(context);
	return OK;
}

enum err timestamp_verify(struct slice der, struct slice signature, struct slice ca,
			  struct timestamp *out)
{
	CLEANUP(token) PKCS7 *token = NULL;
	CLEANUP(store) X509_STORE *store = NULL;
	CLEANUP(verify) TS_VERIFY_CTX *context = NULL;
	uint8_t digest[SHA256_SIZE];
	enum err e;

	if ((e = parse_token(der, &token)) || (e = token_time(token, &out->time)) ||
	    (e = imprint_of(signature, digest)) || (e = make_store(ca, out->time, &store)) ||
	    (e = make_context(STEAL(store), digest, &context)))
		return e;
	if (TS_RESP_verify_token(context, token) != 1)
		return failed(ERR_CRYPTO, "the time stamp does not hold: %s", x509_reason());
	name_authority(token, out->authority);
	return OK;
}

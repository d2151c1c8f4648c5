#include "audit/seal.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "audit/x509.h"

#define PIECE ((size_t)1 << 20)
#define TAR_BLOCK 512
#define RSA_LEAST_BITS 2048
#define RSA_MOST_BITS 8192

static enum err no(const char *what)
{
	return failed(ERR_CRYPTO, "sealing: %s: %s", what, x509_reason());
}

/* ---- the certificate ---- */

static bool is_curve(const EVP_PKEY *key)
{
	static const char *const curves[] = { "prime256v1", "secp384r1", "secp521r1" };
	char name[32];
	size_t n;

	if (EVP_PKEY_get_group_name(key, name, sizeof name, &n) != 1)
		return false;
	for (size_t i = 0; i < sizeof curves / sizeof *curves; i++)
		if (!strcmp(name, curves[i]))
			return true;
	return false;
}

/* A certificate that says what its key is for has to say that it is for this. */
static enum err check_key(X509 *certificate)
{
	const EVP_PKEY *key = X509_get0_pubkey(certificate);
	uint32_t usage = X509_get_key_usage(certificate);
	int bits = key ? EVP_PKEY_get_bits(key) : 0;

	switch (key ? EVP_PKEY_get_base_id(key) : EVP_PKEY_NONE) {
	case EVP_PKEY_RSA:
		if (bits < RSA_LEAST_BITS || bits > RSA_MOST_BITS)
			return failed(ERR_CRYPTO, "an RSA key of %d bits; %d to %d are allowed",
				      bits, RSA_LEAST_BITS, RSA_MOST_BITS);
		return usage & X509v3_KU_KEY_ENCIPHERMENT
			       ? OK
			       : failed(ERR_CRYPTO, "its key usage lacks keyEncipherment");
	case EVP_PKEY_EC:
		if (!is_curve(key))
			return failed(ERR_CRYPTO, "an EC key on another curve than P-256, P-384 or "
						  "P-521");
		return usage & X509v3_KU_KEY_AGREEMENT
			       ? OK
			       : failed(ERR_CRYPTO, "its key usage lacks keyAgreement");
	default:
		return failed(ERR_CRYPTO, "neither an RSA nor an EC key");
	}
}

enum err seal_check(struct slice der, int64_t at)
{
	CLEANUP(x509) X509 *certificate = NULL;
	time_t now = (time_t)at;
	enum err e;

	if ((e = x509_parse(der, &certificate)) || (e = check_key(certificate)))
		return e;
	if (X509_cmp_time(X509_get0_notBefore(certificate), &now) >= 0)
		return failed(ERR_CRYPTO, "it is not valid yet");
	if (X509_cmp_time(X509_get0_notAfter(certificate), &now) <= 0)
		return failed(ERR_CRYPTO, "it has expired");
	return OK;
}

/* ---- OpenSSL's way out: a BIO that hands pieces to the sink ---- */

struct outlet {
	const struct seal_sink *sink;
	enum err e; /* the first of the sink's; its reason is noted */
};

static int outlet_write(BIO *bio, const char *p, size_t n, size_t *written)
{
	struct outlet *outlet = BIO_get_data(bio);

	if (!outlet->e)
		outlet->e = outlet->sink->put(outlet->sink->context, slice_of(p, n));
	*written = n;
	return !outlet->e;
}

static long outlet_ctrl(BIO *bio, int command, long n, void *p)
{
	(void)bio, (void)n, (void)p;
	return command == BIO_CTRL_FLUSH;
}

static BIO_METHOD *outlet_method;

static void make_outlet_method(void)
{
	outlet_method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "seal");
	if (!outlet_method)
		return;
	BIO_meth_set_write_ex(outlet_method, outlet_write);
	BIO_meth_set_ctrl(outlet_method, outlet_ctrl);
}

static void bio_cleanup(BIO **bio)
{
	BIO_free(*bio);
}

static enum err outlet_new(struct outlet *outlet, BIO **out)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, make_outlet_method);
	if (!outlet_method || !(*out = BIO_new(outlet_method)))
		return failed(ERR_MEMORY, "sealing: out of memory");
	BIO_set_data(*out, outlet);
	BIO_set_init(*out, 1);
	return OK;
}

/* ---- the archive: POSIX.1-1988 ustar ---- */

/* Octal digits up to the last byte, which is 0. */
static void put_octal(char *field, size_t n, uint64_t v)
{
	for (size_t i = n - 1; i-- > 0; v >>= 3)
		field[i] = (char)('0' + (v & 7));
}

static void tar_header(const struct seal_part *part, int64_t at, char block[TAR_BLOCK])
{
	unsigned sum = 0;

	memset(block, 0, TAR_BLOCK);
	snprintf(block, 100, "%s", part->name);
	put_octal(block + 100, 8, 0600);
	put_octal(block + 108, 8, 0);
	put_octal(block + 116, 8, 0);
	put_octal(block + 124, 12, part->data.left);
	put_octal(block + 136, 12, (uint64_t)at);
	memset(block + 148, ' ', 8);
	block[156] = '0';
	memcpy(block + 257, "ustar\00000", 8);
	for (size_t i = 0; i < TAR_BLOCK; i++)
		sum += (unsigned char)block[i];
	put_octal(block + 148, 7, sum);
}

static enum err put_pieces(BIO *bio, const struct outlet *outlet, struct slice data)
{
	while (data.left) {
		size_t n = data.left < PIECE ? data.left : PIECE, written;

		if (!BIO_write_ex(bio, data.p, n, &written) || !written)
			return outlet->e ? outlet->e : no("encrypting");
		data.p += written;
		data.left -= written;
	}
	return OK;
}

static enum err put_archive(BIO *bio, const struct outlet *outlet, int64_t at,
			    const struct seal_part *parts, size_t n)
{
	static const char zeros[2 * TAR_BLOCK];
	char header[TAR_BLOCK];
	enum err e;

	for (size_t i = 0; i < n; i++) {
		size_t rest = parts[i].data.left % TAR_BLOCK;

		tar_header(&parts[i], at, header);
		if ((e = put_pieces(bio, outlet, SLICE(header))) ||
		    (e = put_pieces(bio, outlet, parts[i].data)) ||
		    (e = put_pieces(bio, outlet, slice_of(zeros, rest ? TAR_BLOCK - rest : 0))))
			return e;
	}
	return put_pieces(bio, outlet, SLICE(zeros));
}

/* ---- the envelope ---- */

static void cms_cleanup(CMS_ContentInfo **cms)
{
	CMS_ContentInfo_free(*cms);
}

/* OpenSSL's own defaults are PKCS #1 v1.5, and SHA-1 in the KDF. */
static bool choose_algorithms(CMS_RecipientInfo *recipient)
{
	EVP_PKEY_CTX *context = CMS_RecipientInfo_get0_pkey_ctx(recipient);

	if (CMS_RecipientInfo_type(recipient) == CMS_RECIPINFO_AGREE)
		return EVP_PKEY_CTX_set_ecdh_kdf_md(context, EVP_sha256()) > 0;
	return EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_OAEP_PADDING) > 0 &&
	       EVP_PKEY_CTX_set_rsa_oaep_md(context, EVP_sha256()) > 0 &&
	       EVP_PKEY_CTX_set_rsa_mgf1_md(context, EVP_sha256()) > 0;
}

static enum err make_envelope(X509 *certificate, CMS_ContentInfo **out)
{
	CLEANUP(cms) CMS_ContentInfo *cms = CMS_AuthEnvelopedData_create(EVP_aes_256_gcm());

	if (!cms)
		return no("making an envelope");
	CMS_RecipientInfo *recipient =
		CMS_add1_recipient_cert(cms, certificate, CMS_BINARY | CMS_STREAM | CMS_KEY_PARAM);
	if (!recipient || !choose_algorithms(recipient))
		return no("the certificate's key");
	*out = STEAL(cms);
	return OK;
}

/* BIO_new_CMS puts two or three of its own before ours. */
static void free_chain(BIO *chain, const BIO *last)
{
	while (chain && chain != last) {
		BIO *next = BIO_pop(chain);

		BIO_free(chain);
		chain = next;
	}
}

enum err seal_write(struct slice der, int64_t at, const struct seal_part *parts, size_t n,
		    const struct seal_sink *sink)
{
	CLEANUP(x509) X509 *certificate = NULL;
	CLEANUP(cms) CMS_ContentInfo *cms = NULL;
	CLEANUP(bio) BIO *bio = NULL;
	struct outlet outlet = { sink, OK };
	enum err e;

	if ((e = x509_parse(der, &certificate)) || (e = make_envelope(certificate, &cms)) ||
	    (e = outlet_new(&outlet, &bio)))
		return e;
	BIO *chain = BIO_new_CMS(bio, cms);
	if (!chain)
		return outlet.e ? outlet.e : no("wrapping the key");
	if (!(e = put_archive(chain, &outlet, at, parts, n)) && BIO_flush(chain) <= 0)
		e = outlet.e ? outlet.e : no("closing the envelope");
	free_chain(chain, bio);
	return e ? e : outlet.e;
}

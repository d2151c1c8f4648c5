#include "plugin/cli/pem.h"

#include "audit/openssl.h"

#include "config/base/io.h"

#define CERTIFICATE_MAX 65536

static void bio_cleanup(BIO **bio)
{
	BIO_free(*bio);
}

static void x509_cleanup(X509 **certificate)
{
	X509_free(*certificate);
}

static X509 *parse(struct slice text)
{
	CLEANUP(bio) BIO *bio = BIO_new_mem_buf(text.p, (int)text.left);
	const unsigned char *p = text.p;
	X509 *certificate = bio ? PEM_read_bio_X509(bio, NULL, NULL, NULL) : NULL;

	return certificate ? certificate : d2i_X509(NULL, &p, (long)text.left);
}

enum err pem_read_certificate(const char *path, struct buf *der)
{
	CLEANUP(buf) struct buf text = BUF_INIT;
	unsigned char *bytes = NULL;
	enum err e = io_read_file(path, CERTIFICATE_MAX, &text);

	if (e)
		return e;
	CLEANUP(x509) X509 *certificate = parse(buf_slice(&text));
	int n = certificate ? i2d_X509(certificate, &bytes) : -1;
	if (n <= 0)
		return failed(ERR_FORMAT, "%s: a certificate in PEM or DER expected", path);
	buf_put(der, bytes, (size_t)n);
	OPENSSL_free(bytes);
	return buf_check(der);
}

enum err pem_write_certificate(struct slice der, struct buf *pem)
{
	const unsigned char *p = der.p;
	CLEANUP(x509) X509 *certificate = d2i_X509(NULL, &p, (long)der.left);
	CLEANUP(bio) BIO *bio = BIO_new(BIO_s_mem());
	char *text = NULL;

	if (!certificate || !bio || PEM_write_bio_X509(bio, certificate) != 1)
		return failed(ERR_FORMAT, "a certificate in DER expected");
	long n = BIO_get_mem_data(bio, &text);
	buf_put(pem, text, (size_t)n);
	return buf_check(pem);
}

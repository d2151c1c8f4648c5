#include "audit/chain.h"

#include <string.h>

#include "audit/certificates.h"

#define SECURITY_LEVEL 2 /* OpenSSL's: 112 bits, so neither SHA-1 nor RSA below 2048 bits */

static void store_cleanup(X509_STORE **store)
{
	X509_STORE_free(*store);
}

static void storectx_cleanup(X509_STORE_CTX **c)
{
	X509_STORE_CTX_free(*c);
}

static void bio_cleanup(BIO **bio)
{
	BIO_free(*bio);
}

static void x509s_cleanup(STACK_OF(X509) * *list)
{
	sk_X509_pop_free(*list, X509_free);
}

/* ---- reading ---- */

/* The length of the DER sequence at the beginning; 0: there is none, or it is cut. */
static size_t sequence_length(struct slice der)
{
	size_t n = 0, head = 2;

	if (der.left < head || der.p[0] != 0x30)
		return 0;
	if (der.p[1] < 0x80) {
		n = der.p[1];
	} else {
		size_t bytes = der.p[1] & 0x7f;

		if (bytes < 1 || bytes > 2 || der.left < head + bytes)
			return 0;
		for (size_t i = 0; i < bytes; i++)
			n = n << 8 | der.p[head + i];
		head += bytes;
	}
	return n <= der.left - head ? head + n : 0;
}

enum err chain_take(struct slice *der, struct slice *certificate)
{
	size_t n = sequence_length(*der);

	return n ? slice_take(der, n, certificate)
		 : failed(ERR_FORMAT, "not a chain of certificates");
}

enum err chain_read(struct slice der, struct chain *out)
{
	*out = (struct chain){ 0 };
	do {
		struct slice one;
		enum err e = chain_take(&der, &one);

		if (e)
			return e;
		if (out->n == CHAIN_ALL)
			return failed(ERR_FORMAT, "a chain of more than %d certificates",
				      CHAIN_ALL);
		out->of[out->n++] = one;
	} while (der.left);
	return OK;
}

enum err chain_from_file(struct slice contents, struct buf *der)
{
	size_t before = der->len;
	enum err e;

	if (contents.left > 4 * CHAIN_MAX * CERTIFICATE_MAX)
		return failed(ERR_RANGE, "a file of certificates of %zu bytes", contents.left);
	if (contents.left && contents.p[0] == 0x30)
		return certificate_from_file(contents, der);
	CLEANUP(bio) BIO *bio = BIO_new_mem_buf(contents.p, (int)contents.left);
	for (size_t i = 0; bio && i < CHAIN_ALL; i++) {
		CLEANUP(x509) X509 *x = NULL;
		size_t at = der->len;

		if (!x509_take_pem(bio, der))
			break;
		if ((e = buf_check(der)) ||
		    (e = x509_parse(slice_of(der->data + at, der->len - at), &x)))
			return e;
	}
	/* What ends the loop well is that there are no more lines to begin one. */
	bool end = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
	const char *why = x509_reason();
	return end && der->len > before
		       ? OK
		       : failed(ERR_CRYPTO, "not at most %d certificates in PEM, or one in DER: %s",
				CHAIN_ALL, why);
}

enum err chain_put_pem(struct slice der, struct buf *out)
{
	struct chain chain;
	enum err e = chain_read(der, &chain);

	for (size_t i = 0; !e && i < chain.n; i++)
		certificate_put_pem(chain.of[i], out);
	return e ? e : buf_check(out);
}

/* ---- checking ---- */

static enum err parse_all(struct certificates *kept, const struct chain *chain,
			  STACK_OF(X509) * *out)
{
	if (!(*out = sk_X509_new_null()))
		return failed(ERR_MEMORY, "no memory for a certificate");
	for (size_t i = 0; i < chain->n; i++) {
		CLEANUP(x509) X509 *x = NULL;
		enum err e = certificates_take(kept, chain->of[i], &x);

		if (e)
			return e;
		if (sk_X509_push(*out, x) <= 0)
			return failed(ERR_MEMORY, "no memory for a certificate");
		x = NULL;
	}
	return OK;
}

static bool same_name_and_key(X509 *a, X509 *b)
{
	return X509_NAME_cmp(X509_get_subject_name(a), X509_get_subject_name(b)) == 0 &&
	       EVP_PKEY_eq(X509_get0_pubkey(a), X509_get0_pubkey(b)) == 1;
}

/* One that says that it signed itself must have: it was not only made to look like another. */
static bool is_whole(X509 *x)
{
	bool self = X509_NAME_cmp(X509_get_subject_name(x), X509_get_issuer_name(x)) == 0;
	bool whole = !self || X509_verify(x, X509_get0_pubkey(x)) == 1;

	ERR_clear_error();
	return whole;
}

static enum err find(const struct chain *chain, STACK_OF(X509) * list, struct slice der, X509 *ca,
		     size_t *at)
{
	for (*at = 0; *at < chain->n; ++*at)
		if (slice_equal(chain->of[*at], der))
			return OK;
	for (*at = 0; *at < chain->n; ++*at)
		if (same_name_and_key(sk_X509_value(list, (int)*at), ca) && is_whole(ca))
			return OK;
	ERR_clear_error();
	return failed(ERR_CRYPTO, "the appliance does not match: the proof was signed under "
				  "another CA than the one given");
}

enum err chain_find(const struct chain *chain, struct slice ca, size_t *at)
{
	CLEANUP(x509s) STACK_OF(X509) *list = NULL;
	CLEANUP(x509) X509 *x = NULL;
	enum err e;

	if ((e = parse_all(NULL, chain, &list)) || (e = x509_parse(ca, &x)))
		return e;
	return find(chain, list, ca, x, at);
}

/* All of them, also those above one that is trusted: nothing in a chain is there for nothing. */
static enum err check_links(STACK_OF(X509) * list)
{
	size_t n = (size_t)sk_X509_num(list);

	for (size_t i = 0; i < n; i++) {
		X509 *x = sk_X509_value(list, (int)i);
		X509 *issuer = sk_X509_value(list, (int)(i + 1 < n ? i + 1 : i));

		if (X509_NAME_cmp(X509_get_issuer_name(x), X509_get_subject_name(issuer)) ||
		    X509_verify(x, X509_get0_pubkey(issuer)) != 1) {
			(void)x509_reason();
			return failed(ERR_CRYPTO,
				      i + 1 < n ? "a certificate of the chain was not issued by "
						  "the next one"
						: "the chain does not end with a root");
		}
	}
	return OK;
}

/* @trusted may be any CA; @above are the certificates that may lead there. */
static enum err check_path(X509 *x, STACK_OF(X509) * above, X509 *trusted, int64_t at)
{
	CLEANUP(store) X509_STORE *store = X509_STORE_new();
	CLEANUP(storectx) X509_STORE_CTX *c = X509_STORE_CTX_new();

	if (!store || !c || X509_STORE_add_cert(store, trusted) != 1 ||
	    X509_STORE_CTX_init(c, store, x, above) != 1)
		return failed(ERR_CRYPTO, "certificate chain: %s", x509_reason());
	X509_VERIFY_PARAM *param = X509_STORE_CTX_get0_param(c);
	X509_VERIFY_PARAM_set_time(param, (time_t)at);
	X509_VERIFY_PARAM_set_flags(param, X509_V_FLAG_X509_STRICT | X509_V_FLAG_PARTIAL_CHAIN);
	X509_VERIFY_PARAM_set_depth(param, CHAIN_MAX);
	X509_VERIFY_PARAM_set_auth_level(param, SECURITY_LEVEL);
	if (X509_verify_cert(c) != 1) {
		int code = X509_STORE_CTX_get_error(c);

		(void)x509_reason();
		return failed(ERR_CRYPTO, "the certificate is not one of the appliance's CA: %s",
			      X509_verify_cert_error_string(code));
	}
	return OK;
}

static enum err check_ca(X509 *x)
{
	return X509_check_ca(x) == 1 ? OK
				     : failed(ERR_CRYPTO, "the CA's certificate is none of a CA");
}

enum err chain_check(const struct chain *chain, int64_t at)
{
	CLEANUP(x509s) STACK_OF(X509) *list = NULL;
	enum err e;

	if (chain->n > CHAIN_MAX)
		return failed(ERR_CRYPTO, "a chain of more than %d certificates", CHAIN_MAX);
	if ((e = parse_all(NULL, chain, &list)) || (e = check_links(list)))
		return e;
	for (int i = 0; i < sk_X509_num(list); i++)
		if ((e = check_ca(sk_X509_value(list, i))))
			return e;
	X509 *first = sk_X509_value(list, 0), *root = sk_X509_value(list, (int)chain->n - 1);
	return check_path(first, list, root, at);
}

static enum err check_chain(struct certificates *kept, X509 *x, const struct chain *chain,
			    struct slice der, X509 *ca, int64_t at)
{
	CLEANUP(x509s) STACK_OF(X509) *list = NULL;
	size_t place;
	enum err e;

	if (!chain)
		return check_path(x, NULL, ca, at);
	if ((e = parse_all(kept, chain, &list)) || (e = find(chain, list, der, ca, &place)))
		return e;
	/* The very certificate that is trusted needs nobody's word. */
	if (!(chain->n == 1 && slice_equal(chain->of[0], der)) && (e = check_links(list)))
		return e;
	if (X509_NAME_cmp(X509_get_issuer_name(x), X509_get_subject_name(sk_X509_value(list, 0))))
		return failed(ERR_CRYPTO, "the certificate is not one of the appliance's CA: it "
					  "names another issuer");
	/* An anchor is a name and a key (RFC 5280 section 6.1.1): what counts is when the certificate that
	 * came along was valid, and not when the one that was given is. */
	return check_path(x, list, sk_X509_value(list, (int)place), at);
}

enum err chain_verify_kept(struct certificates *kept, struct slice certificate,
			   const struct chain *chain, struct slice ca, const char *origin,
			   int64_t at)
{
	CLEANUP(x509) X509 *x = NULL;
	CLEANUP(x509) X509 *authority = NULL;
	enum err e;

	if ((e = certificates_take(kept, certificate, &x)) ||
	    (e = certificates_take(kept, ca, &authority)) || (e = check_ca(authority)) ||
	    (e = check_chain(kept, x, chain, ca, authority, at)))
		return e;
	if (X509_check_ca(x) != 0 || X509_get_key_usage(x) != KU_DIGITAL_SIGNATURE)
		return failed(ERR_CRYPTO, "the certificate is not one for signing evidence");
	return x509_names_origin(x, origin);
}

enum err chain_verify(struct slice certificate, const struct chain *chain, struct slice ca,
		      const char *origin, int64_t at)
{
	return chain_verify_kept(NULL, certificate, chain, ca, origin, at);
}

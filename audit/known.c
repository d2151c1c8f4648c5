#include "audit/known.h"

#include <stdlib.h>
#include <string.h>

#include "audit/certificates.h"
#include "audit/ecdsa.h"

#define FACTS 1024 /* a power of two */

/* Each is in the one place that its digest gives: what falls onto another is checked again. */
struct fact {
	uint8_t digest[SHA256_SIZE];
	int64_t from, to; /* seconds since 1970, inclusive; zeros: nothing is here */
};

struct known {
	struct fact facts[FACTS];
	struct certificates certificates;
	struct known_tcb *tcb; /* NULL: none was read yet */
};

enum err known_new(struct known **out)
{
	if (!(*out = calloc(1, sizeof **out)))
		return failed(ERR_MEMORY, "no memory to remember what was verified");
	return OK;
}

void known_free(struct known *known)
{
	if (!known)
		return;
	certificates_free(&known->certificates);
	known_tcb_release(known->tcb);
	free(known);
}

static size_t place(const uint8_t digest[SHA256_SIZE])
{
	return get_u32(digest) & (FACTS - 1);
}

static bool holds(const struct known *known, const uint8_t digest[SHA256_SIZE], int64_t at)
{
	const struct fact *fact = &known->facts[place(digest)];

	return fact->from <= at && at <= fact->to && memcmp(fact->digest, digest, SHA256_SIZE) == 0;
}

static void keep(struct known *known, const uint8_t digest[SHA256_SIZE], int64_t from, int64_t to)
{
	struct fact *fact = &known->facts[place(digest)];

	memcpy(fact->digest, digest, SHA256_SIZE);
	fact->from = from;
	fact->to = to;
}

static void add(struct sha256 *h, struct slice part)
{
	uint8_t length[8];

	set_u64(length, part.left);
	sha256_add(h, length, sizeof length);
	sha256_add(h, part.p, part.left);
}

/* ---- signatures ---- */

enum err known_signature(struct known *known, struct slice certificate,
			 const uint8_t digest[SHA256_SIZE], struct slice raw)
{
	uint8_t whose[SHA256_SIZE], fact[SHA256_SIZE];
	CLEANUP(x509) X509 *x = NULL;
	struct sha256 h;
	EVP_PKEY *key;
	enum err e;

	if (!known)
		return ecdsa_verify(certificate, digest, raw);
	sha256_once(certificate, whose);
	sha256_init(&h);
	add(&h, slice_text("signature"));
	add(&h, SLICE(whose));
	add(&h, slice_of(digest, SHA256_SIZE));
	add(&h, raw);
	sha256_end(&h, fact);
	if (holds(known, fact, 0))
		return OK;
	if ((e = certificates_take(&known->certificates, certificate, &x)) ||
	    (e = x509_key(x, &key)) || (e = x509_check_signature(key, digest, raw)))
		return e;
	keep(known, fact, INT64_MIN, INT64_MAX);
	return OK;
}

/* ---- chains ---- */

static void chain_fact(struct slice certificate, const struct chain *chain, struct slice ca,
		       const char *origin, uint8_t digest[SHA256_SIZE])
{
	struct sha256 h;

	sha256_init(&h);
	add(&h, slice_text(origin ? "chain" : "chain of any log"));
	add(&h, slice_text(origin ? origin : ""));
	add(&h, ca);
	add(&h, certificate);
	for (size_t i = 0; chain && i < chain->n; i++)
		add(&h, chain->of[i]);
	sha256_end(&h, digest);
}

static enum err narrow(struct known *known, struct slice certificate, int64_t *from, int64_t *to)
{
	CLEANUP(x509) X509 *x = NULL;
	int64_t first, last;
	enum err e = certificates_take(&known->certificates, certificate, &x);

	if (e || (e = x509_period(x, &first, &last)))
		return e;
	*from = first > *from ? first : *from;
	*to = last < *to ? last : *to;
	return OK;
}

/* When all of them are valid; less than that where not all are needed. */
static enum err period(struct known *known, struct slice certificate, const struct chain *chain,
		       struct slice ca, int64_t *from, int64_t *to)
{
	enum err e;

	*from = INT64_MIN;
	*to = INT64_MAX;
	if ((e = narrow(known, certificate, from, to)) || (e = narrow(known, ca, from, to)))
		return e;
	for (size_t i = 0; chain && i < chain->n; i++)
		if ((e = narrow(known, chain->of[i], from, to)))
			return e;
	return OK;
}

enum err known_chain(struct known *known, struct slice certificate, const struct chain *chain,
		     struct slice ca, const char *origin, int64_t at)
{
	uint8_t fact[SHA256_SIZE];
	int64_t from, to;
	enum err e;

	if (!known)
		return chain_verify(certificate, chain, ca, origin, at);
	chain_fact(certificate, chain, ca, origin, fact);
	if (holds(known, fact, at))
		return OK;
	if ((e = chain_verify_kept(&known->certificates, certificate, chain, ca, origin, at)) ||
	    (e = period(known, certificate, chain, ca, &from, &to)))
		return e;
	keep(known, fact, from, to);
	return OK;
}

enum err known_certificate(struct known *known, struct slice certificate)
{
	CLEANUP(x509) X509 *x = NULL;

	return certificates_take(&known->certificates, certificate, &x);
}

/* ---- TCB records ---- */

void known_tcb_release(struct known_tcb *tcb)
{
	if (!tcb || atomic_fetch_sub(&tcb->refs, 1) != 1)
		return;
	buf_free(&tcb->raw);
	free(tcb->leaf);
	free(tcb);
}

static void tcb_cleanup(struct known_tcb **tcb)
{
	known_tcb_release(*tcb);
}

static enum err read_tcb(struct slice raw, struct known_tcb **out)
{
	CLEANUP(tcb) struct known_tcb *tcb = calloc(1, sizeof *tcb);
	enum err e;

	if (!tcb)
		return failed(ERR_MEMORY, "no memory for a TCB record");
	tcb->refs = 1;
	buf_put_slice(&tcb->raw, raw);
	if ((e = buf_check(&tcb->raw)) || (e = leaf_read(buf_slice(&tcb->raw), &tcb->leaf)) ||
	    (e = leaf_components_digest(tcb->leaf, tcb->components)))
		return e;
	leaf_hash(raw, tcb->hash);
	*out = STEAL(tcb);
	return OK;
}

enum err known_tcb(struct known *known, struct slice raw, struct known_tcb **out)
{
	struct known_tcb *tcb = known ? known->tcb : NULL;
	enum err e;

	if (!tcb || !slice_equal(buf_slice(&tcb->raw), raw)) {
		if ((e = read_tcb(raw, &tcb)))
			return e;
		if (!known) {
			*out = tcb;
			return OK;
		}
		known_tcb_release(known->tcb);
		known->tcb = tcb;
	}
	atomic_fetch_add(&tcb->refs, 1);
	*out = tcb;
	return OK;
}

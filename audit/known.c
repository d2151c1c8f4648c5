#include "audit/known.h"

#include <stdlib.h>
#include <string.h>

#include "audit/ecdsa.h"
#include "audit/x509.h"

#define FACTS 1024 /* a power of two */
#define KEYS 16    /* likewise */

/* Each is in the one place that its digest gives: what falls onto another is checked again. */
struct fact {
	uint8_t digest[SHA256_SIZE];
	int64_t from, to; /* seconds since 1970, inclusive; from > to: nothing is here */
};

struct key {
	uint8_t certificate[SHA256_SIZE];
	X509 *x; /* NULL: nothing is here */
};

struct known {
	struct fact facts[FACTS];
	struct key keys[KEYS];
	struct known_tcb *tcb; /* NULL: none was read yet */
};

enum err known_new(struct known **out)
{
	if (!(*out = calloc(1, sizeof **out)))
		return failed(ERR_MEMORY, "no memory to remember what was verified");
	for (size_t i = 0; i < FACTS; i++)
		(*out)->facts[i].from = 1;
	return OK;
}

void known_free(struct known *known)
{
	if (!known)
		return;
	for (size_t i = 0; i < KEYS; i++)
		X509_free(known->keys[i].x);
	known_tcb_release(known->tcb);
	free(known);
}

static size_t place(const uint8_t digest[SHA256_SIZE], size_t places)
{
	return get_u32(digest) & (places - 1);
}

static bool holds(const struct known *known, const uint8_t digest[SHA256_SIZE], int64_t at)
{
	const struct fact *fact = &known->facts[place(digest, FACTS)];

	return fact->from <= at && at <= fact->to && memcmp(fact->digest, digest, SHA256_SIZE) == 0;
}

static void keep(struct known *known, const uint8_t digest[SHA256_SIZE], int64_t from, int64_t to)
{
	struct fact *fact = &known->facts[place(digest, FACTS)];

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

/* The key that is kept, or a new one in its place; it stays the struct's. */
static enum err key_of(struct known *known, struct slice certificate,
		       const uint8_t digest[SHA256_SIZE], EVP_PKEY **key)
{
	struct key *kept = &known->keys[place(digest, KEYS)];
	CLEANUP(x509) X509 *x = NULL;
	enum err e;

	if (kept->x && memcmp(kept->certificate, digest, SHA256_SIZE) == 0)
		return x509_key(kept->x, key);
	if ((e = x509_parse(certificate, &x)) || (e = x509_key(x, key)))
		return e;
	X509_free(kept->x);
	kept->x = STEAL(x);
	memcpy(kept->certificate, digest, SHA256_SIZE);
	return OK;
}

enum err known_signature(struct known *known, struct slice certificate,
			 const uint8_t digest[SHA256_SIZE], struct slice raw)
{
	uint8_t whose[SHA256_SIZE], fact[SHA256_SIZE];
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
	if ((e = key_of(known, certificate, whose, &key)) ||
	    (e = x509_check_signature(key, digest, raw)))
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

static enum err narrow(struct slice certificate, int64_t *from, int64_t *to)
{
	int64_t first, last;
	enum err e = certificate_period(certificate, &first, &last);

	if (e)
		return e;
	*from = first > *from ? first : *from;
	*to = last < *to ? last : *to;
	return OK;
}

/* When all of them are valid; less than that where not all are needed. */
static enum err period(struct slice certificate, const struct chain *chain, struct slice ca,
		       int64_t *from, int64_t *to)
{
	enum err e;

	*from = INT64_MIN;
	*to = INT64_MAX;
	if ((e = narrow(certificate, from, to)) || (e = narrow(ca, from, to)))
		return e;
	for (size_t i = 0; chain && i < chain->n; i++)
		if ((e = narrow(chain->of[i], from, to)))
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
	if ((e = chain_verify(certificate, chain, ca, origin, at)) ||
	    (e = period(certificate, chain, ca, &from, &to)))
		return e;
	keep(known, fact, from, to);
	return OK;
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

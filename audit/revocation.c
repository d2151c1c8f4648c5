#include "audit/revocation.h"

#include <string.h>
#include <time.h>

#include "audit/leaf_text.h"
#include "audit/x509.h"

static void crl_cleanup(X509_CRL **crl)
{
	X509_CRL_free(*crl);
}

static void bio_cleanup(BIO **bio)
{
	BIO_free(*bio);
}

static void enumerated_cleanup(ASN1_ENUMERATED **value)
{
	ASN1_ENUMERATED_free(*value);
}

static void time_cleanup(ASN1_GENERALIZEDTIME **value)
{
	ASN1_GENERALIZEDTIME_free(*value);
}

/* ---- files ---- */

static enum err put_list(X509_CRL *crl, struct buf *out)
{
	uint8_t *der = NULL;
	int n = i2d_X509_CRL(crl, &der);

	if (n <= 0)
		return failed(ERR_CRYPTO, "a CRL: %s", x509_reason());
	buf_put(out, der, (size_t)n);
	OPENSSL_free(der);
	return buf_check(out);
}

enum err revocation_from_file(struct slice contents, struct buf *der)
{
	size_t before = der->len;

	if (contents.left == 0 || contents.left > REVOCATION_MAX)
		return failed(ERR_RANGE, "a file of CRLs of %zu bytes", contents.left);
	if (contents.p[0] == 0x30) {
		buf_put_slice(der, contents);
		return buf_check(der);
	}
	CLEANUP(bio) BIO *bio = BIO_new_mem_buf(contents.p, (int)contents.left);
	for (size_t i = 0; bio && i < REVOCATION_LISTS; i++) {
		CLEANUP(crl) X509_CRL *crl = PEM_read_bio_X509_CRL(bio, NULL, NULL, NULL);
		enum err e;

		if (!crl)
			break;
		if ((e = put_list(crl, der)))
			return e;
	}
	/* What ends the loop well is that there are no more lines to begin one. */
	bool end = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
	const char *why = x509_reason();
	return end && der->len > before
		       ? OK
		       : failed(ERR_CRYPTO, "not fewer than %d CRLs in PEM, or one in DER: %s",
				REVOCATION_LISTS, why);
}

/* ---- one list ---- */

static bool seconds_of(const ASN1_TIME *t, int64_t *out)
{
	struct tm tm;

	if (!t || ASN1_TIME_to_tm(t, &tm) != 1)
		return false;
	*out = (int64_t)timegm(&tm);
	return true;
}

static bool is_strong(const X509_CRL *crl)
{
	int digest = NID_undef;

	return OBJ_find_sigid_algs(X509_CRL_get_signature_nid(crl), &digest, NULL) == 1 &&
	       digest != NID_md5 && digest != NID_sha1 && digest != NID_md5_sha1;
}

/* Deltas, and lists of some certificates only, say so in critical extensions: none is understood. */
static bool is_plain(const X509_CRL *crl)
{
	for (int i = 0; i < X509_CRL_get_ext_count(crl); i++)
		if (X509_EXTENSION_get_critical(X509_CRL_get_ext(crl, i)))
			return false;
	return true;
}

static enum err check_list(X509_CRL *crl, X509 *issuer, int64_t at)
{
	const ASN1_TIME *next = X509_CRL_get0_nextUpdate(crl);
	uint32_t usage = X509_get_key_usage(issuer);
	int64_t until;

	if (!(usage & KU_CRL_SIGN) || !is_strong(crl) ||
	    X509_CRL_verify(crl, X509_get0_pubkey(issuer)) != 1) {
		(void)x509_reason();
		return failed(ERR_CRYPTO, "a CRL is not signed by the CA that it names");
	}
	if (!is_plain(crl))
		return failed(ERR_CRYPTO, "a CRL is a delta, or of some certificates only");
	if (next && !seconds_of(next, &until))
		return failed(ERR_CRYPTO, "a CRL has no proper time");
	return next && until < at
		       ? failed(ERR_CRYPTO, "a CRL is older than the proof, and was to be replaced "
					    "before it was made")
		       : OK;
}

/* ---- one certificate ---- */

struct entry_facts {
	int64_t from; /* not to be relied on since */
	long reason;  /* CRL_REASON_... */
};

static enum err read_entry(const X509_REVOKED *entry, struct entry_facts *out)
{
	CLEANUP(time)
	ASN1_GENERALIZEDTIME *invalid =
		X509_REVOKED_get_ext_d2i(entry, NID_invalidity_date, NULL, NULL);
	CLEANUP(enumerated)
	ASN1_ENUMERATED *reason = X509_REVOKED_get_ext_d2i(entry, NID_crl_reason, NULL, NULL);
	int64_t earlier;

	for (int i = 0; i < X509_REVOKED_get_ext_count(entry); i++)
		if (X509_EXTENSION_get_critical(X509_REVOKED_get_ext(entry, i)))
			return failed(ERR_CRYPTO, "a CRL's entry is not understood");
	if (!seconds_of(X509_REVOKED_get0_revocationDate(entry), &out->from))
		return failed(ERR_CRYPTO, "a CRL has no proper time");
	if (invalid && seconds_of(invalid, &earlier) && earlier < out->from)
		out->from = earlier;
	out->reason = reason ? ASN1_ENUMERATED_get(reason) : CRL_REASON_UNSPECIFIED;
	return OK;
}

static bool is_compromise(long reason)
{
	return reason == CRL_REASON_KEY_COMPROMISE || reason == CRL_REASON_CA_COMPROMISE ||
	       reason == CRL_REASON_AA_COMPROMISE;
}

/* Whoever has the key can put any time into a proof. */
static enum err judge(const struct entry_facts *facts, const struct revocation *r, X509 *x,
		      struct buf *words)
{
	CLEANUP(buf) struct buf when = BUF_INIT;
	char name[CERTIFICATE_NAME] = "";

	X509_NAME_get_text_by_NID(X509_get_subject_name(x), NID_commonName, name, sizeof name);
	leaf_put_time(&when, facts->from);
	const char *date = buf_text(&when);
	if (!date)
		return failed(ERR_MEMORY, "a time");
	if (facts->from <= r->at)
		return failed(ERR_CRYPTO,
			      "the certificate \"%s\" was revoked on %s, before the proof", name,
			      date);
	if (is_compromise(facts->reason) && !r->stamped)
		return failed(ERR_CRYPTO,
			      "the key of \"%s\" got into other hands (revoked on %s): only a time "
			      "stamp shows that the proof is older",
			      name, date);
	buf_printf(words, "the certificate \"%s\" was revoked LATER, on %s; ", name, date);
	return buf_check(words);
}

static enum err check_one(X509_CRL *crl, X509 *x, X509 *issuer, const struct revocation *r,
			  bool *mine, struct buf *words)
{
	struct entry_facts facts;
	X509_REVOKED *entry;
	enum err e;

	if (X509_NAME_cmp(X509_CRL_get_issuer(crl), X509_get_subject_name(issuer)))
		return OK;
	*mine = true;
	if ((e = check_list(crl, issuer, r->at)))
		return e;
	if (X509_CRL_get0_by_cert(crl, &entry, x) != 1)
		return OK;
	return (e = read_entry(entry, &facts)) ? e : judge(&facts, r, x, words);
}

/* ---- all of them ---- */

struct people {
	X509 *of[2 + CHAIN_ALL]; /* each issued by the next, the last one maybe by itself */
	size_t n;
};

static void people_cleanup(struct people *people)
{
	for (size_t i = 0; i < people->n; i++)
		X509_free(people->of[i]);
}

static enum err gather(const struct revocation *r, struct people *out)
{
	enum err e = x509_parse(r->certificate, &out->of[0]);

	if (e)
		return e;
	out->n = 1;
	if (!r->chain) {
		if (!(e = x509_parse(r->ca, &out->of[1])))
			out->n++;
		return e;
	}
	for (size_t i = 0; i < r->chain->n && !e; i++)
		if (!(e = x509_parse(r->chain->of[i], &out->of[out->n])))
			out->n++;
	return e;
}

static enum err check_all(X509_CRL *crl, const struct people *people, const struct revocation *r,
			  struct buf *words)
{
	bool mine = false;
	enum err e = OK;

	for (size_t i = 0; i + 1 < people->n && !e; i++)
		e = check_one(crl, people->of[i], people->of[i + 1], r, &mine, words);
	if (e)
		return e;
	return mine ? OK : failed(ERR_CRYPTO, "a CRL is by none of the CAs of the proof");
}

enum err revocation_check(const struct revocation *r, struct buf *words)
{
	CLEANUP(people) struct people people = { 0 };
	const uint8_t *p = r->lists.p, *end = p + r->lists.left;
	size_t n = 0;
	enum err e = gather(r, &people);

	for (; !e && p < end && n < REVOCATION_LISTS; n++) {
		CLEANUP(crl) X509_CRL *crl = d2i_X509_CRL(NULL, &p, end - p);

		e = crl ? check_all(crl, &people, r, words)
			: failed(ERR_FORMAT, "not a CRL: %s", x509_reason());
	}
	if (!e && (!n || p < end))
		e = failed(ERR_FORMAT, "one to %d CRLs expected", REVOCATION_LISTS);
	if (e)
		return e;
	buf_printf(words, "%zu CRL%s by its CAs, nothing revoked before it was made", n,
		   n > 1 ? "s" : "");
	return buf_check(words);
}

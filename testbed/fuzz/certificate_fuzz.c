/* What is read of certificates: files, the fields that Assay looks at, chains, lists of what was revoked.
 * Nothing may pass for what a fixed CA issued, since only its key could have signed it. */
#include <stdlib.h>
#include <string.h>

#include "audit/chain.h"
#include "audit/ecdsa.h"
#include "audit/revocation.h"
#include "testbed/fuzz/authority.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void read_fields(struct slice der)
{
	CLEANUP(buf) struct buf origin = BUF_INIT;
	CLEANUP(buf) struct buf spki = BUF_INIT;
	uint8_t point[CERTIFICATE_POINT], ed25519[CERTIFICATE_ED25519];

	if (!certificate_origin(der, &origin) && (!origin.len || origin.len > AUDIT_ORIGIN_MAX))
		abort();
	if (!certificate_point(der, point) && point[0] != 4)
		abort();
	/* A key is on one curve. */
	if (!certificate_ed25519(der, ed25519) && !certificate_point(der, point))
		abort();
	(void)!certificate_spki(der, &spki);
	if (!chain_verify(der, NULL, SLICE(authority), NULL, AUTHORITY_TIME))
		abort();
}

static void read_file(struct slice in)
{
	CLEANUP(buf) struct buf der = BUF_INIT;
	CLEANUP(buf) struct buf pem = BUF_INIT;
	CLEANUP(buf) struct buf again = BUF_INIT;

	if (certificate_from_file(in, &der))
		return;
	certificate_put_pem(buf_slice(&der), &pem);
	if (buf_check(&pem) || certificate_from_file(buf_slice(&pem), &again) ||
	    !slice_equal(buf_slice(&again), buf_slice(&der)))
		abort();
	read_fields(buf_slice(&der));
}

/* The first of a chain as if it were a key's, with all of it above; and whatever is trusted of it. */
static void read_chain(struct slice in)
{
	CLEANUP(buf) struct buf pem = BUF_INIT;
	CLEANUP(buf) struct buf again = BUF_INIT;
	struct chain chain;

	if (chain_read(in, &chain))
		return;
	if (!chain.n || chain.n > CHAIN_ALL)
		abort();
	if (!chain_put_pem(in, &pem) && !chain_from_file(buf_slice(&pem), &again) &&
	    !slice_equal(buf_slice(&again), in))
		abort();
	(void)!chain_check(&chain, AUTHORITY_TIME);
	for (size_t i = 0; i < chain.n; i++)
		(void)!chain_verify(chain.of[0], &chain, chain.of[i], NULL, AUTHORITY_TIME);
	if (!chain_verify(chain.of[0], &chain, SLICE(authority), NULL, AUTHORITY_TIME))
		abort();
}

static void read_lists(struct slice in)
{
	CLEANUP(buf) struct buf lists = BUF_INIT;
	CLEANUP(buf) struct buf words = BUF_INIT;
	struct revocation question = { .certificate = SLICE(authority),
				       .ca = SLICE(authority),
				       .at = AUTHORITY_TIME };

	if (revocation_from_file(in, &lists))
		return;
	question.lists = buf_slice(&lists);
	if (!revocation_check(&question, &words))
		abort();
}

static void read_signature(struct slice in)
{
	CLEANUP(buf) struct buf again = BUF_INIT;
	uint8_t raw[ECDSA_RAW];

	if (!ecdsa_from_der(in, raw) &&
	    (ecdsa_to_der(SLICE(raw), &again) || !slice_equal(buf_slice(&again), in)))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	read_file(slice_of(data, n));
	read_chain(slice_of(data, n));
	read_lists(slice_of(data, n));
	read_signature(slice_of(data, n));
	return 0;
}

/* The library as a relying party's program calls it, the whole way: everything that it is given is the
 * input's, cut into pieces. Its first byte is flags; then each piece has its length, 16 bits, in front.
 * A cache that remembers all inputs before makes no difference. */
#include <stdlib.h>
#include <string.h>

#include "audit/library/assay-verify.h"
#include "config/base/bytes.h"
#include "testbed/fuzz/authority.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* None where the piece is empty. */
static struct assay_bytes piece(struct slice *in)
{
	uint16_t n = 0;
	struct slice out = { 0 };

	if (slice_take_u16(in, &n) || slice_take(in, n < in->left ? n : in->left, &out))
		return (struct assay_bytes){ NULL, 0 };
	return (struct assay_bytes){ out.left ? out.p : NULL, out.left };
}

static void look_at(struct assay_outcome *o, enum assay_verdict verdict)
{
	size_t told = strlen(assay_outcome_reason(o)) + strlen(assay_outcome_json(o)) +
		      strlen(assay_outcome_claims(o)) + strlen(assay_outcome_line(o)) +
		      strlen(assay_outcome_policy(o));

	for (size_t i = 0; i <= assay_outcome_checks(o); i++)
		told += strlen(assay_outcome_check(o, i).words);
	for (size_t i = 0; i <= assay_outcome_rules(o); i++)
		told += strlen(assay_outcome_rule(o, i).words);
	if (!told || (verdict != ASSAY_HOLDS) != (*assay_outcome_reason(o) != '\0'))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static struct assay_cache *cache;
	struct assay_expect expect = { .size = sizeof expect, .now = AUTHORITY_TIME };
	struct assay_outcome *outcome;
	struct slice in = slice_of(data + 1, n ? n - 1 : 0);

	if (!n)
		return 0;
	expect.flags = data[0] & 7;
	struct assay_bytes proof = piece(&in);
	expect.ca = piece(&in);
	if (!expect.ca.data)
		expect.ca = (struct assay_bytes){ authority, sizeof authority };
	expect.certificate = piece(&in);
	expect.tsa = piece(&in);
	expect.policy = piece(&in);
	expect.keys = piece(&in);
	expect.nonce = piece(&in);
	expect.input = piece(&in);
	expect.output = piece(&in);
	expect.messages = piece(&in);
	expect.crl = piece(&in);
	expect.profile = piece(&in);
	expect.witnesses = piece(&in);
	expect.checkpoint = piece(&in);
	enum assay_verdict verdict = assay_verify(proof.data, proof.size, &expect, &outcome);
	if (outcome)
		look_at(outcome, verdict);
	assay_outcome_free(outcome);
	if (!cache && !(cache = assay_cache_new()))
		return 0;
	expect.cache = cache;
	if (assay_verify(proof.data, proof.size, &expect, &outcome) != verdict)
		abort();
	assay_outcome_free(outcome);
	return 0;
}

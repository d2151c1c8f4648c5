/* What a verifier remembers is what it checked, and nothing that looks like it. */
#include "audit/known.h"
#include "testbed/unit/sample.h"

static struct sample s;
static struct known *known;

static void set_up(void)
{
	sample_init(&s);
	sample_seal(&s);
	ck_assert_ok(known_new(&known));
	s.expect.known = known;
}

static void tear_down(void)
{
	known_free(known);
	sample_free(&s);
}

static enum err verify(void)
{
	CLEANUP(proof_report) struct proof_report report;

	return proof_verify(buf_slice(&s.proof), &s.expect, &report);
}

START_TEST(a_proof_that_is_known_holds_again)
{
	for (int i = 0; i < 3; i++)
		ck_assert_ok(verify());
}
END_TEST

START_TEST(no_changed_proof_verifies_beside_a_known_one)
{
	ck_assert_ok(verify());
	for (size_t at = 0; at < s.proof.len; at++) {
		uint8_t change = (uint8_t)(1 << at % 8);

		s.proof.data[at] ^= change;
		ck_assert_msg(verify() != OK, "byte %zu", at);
		s.proof.data[at] ^= change;
		ck_assert_ok(verify());
	}
}
END_TEST

START_TEST(what_did_not_hold_is_not_remembered)
{
	struct appliance other;

	appliance_init(&other);
	s.expect.ca = buf_slice(&other.ca);
	for (int i = 0; i < 2; i++)
		ck_assert_err(verify(), ERR_CRYPTO);
	s.expect.ca = buf_slice(&s.appliance.ca);
	ck_assert_ok(verify());
	s.expect.ca = buf_slice(&other.ca);
	ck_assert_err(verify(), ERR_CRYPTO);
	appliance_free(&other);
}
END_TEST

static enum err chain_at(int64_t at)
{
	struct chain chain = { .of = { buf_slice(&s.appliance.ca) }, .n = 1 };

	return known_chain(known, buf_slice(&s.appliance.certificate), &chain,
			   buf_slice(&s.appliance.ca), APPLIANCE_ORIGIN, at);
}

/* The certificates' first and last second, as appliance.h makes them. */
START_TEST(a_known_chain_is_judged_at_every_time)
{
	const int64_t first = APPLIANCE_TIME - 1000, last = APPLIANCE_TIME + 1000000000;

	ck_assert_ok(chain_at(APPLIANCE_TIME));
	ck_assert_ok(chain_at(first));
	ck_assert_ok(chain_at(last - 1));
	ck_assert_err(chain_at(first - 1), ERR_CRYPTO);
	ck_assert_err(chain_at(last), ERR_CRYPTO);
	ck_assert_err(chain_at(INT64_MAX / 2), ERR_CRYPTO);
	ck_assert_ok(chain_at(APPLIANCE_TIME + 1));
}
END_TEST

START_TEST(a_known_chain_is_known_for_its_log_only)
{
	ck_assert_ok(chain_at(APPLIANCE_TIME));
	ck_assert_err(known_chain(known, buf_slice(&s.appliance.certificate), NULL,
				  buf_slice(&s.appliance.ca), "another", APPLIANCE_TIME),
		      ERR_CRYPTO);
	ck_assert_err(known_chain(known, buf_slice(&s.appliance.ca), NULL,
				  buf_slice(&s.appliance.ca), APPLIANCE_ORIGIN, APPLIANCE_TIME),
		      ERR_CRYPTO);
}
END_TEST

/* More heads than there are places: each is checked again when it was forgotten. */
START_TEST(what_is_forgotten_is_checked_again)
{
	CLEANUP(buf) struct buf signature = BUF_INIT;
	uint8_t digest[SHA256_SIZE] = { 0 };
	struct slice certificate = buf_slice(&s.appliance.certificate);

	for (unsigned i = 0; i < 1500; i++) {
		set_u32(digest, i);
		buf_reset(&signature);
		ck_assert_ok(appliance_sign(&s.appliance, APPLIANCE_KEY, digest, &signature));
		ck_assert_ok(known_signature(known, certificate, digest, buf_slice(&signature)));
		ck_assert_ok(known_signature(known, certificate, digest, buf_slice(&signature)));
		digest[31] ^= 1;
		ck_assert_err(known_signature(known, certificate, digest, buf_slice(&signature)),
			      ERR_CRYPTO);
		digest[31] ^= 1;
	}
}
END_TEST

static void add(TCase *t)
{
	tcase_add_checked_fixture(t, set_up, tear_down);
	tcase_add_test(t, a_proof_that_is_known_holds_again);
	tcase_add_test(t, no_changed_proof_verifies_beside_a_known_one);
	tcase_add_test(t, what_did_not_hold_is_not_remembered);
	tcase_add_test(t, a_known_chain_is_judged_at_every_time);
	tcase_add_test(t, a_known_chain_is_known_for_its_log_only);
	tcase_add_test(t, what_is_forgotten_is_checked_again);
}

int main(void)
{
	return check_run("known", add);
}

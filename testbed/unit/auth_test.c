/* auth_test.c - challenges and grants of one link: replayed, relayed, foreign, late, revoked. */
#include <string.h>

#include "plugin/daemon/auth.h"
#include "testbed/unit/check.h"

#define NOW 1000000

static struct auth auth;
static const struct auth_role user = { "0123456789abcdef", 1, WIRE_USER };
static const uint8_t digest[32] = { 7 };

static void setup(void)
{
	auth_init(&auth);
}

static enum err spend(const struct auth_role *who, uint64_t now, uint64_t *ticket)
{
	uint8_t found[32];
	enum err e = auth_spend(&auth, who, now, found, ticket);

	if (!e)
		ck_assert_mem_eq(found, digest, sizeof found);
	return e;
}

START_TEST(challenge_is_good_once)
{
	uint64_t ticket;

	auth_challenge(&auth, &user, digest, NOW);
	ck_assert_ok(spend(&user, NOW + 1, &ticket));
	ck_assert_err(spend(&user, NOW + 2, &ticket), ERR_STATE);
}
END_TEST

START_TEST(challenge_that_failed_is_spent_too)
{
	uint64_t ticket;

	auth_challenge(&auth, &user, digest, NOW);
	ck_assert_err(spend(&user, NOW + AUTH_CHALLENGE_MS + 1, &ticket), ERR_TIMEOUT);
	ck_assert_err(spend(&user, NOW + 1, &ticket), ERR_STATE);
}
END_TEST

START_TEST(challenge_is_good_to_its_last_moment)
{
	uint64_t ticket;

	auth_challenge(&auth, &user, digest, NOW);
	ck_assert_ok(spend(&user, NOW + AUTH_CHALLENGE_MS, &ticket));
}
END_TEST

static const struct {
	const char *why;
	struct auth_role who;
} foreign[] = {
	{ "another partition", { "0123456789abcdee", 1, WIRE_USER } },
	{ "another generation", { "0123456789abcdef", 2, WIRE_USER } },
	{ "another role", { "0123456789abcdef", 1, WIRE_SO } },
};

START_TEST(challenge_and_grant_are_of_one_role_of_one_partition)
{
	uint64_t ticket;

	auth_challenge(&auth, &user, digest, NOW);
	ck_assert_msg(spend(&foreign[_i].who, NOW, &ticket) == ERR_STATE, "%s", foreign[_i].why);
	ck_assert_ok(spend(&user, NOW, &ticket));
	ck_assert_ok(auth_grant(&auth, &user, LEAF_PROOF_ROLE_KEY, ticket, NOW));
	ck_assert_msg(!auth_allows(&auth, &foreign[_i].who, NOW, NULL), "%s", foreign[_i].why);
	ck_assert(auth_allows(&auth, &user, NOW, NULL));
}
END_TEST

START_TEST(relayed_challenge_is_not_known_to_another_link)
{
	struct auth other;
	uint8_t found[32];
	uint64_t ticket;

	auth_init(&other);
	auth_challenge(&auth, &user, digest, NOW);
	ck_assert_err(auth_spend(&other, &user, NOW, found, &ticket), ERR_STATE);
}
END_TEST

/* A relay changes one field at least, and then the digest is another. */
START_TEST(every_field_is_bound)
{
	struct wire_challenge c = { .origin = slice_text("o"),
				    .serial = slice_text("s"),
				    .generation = 1,
				    .role = 1,
				    .epoch = 1 };
	uint8_t first[32], other[32];

	ck_assert_ok(wire_role_challenge(&c, first));
	struct wire_challenge changed[9];
	for (size_t i = 0; i < 9; i++)
		changed[i] = c;
	changed[0].origin = slice_text("p");
	changed[1].serial = slice_text("t");
	changed[2].generation = 2;
	changed[3].role = 2;
	changed[4].epoch = 2;
	changed[5].boot[0] = 1;
	changed[6].connection[0] = 1;
	changed[7].client_nonce[0] = 1;
	changed[8].daemon_nonce[0] = 1;
	for (size_t i = 0; i < 9; i++) {
		ck_assert_ok(wire_role_challenge(&changed[i], other));
		ck_assert_msg(memcmp(first, other, 32), "field %zu is not bound", i);
	}
}
END_TEST

START_TEST(newer_challenge_takes_the_place_of_the_older)
{
	uint8_t later[32] = { 8 }, found[32];
	uint64_t ticket;

	auth_challenge(&auth, &user, digest, NOW);
	auth_challenge(&auth, &user, later, NOW + 1);
	ck_assert_ok(auth_spend(&auth, &user, NOW + 2, found, &ticket));
	ck_assert_mem_eq(found, later, sizeof found);
}
END_TEST

static void grant(const struct auth_role *who, uint64_t now)
{
	uint64_t ticket;

	auth_challenge(&auth, who, digest, now);
	ck_assert_ok(spend(who, now, &ticket));
	ck_assert_ok(auth_grant(&auth, who, LEAF_PROOF_ROLE_KEY, ticket, now));
}

START_TEST(grant_lasts_its_time)
{
	enum leaf_roleproof proof = LEAF_PROOF_NONE;

	ck_assert(!auth_allows(&auth, &user, NOW, NULL));
	grant(&user, NOW);
	ck_assert(auth_allows(&auth, &user, NOW + AUTH_GRANT_MS, &proof));
	ck_assert_int_eq(proof, LEAF_PROOF_ROLE_KEY);
	ck_assert(!auth_allows(&auth, &user, NOW + AUTH_GRANT_MS + 1, NULL));
}
END_TEST

START_TEST(revocation_ends_grants_of_that_role)
{
	struct auth_role so = user;

	so.role = WIRE_SO;
	grant(&user, NOW);
	grant(&so, NOW);
	auth_revoke(&auth, user.serial, WIRE_USER);
	ck_assert(!auth_allows(&auth, &user, NOW, NULL));
	ck_assert(auth_allows(&auth, &so, NOW, NULL));
	auth_revoke(&auth, user.serial, 0);
	ck_assert(!auth_allows(&auth, &so, NOW, NULL));
}
END_TEST

START_TEST(revocation_leaves_other_partitions_alone)
{
	struct auth_role any;

	grant(&user, NOW);
	auth_revoke(&auth, foreign[0].who.serial, 0);
	ck_assert(auth_allows(&auth, &user, NOW, NULL));
	ck_assert(auth_any(&auth, NOW, &any));
	ck_assert_str_eq(any.serial, user.serial);
}
END_TEST

START_TEST(revocation_wins_over_a_proof_that_is_being_checked)
{
	uint64_t ticket;

	auth_challenge(&auth, &user, digest, NOW);
	ck_assert_ok(spend(&user, NOW, &ticket));
	auth_revoke(&auth, user.serial, WIRE_USER);
	ck_assert_err(auth_grant(&auth, &user, LEAF_PROOF_ROLE_KEY, ticket, NOW), ERR_STATE);
	ck_assert(!auth_allows(&auth, &user, NOW, NULL));
}
END_TEST

START_TEST(many_partitions_push_out_the_one_used_longest_ago)
{
	struct auth_role who = user;

	for (unsigned i = 0; i < AUTH_PLACES + 1; i++) {
		who.generation = i + 1;
		grant(&who, NOW + i);
	}
	ck_assert(auth_allows(&auth, &who, NOW + 100, NULL));
	who.generation = 1;
	ck_assert(!auth_allows(&auth, &who, NOW + 100, NULL));
	who.generation = 2;
	ck_assert(auth_allows(&auth, &who, NOW + 100, NULL));
}
END_TEST

static void add(TCase *t)
{
	tcase_add_checked_fixture(t, setup, NULL);
	tcase_add_test(t, challenge_is_good_once);
	tcase_add_test(t, challenge_that_failed_is_spent_too);
	tcase_add_test(t, challenge_is_good_to_its_last_moment);
	tcase_add_table(t, challenge_and_grant_are_of_one_role_of_one_partition, foreign);
	tcase_add_test(t, relayed_challenge_is_not_known_to_another_link);
	tcase_add_test(t, every_field_is_bound);
	tcase_add_test(t, newer_challenge_takes_the_place_of_the_older);
	tcase_add_test(t, grant_lasts_its_time);
	tcase_add_test(t, revocation_ends_grants_of_that_role);
	tcase_add_test(t, revocation_leaves_other_partitions_alone);
	tcase_add_test(t, revocation_wins_over_a_proof_that_is_being_checked);
	tcase_add_test(t, many_partitions_push_out_the_one_used_longest_ago);
}

int main(void)
{
	return check_run("auth", add);
}

#include "testbed/unit/appliance.h"
#include "testbed/unit/check.h"
#include "testbed/unit/evidence_golden.h"

static void from_hex(const char *text, struct buf *out)
{
	size_t n = strlen(text) / 2;

	ck_assert_ok(hex_take(text, buf_add(out, n), n));
}

static void assert_hex(struct slice found, const char *wanted)
{
	CLEANUP(buf) struct buf text = BUF_INIT;

	buf_put_hex(&text, found);
	ck_assert_str_eq(buf_text(&text), wanted);
}

static struct leaf minimal(void)
{
	return (struct leaf){ .type = LEAF_REFUSAL,
			      .issuer = slice_text("a"),
			      .profile = slice_text("p"),
			      .origin = slice_text("o") };
}

START_TEST(a_full_leaf_is_what_another_encoder_makes_of_it)
{
	struct leaf *leaf = appliance_leaf();
	CLEANUP(buf) struct buf raw = BUF_INIT;
	uint8_t digest[SHA256_SIZE];

	ck_assert_ok(leaf_encode(leaf, &raw));
	assert_hex(buf_slice(&raw), golden_full);
	leaf_hash(buf_slice(&raw), digest);
	assert_hex(SLICE(digest), golden_hash);
	ck_assert_ok(leaf_components_digest(leaf, digest));
	assert_hex(SLICE(digest), golden_components);
	free(leaf);
}
END_TEST

START_TEST(a_minimal_leaf_is_what_another_encoder_makes_of_it)
{
	struct leaf leaf = minimal();
	CLEANUP(buf) struct buf raw = BUF_INIT;

	ck_assert_ok(leaf_encode(&leaf, &raw));
	assert_hex(buf_slice(&raw), golden_minimal);
}
END_TEST

START_TEST(a_decoded_leaf_encodes_to_the_same_bytes)
{
	CLEANUP(buf) struct buf raw = BUF_INIT;
	CLEANUP(buf) struct buf again = BUF_INIT;
	struct leaf *leaf = calloc(1, sizeof *leaf);

	from_hex(golden_full, &raw);
	ck_assert_ok(leaf_decode(buf_slice(&raw), leaf));
	ck_assert_uint_eq(leaf->uptime, 4711);
	ck_assert(slice_is(leaf->hsm.model, "SoftHSM v2"));
	ck_assert(slice_is(leaf->absent_steps, "mdwe landlock_scope"));
	ck_assert_uint_eq(leaf->components_n, 2);
	ck_assert(slice_is(leaf->components[1].version, "2"));
	ck_assert_int_eq(leaf->roleproof, LEAF_PROOF_ROLE_KEY);
	ck_assert_ok(leaf_encode(leaf, &again));
	ck_assert(slice_equal(buf_slice(&raw), buf_slice(&again)));
	free(leaf);
}
END_TEST

/* Whatever the decoder takes, the encoder writes the same way: there is one encoding of a leaf. */
/* Either side of each length that an index may have. */
static const struct {
	uint64_t guess, pos;
	bool same;
} renumbered[] = {
	{ 0, 23, true },
	{ 23, 24, false },
	{ 24, 255, true },
	{ 255, 256, false },
	{ 65535, 256, true },
	{ 65536, 65535, false },
	{ UINT32_MAX, 65536, true },
	{ UINT32_MAX, (uint64_t)UINT32_MAX + 1, false },
	{ (uint64_t)UINT32_MAX + 1, INT64_MAX, true },
};

START_TEST(a_draft_that_gets_its_index_is_the_leaf_with_that_index)
{
	CLEANUP(buf) struct buf draft = BUF_INIT;
	CLEANUP(buf) struct buf whole = BUF_INIT;
	struct leaf leaf = minimal();
	size_t pos_at;

	leaf.pos = renumbered[_i].guess;
	ck_assert_ok(leaf_draft(&leaf, &draft, &pos_at));
	leaf.pos = renumbered[_i].pos;
	ck_assert_ok(leaf_encode(&leaf, &whole));
	ck_assert(leaf_renumber(&draft, pos_at, leaf.pos) == renumbered[_i].same);
	if (renumbered[_i].same)
		ck_assert(slice_equal(buf_slice(&draft), buf_slice(&whole)));
}
END_TEST

START_TEST(a_changed_leaf_is_refused_or_is_another_leaf)
{
	CLEANUP(buf) struct buf raw = BUF_INIT;
	struct leaf *leaf = calloc(1, sizeof *leaf);

	from_hex(golden_full, &raw);
	for (size_t bit = 0; bit < 8 * raw.len; bit++) {
		CLEANUP(buf) struct buf again = BUF_INIT;

		raw.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
		if (!leaf_decode(buf_slice(&raw), leaf)) {
			ck_assert_ok(leaf_encode(leaf, &again));
			ck_assert_msg(slice_equal(buf_slice(&raw), buf_slice(&again)), "bit %zu",
				      bit);
		}
		raw.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	free(leaf);
}
END_TEST

START_TEST(a_cut_or_longer_leaf_is_refused)
{
	CLEANUP(buf) struct buf raw = BUF_INIT;
	struct leaf *leaf = calloc(1, sizeof *leaf);

	from_hex(golden_full, &raw);
	for (size_t n = 0; n < raw.len; n++)
		ck_assert_err(leaf_decode(slice_of(raw.data, n), leaf), ERR_FORMAT);
	buf_put_u8(&raw, 0);
	ck_assert_err(leaf_decode(buf_slice(&raw), leaf), ERR_FORMAT);
	free(leaf);
}
END_TEST

static const struct {
	const char *why, *hex;
} refused[] = {
	{ "no tag", "a0" },
	{ "another tag", "d83da0" },
	{ "no claims", "d90259a0" },
	{ "a claim is missing (rectype)",
	  "d90259a701616106000750000000000000000000000000000000001901070019010961703a00"
	  "011170003a00011171616f" },
	{ "an unknown claim (3)",
	  "d90259a90161610361620600075000000000000000000000000000000000190107001901096170"
	  "3a00011170003a00011171616f3a0001117b0b" },
	{ "rectype 13",
	  "d90259a801616106000750000000000000000000000000000000001901070019010961703a00"
	  "011170003a00011171616f3a0001117b0d" },
	{ "claims out of order",
	  "d90259a806000161610750000000000000000000000000000000001901070019010961703a00"
	  "011170003a00011171616f3a0001117b0b" },
	{ "a claim twice",
	  "d90259a9016161016161060007500000000000000000000000000000000019010700190109617"
	  "03a00011170003a00011171616f3a0001117b0b" },
	{ "a time before 1970",
	  "d90259a801616106200750000000000000000000000000000000001901070019010961703a00"
	  "011170003a00011171616f3a0001117b0b" },
	{ "a nonce of 7 bytes",
	  "d90259a9016161060007500000000000000000000000000000000"
	  "00a47000000000000001901070019010961703a00011170003a00011171616f3a0001117b0b" },
	{ "a number not in shortest form",
	  "d90259a80161610618000750000000000000000000000000000000001901070019010961703a00"
	  "011170003a00011171616f3a0001117b0b" },
};

START_TEST(other_forms_are_refused)
{
	CLEANUP(buf) struct buf raw = BUF_INIT;
	struct leaf *leaf = calloc(1, sizeof *leaf);

	from_hex(refused[_i].hex, &raw);
	ck_assert_msg(leaf_decode(buf_slice(&raw), leaf) == ERR_FORMAT, "%s", refused[_i].why);
	free(leaf);
}
END_TEST

START_TEST(values_out_of_range_are_not_encoded)
{
	static const uint8_t zeros[512];
	static char longest[300];
	struct leaf *leaf = calloc(1, sizeof *leaf);
	CLEANUP(buf) struct buf raw = BUF_INIT;

	memset(longest, 'x', sizeof longest);
#define REFUSED(field, value)                                      \
	do {                                                       \
		*leaf = minimal();                                 \
		leaf->field = (value);                             \
		buf_reset(&raw);                                   \
		ck_assert_err(leaf_encode(leaf, &raw), ERR_RANGE); \
	} while (0)
	REFUSED(nonce, slice_of(zeros, 7));
	REFUSED(nonce, slice_of(zeros, 65));
	REFUSED(ueid, slice_of(zeros, 6));
	REFUSED(ueid, slice_of(zeros, 34));
	REFUSED(hwmodel, slice_of(zeros, 33));
	REFUSED(origin, slice_of(longest, 201));
	REFUSED(origin, slice_of("", 0));
	REFUSED(issuer, slice_of("", 0));
	REFUSED(subject, slice_text("not UTF-8: \xff"));
	REFUSED(type, (enum leaf_type)0);
	REFUSED(type, (enum leaf_type)13);
	REFUSED(time, -1);
	REFUSED(request, slice_of(zeros, 65));
	REFUSED(pos, UINT64_MAX);
	REFUSED(components_n, LEAF_COMPONENTS_MAX + 1);
	free(leaf);
}
END_TEST

/* @order: the authorities, each as a digit that its digest repeats. */
static enum err with_authorities(const char *order, struct buf *raw)
{
	CLEANUP(buf) struct buf list = BUF_INIT;
	struct leaf *leaf = calloc(1, sizeof *leaf);
	uint8_t signer[SHA256_SIZE];

	*leaf = minimal();
	for (const char *p = order; *p; p++) {
		memset(signer, *p, sizeof signer);
		leaf_put_authority(&list, signer);
	}
	leaf->components_n = 1;
	leaf->components[0].name = slice_text("image");
	leaf->components[0].authorities = buf_slice(&list);
	enum err e = leaf_encode(leaf, raw);
	free(leaf);
	return e;
}

START_TEST(who_approved_comes_back_in_order)
{
	CLEANUP(buf) struct buf raw = BUF_INIT;
	CLEANUP(leaf) struct leaf *leaf = NULL;
	const uint8_t *signer;

	ck_assert_ok(with_authorities("0123456789abcdef", &raw));
	ck_assert_ok(leaf_read(buf_slice(&raw), &leaf));
	struct slice list = leaf->components[0].authorities;
	for (const char *p = "0123456789abcdef"; *p; p++) {
		ck_assert_ptr_nonnull(signer = leaf_next_authority(&list));
		ck_assert_int_eq(signer[0], *p);
		ck_assert_int_eq(signer[31], *p);
	}
	ck_assert_ptr_null(leaf_next_authority(&list));
}
END_TEST

START_TEST(who_approved_is_bounded_sorted_and_named_once)
{
	static const char *const lists[] = { "0123456789abcdefg", "ba", "aa", "abb" };
	CLEANUP(buf) struct buf raw = BUF_INIT;

	for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
		buf_reset(&raw);
		ck_assert_msg(with_authorities(lists[i], &raw) == ERR_RANGE, "%s", lists[i]);
	}
}
END_TEST

/* Within a good record: the list of one authority, as the encoding has it, and what is put there. */
static const struct {
	const char *why;
	uint8_t at, byte; /* counted from the list's key */
} misshapen[] = {
	{ "another key", 0, 4 },         { "an empty list", 1, 0x80 },
	{ "two announced", 1, 0x82 },    { "a text", 2, 0x78 },
	{ "31 bytes", 3, 31 },           { "a text in its place", 1, 0x61 },
	{ "a list in a list", 2, 0x81 },
};

START_TEST(a_misshapen_list_of_who_approved_is_refused)
{
	CLEANUP(buf) struct buf raw = BUF_INIT;
	CLEANUP(leaf) struct leaf *leaf = NULL;
	static const uint8_t key[] = { 3, 0x81, 0x58, 0x20, 'a' };

	ck_assert_ok(with_authorities("a", &raw));
	uint8_t *list = memmem(raw.data, raw.len, key, sizeof key);
	ck_assert_ptr_nonnull(list);
	list[misshapen[_i].at] = misshapen[_i].byte;
	ck_assert_msg(leaf_read(buf_slice(&raw), &leaf) == ERR_FORMAT, "%s", misshapen[_i].why);
}
END_TEST

#define EUROS_5 "\xe2\x82\xac\xe2\x82\xac\xe2\x82\xac\xe2\x82\xac\xe2\x82\xac"
#define EUROS_40 EUROS_5 EUROS_5 EUROS_5 EUROS_5 EUROS_5 EUROS_5 EUROS_5 EUROS_5

static const struct {
	const char *in, *wanted;
	size_t fill; /* so many x come first, in both */
} reasons[] = {
	{ "plain", "plain", 0 },
	{ "caf\xc3\xa9", "caf\xc3\xa9", 0 },
	{ "caf\xe9 and on", "caf? and on", 0 },
	{ "\x80\x80", "??", 0 },
	{ "a line\n", "a line\n", 0 },
	{ "abc", "ab", 254 },
	{ "a\xc3\xa9", "a", 254 },
	{ "\xc3\xa9z", "\xc3\xa9", 254 },
	{ "\x80\x80\x80\x80\x80\x80", "", 252 },
	{ EUROS_40 EUROS_40 EUROS_40 EUROS_40, EUROS_40 EUROS_40 EUROS_5, 0 },
	{ EUROS_40 EUROS_40 EUROS_40 "\xe2\x82", EUROS_40 EUROS_40 EUROS_5, 0 },
	{ EUROS_40 "\xe2\x82", EUROS_40, 0 },
	{ "caf\xc3\xa9 \xf0\x9f\x92", "caf\xc3\xa9 ", 0 },
	{ "caf\xc3\xa9 \xc3", "caf\xc3\xa9 ", 250 },
	{ "\xc3", "?", 0 },
	{ "\xe2\x82", "??", 0 },
};

/* No record is lost for its words. */
START_TEST(a_reason_is_made_to_fit)
{
	struct leaf *leaf = calloc(1, sizeof *leaf), *again = calloc(1, sizeof *again);
	CLEANUP(buf) struct buf in = BUF_INIT;
	CLEANUP(buf) struct buf wanted = BUF_INIT;
	CLEANUP(buf) struct buf raw = BUF_INIT;

	for (size_t i = 0; i < reasons[_i].fill; i++) {
		buf_put_text(&in, "x");
		buf_put_text(&wanted, "x");
	}
	buf_put_text(&in, reasons[_i].in);
	buf_put_text(&wanted, reasons[_i].wanted);
	*leaf = minimal();
	leaf->reason = buf_slice(&in);
	ck_assert_ok(leaf_encode(leaf, &raw));
	ck_assert_ok(leaf_decode(buf_slice(&raw), again));
	ck_assert_msg(slice_equal(again->reason, buf_slice(&wanted)), "%.*s",
		      (int)again->reason.left, (const char *)again->reason.p);
	free(leaf);
	free(again);
}
END_TEST

START_TEST(a_leaf_of_too_many_bytes_is_not_encoded)
{
	static char longest[500];
	struct leaf *leaf = calloc(1, sizeof *leaf);
	CLEANUP(buf) struct buf raw = BUF_INIT;

	memset(longest, 'x', sizeof longest);
	*leaf = minimal();
	leaf->components_n = LEAF_COMPONENTS_MAX;
	for (size_t i = 0; i < LEAF_COMPONENTS_MAX; i++)
		leaf->components[i].name = slice_of(longest, 100);
	ck_assert_ok(leaf_encode(leaf, &raw));
	buf_reset(&raw);
	for (size_t i = 0; i < LEAF_COMPONENTS_MAX; i++)
		leaf->components[i].name = slice_of(longest, sizeof longest);
	ck_assert_err(leaf_encode(leaf, &raw), ERR_RANGE);
	free(leaf);
}
END_TEST

static void add(TCase *t)
{
	tcase_add_test(t, a_full_leaf_is_what_another_encoder_makes_of_it);
	tcase_add_test(t, a_minimal_leaf_is_what_another_encoder_makes_of_it);
	tcase_add_test(t, a_decoded_leaf_encodes_to_the_same_bytes);
	tcase_add_table(t, a_draft_that_gets_its_index_is_the_leaf_with_that_index, renumbered);
	tcase_add_test(t, a_changed_leaf_is_refused_or_is_another_leaf);
	tcase_add_test(t, a_cut_or_longer_leaf_is_refused);
	tcase_add_table(t, other_forms_are_refused, refused);
	tcase_add_test(t, values_out_of_range_are_not_encoded);
	tcase_add_test(t, who_approved_comes_back_in_order);
	tcase_add_test(t, who_approved_is_bounded_sorted_and_named_once);
	tcase_add_table(t, a_misshapen_list_of_who_approved_is_refused, misshapen);
	tcase_add_table(t, a_reason_is_made_to_fit, reasons);
	tcase_add_test(t, a_leaf_of_too_many_bytes_is_not_encoded);
}

int main(void)
{
	return check_run("leaf", add);
}

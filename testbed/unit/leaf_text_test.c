#include "audit/leaf_text.h"
#include "testbed/unit/appliance.h"
#include "testbed/unit/check.h"

static bool holds(struct buf *text, const char *part)
{
	return strstr(buf_text(text), part) != NULL;
}

START_TEST(json_has_every_claim_by_name)
{
	struct leaf *leaf = appliance_leaf();
	CLEANUP(buf) struct buf out = BUF_INIT;

	leaf_json(leaf, &out);
	ck_assert(holds(&out, "{\"iss\":\"bank-a\",\"sub\":\"screen\",\"iat\":1764000000,"));
	ck_assert(holds(&out, "\"cti\":\"0102030405060708090a0b0c0d0e0f10\""));
	ck_assert(holds(&out, "\"submods\":{\"manufacturer\":\"SoftHSM project\","));
	ck_assert(holds(&out, "\"measurements\":[{\"name\":\"image\",\"sha256\":\"02"));
	ck_assert(holds(&out, ",\"approved_by\":[\"0a0b"));
	ck_assert(holds(&out, "2829\",\"0b0c"));
	ck_assert(holds(&out, "]},{\"name\":\"profile\",\"version\":\"2\",\"sha256\":\"03"));
	ck_assert(holds(&out, "\"status\":{\"kind\":\"exit\",\"code\":0},\"times\":{"));
	ck_assert(holds(&out, "\"caller\":{\"role\":\"user\",\"pseudonym\":\"clerk 9\"}"));
	ck_assert(holds(&out, "\"rectype\":\"execution\""));
	ck_assert(holds(&out, "\"dbgstat\":\"disabled\""));
	ck_assert(holds(&out, ",\"reason\":\"executed\"}"));
	free(leaf);
}
END_TEST

START_TEST(people_get_a_line_for_each_claim)
{
	struct leaf *leaf = appliance_leaf();
	CLEANUP(buf) struct buf out = BUF_INIT;

	leaf_print(leaf, &out);
	ck_assert(holds(&out, "iss: bank-a\nsub: screen\niat: 2025-11-24T16:00:00Z\n"));
	ck_assert(holds(&out, "\ncaller: role user, pseudonym clerk 9\n"));
	ck_assert(holds(&out, "\nmeasurements: \n  name image, sha256 02"));
	ck_assert(holds(&out, ", approved_by 0a0b"));
	free(leaf);
}
END_TEST

START_TEST(hostile_text_cannot_move_the_cursor_or_end_a_string)
{
	struct leaf leaf = { .type = LEAF_REFUSAL,
			     .subject = slice_text("a\"\\\n\x1b[2J\x7f\xc2\x9b"
						   "end"),
			     .reason = slice_text("\xc3\xa9") };
	CLEANUP(buf) struct buf out = BUF_INIT;

	leaf_json(&leaf, &out);
	ck_assert(holds(&out, "\"sub\":\"a\\\"\\\\\\u000a\\u001b[2J\\u007f\\u009bend\""));
	ck_assert(holds(&out, "\"reason\":\"\xc3\xa9\""));
	buf_reset(&out);
	leaf_print_line(&leaf, &out);
	ck_assert_str_eq(buf_text(&out), "     0  1970-01-01T00:00:00Z  refusal        "
					 "a\\\"\\\\\\u000a\\u001b[2J\\u007f\\u009bend  \xc3\xa9\n");
}
END_TEST

START_TEST(marks_that_turn_text_around_are_shown_as_what_they_are)
{
	struct leaf leaf = { .type = LEAF_REFUSAL,
			     .reason = slice_text("a\xe2\x80\xae"
						  "b\xe2\x81\xa6\xef\xbb\xbf\xe2\x82\xac") };
	CLEANUP(buf) struct buf out = BUF_INIT;

	leaf_json(&leaf, &out);
	ck_assert(holds(&out, "\"reason\":\"a\\u202eb\\u2066\\ufeff\xe2\x82\xac\""));
}
END_TEST

START_TEST(every_end_of_a_run_has_a_name)
{
	for (uint64_t i = 0; i < LEAF_OUTCOMES_N; i++) {
		ck_assert_str_ne(leaf_status_name(i), "unknown");
		ck_assert_str_ne(leaf_status_words(i), "unknown");
	}
	ck_assert_str_eq(leaf_status_name(LEAF_OUTCOMES_N), "unknown");
}
END_TEST

static void add(TCase *t)
{
	tcase_add_test(t, json_has_every_claim_by_name);
	tcase_add_test(t, people_get_a_line_for_each_claim);
	tcase_add_test(t, hostile_text_cannot_move_the_cursor_or_end_a_string);
	tcase_add_test(t, marks_that_turn_text_around_are_shown_as_what_they_are);
	tcase_add_test(t, every_end_of_a_run_has_a_name);
}

int main(void)
{
	return check_run("leaf_text", add);
}

#include "testbed/unit/appliance.h"
#include "testbed/unit/check.h"

START_TEST(a_checkpoint_is_read_back_and_verifies)
{
	struct appliance a;
	CLEANUP(buf) struct buf raw = BUF_INIT;
	struct note note;
	tree_hash root;

	appliance_init(&a);
	appliance_grow(&a, 12);
	appliance_note(&a, APPLIANCE_ORIGIN, &raw);
	ck_assert_ok(note_read(buf_slice(&raw), &note));
	ck_assert(slice_is(note.origin, APPLIANCE_ORIGIN));
	ck_assert_uint_eq(note.size, 12);
	ck_assert_ok(tree_root(&a.tree, 12, root));
	ck_assert_mem_eq(note.root, root, sizeof root);
	ck_assert_ok(note_verify(&note, buf_slice(&a.certificate)));
	ck_assert_err(note_verify(&note, buf_slice(&a.ca)), ERR_NOT_FOUND);
	appliance_free(&a);
}
END_TEST

START_TEST(the_text_is_the_published_form)
{
	static const uint8_t root[SHA256_SIZE] = { 0xfb, 0xff };
	CLEANUP(buf) struct buf text = BUF_INIT;
	uint8_t digest[SHA256_SIZE], wanted[SHA256_SIZE];

	ck_assert_ok(note_prepare("example.com/log", 256, root, &text, digest));
	ck_assert_str_eq(buf_text(&text), "example.com/log\n256\n"
					  "+/8AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n");
	sha256_once(buf_slice(&text), wanted);
	ck_assert_mem_eq(digest, wanted, sizeof wanted);
}
END_TEST

START_TEST(no_changed_checkpoint_verifies)
{
	struct appliance a;
	CLEANUP(buf) struct buf raw = BUF_INIT;
	struct note note;

	appliance_init(&a);
	appliance_grow(&a, 12);
	appliance_note(&a, APPLIANCE_ORIGIN, &raw);
	for (size_t bit = 0; bit < 8 * raw.len; bit++) {
		raw.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
		if (!note_read(buf_slice(&raw), &note))
			ck_assert_msg(note_verify(&note, buf_slice(&a.certificate)) != OK,
				      "bit %zu", bit);
		raw.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	for (size_t n = 0; n < raw.len; n++)
		ck_assert_err(note_read(slice_of(raw.data, n), &note), ERR_FORMAT);
	appliance_free(&a);
}
END_TEST

/* Another signer's line (a witness's, say) neither helps nor disturbs. */
START_TEST(signatures_of_others_are_passed_over)
{
	struct appliance a;
	CLEANUP(buf) struct buf raw = BUF_INIT;
	CLEANUP(buf) struct buf both = BUF_INIT;
	struct note note;

	appliance_init(&a);
	appliance_grow(&a, 3);
	appliance_note(&a, APPLIANCE_ORIGIN, &raw);
	ck_assert_ok(note_read(buf_slice(&raw), &note));
	buf_put_slice(&both, note.text);
	buf_put_text(&both, "\n\xe2\x80\x94 witness.example AQIDBAUGBwgJCg==\n");
	ck_assert_ok(note_read(buf_slice(&both), &note));
	ck_assert_err(note_verify(&note, buf_slice(&a.certificate)), ERR_NOT_FOUND);
	size_t text = note.text.left + 1;
	buf_put_slice(&both, slice_of(raw.data + text, raw.len - text));
	ck_assert_ok(note_read(buf_slice(&both), &note));
	ck_assert_uint_eq(note.signatures_n, 2);
	ck_assert_ok(note_verify(&note, buf_slice(&a.certificate)));
	appliance_free(&a);
}
END_TEST

#define ROOT "+/8AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n"
#define LINE "\xe2\x80\x94 o AQIDBAUGBwgJCg==\n"
#define LINES_16 LINE LINE LINE LINE LINE LINE LINE LINE LINE LINE LINE LINE LINE LINE LINE LINE
static const struct {
	const char *why, *text;
} refused[] = {
	{ "nothing", "" },
	{ "no signature", "o\n1\n" ROOT "\n" },
	{ "no empty line", "o\n1\n" ROOT LINE },
	{ "no origin", "\n1\n" ROOT "\n" LINE },
	{ "an origin with a blank", "o o\n1\n" ROOT "\n" LINE },
	{ "a size with a sign", "o\n+1\n" ROOT "\n" LINE },
	{ "a size with a leading zero", "o\n01\n" ROOT "\n" LINE },
	{ "a size over 64 bits", "o\n18446744073709551616\n" ROOT "\n" LINE },
	{ "no size", "o\n\n" ROOT "\n" LINE },
	{ "a short root", "o\n1\n+/8AAA==\n\n" LINE },
	{ "spare bits in the root", "o\n1\n+/8AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAB=\n\n" LINE },
	{ "an extension line", "o\n1\n" ROOT "more\n\n" LINE },
	{ "a hyphen for the dash", "o\n1\n" ROOT "\n- o AQIDBAUGBwgJCg==\n" },
	{ "a signature without a name", "o\n1\n" ROOT "\n\xe2\x80\x94  AQIDBAUGBwgJCg==\n" },
	{ "a signature without bytes", "o\n1\n" ROOT "\n\xe2\x80\x94 o AQIDBA==\n" },
	{ "a signature that is not base64", "o\n1\n" ROOT "\n\xe2\x80\x94 o AQID!AUG\n" },
	{ "no newline at the end", "o\n1\n" ROOT "\n\xe2\x80\x94 o AQIDBAUGBwgJCg==" },
	{ "65 signatures", "o\n1\n" ROOT "\n" LINES_16 LINES_16 LINES_16 LINES_16 LINE },
};

START_TEST(other_forms_are_refused)
{
	struct note note;

	ck_assert_msg(note_read(slice_text(refused[_i].text), &note) == ERR_FORMAT, "%s",
		      refused[_i].why);
}
END_TEST

START_TEST(an_origin_must_fit_a_signature_line)
{
	ck_assert_ok(note_check_origin(slice_text("example.com/log")));
	ck_assert_err(note_check_origin(slice_text("")), ERR_RANGE);
	ck_assert_err(note_check_origin(slice_text("a b")), ERR_RANGE);
	ck_assert_err(note_check_origin(slice_text("a+b")), ERR_RANGE);
	ck_assert_err(note_check_origin(slice_text("a\nb")), ERR_RANGE);
	ck_assert_err(note_check_origin(slice_text("\xc3\xa9")), ERR_RANGE);
}
END_TEST

static void add(TCase *t)
{
	tcase_add_test(t, a_checkpoint_is_read_back_and_verifies);
	tcase_add_test(t, the_text_is_the_published_form);
	tcase_add_test(t, no_changed_checkpoint_verifies);
	tcase_add_test(t, signatures_of_others_are_passed_over);
	tcase_add_table(t, other_forms_are_refused, refused);
	tcase_add_test(t, an_origin_must_fit_a_signature_line);
}

int main(void)
{
	return check_run("note", add);
}

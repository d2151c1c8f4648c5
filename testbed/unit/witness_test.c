#include "audit/witness.h"

#include "audit/cosignature.h"
#include "testbed/unit/appliance.h"
#include "testbed/unit/check.h"

/* A log, watched by a witness that knows it alone. */
struct scene {
	struct appliance log;
	struct trust *logs;
	struct witness_seen seen;
	struct buf body;
	struct witness_request request;
};

static struct trust *logs_of(const struct appliance *a, const char *origin)
{
	CLEANUP(buf) struct buf text = BUF_INIT;
	struct trust *trust = NULL;
	struct vkey key;

	ck_assert_ok(vkey_of_certificate(buf_slice(&a->certificate), origin, &key));
	buf_put_text(&text, "log ");
	vkey_write(&key, &text);
	buf_put_text(&text, "\n");
	ck_assert_ok(trust_read(buf_slice(&text), "logs", false, &trust));
	return trust;
}

static void scene_open(struct scene *s, uint64_t leaves)
{
	memset(s, 0, sizeof *s);
	appliance_init(&s->log);
	appliance_grow(&s->log, leaves);
	s->logs = logs_of(&s->log, APPLIANCE_ORIGIN);
}

static void scene_close(struct scene *s)
{
	trust_free(s->logs);
	buf_free(&s->body);
	appliance_free(&s->log);
}

/* The witness signed the log as it is now. */
static void see(struct scene *s)
{
	s->seen.size = s->log.tree.size;
	ck_assert_ok(tree_root(&s->log.tree, s->seen.size, s->seen.root));
}

static void prepare(struct scene *s, const struct appliance *from, uint64_t old)
{
	CLEANUP(buf) struct buf note = BUF_INIT;
	struct tree_path path = { .n = 0 };

	appliance_note((struct appliance *)from, APPLIANCE_ORIGIN, &note);
	if (old && old <= from->tree.size)
		ck_assert_ok(tree_consistency(&from->tree, old, from->tree.size, &path));
	buf_reset(&s->body);
	ck_assert_ok(witness_request_write(old, &path, buf_slice(&note), &s->body));
	ck_assert_ok(witness_request_read(buf_slice(&s->body), &s->request));
}

static enum witness_verdict ask(struct scene *s, uint64_t old)
{
	prepare(s, &s->log, old);
	return witness_judge(s->logs, &s->request, &s->seen);
}

START_TEST(a_log_that_grows_is_signed_at_every_size)
{
	struct scene s;

	scene_open(&s, 1);
	for (int i = 0; i < 70; i++) {
		ck_assert_int_eq(ask(&s, s.seen.size), WITNESS_SIGN);
		see(&s);
		appliance_grow(&s.log, 1 + (uint64_t)i % 5);
	}
	scene_close(&s);
}
END_TEST

START_TEST(the_same_size_again_is_signed_again)
{
	struct scene s;

	scene_open(&s, 7);
	see(&s);
	ck_assert_int_eq(ask(&s, 7), WITNESS_SIGN);
	scene_close(&s);
}
END_TEST

/* The log's folder was copied, and the copy grew another way. */
START_TEST(a_second_history_is_refused)
{
	struct scene s;
	uint8_t other[SHA256_SIZE] = { 1 };

	scene_open(&s, 7);
	see(&s);
	/* Other records at the same size, ... */
	s.seen.root[0] ^= 1;
	ck_assert_int_eq(ask(&s, 7), WITNESS_REFUSED);
	/* ... and at a larger one, with the proof that this history has. */
	ck_assert_ok(tree_append(&s.log.tree, other));
	ck_assert_int_eq(ask(&s, 7), WITNESS_REFUSED);
	scene_close(&s);
}
END_TEST

START_TEST(a_smaller_log_is_refused)
{
	struct scene s;

	scene_open(&s, 7);
	see(&s);
	appliance_free(&s.log);
	trust_free(s.logs);
	appliance_init(&s.log);
	appliance_grow(&s.log, 5);
	s.logs = logs_of(&s.log, APPLIANCE_ORIGIN);
	ck_assert_int_eq(ask(&s, 7), WITNESS_MALFORMED); /* 7 is over 5 */
	ck_assert_int_eq(ask(&s, 5), WITNESS_CONFLICT);
	ck_assert_int_eq(ask(&s, 0), WITNESS_CONFLICT);
	scene_close(&s);
}
END_TEST

START_TEST(a_proof_that_is_changed_cut_or_too_long_is_refused)
{
	struct scene s;

	scene_open(&s, 7);
	see(&s);
	appliance_grow(&s.log, 6);
	prepare(&s, &s.log, 7);
	struct witness_request good = s.request;
	ck_assert_int_eq(witness_judge(s.logs, &s.request, &s.seen), WITNESS_SIGN);
	for (size_t i = 0; i < good.proof.n; i++) {
		s.request.proof.hash[i][31] ^= 1;
		ck_assert_int_eq(witness_judge(s.logs, &s.request, &s.seen), WITNESS_REFUSED);
		s.request = good;
		s.request.proof.n = i;
		ck_assert_int_eq(witness_judge(s.logs, &s.request, &s.seen), WITNESS_REFUSED);
		s.request = good;
	}
	s.request.proof.n++;
	ck_assert_int_eq(witness_judge(s.logs, &s.request, &s.seen), WITNESS_REFUSED);
	scene_close(&s);
}
END_TEST

START_TEST(a_first_checkpoint_needs_no_proof_and_may_bring_none)
{
	struct scene s;

	scene_open(&s, 7);
	ck_assert_int_eq(ask(&s, 0), WITNESS_SIGN);
	s.request.proof.n = 1;
	ck_assert_int_eq(witness_judge(s.logs, &s.request, &s.seen), WITNESS_REFUSED);
	ck_assert_int_eq(ask(&s, 3), WITNESS_CONFLICT);
	scene_close(&s);
}
END_TEST

/* By which of its keys a witness knows the log, and what its checkpoint carries. */
static const struct {
	const char *why;
	bool knows_ecdsa, knows_ed25519, carries_ed25519, wrong;
	enum witness_verdict verdict;
} known_by[] = {
	{ "by Ed25519 alone", false, true, true, false, WITNESS_SIGN },
	{ "by both", true, true, true, false, WITNESS_SIGN },
	{ "by both, and one line is absent", true, true, false, false, WITNESS_SIGN },
	{ "by Ed25519 alone, whose line is absent", false, true, false, false, WITNESS_UNSIGNED },
	{ "by Ed25519 alone, whose line is wrong", false, true, true, true, WITNESS_UNSIGNED },
	{ "by both, and one line is wrong", true, true, true, true, WITNESS_UNSIGNED },
	{ "by ECDSA alone: the other line is a stranger's", true, false, true, true, WITNESS_SIGN },
};

static void know(struct scene *s, bool ecdsa, bool ed25519)
{
	CLEANUP(buf) struct buf text = BUF_INIT;
	struct vkey keys[2];

	ck_assert_ok(
		vkey_of_certificate(buf_slice(&s->log.certificate), APPLIANCE_ORIGIN, &keys[0]));
	appliance_ed25519(&s->log, APPLIANCE_ORIGIN, &keys[1]);
	for (int i = ecdsa ? 0 : 1; i <= (ed25519 ? 1 : 0); i++) {
		buf_put_text(&text, "log ");
		vkey_write(&keys[i], &text);
		buf_put_text(&text, "\n");
	}
	trust_free(s->logs);
	s->logs = NULL;
	ck_assert_ok(trust_read(buf_slice(&text), "logs", false, &s->logs));
}

START_TEST(a_log_is_known_by_any_of_its_keys_and_no_wrong_line_passes)
{
	CLEANUP(buf) struct buf note = BUF_INIT;
	struct tree_path none = { .n = 0 };
	struct scene s;

	scene_open(&s, 7);
	know(&s, known_by[_i].knows_ecdsa, known_by[_i].knows_ed25519);
	appliance_note(&s.log, APPLIANCE_ORIGIN, &note);
	if (known_by[_i].carries_ed25519)
		appliance_ed25519_line(&s.log, APPLIANCE_ORIGIN, &note);
	if (known_by[_i].wrong)
		note.data[note.len - 20] = note.data[note.len - 20] == 'A' ? 'B' : 'A';
	ck_assert_ok(witness_request_write(0, &none, buf_slice(&note), &s.body));
	ck_assert_ok(witness_request_read(buf_slice(&s.body), &s.request));
	ck_assert_msg(witness_judge(s.logs, &s.request, &s.seen) == known_by[_i].verdict, "%s",
		      known_by[_i].why);
	scene_close(&s);
}
END_TEST

START_TEST(an_empty_log_has_the_root_of_nothing)
{
	struct scene s;

	scene_open(&s, 0);
	ck_assert_int_eq(ask(&s, 0), WITNESS_SIGN);
	s.request.note.root[0] ^= 1;
	ck_assert_int_eq(witness_judge(s.logs, &s.request, &s.seen), WITNESS_REFUSED);
	scene_close(&s);
}
END_TEST

START_TEST(a_stranger_is_not_witnessed)
{
	struct scene s;
	struct appliance other;
	struct trust *elsewhere;

	scene_open(&s, 3);
	appliance_init(&other);
	appliance_grow(&other, 3);
	prepare(&s, &other, 0); /* the right origin, another key */
	ck_assert_int_eq(witness_judge(s.logs, &s.request, &s.seen), WITNESS_UNSIGNED);
	elsewhere = logs_of(&s.log, "elsewhere");
	ck_assert_int_eq(witness_judge(elsewhere, &s.request, &s.seen), WITNESS_UNKNOWN);
	prepare(&s, &s.log, 0); /* the right key, another text */
	s.request.note.text.left--;
	ck_assert_int_eq(witness_judge(s.logs, &s.request, &s.seen), WITNESS_UNSIGNED);
	trust_free(elsewhere);
	appliance_free(&other);
	scene_close(&s);
}
END_TEST

#define HASH "+/8AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n"
#define NOTE "o\n1\n" HASH "\n\xe2\x80\x94 o AQIDBAUGBwgJCg==\n"
static const struct {
	const char *why, *text;
} refused[] = {
	{ "nothing", "" },
	{ "no old size", "\n" NOTE },
	{ "another word", "new 1\n\n" NOTE },
	{ "no number", "old \n\n" NOTE },
	{ "a sign", "old -1\n\n" NOTE },
	{ "two blanks", "old  1\n\n" NOTE },
	{ "a leading zero", "old 01\n\n" NOTE },
	{ "over 64 bits", "old 18446744073709551616\n\n" NOTE },
	{ "a carriage return", "old 1\r\n\n" NOTE },
	{ "no empty line", "old 1\n" NOTE },
	{ "no checkpoint", "old 1\n\n" },
	{ "a short hash", "old 1\n+/8AAA==\n\n" NOTE },
	{ "a long hash", "old 1\n+/8AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n\n" NOTE },
	{ "a hash that is not base64",
	  "old 1\n!/8AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n\n" NOTE },
	{ "something behind the note", "old 1\n\n" NOTE "more" },
};

START_TEST(other_requests_are_refused)
{
	struct witness_request r;

	ck_assert_msg(witness_request_read(slice_text(refused[_i].text), &r) == ERR_FORMAT, "%s",
		      refused[_i].why);
}
END_TEST

START_TEST(a_proof_has_at_most_63_lines)
{
	CLEANUP(buf) struct buf body = BUF_INIT;
	struct witness_request r;

	for (int lines = 63; lines <= 64; lines++) {
		buf_reset(&body);
		buf_put_text(&body, "old 1\n");
		for (int i = 0; i < lines; i++)
			buf_put_text(&body, HASH);
		buf_put_text(&body, "\n" NOTE);
		ck_assert_err(witness_request_read(buf_slice(&body), &r),
			      lines == 63 ? OK : ERR_FORMAT);
	}
	ck_assert_ok(witness_request_read(slice_text("old 0\n\n" NOTE), &r));
	ck_assert_uint_eq(r.old, 0);
	ck_assert_uint_eq(r.proof.n, 0);
}
END_TEST

/* What a witness answers is taken by nobody's word. */
START_TEST(only_the_witness_own_line_is_taken_from_its_answer)
{
	struct scene s;
	CLEANUP(secret) struct secret text = { 0 }, text2 = { 0 };
	CLEANUP(cosigner) struct cosigner *mine = NULL, *other = NULL;
	CLEANUP(buf)
	struct buf note = BUF_INIT, answer = BUF_INIT, lines = BUF_INIT, bad = BUF_INIT;

	scene_open(&s, 5);
	ck_assert_ok(cosigner_make(slice_text("w/1"), &text));
	ck_assert_ok(cosigner_open(&text, &mine));
	ck_assert_ok(cosigner_make(slice_text("w/2"), &text2));
	ck_assert_ok(cosigner_open(&text2, &other));
	prepare(&s, &s.log, 0);
	struct slice checkpoint = s.request.checkpoint, body = s.request.note.text;
	ck_assert_ok(cosigner_sign(other, body, 5, &answer));
	ck_assert_err(
		witness_answer_read(buf_slice(&answer), cosigner_vkey(mine), checkpoint, &lines),
		ERR_NOT_FOUND);
	size_t before = answer.len;
	ck_assert_ok(cosigner_sign(mine, body, 5, &answer));
	ck_assert_ok(
		witness_answer_read(buf_slice(&answer), cosigner_vkey(mine), checkpoint, &lines));
	ck_assert(slice_equal(buf_slice(&lines),
			      slice_of(answer.data + before, answer.len - before)));
	ck_assert_ok(cosigner_sign(mine, slice_text("o\n5\n"), 5, &bad));
	ck_assert_err(witness_answer_read(buf_slice(&bad), cosigner_vkey(mine), checkpoint, &lines),
		      ERR_CRYPTO);
	ck_assert_err(
		witness_answer_read(slice_text("no\n"), cosigner_vkey(mine), checkpoint, &lines),
		ERR_FORMAT);
	ck_assert_err(witness_answer_read(slice_text(""), cosigner_vkey(mine), checkpoint, &lines),
		      ERR_FORMAT);
	scene_close(&s);
}
END_TEST

START_TEST(witnesses_vouch_for_an_older_head_by_a_later_checkpoint)
{
	struct scene s;
	struct trust *none = NULL, *stranger = NULL;
	struct trust_count count;
	struct witness_head head = { slice_text(APPLIANCE_ORIGIN), 5, { 0 } };
	CLEANUP(buf) struct buf note = BUF_INIT;

	scene_open(&s, 5);
	ck_assert_ok(trust_read(slice_text("quorum none\n"), "p", true, &none));
	ck_assert_ok(trust_read(slice_text("witness w w.example/0+740fad11+BDtqJ7zOtqQtYqOo0CpvDXNl"
					   "MhV3HeJDpjrASKGLWdop\nquorum w\n"),
				"p", true, &stranger));
	ck_assert_ok(tree_root(&s.log.tree, 5, head.root));
	appliance_note(&s.log, APPLIANCE_ORIGIN, &note);
	ck_assert_ok(witness_vouches(none, buf_slice(&note), &head, &count));
	ck_assert_err(witness_vouches(stranger, buf_slice(&note), &head, &count), ERR_MISMATCH);
	appliance_grow(&s.log, 6);
	prepare(&s, &s.log, 5);
	ck_assert_ok(witness_vouches(none, buf_slice(&s.body), &head, &count));
	head.root[0] ^= 1;
	ck_assert_err(witness_vouches(none, buf_slice(&s.body), &head, &count), ERR_MISMATCH);
	head.root[0] ^= 1;
	head.size = 4;
	ck_assert_err(witness_vouches(none, buf_slice(&s.body), &head, &count), ERR_MISMATCH);
	head.size = 5;
	head.origin = slice_text("another");
	ck_assert_err(witness_vouches(none, buf_slice(&s.body), &head, &count), ERR_MISMATCH);
	trust_free(none);
	trust_free(stranger);
	scene_close(&s);
}
END_TEST

START_TEST(a_size_is_one_line)
{
	static const char *const others[] = { "", "7", "\n", "7\n7\n", "07\n", " 7\n", "7 \n" };
	uint64_t size = 0;

	ck_assert_ok(witness_size_read(slice_text("20852163\n"), &size));
	ck_assert_uint_eq(size, 20852163);
	for (size_t i = 0; i < sizeof others / sizeof *others; i++)
		ck_assert_err(witness_size_read(slice_text(others[i]), &size), ERR_FORMAT);
}
END_TEST

static void add(TCase *t)
{
	tcase_add_test(t, a_log_that_grows_is_signed_at_every_size);
	tcase_add_test(t, the_same_size_again_is_signed_again);
	tcase_add_test(t, a_second_history_is_refused);
	tcase_add_test(t, a_smaller_log_is_refused);
	tcase_add_test(t, a_proof_that_is_changed_cut_or_too_long_is_refused);
	tcase_add_test(t, a_first_checkpoint_needs_no_proof_and_may_bring_none);
	tcase_add_test(t, an_empty_log_has_the_root_of_nothing);
	tcase_add_test(t, a_stranger_is_not_witnessed);
	tcase_add_table(t, a_log_is_known_by_any_of_its_keys_and_no_wrong_line_passes, known_by);
	tcase_add_table(t, other_requests_are_refused, refused);
	tcase_add_test(t, a_proof_has_at_most_63_lines);
	tcase_add_test(t, only_the_witness_own_line_is_taken_from_its_answer);
	tcase_add_test(t, witnesses_vouch_for_an_older_head_by_a_later_checkpoint);
	tcase_add_test(t, a_size_is_one_line);
}

int main(void)
{
	return check_run("witness", add);
}

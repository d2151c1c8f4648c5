#include "audit/cosignature.h"
#include "audit/trust.h"
#include "testbed/unit/appliance.h"
#include "testbed/unit/check.h"

#define WITNESSES 3

/* A log and three witnesses. */
struct scene {
	struct appliance log;
	struct cosigner *witnesses[WITNESSES];
	struct buf checkpoint;
	struct note note;
};

static struct cosigner *new_cosigner(const char *name)
{
	CLEANUP(secret) struct secret text = { 0 };
	struct cosigner *c = NULL;

	ck_assert_ok(cosigner_make(slice_text(name), &text));
	ck_assert_ok(cosigner_open(&text, &c));
	return c;
}

static void scene_open(struct scene *s)
{
	*s = (struct scene){ 0 };
	appliance_init(&s->log);
	appliance_grow(&s->log, 12);
	appliance_note(&s->log, APPLIANCE_ORIGIN, &s->checkpoint);
	for (int i = 0; i < WITNESSES; i++) {
		char name[32];

		snprintf(name, sizeof name, "witness.example/w%d", i);
		s->witnesses[i] = new_cosigner(name);
	}
	ck_assert_ok(note_read(buf_slice(&s->checkpoint), &s->note));
}

/* The checkpoint, cosigned by witness @i too. */
static void cosign(struct scene *s, int i, uint64_t time)
{
	CLEANUP(buf) struct buf line = BUF_INIT;

	ck_assert_ok(cosigner_sign(s->witnesses[i], s->note.text, time, &line));
	buf_put_slice(&s->checkpoint, buf_slice(&line));
	ck_assert_ok(note_read(buf_slice(&s->checkpoint), &s->note));
}

static void scene_close(struct scene *s)
{
	for (int i = 0; i < WITNESSES; i++)
		cosigner_free(s->witnesses[i]);
	buf_free(&s->checkpoint);
	appliance_free(&s->log);
}

/* "log ...\nwitness w0 ...\n..." and then @rest. */
static struct trust *trust_of(struct scene *s, bool with_log, const char *rest)
{
	CLEANUP(buf) struct buf text = BUF_INIT;
	struct trust *trust = NULL;
	struct vkey log;

	ck_assert_ok(vkey_of_certificate(buf_slice(&s->log.certificate), APPLIANCE_ORIGIN, &log));
	if (with_log) {
		buf_put_text(&text, "# who is believed\n\nlog ");
		vkey_write(&log, &text);
		buf_put_text(&text, "\n");
	}
	for (int i = 0; i < WITNESSES; i++) {
		buf_printf(&text, "witness w%d\t ", i);
		vkey_write(cosigner_vkey(s->witnesses[i]), &text);
		buf_printf(&text, " https://w%d.example/prefix//\n", i);
	}
	buf_put_text(&text, rest);
	ck_assert_ok(trust_read(buf_slice(&text), "p", true, &trust));
	return trust;
}

/* The example of C2SP signed-note. */
#define EXAMPLE "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"

START_TEST(a_verifier_key_is_read_and_written_as_published)
{
	CLEANUP(buf) struct buf text = BUF_INIT;
	struct vkey key;

	ck_assert_ok(vkey_read(slice_text(EXAMPLE), &key));
	ck_assert_str_eq(key.name, "example.com/foo");
	ck_assert_int_eq(key.type, VKEY_ED25519);
	vkey_write(&key, &text);
	ck_assert_str_eq(buf_text(&text), EXAMPLE);
}
END_TEST

static const struct {
	const char *why, *text;
} no_keys[] = {
	{ "nothing", "" },
	{ "no id", "example.com/foo" },
	{ "no key", "example.com/foo+530d903a" },
	{ "no name", "+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k" },
	{ "another name", "example.com/fop+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k" },
	{ "another id", "example.com/foo+530d903b+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k" },
	{ "a short id", "example.com/foo+530d90+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k" },
	{ "a short key", "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U0=" },
	{ "an unknown type",
	  "example.com/foo+530d903a+B+kyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k" },
	{ "a blank in front", " " EXAMPLE },
	{ "no type at all", "example.com/foo+530d903a+AQ==" },
	{ "ECDSA without a key", "example.com/foo+530d903a+AjAA" },
};

START_TEST(other_verifier_keys_are_refused)
{
	struct vkey key;

	ck_assert_msg(vkey_read(slice_text(no_keys[_i].text), &key) == ERR_FORMAT, "%s",
		      no_keys[_i].why);
}
END_TEST

START_TEST(the_key_of_a_log_verifies_its_checkpoints)
{
	struct scene s;
	CLEANUP(buf) struct buf text = BUF_INIT;
	struct vkey key, again;

	scene_open(&s);
	ck_assert_ok(vkey_of_certificate(buf_slice(&s.log.certificate), APPLIANCE_ORIGIN, &key));
	vkey_write(&key, &text);
	ck_assert_ok(vkey_read(buf_slice(&text), &again));
	ck_assert(vkey_same(&key, &again));
	ck_assert_ok(vkey_verify(&again, &s.note, NULL));
	/* The same name, another key. */
	ck_assert_ok(vkey_of_certificate(buf_slice(&s.log.ca), APPLIANCE_ORIGIN, &key));
	ck_assert_err(vkey_verify(&key, &s.note, NULL), ERR_NOT_FOUND);
	scene_close(&s);
}
END_TEST

START_TEST(the_ed25519_key_of_a_log_verifies_its_line)
{
	struct scene s;
	CLEANUP(buf) struct buf text = BUF_INIT;
	struct vkey key, again, other;
	struct note note;

	scene_open(&s);
	appliance_ed25519(&s.log, APPLIANCE_ORIGIN, &key);
	ck_assert_err(vkey_verify(&key, &s.note, NULL), ERR_NOT_FOUND);
	appliance_ed25519_line(&s.log, APPLIANCE_ORIGIN, &s.checkpoint);
	ck_assert_ok(note_read(buf_slice(&s.checkpoint), &note));
	ck_assert_uint_eq(note.signatures_n, 2);
	ck_assert_uint_eq(note.signatures[1].n, 64);
	vkey_write(&key, &text);
	ck_assert_ok(vkey_read(buf_slice(&text), &again));
	ck_assert_ok(vkey_verify(&again, &note, NULL));
	ck_assert_ok(note_verify(&note, buf_slice(&s.log.certificate)));
	/* The id is of the name too: under another one it is nobody's line. */
	appliance_ed25519(&s.log, APPLIANCE_ORIGIN "/s2", &other);
	ck_assert(memcmp(key.id, other.id, sizeof key.id) != 0);
	ck_assert_err(vkey_verify(&other, &note, NULL), ERR_NOT_FOUND);
	for (size_t bit = 0; bit < 8 * s.checkpoint.len; bit++) {
		s.checkpoint.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
		if (!note_read(buf_slice(&s.checkpoint), &note))
			ck_assert_msg((vkey_verify(&key, &note, NULL) ||
				       note_verify(&note, buf_slice(&s.log.certificate))) != OK,
				      "bit %zu", bit);
		s.checkpoint.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	scene_close(&s);
}
END_TEST

START_TEST(an_ed25519_line_of_another_length_does_not_verify)
{
	static const size_t lengths[] = { 1, 63, 65, 72, 120, 200 };
	static const uint8_t zeros[200];
	struct scene s;
	struct vkey key;
	struct note note;

	scene_open(&s);
	appliance_ed25519(&s.log, APPLIANCE_ORIGIN, &key);
	ck_assert_ok(note_put_line(slice_text(key.name), key.id, slice_of(zeros, lengths[_i]),
				   &s.checkpoint));
	ck_assert_ok(note_read(buf_slice(&s.checkpoint), &note));
	ck_assert_err(vkey_verify(&key, &note, NULL), ERR_CRYPTO);
	scene_close(&s);
}
END_TEST

START_TEST(the_message_is_the_published_form)
{
	CLEANUP(buf) struct buf message = BUF_INIT;

	ck_assert_ok(
		cosignature_message(slice_text("example.com/behind-the-sofa\n20852163\nCsUY=\n"),
				    1679315147, &message));
	ck_assert_str_eq(buf_text(&message),
			 "cosignature/v1\ntime 1679315147\nexample.com/behind-the-sofa\n20852163\n"
			 "CsUY=\n");
}
END_TEST

START_TEST(a_cosignature_verifies_and_says_when)
{
	struct scene s;
	uint64_t time = 0;

	scene_open(&s);
	cosign(&s, 0, 1764000001);
	ck_assert_ok(vkey_verify(cosigner_vkey(s.witnesses[0]), &s.note, &time));
	ck_assert_uint_eq(time, 1764000001);
	ck_assert_err(vkey_verify(cosigner_vkey(s.witnesses[1]), &s.note, &time), ERR_NOT_FOUND);
	ck_assert_ok(note_verify(&s.note, buf_slice(&s.log.certificate)));
	scene_close(&s);
}
END_TEST

START_TEST(no_changed_cosignature_verifies)
{
	struct scene s;
	struct note note;

	scene_open(&s);
	size_t text = s.note.text.left, whole = s.checkpoint.len;
	cosign(&s, 0, 1764000001);
	for (size_t i = 0; i < s.checkpoint.len; i++) {
		if (i == text)
			i = whole; /* on with the cosignature's own line */
		s.checkpoint.data[i] ^= 1;
		if (!note_read(buf_slice(&s.checkpoint), &note))
			ck_assert_msg(vkey_verify(cosigner_vkey(s.witnesses[0]), &note, NULL) != OK,
				      "byte %zu", i);
		s.checkpoint.data[i] ^= 1;
	}
	scene_close(&s);
}
END_TEST

/* A line that claims to be by a known key makes the note worthless, even beside a good one. */
START_TEST(one_false_line_of_a_known_key_spoils_the_note)
{
	struct scene s;
	CLEANUP(buf) struct buf line = BUF_INIT;

	scene_open(&s);
	cosign(&s, 0, 1764000001);
	ck_assert_ok(cosigner_sign(s.witnesses[0], slice_text("o\n1\n"), 1764000001, &line));
	buf_put_slice(&s.checkpoint, buf_slice(&line));
	ck_assert_ok(note_read(buf_slice(&s.checkpoint), &s.note));
	ck_assert_err(vkey_verify(cosigner_vkey(s.witnesses[0]), &s.note, NULL), ERR_CRYPTO);
	struct trust *trust = trust_of(&s, true, "quorum w1\n");
	struct trust_count count;
	ck_assert_err(trust_check(trust, &s.note, &count), ERR_CRYPTO);
	trust_free(trust);
	scene_close(&s);
}
END_TEST

START_TEST(a_witness_without_a_time_is_refused)
{
	struct scene s;

	scene_open(&s);
	cosign(&s, 0, 0);
	ck_assert_err(vkey_verify(cosigner_vkey(s.witnesses[0]), &s.note, NULL), ERR_CRYPTO);
	cosign(&s, 1, UINT64_C(1) << 63);
	ck_assert_err(vkey_verify(cosigner_vkey(s.witnesses[1]), &s.note, NULL), ERR_CRYPTO);
	scene_close(&s);
}
END_TEST

static struct secret secret_of(const char *text)
{
	struct secret s = { 0 };

	ck_assert_ok(secret_new(&s, strlen(text)));
	memcpy(s.p, text, strlen(text));
	return s;
}

/* As golang.org/x/mod/sumdb/note writes it, of a seed of zeros. */
#define GO_SKEY "PRIVATE+KEY+w.example/0+%s+AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"

START_TEST(a_private_key_is_one_line_and_its_id_must_be_its_own)
{
	struct cosigner *c = NULL;
	struct vkey plain;
	char text[200], id[9];

	/* RFC 8032's public key for the seed of zeros. */
	static const uint8_t public[] = { 0x3b, 0x6a, 0x27, 0xbc, 0xce, 0xb6, 0xa4, 0x2d,
					  0x62, 0xa3, 0xa8, 0xd0, 0x2a, 0x6f, 0x0d, 0x73,
					  0x65, 0x32, 0x15, 0x77, 0x1d, 0xe2, 0x43, 0xa6,
					  0x3a, 0xc0, 0x48, 0xa1, 0x8b, 0x59, 0xda, 0x29 };
	ck_assert_ok(vkey_make(slice_text("w.example/0"), VKEY_ED25519, SLICE(public), &plain));
	hex_put(id, plain.id, 4);
	snprintf(text, sizeof text, GO_SKEY, id);
	struct secret good = secret_of(text);
	ck_assert_ok(cosigner_open(&good, &c));
	ck_assert_mem_eq(cosigner_vkey(c)->key, public, sizeof public);
	ck_assert_int_eq(cosigner_vkey(c)->type, VKEY_COSIGNATURE);
	cosigner_free(c);
	snprintf(text, sizeof text, GO_SKEY, "00000000");
	struct secret bad = secret_of(text);
	ck_assert_err(cosigner_open(&bad, &c), ERR_FORMAT);
	for (size_t n = 1; n < good.len; n++) {
		struct secret cut = secret_of(text);

		cut.len = n;
		ck_assert_err(cosigner_open(&cut, &c), ERR_FORMAT);
		secret_free(&cut);
	}
	secret_free(&good);
	secret_free(&bad);
}
END_TEST

static const struct {
	const char *rest;
	unsigned cosigned; /* bits of the witnesses */
	bool holds;
} quorums[] = {
	{ "quorum none\n", 0, true },
	{ "quorum w1\n", 2, true },
	{ "quorum w1\n", 5, false },
	{ "group g 2 w0 w1 w2\nquorum g\n", 3, true },
	{ "group g 2 w0 w1 w2\nquorum g\n", 4, false },
	{ "group g all w0 w1 w2\nquorum g\n", 7, true },
	{ "group g all w0 w1 w2\nquorum g\n", 6, false },
	{ "group g any w0 w1 w2\nquorum g\n", 4, true },
	{ "group g any w0 w1 w2\nquorum g\n", 0, false },
	{ "group a any w0 w1\ngroup b all a w2\nquorum b\n", 6, true },
	{ "group a any w0 w1\ngroup b all a w2\nquorum b\n", 3, false },
	{ "group a any w0 w1\nquorum a", 1, true },
};

START_TEST(a_quorum_is_what_the_policy_says)
{
	struct scene s;
	struct trust_count count;
	char rest[200];

	scene_open(&s);
	for (int i = 0; i < WITNESSES; i++)
		if (quorums[_i].cosigned >> i & 1)
			cosign(&s, i, 1764000000 + (uint64_t)i);
	snprintf(rest, sizeof rest, "%s%s", quorums[_i].rest,
		 quorums[_i].rest[strlen(quorums[_i].rest) - 1] == '\n' ? "" : "\n");
	struct trust *trust = trust_of(&s, true, rest);
	ck_assert_err(trust_check(trust, &s.note, &count), quorums[_i].holds ? OK : ERR_MISMATCH);
	ck_assert_uint_eq(count.cosigned, quorums[_i].cosigned);
	ck_assert_str_eq(trust_witness(trust, 1)->url, "https://w1.example/prefix");
	trust_free(trust);
	scene_close(&s);
}
END_TEST

START_TEST(a_log_that_the_policy_does_not_name_is_refused)
{
	struct scene s;
	struct trust_count count;
	CLEANUP(trust) struct trust *other = NULL;

	scene_open(&s);
	cosign(&s, 1, 1764000001);
	struct trust *any = trust_of(&s, false, "quorum w1\n");
	ck_assert_ok(trust_check(any, &s.note, &count));
	ck_assert_ok(trust_read(slice_text("log " EXAMPLE "\nquorum none\n"), "p", true, &other));
	ck_assert_err(trust_check(other, &s.note, &count), ERR_NOT_FOUND);
	trust_free(any);
	scene_close(&s);
}
END_TEST

START_TEST(shards_of_one_log_may_have_one_key)
{
	CLEANUP(buf) struct buf text = BUF_INIT;
	CLEANUP(trust) struct trust *trust = NULL;
	struct vkey first, second;

	ck_assert_ok(vkey_read(slice_text(EXAMPLE), &first));
	ck_assert_ok(vkey_make(slice_text("example.com/foo/s2"), first.type,
			       slice_of(first.key, first.key_n), &second));
	buf_put_text(&text, "log " EXAMPLE "\nlog ");
	vkey_write(&second, &text);
	buf_put_text(&text, "\nquorum none\n");
	ck_assert_ok(trust_read(buf_slice(&text), "p", true, &trust));
}
END_TEST

static const struct {
	const char *why, *text;
} no_policies[] = {
	{ "no quorum", "log " EXAMPLE "\n" },
	{ "a line without an end", "quorum none" },
	{ "two quorums", "quorum none\nquorum none\n" },
	{ "a quorum of nobody", "quorum\n" },
	{ "a quorum that comes later", "quorum g\ngroup g any w\n" },
	{ "an unknown word", "logs " EXAMPLE "\nquorum none\n" },
	{ "a control character", "quorum none\r\n" },
	{ "a log twice", "log " EXAMPLE "\nlog " EXAMPLE "\nquorum none\n" },
	{ "a log's key for a witness", "witness w " EXAMPLE "\nquorum w\n" },
	{ "a group without members", "group g any\nquorum g\n" },
	{ "a group of itself", "group g any g\nquorum g\n" },
	{ "none as a member", "group g any none\nquorum g\n" },
	{ "none as a name", "group none any w\nquorum none\n" },
	{ "a log's key that is broken", "log example.com/foo\nquorum none\n" },
};

START_TEST(other_policies_are_refused)
{
	struct trust *trust = NULL;

	ck_assert_msg(trust_read(slice_text(no_policies[_i].text), "p", true, &trust) == ERR_FORMAT,
		      "%s", no_policies[_i].why);
	ck_assert_ptr_null(trust);
}
END_TEST

static const char *const no_groups[] = {
	"group g 0 w0 w1\nquorum g\n",           "group g 3 w0 w1\nquorum g\n",
	"group g 01 w0 w1\nquorum g\n",          "group g some w0 w1\nquorum g\n",
	"group g any w0 w0\nquorum g\n",         "group g any w0\ngroup h any w0\nquorum h\n",
	"group w0 any w1\nquorum w0\n",          "group g any w9\nquorum g\n",
	"witness w0 " EXAMPLE "\nquorum none\n",
};

START_TEST(groups_that_make_no_sense_are_refused)
{
	struct scene s;
	CLEANUP(buf) struct buf text = BUF_INIT;
	struct trust *trust = NULL;

	scene_open(&s);
	for (int i = 0; i < WITNESSES; i++) {
		buf_printf(&text, "witness w%d ", i);
		vkey_write(cosigner_vkey(s.witnesses[i]), &text);
		buf_put_text(&text, "\n");
	}
	buf_put_text(&text, no_groups[_i]);
	enum err e = trust_read(buf_slice(&text), "p", true, &trust);
	ck_assert_msg(e == ERR_FORMAT || e == ERR_RANGE, "%s", no_groups[_i]);
	ck_assert_msg(strncmp(err_reason(), "p:", 2) == 0, "%s", err_reason());
	scene_close(&s);
}
END_TEST

static const char *const no_urls[] = { "file:///etc/passwd", "ftp://x", "x.example", "https:/x",
				       "http://\xc3\xa9/" };

START_TEST(only_web_addresses_are_taken)
{
	struct scene s;
	CLEANUP(buf) struct buf text = BUF_INIT;
	struct trust *trust = NULL;

	scene_open(&s);
	buf_put_text(&text, "witness w ");
	vkey_write(cosigner_vkey(s.witnesses[0]), &text);
	buf_printf(&text, " %s\nquorum w\n", no_urls[_i]);
	ck_assert_err(trust_read(buf_slice(&text), "p", true, &trust), ERR_FORMAT);
	scene_close(&s);
}
END_TEST

static void add(TCase *t)
{
	tcase_add_test(t, a_verifier_key_is_read_and_written_as_published);
	tcase_add_table(t, other_verifier_keys_are_refused, no_keys);
	tcase_add_test(t, the_key_of_a_log_verifies_its_checkpoints);
	tcase_add_test(t, the_ed25519_key_of_a_log_verifies_its_line);
	tcase_add_loop_test(t, an_ed25519_line_of_another_length_does_not_verify, 0, 6);
	tcase_add_test(t, the_message_is_the_published_form);
	tcase_add_test(t, a_cosignature_verifies_and_says_when);
	tcase_add_test(t, no_changed_cosignature_verifies);
	tcase_add_test(t, one_false_line_of_a_known_key_spoils_the_note);
	tcase_add_test(t, a_witness_without_a_time_is_refused);
	tcase_add_test(t, a_private_key_is_one_line_and_its_id_must_be_its_own);
	tcase_add_table(t, a_quorum_is_what_the_policy_says, quorums);
	tcase_add_test(t, a_log_that_the_policy_does_not_name_is_refused);
	tcase_add_test(t, shards_of_one_log_may_have_one_key);
	tcase_add_table(t, other_policies_are_refused, no_policies);
	tcase_add_table(t, groups_that_make_no_sense_are_refused, no_groups);
	tcase_add_table(t, only_web_addresses_are_taken, no_urls);
}

int main(void)
{
	return check_run("cosignature", add);
}

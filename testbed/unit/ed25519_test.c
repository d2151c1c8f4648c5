/* A checkpoint's line of Ed25519: there, absent, wrong, and in a rollover. */
#include "testbed/unit/check.h"
#include "testbed/unit/signer.h"

#include "audit/auditor.h"
#include "audit/public.h"
#include "audit/vkey.h"

#define ORIGIN "assay.example/ed25519/1"
#define SEGMENT ((uint64_t)256 << 10)

static struct signer signer;
static char path[64];
static struct audit_key key; /* with an Ed25519 key beside it */
static struct audit *audit;
static struct audit_tree *tree;

static enum err try_open(void)
{
	struct audit_recovery recovery;

	return signer_open(&signer, path, SEGMENT, &recovery, &audit);
}

static void give(const struct audit_key *now)
{
	struct leaf *genesis = malloc(sizeof *genesis);

	signer_leaf(genesis, "genesis");
	genesis->type = LEAF_OPEN;
	ck_assert_ok(audit_tree(audit, ORIGIN, now, genesis, &tree));
	free(genesis);
}

static void setup(void)
{
	signer_folder(path);
	signer_start(&signer, NULL);
	key = signer_key(&signer, ORIGIN);
	key.ed25519 = signer_ed25519(&signer, 0, ORIGIN);
	MUST_DO(try_open());
	give(&key);
}

static void teardown(void)
{
	audit_close(audit);
	signer_end(&signer);
	signer_remove(path);
}

static void close_log(void)
{
	audit_close(audit);
	audit = NULL;
}

static int open_folder(const char *origin)
{
	char trees[80];
	int folder;

	snprintf(trees, sizeof trees, "%s/trees", path);
	CLEANUP(fd) int fd = open(trees, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ck_assert_ok(public_folder(fd, origin, false, &folder));
	return folder;
}

static bool read_named(const char *origin, const char *name, struct buf *out)
{
	CLEANUP(fd) int folder = open_folder(origin);
	CLEANUP(fd) int file = openat(folder, name, IO_READ);

	buf_reset(out);
	return file >= 0 && !io_read_all(file, NOTE_MAX, out);
}

static void replace(const char *name, struct slice contents)
{
	CLEANUP(fd) int folder = open_folder(ORIGIN);

	if (contents.left)
		ck_assert_ok(io_replace_file(folder, name, 0644, contents));
	else
		ck_assert_int_eq(unlinkat(folder, name, 0), 0);
}

/* One more record, and the checkpoint with it. */
static void await_checkpoint(const char *origin, struct buf *raw, struct note *note)
{
	ck_assert_ok(signer_record(tree, "one more"));
	for (int i = 0; i < 400; i++) {
		buf_reset(raw);
		if (!audit_checkpoint(audit, origin, raw) && !note_read(buf_slice(raw), note) &&
		    note->size == audit_tree_size(tree))
			return;
		usleep(25000);
	}
	ck_abort_msg("no checkpoint of %s", origin);
}

/* What is in the folder, and what anybody can tell from it alone. */
static enum err verify_by(const struct note *note, const char *origin, const char *file)
{
	CLEANUP(buf) struct buf der = BUF_INIT;
	struct vkey vkey;

	ck_assert(read_named(origin, file, &der));
	ck_assert_ok(vkey_of_certificate(buf_slice(&der), origin, &vkey));
	ck_assert_int_eq(vkey.type, VKEY_ED25519);
	return vkey_verify(&vkey, note, NULL);
}

static enum err audited(bool copy, struct slice against)
{
	struct auditor_options options = {
		.path = path, .ca = buf_slice(&signer.ca), .copy = copy, .against = against
	};
	struct auditor_report report;
	enum err e = auditor_run(&options, &report);

	auditor_report_free(&report);
	return e;
}

static void all_holds(void)
{
	ck_assert_ok(audited(false, slice_of(NULL, 0)));
	ck_assert_ok(audited(true, slice_of(NULL, 0)));
}

/* --- there --- */

START_TEST(a_checkpoint_has_a_line_by_the_key_that_is_published)
{
	CLEANUP(buf) struct buf raw = BUF_INIT;
	struct note note;

	for (int i = 0; i < 2; i++) {
		await_checkpoint(ORIGIN, &raw, &note);
		ck_assert_uint_eq(note.signatures_n, 2);
		ck_assert_ok(note_verify(&note, key.certificate));
		ck_assert_ok(verify_by(&note, ORIGIN, "ed25519.der"));
		all_holds();
		close_log();
		all_holds();
		ck_assert_ok(try_open());
		give(&key);
	}
}
END_TEST

static void turn(void)
{
	struct leaf *close = malloc(sizeof *close), *genesis = malloc(sizeof *genesis);

	signer_leaf(close, "a shard ends");
	close->type = LEAF_CLOSE;
	signer_leaf(genesis, "a shard begins");
	genesis->type = LEAF_OPEN;
	ck_assert_ok(audit_turn(tree, close, genesis));
	free(close);
	free(genesis);
}

START_TEST(a_shard_has_lines_under_its_own_name)
{
	CLEANUP(buf) struct buf raw = BUF_INIT;
	struct note note;

	await_checkpoint(ORIGIN, &raw, &note);
	turn();
	await_checkpoint(ORIGIN "/s2", &raw, &note);
	ck_assert_uint_eq(note.signatures_n, 2);
	ck_assert_ok(verify_by(&note, ORIGIN "/s2", "ed25519.der"));
	close_log();
	ck_assert_ok(try_open());
	give(&key);
	all_holds();
}
END_TEST

START_TEST(a_tree_without_such_a_key_has_none_until_it_is_given_one)
{
	CLEANUP(buf) struct buf raw = BUF_INIT;
	struct audit_key without = key;
	struct note note;

	close_log();
	signer_remove(path);
	ck_assert_ok(try_open());
	without.ed25519 = (struct audit_ed25519){ 0 };
	give(&without);
	await_checkpoint(ORIGIN, &raw, &note);
	ck_assert_uint_eq(note.signatures_n, 1);
	ck_assert(!read_named(ORIGIN, "ed25519.der", &raw));
	all_holds();
	give(&key);
	await_checkpoint(ORIGIN, &raw, &note);
	ck_assert_uint_eq(note.signatures_n, 2);
	all_holds();
}
END_TEST

/* --- absent --- */

static unsigned times_said(const char *file, const char *words)
{
	CLEANUP(buf) struct buf said = BUF_INIT;
	unsigned n = 0;

	ck_assert_ok(io_read_file(file, 65536, &said));
	for (const char *at = buf_text(&said); (at = strstr(at, words)); at++)
		n++;
	return n;
}

START_TEST(a_signature_that_fails_is_told_once_and_leaves_the_other_line)
{
	CLEANUP(buf) struct buf raw = BUF_INIT;
	struct note note;
	char file[80];

	snprintf(file, sizeof file, "%s/said", path);
	CLEANUP(fd) int said = open(file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	CLEANUP(fd) int before = dup(2);
	ck_assert_int_eq(dup2(said, 2), 2);
	atomic_store(_i ? &signer.ed25519_lies : &signer.ed25519_fails, true);
	for (int i = 0; i < 3; i++) {
		await_checkpoint(ORIGIN, &raw, &note);
		ck_assert_uint_eq(note.signatures_n, 1);
		ck_assert_ok(note_verify(&note, key.certificate));
		all_holds();
	}
	ck_assert_uint_ge(atomic_load(&signer.ed25519_calls), 3);
	ck_assert_uint_eq(times_said(file, "without a line of Ed25519"), 1);
	atomic_store(&signer.ed25519_lies, false);
	atomic_store(&signer.ed25519_fails, false);
	await_checkpoint(ORIGIN, &raw, &note);
	dup2(before, 2);
	ck_assert_uint_eq(note.signatures_n, 2);
	all_holds();
}
END_TEST

/* --- wrong --- */

/* Changes a byte of the last line's signature: that is the Ed25519 one. */
static void change_line(struct buf *raw)
{
	uint8_t *at = raw->data + raw->len - 20;

	*at = *at == 'A' ? 'B' : 'A';
}

static void put_changed_line(void)
{
	CLEANUP(buf) struct buf raw = BUF_INIT;

	ck_assert(read_named(ORIGIN, "checkpoint", &raw));
	change_line(&raw);
	replace("checkpoint", buf_slice(&raw));
}

/* The text and the other line of now, with the Ed25519 line of a checkpoint of before. */
static struct buf earlier;
static void put_earlier_line(void)
{
	CLEANUP(buf) struct buf raw = BUF_INIT;
	uint8_t *line;

	ck_assert(read_named(ORIGIN, "checkpoint", &raw));
	line = memrchr(raw.data, '\n', raw.len - 1);
	raw.len = (size_t)(line - raw.data) + 1;
	line = memrchr(earlier.data, '\n', earlier.len - 1);
	buf_put_slice(&raw, slice_of(line + 1, (size_t)(earlier.data + earlier.len - line - 1)));
	replace("checkpoint", buf_slice(&raw));
}

static void put_others_key(void)
{
	struct audit_ed25519 other = signer_ed25519(&signer, 1, "assay.example/another/1");

	replace("ed25519.der", other.certificate);
}

static void put_key_of_nobody(void)
{
	struct signer stranger;

	signer_start(&stranger, NULL);
	replace("ed25519.der", signer_ed25519(&stranger, 0, ORIGIN).certificate);
	signer_end(&stranger);
}

static void put_ecdsa_key(void)
{
	replace("ed25519.der", key.certificate);
}

static void put_rubbish(void)
{
	replace("ed25519.der", slice_text("no certificate"));
}

static void remove_key(void)
{
	replace("ed25519.der", slice_of(NULL, 0));
}

static void remove_line(void)
{
	CLEANUP(buf) struct buf raw = BUF_INIT;

	ck_assert(read_named(ORIGIN, "checkpoint", &raw));
	raw.len = (size_t)((uint8_t *)memrchr(raw.data, '\n', raw.len - 1) - raw.data) + 1;
	replace("checkpoint", buf_slice(&raw));
}

static const struct {
	const char *words;
	void (*make)(void);
	const char *said; /* NULL: it is no offence */
} harms[] = {
	{ "a changed line", put_changed_line, "does not verify" },
	{ "a line of an earlier checkpoint", put_earlier_line, "does not verify" },
	{ "another tree's key", put_others_key, "not for the log" },
	{ "a key of another CA", put_key_of_nobody, "not one of the appliance's CA" },
	{ "a key that is none of Ed25519", put_ecdsa_key, "not of an Ed25519 key" },
	{ "no certificate", put_rubbish, "not an X.509 certificate" },
	{ "no line", remove_line, NULL },
	{ "no published key", remove_key, NULL },
};

START_TEST(a_wrong_line_is_told_in_words_and_an_absent_one_is_no_offence)
{
	CLEANUP(buf) struct buf raw = BUF_INIT;
	enum err wanted = harms[_i].said ? ERR_CRYPTO : OK;
	struct note note;

	await_checkpoint(ORIGIN, &earlier, &note);
	await_checkpoint(ORIGIN, &raw, &note);
	close_log();
	harms[_i].make();
	for (int copy = 0; copy < 2; copy++) {
		ck_assert_msg(audited(copy, slice_of(NULL, 0)) == wanted, "%s: %s", harms[_i].words,
			      err_reason());
		if (wanted)
			ck_assert_msg(strstr(err_reason(), harms[_i].said) != NULL, "%s: %s",
				      harms[_i].words, err_reason());
	}
	ck_assert_msg(try_open() == wanted, "%s", harms[_i].words);
	buf_free(&earlier);
}
END_TEST

START_TEST(a_kept_checkpoint_with_a_changed_line_is_refused)
{
	CLEANUP(buf) struct buf kept = BUF_INIT, raw = BUF_INIT;
	struct note note;

	await_checkpoint(ORIGIN, &kept, &note);
	await_checkpoint(ORIGIN, &raw, &note);
	ck_assert_ok(audited(false, buf_slice(&kept)));
	change_line(&kept);
	ck_assert_err(audited(false, buf_slice(&kept)), ERR_CRYPTO);
	ck_assert_ptr_nonnull(strstr(err_reason(), "does not verify"));
}
END_TEST

/* --- rollover --- */

static void next_key(struct audit_key *next, struct buf *certificate)
{
	uint8_t *point = NULL;
	struct certificate_spec spec = { .name = "the next key",
					 .origin = ORIGIN,
					 .issuer = buf_slice(&signer.ca),
					 .not_before = time(NULL) - 60,
					 .not_after = time(NULL) + 86400 };

	signer.keys[SIGNER_NEXT] = EVP_EC_gen("P-256");
	EVP_PKEY_get1_encoded_public_key(signer.keys[SIGNER_NEXT], &point);
	memcpy(spec.point, point, sizeof spec.point);
	OPENSSL_free(point);
	ck_assert_ok(certificate_make(&spec, &signer.signer, SIGNER_CA, certificate));
	*next = key;
	next->handle = SIGNER_NEXT;
	next->certificate = buf_slice(certificate);
	next->overlap = true;
	next->former = SIGNER_KEY;
	next->ed25519 = signer_ed25519(&signer, 1, ORIGIN);
	next->former_ed25519 = key.ed25519;
}

START_TEST(in_a_rollover_both_ed25519_keys_sign_until_it_is_finished)
{
	CLEANUP(buf) struct buf certificate = BUF_INIT, kept = BUF_INIT, raw = BUF_INIT;
	struct audit_key next;
	struct note note;

	await_checkpoint(ORIGIN, &kept, &note);
	next_key(&next, &certificate);
	give(&next);
	await_checkpoint(ORIGIN, &raw, &note);
	ck_assert_uint_eq(note.signatures_n, 4);
	ck_assert_ok(verify_by(&note, ORIGIN, "ed25519.der"));
	ck_assert_ok(verify_by(&note, ORIGIN, "former-ed25519.der"));
	all_holds();
	next.overlap = false;
	next.former_ed25519 = (struct audit_ed25519){ 0 };
	give(&next);
	await_checkpoint(ORIGIN, &raw, &note);
	ck_assert_uint_eq(note.signatures_n, 2);
	ck_assert_ok(verify_by(&note, ORIGIN, "ed25519.der"));
	ck_assert_err(verify_by(&note, ORIGIN, "former-ed25519.der"), ERR_NOT_FOUND);
	close_log();
	all_holds();
	/* What was kept is under the former key, which is known still. */
	ck_assert_ok(audited(false, buf_slice(&kept)));
	change_line(&kept);
	ck_assert_err(audited(false, buf_slice(&kept)), ERR_CRYPTO);
}
END_TEST

static void add(TCase *t)
{
	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, a_checkpoint_has_a_line_by_the_key_that_is_published);
	tcase_add_test(t, a_shard_has_lines_under_its_own_name);
	tcase_add_test(t, a_tree_without_such_a_key_has_none_until_it_is_given_one);
	tcase_add_loop_test(t, a_signature_that_fails_is_told_once_and_leaves_the_other_line, 0, 2);
	tcase_add_table(t, a_wrong_line_is_told_in_words_and_an_absent_one_is_no_offence, harms);
	tcase_add_test(t, a_kept_checkpoint_with_a_changed_line_is_refused);
	tcase_add_test(t, in_a_rollover_both_ed25519_keys_sign_until_it_is_finished);
}

int main(void)
{
	return check_run("ed25519", add);
}

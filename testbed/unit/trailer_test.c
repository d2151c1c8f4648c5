/* trailer_test.c - signatures after a package: written, read back, refused; and that they change nothing
 * about the package. */
#include "testbed/unit/check.h"

#include <string.h>

#include "sandbox/trailer.h"
#include "testbed/unit/statedir.h"

#define HEAD 11 /* magic, length, number */

static struct buf package, file;

static void setup(void)
{
	package = file = BUF_INIT;
	statedir_package("screen", "1", &package);
	buf_put_slice(&file, buf_slice(&package));
}

static void teardown(void)
{
	buf_free(&package);
	buf_free(&file);
}

/* Signatures by keys of one letter each. */
static struct trailer signed_by(const char *keys)
{
	struct trailer t = { .n = 0 };

	for (; *keys; keys++)
		ck_assert_ok(trailer_add(&t, slice_of(keys, 1), slice_text("a signature")));
	return t;
}

static void append(const char *keys)
{
	struct trailer t = signed_by(keys);

	ck_assert_ok(trailer_put(&t, &file));
}

static enum err split(struct trailer *out)
{
	struct slice in = buf_slice(&file);
	enum err e = trailer_split(&in, out);

	if (!e)
		ck_assert(slice_equal(in, buf_slice(&package)));
	else
		ck_assert_uint_eq(in.left, file.len);
	return e;
}

START_TEST(a_trailer_leaves_the_package_and_its_measurement_as_they_were)
{
	struct slice in;
	struct trailer t;
	struct package bare, signed_one;

	append("ab");
	ck_assert_ok(split(&t));
	ck_assert_uint_eq(t.n, 2);
	in = buf_slice(&file);
	ck_assert_ok(trailer_split(&in, &t));
	ck_assert_ok(package_parse(in, &signed_one));
	ck_assert_ok(package_parse(buf_slice(&package), &bare));
	ck_assert_mem_eq(signed_one.measurement, bare.measurement, SHA256_SIZE);
}
END_TEST

START_TEST(a_package_with_its_trailer_still_on_is_refused_by_the_launchers_reader)
{
	struct package parsed;

	append("a");
	ck_assert_err(package_parse(buf_slice(&file), &parsed), ERR_FORMAT);
	ck_assert_ptr_nonnull(strstr(err_reason(), "cut or lengthened"));
}
END_TEST

START_TEST(a_package_that_nobody_signed_has_no_trailer)
{
	struct trailer t;

	append("");
	ck_assert_uint_eq(file.len, package.len);
	ck_assert_ok(split(&t));
	ck_assert_uint_eq(t.n, 0);
}
END_TEST

START_TEST(signatures_come_back_by_the_name_of_their_key_in_any_order_that_they_were_added)
{
	CLEANUP(buf) struct buf one = BUF_INIT, other = BUF_INIT;
	struct trailer a = signed_by("abcd"), b = signed_by("dbac"), back;
	uint8_t name[SHA256_SIZE];

	ck_assert_ok(trailer_put(&a, &one));
	ck_assert_ok(trailer_put(&b, &other));
	ck_assert(slice_equal(buf_slice(&one), buf_slice(&other)));
	ck_assert_ok(trailer_parse(buf_slice(&one), &back));
	for (size_t i = 0; i < back.n; i++) {
		sha256_once(back.list[i].key, name);
		ck_assert_mem_eq(name, back.list[i].signer, SHA256_SIZE);
		ck_assert(!i || memcmp(back.list[i - 1].signer, name, SHA256_SIZE) < 0);
	}
}
END_TEST

START_TEST(a_second_signature_of_a_key_takes_the_place_of_its_first)
{
	struct trailer t = signed_by("abc");

	ck_assert_ok(trailer_add(&t, slice_text("b"), slice_text("another")));
	ck_assert_uint_eq(t.n, 3);
	for (size_t i = 0; i < t.n; i++)
		ck_assert(slice_is(t.list[i].signature,
				   slice_is(t.list[i].key, "b") ? "another" : "a signature"));
}
END_TEST

START_TEST(a_cut_trailer_is_refused_at_every_byte)
{
	struct trailer t;
	size_t whole;

	append("abc");
	whole = file.len;
	for (file.len = package.len + 1; file.len < whole; file.len++)
		ck_assert_msg(split(&t) == ERR_FORMAT, "%zu of %zu", file.len, whole);
}
END_TEST

START_TEST(a_trailer_with_anything_after_it_is_refused)
{
	struct trailer t;

	append("abc");
	buf_put_u8(&file, 0);
	ck_assert_err(split(&t), ERR_FORMAT);
	file.len--;
	append("d");
	ck_assert_err(split(&t), ERR_FORMAT);
}
END_TEST

static const struct {
	const char *why;
	size_t at; /* in the trailer */
	uint8_t byte;
	const char *words;
} damaged[] = {
	{ "another magic", 0, 'X', "no signatures" },
	{ "another length", 9, 1, "cut or lengthened" },
	{ "no signature", 10, 0, "0 signatures" },
	{ "too many", 10, 17, "17 signatures" },
	{ "fewer than there are", 10, 1, "after the last signature" },
	{ "an empty key", HEAD + 1, 0, "empty key" },
	{ "a key longer than what is left", HEAD, 0xff, "signature 0" },
};

START_TEST(a_damaged_trailer_is_refused_with_words)
{
	struct trailer t;

	append("ab");
	file.data[package.len + damaged[_i].at] = damaged[_i].byte;
	ck_assert_msg(split(&t) == ERR_FORMAT, "%s", damaged[_i].why);
	ck_assert_msg(strstr(err_reason(), damaged[_i].words) != NULL, "%s: %s", damaged[_i].why,
		      err_reason());
}
END_TEST

START_TEST(one_key_can_not_sign_twice)
{
	CLEANUP(buf) struct buf raw = BUF_INIT;
	struct trailer t = signed_by("ab"), back;

	t.list[1] = t.list[0];
	ck_assert_ok(trailer_put(&t, &raw));
	ck_assert_err(trailer_parse(buf_slice(&raw), &back), ERR_FORMAT);
	ck_assert_ptr_nonnull(strstr(err_reason(), "there already"));
}
END_TEST

START_TEST(number_and_length_are_bounded)
{
	static uint8_t large[TRAILER_MAX];
	CLEANUP(buf) struct buf raw = BUF_INIT;
	struct trailer t = signed_by("abcdefghijklmnop"), back;

	ck_assert_uint_eq(t.n, TRAILER_SIGNATURES_MAX);
	ck_assert_err(trailer_add(&t, slice_text("q"), slice_text("x")), ERR_LIMIT);
	ck_assert_ok(trailer_put(&t, &raw));
	ck_assert_ok(trailer_parse(buf_slice(&raw), &back));
	ck_assert_ok(trailer_add(&t, slice_text("a"), SLICE(large)));
	ck_assert_err(trailer_put(&t, &raw), ERR_RANGE);
}
END_TEST

START_TEST(what_is_no_package_is_left_for_the_packages_reader)
{
	struct trailer t;
	struct slice in =
		slice_text("no package, but bytes all the same, and enough of them to be one");
	size_t n = in.left;

	ck_assert_ok(trailer_split(&in, &t));
	ck_assert_uint_eq(in.left, n);
	in = slice_of(package.data, package.len - 1);
	ck_assert_ok(trailer_split(&in, &t));
	ck_assert_uint_eq(in.left, package.len - 1);
}
END_TEST

static void add(TCase *t)
{
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, a_trailer_leaves_the_package_and_its_measurement_as_they_were);
	tcase_add_test(t, a_package_with_its_trailer_still_on_is_refused_by_the_launchers_reader);
	tcase_add_test(t, a_package_that_nobody_signed_has_no_trailer);
	tcase_add_test(
		t, signatures_come_back_by_the_name_of_their_key_in_any_order_that_they_were_added);
	tcase_add_test(t, a_second_signature_of_a_key_takes_the_place_of_its_first);
	tcase_add_test(t, a_cut_trailer_is_refused_at_every_byte);
	tcase_add_test(t, a_trailer_with_anything_after_it_is_refused);
	tcase_add_table(t, a_damaged_trailer_is_refused_with_words, damaged);
	tcase_add_test(t, one_key_can_not_sign_twice);
	tcase_add_test(t, number_and_length_are_bounded);
	tcase_add_test(t, what_is_no_package_is_left_for_the_packages_reader);
}

int main(void)
{
	return check_run("trailer", add);
}

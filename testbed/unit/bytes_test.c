#include "testbed/unit/check.h"

#include <string.h>

#include "config/base/bytes.h"

static const struct {
	const char *why;
	uint8_t in[8];
	size_t len, max;
} refused[] = {
	{ "nothing at all", { 0 }, 0, 64 },
	{ "half a length", { 0, 0 }, 2, 64 },
	{ "one byte short", { 0, 0, 0, 4, 'a', 'b', 'c' }, 7, 64 },
	{ "length wraps around", { 0xff, 0xff, 0xff, 0xff, 'a' }, 5, SIZE_MAX },
	{ "over the caller's max", { 0, 0, 0, 4, 'a', 'b', 'c', 'd' }, 8, 3 },
};

START_TEST(take_bytes_refuses_and_leaves_the_input_alone)
{
	struct slice in = slice_of(refused[_i].in, refused[_i].len), out;

	ck_assert_msg(slice_take_bytes(&in, refused[_i].max, &out) == ERR_FORMAT, "%s",
		      refused[_i].why);
	ck_assert_uint_eq(in.left, refused[_i].len);
	ck_assert_ptr_eq(in.p, refused[_i].in);
}
END_TEST

START_TEST(integers_are_big_endian_both_ways)
{
	CLEANUP(buf) struct buf b = BUF_INIT;
	uint8_t v8;
	uint16_t v16;
	uint32_t v32;
	uint64_t v64;

	buf_put_u8(&b, 0x01);
	buf_put_u16(&b, 0x0203);
	buf_put_u32(&b, 0x04050607);
	buf_put_u64(&b, 0x08090a0b0c0d0e0f);
	ck_assert_ok(buf_check(&b));
	for (size_t i = 0; i < b.len; i++)
		ck_assert_uint_eq(b.data[i], i + 1);
	struct slice in = buf_slice(&b);
	ck_assert_ok(slice_take_u8(&in, &v8));
	ck_assert_ok(slice_take_u16(&in, &v16));
	ck_assert_ok(slice_take_u32(&in, &v32));
	ck_assert_ok(slice_take_u64(&in, &v64));
	ck_assert_uint_eq(v64, 0x08090a0b0c0d0e0f);
	ck_assert_err(slice_take_u8(&in, &v8), ERR_FORMAT);
}
END_TEST

START_TEST(a_buffer_never_grows_over_its_max_and_remembers)
{
	CLEANUP(buf) struct buf b = { .max = 100 };

	for (int i = 0; i < 10; i++)
		buf_put(&b, "0123456789", 10);
	ck_assert_ok(buf_check(&b));
	buf_put_u8(&b, 0);
	ck_assert_err(buf_check(&b), ERR_MEMORY);
	ck_assert_uint_eq(b.len, 100);
	buf_reset(&b);
	buf_put_text(&b, "again");
	ck_assert_ok(buf_check(&b));
	ck_assert_str_eq(buf_text(&b), "again");
}
END_TEST

/* RFC 4648 section 10. */
static const struct {
	const char *plain, *text;
} base64[] = { { "", "" },
	       { "f", "Zg==" },
	       { "fo", "Zm8=" },
	       { "foo", "Zm9v" },
	       { "foob", "Zm9vYg==" },
	       { "fooba", "Zm9vYmE=" },
	       { "foobar", "Zm9vYmFy" } };

START_TEST(base64_follows_the_vectors_of_rfc_4648)
{
	CLEANUP(buf) struct buf text = BUF_INIT;
	CLEANUP(buf) struct buf plain = BUF_INIT;

	buf_put_base64(&text, slice_text(base64[_i].plain));
	ck_assert(slice_is(buf_slice(&text), base64[_i].text));
	ck_assert_ok(base64_take(slice_text(base64[_i].text), &plain));
	ck_assert(slice_is(buf_slice(&plain), base64[_i].plain));
}
END_TEST

static const char *const bad_base64[] = { "Zg=",      "Zg",   "Z===",   "Zh==", "Zm9=",
					  "Zg==Zg==", "Zm 9", "Zm9v\n", "====", "Z=g=" };

START_TEST(base64_refuses_every_other_spelling)
{
	CLEANUP(buf) struct buf plain = BUF_INIT;

	ck_assert_err(base64_take(slice_text(bad_base64[_i]), &plain), ERR_FORMAT);
}
END_TEST

START_TEST(hex_wants_exactly_its_digits)
{
	uint8_t out[3];
	char text[7];

	ck_assert_ok(hex_take("00aBff", out, 3));
	ck_assert_uint_eq(out[1], 0xab);
	hex_put(text, out, 3);
	ck_assert_str_eq(text, "00abff");
	ck_assert_err(hex_take("00abf", out, 3), ERR_FORMAT);
	ck_assert_err(hex_take("00abff0", out, 3), ERR_FORMAT);
	ck_assert_err(hex_take("00abfg", out, 3), ERR_FORMAT);
}
END_TEST

START_TEST(slices_order_like_their_bytes_a_prefix_first)
{
	ck_assert_int_lt(slice_compare(slice_text("a"), slice_text("ab")), 0);
	ck_assert_int_lt(slice_compare(slice_text("ab"), slice_text("b")), 0);
	ck_assert_int_gt(slice_compare(slice_text("\xff"), slice_text("a")), 0);
	ck_assert_int_eq(slice_compare(slice_text(""), slice_of(NULL, 0)), 0);
}
END_TEST

START_TEST(a_reason_may_quote_the_one_before)
{
	ck_assert_int_eq(failed(ERR_IO, "inner"), ERR_IO);
	ck_assert_int_eq(failed(ERR_FORMAT, "outer: %s", err_reason()), ERR_FORMAT);
	ck_assert_str_eq(err_reason(), "outer: inner");
}
END_TEST

static void add(TCase *t)
{
	tcase_add_table(t, take_bytes_refuses_and_leaves_the_input_alone, refused);
	tcase_add_test(t, integers_are_big_endian_both_ways);
	tcase_add_test(t, a_buffer_never_grows_over_its_max_and_remembers);
	tcase_add_table(t, base64_follows_the_vectors_of_rfc_4648, base64);
	tcase_add_table(t, base64_refuses_every_other_spelling, bad_base64);
	tcase_add_test(t, hex_wants_exactly_its_digits);
	tcase_add_test(t, slices_order_like_their_bytes_a_prefix_first);
	tcase_add_test(t, a_reason_may_quote_the_one_before);
}

int main(void)
{
	return check_run("bytes", add);
}

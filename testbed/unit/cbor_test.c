#include "testbed/unit/check.h"

#include <string.h>

#include "config/base/cbor.h"

/* Values and encodings of RFC 8949 appendix A. */
static const struct {
	int64_t value;
	const char *hex;
} integers[] = {
	{ 0, "00" },
	{ 23, "17" },
	{ 24, "1818" },
	{ 255, "18ff" },
	{ 256, "190100" },
	{ 65535, "19ffff" },
	{ 65536, "1a00010000" },
	{ 4294967295, "1affffffff" },
	{ 1000000000000, "1b000000e8d4a51000" },
	{ -1, "20" },
	{ -24, "37" },
	{ -25, "3818" },
	{ -1000, "3903e7" },
	{ -70001, "3a00011170" },
	{ INT64_MAX, "1b7fffffffffffffff" },
	{ INT64_MIN, "3b7fffffffffffffff" },
};

START_TEST(integers_are_written_shortest_and_read_back)
{
	CLEANUP(buf) struct buf b = BUF_INIT;
	CLEANUP(buf) struct buf hex = BUF_INIT;
	int64_t v;

	cbor_put_int(&b, integers[_i].value);
	buf_put_hex(&hex, buf_slice(&b));
	ck_assert_str_eq(buf_text(&hex), integers[_i].hex);
	struct slice in = buf_slice(&b);
	ck_assert_ok(cbor_take_int(&in, &v));
	ck_assert_int_eq(v, integers[_i].value);
	ck_assert_ok(cbor_take_end(in));
}
END_TEST

static const struct {
	const char *why, *hex;
} refused[] = {
	{ "nothing", "" },
	{ "0 in two bytes", "1800" },
	{ "23 in two bytes", "1817" },
	{ "255 in three bytes", "1900ff" },
	{ "65535 in five bytes", "1a0000ffff" },
	{ "2^32-1 in nine bytes", "1b00000000ffffffff" },
	{ "a number cut short", "1901" },
	{ "reserved additional information", "1c" },
	{ "indefinite byte string", "5f4100ff" },
	{ "indefinite array", "9f00ff" },
	{ "indefinite map", "bf0000ff" },
	{ "break alone", "ff" },
	{ "half float", "f93c00" },
	{ "double", "fb3ff0000000000000" },
	{ "undefined", "f7" },
	{ "simple value 16", "f0" },
	{ "simple value in two bytes", "f820" },
	{ "a string that promises more", "4401" },
	{ "a string of 2^64-1 bytes", "5bffffffffffffffff" },
	{ "an array of 2^32 items", "9b0000000100000000" },
	{ "a map of 2^63 pairs", "bb8000000000000000" },
	{ "an array with an item missing", "8200" },
	{ "map keys the wrong way round", "a201000000" },
	{ "a map key twice", "a200000000" },
	{ "longer key before shorter", "a2190100000000" },
	{ "text that is not UTF-8", "61ff" },
	{ "overlong UTF-8", "62c080" },
	{ "a surrogate", "63eda080" },
	{ "over U+10FFFF", "64f4908080" },
	{ "a NUL in a text", "6100" },
	{ "a tag of nothing", "c1" },
	{ "nested too deep", "8181818181818181818181818181818181818100" },
};

START_TEST(what_a_deterministic_encoder_would_not_write_is_refused)
{
	uint8_t raw[64];
	size_t n = strlen(refused[_i].hex) / 2;

	ck_assert_ok(hex_take(refused[_i].hex, raw, n));
	struct slice in = slice_of(raw, n);
	ck_assert_msg(cbor_take_item(&in, NULL) == ERR_FORMAT, "%s", refused[_i].why);
	ck_assert_uint_eq(in.left, n);
}
END_TEST

START_TEST(a_nested_item_is_taken_whole)
{
	static const uint8_t raw[] = { 0xa2, 0x01, 0x82, 0x41, 0xaa, 0x61,
				       'x',  0x20, 0xc1, 0xf5, 0x00 };
	struct slice in = SLICE(raw), item;

	ck_assert_ok(cbor_take_item(&in, &item));
	ck_assert_uint_eq(item.left, sizeof raw - 1);
	ck_assert_uint_eq(in.left, 1);
}
END_TEST

START_TEST(a_wrong_type_is_refused_and_left)
{
	static const uint8_t text[] = { 0x61, 'x' };
	struct slice in = SLICE(text), out;
	uint64_t u;
	bool b;

	ck_assert_err(cbor_take_uint(&in, &u), ERR_FORMAT);
	ck_assert_err(cbor_take_bytes(&in, 10, &out), ERR_FORMAT);
	ck_assert_err(cbor_take_bool(&in, &b), ERR_FORMAT);
	ck_assert_err(cbor_take_null(&in), ERR_FORMAT);
	ck_assert_err(cbor_take_text(&in, 0, &out), ERR_FORMAT);
	ck_assert_ok(cbor_take_text(&in, 1, &out));
	ck_assert_int_eq(cbor_peek(in), CBOR_END);
}
END_TEST

START_TEST(keys_must_ascend_bytewise)
{
	/* 10, 256, -1, -70001: the order of RFC 8949 section 4.2.1, not of numbers. */
	static const uint8_t good[] = {
		0x0a, 0x19, 0x01, 0x00, 0x20, 0x3a, 0x00, 0x01, 0x11, 0x70
	};
	static const uint8_t bad[] = { 0x20, 0x0a };
	static const int64_t keys[] = { 10, 256, -1, -70001 };
	struct cbor_keys order = { 0 };
	struct slice in = SLICE(good);
	int64_t key;

	for (int i = 0; i < 4; i++) {
		ck_assert_ok(cbor_take_key(&in, &order, &key));
		ck_assert_int_eq(key, keys[i]);
	}
	in = SLICE(bad);
	order = (struct cbor_keys){ 0 };
	ck_assert_ok(cbor_take_key(&in, &order, &key));
	ck_assert_err(cbor_take_key(&in, &order, &key), ERR_FORMAT);
}
END_TEST

static void add(TCase *t)
{
	tcase_add_table(t, integers_are_written_shortest_and_read_back, integers);
	tcase_add_table(t, what_a_deterministic_encoder_would_not_write_is_refused, refused);
	tcase_add_test(t, a_nested_item_is_taken_whole);
	tcase_add_test(t, a_wrong_type_is_refused_and_left);
	tcase_add_test(t, keys_must_ascend_bytewise);
}

int main(void)
{
	return check_run("cbor", add);
}

#include "testbed/unit/check.h"

#include <string.h>

#include "config/base/io.h"
#include "config/base/sha256.h"

static const struct {
	const char *text, *digest;
} known[] = {
	/* FIPS 180-4's own examples */
	{ "", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" },
	{ "abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" },
	{ "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
	  "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1" },
};

static void check_digest(const uint8_t digest[SHA256_SIZE], const char *wanted)
{
	char text[2 * SHA256_SIZE + 1];

	hex_put(text, digest, SHA256_SIZE);
	ck_assert_str_eq(text, wanted);
}

START_TEST(the_standards_examples)
{
	uint8_t digest[SHA256_SIZE];

	sha256_once(slice_text(known[_i].text), digest);
	check_digest(digest, known[_i].digest);
}
END_TEST

START_TEST(every_length_has_the_known_digest)
{
	uint8_t data[301], digest[SHA256_SIZE];
	struct sha256 all;

	for (size_t i = 0; i < sizeof data; i++)
		data[i] = (uint8_t)(i * 7 + i / 256);
	sha256_init(&all);
	for (size_t n = 0; n < sizeof data; n++) {
		sha256_once(slice_of(data, n), digest);
		sha256_add(&all, digest, sizeof digest);
	}
	sha256_end(&all, digest);
	/* Python's hashlib says so, which is OpenSSL's. */
	check_digest(digest, "37c4dea4792819683234a2a82a4a9e4279e80e78e8fdaa3d7833e5a95e9aac55");
}
END_TEST

START_TEST(parts_make_the_same_digest_as_the_whole)
{
	uint8_t data[1000], whole[32], parts[32];

	ck_assert_ok(io_random(data, sizeof data));
	sha256_once(SLICE(data), whole);
	for (size_t step = 1; step < 200; step += 7) {
		struct sha256 h;

		sha256_init(&h);
		for (size_t at = 0; at < sizeof data; at += step)
			sha256_add(&h, data + at,
				   at + step < sizeof data ? step : sizeof data - at);
		sha256_end(&h, parts);
		ck_assert_mem_eq(whole, parts, 32);
	}
}
END_TEST

/* Every test here runs with what the processor brings along; this one holds it against the other way. */
START_TEST(the_processors_own_way_and_the_portable_one_agree)
{
	uint8_t data[4096], fast[32], portable[32];

	for (size_t n = 0; n < sizeof data; n += 1 + n / 40) {
		ck_assert_ok(io_random(data, n));
		(void)sha256_accelerate(true);
		sha256_once(slice_of(data, n), fast);
		ck_assert(!sha256_accelerate(false));
		sha256_once(slice_of(data, n), portable);
		ck_assert_mem_eq(fast, portable, sizeof fast);
	}
}
END_TEST

START_TEST(the_portable_way_gives_the_standards_examples)
{
	uint8_t digest[SHA256_SIZE];

	ck_assert(!sha256_accelerate(false));
	sha256_once(slice_text(known[_i].text), digest);
	check_digest(digest, known[_i].digest);
}
END_TEST

static void add(TCase *t)
{
	tcase_add_table(t, the_standards_examples, known);
	tcase_add_test(t, the_processors_own_way_and_the_portable_one_agree);
	tcase_add_table(t, the_portable_way_gives_the_standards_examples, known);
	tcase_add_test(t, every_length_has_the_known_digest);
	tcase_add_test(t, parts_make_the_same_digest_as_the_whole);
}

int main(void)
{
	return check_run("sha256", add);
}

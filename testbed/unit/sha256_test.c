#include "testbed/unit/check.h"

#include <openssl/sha.h>
#include <string.h>

#include "config/base/io.h"
#include "config/base/sha256.h"

START_TEST(every_length_agrees_with_openssl)
{
	uint8_t data[300], ours[32], theirs[32];

	ck_assert_ok(io_random(data, sizeof data));
	for (size_t n = 0; n <= sizeof data; n++) {
		sha256_once(slice_of(data, n), ours);
		SHA256(data, n, theirs);
		ck_assert_mem_eq(ours, theirs, 32);
	}
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

static void add(TCase *t)
{
	tcase_add_test(t, every_length_agrees_with_openssl);
	tcase_add_test(t, parts_make_the_same_digest_as_the_whole);
}

int main(void)
{
	return check_run("sha256", add);
}

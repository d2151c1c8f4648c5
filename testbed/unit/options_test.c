/* options_test.c - the parameter of EXECUTE, EXECUTE_FULL and RUN: what is taken, and what is refused. */
#include "plugin/options.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "testbed/unit/check.h"

#define NONCE     \
	"\1\0\x8" \
	"12345678"
#define REQUEST "\2\0\3abc"
#define LIMIT "\3\0\4\0\0\x3\xe8"

START_TEST(every_option_is_read)
{
	static const char blob[] = "\1" NONCE REQUEST LIMIT;
	struct options options;

	ck_assert_ok(options_take(blob, sizeof blob - 1, &options));
	ck_assert(slice_is(option_slice(&options.nonce), "12345678"));
	ck_assert(slice_is(option_slice(&options.request), "abc"));
	ck_assert_uint_eq(options_time_limit(&options), 1000);
	ck_assert(options_any(&options));
}
END_TEST

START_TEST(no_parameter_and_a_bare_version_are_no_options)
{
	struct options options;

	memset(&options, 0xff, sizeof options);
	ck_assert_ok(options_take(NULL, 0, &options));
	ck_assert(!options_any(&options));
	ck_assert_ok(options_take("\1", 1, &options));
	ck_assert(!options_any(&options));
	ck_assert_uint_eq(options_time_limit(&options), 0);
}
END_TEST

/* The lengths at both ends, of each option alone. */
static const struct {
	uint8_t tag, least, most;
} bounds[] = { { 1, 8, 64 }, { 2, 1, 64 }, { 3, 4, 4 } };

START_TEST(lengths_are_taken_within_their_bounds_only)
{
	struct options options;

	for (unsigned n = 0; n < 300; n++) {
		CLEANUP(buf) struct buf blob = BUF_INIT;
		bool good = n >= bounds[_i].least && n <= bounds[_i].most;

		buf_put_u8(&blob, 1);
		buf_put_u8(&blob, bounds[_i].tag);
		buf_put_u16(&blob, (uint16_t)n);
		memset(buf_add(&blob, n), 'x', n);
		ck_assert_err(options_take(blob.data, blob.len, &options), good ? OK : ERR_FORMAT);
	}
}
END_TEST

#define BLOB(why, text)                    \
	{                                  \
		why, text, sizeof text - 1 \
	}
static const struct {
	const char *why, *blob;
	size_t n;
} refused[] = {
	BLOB("not even a version", ""),
	BLOB("another version", "\2" NONCE),
	BLOB("version 0", "\0"),
	BLOB("a tag alone", "\1\1"),
	BLOB("half a length", "\1\1\0"),
	BLOB("a value that is cut", "\1\1\0\x8"
				    "1234567"),
	BLOB("a byte after the last option", "\1" NONCE "\0"),
	BLOB("an option twice", "\1" NONCE NONCE),
	BLOB("options out of order", "\1" REQUEST NONCE),
	BLOB("an unknown option", "\1" NONCE "\4\0\1x"),
	BLOB("tag 0", "\1\0\0\1x"),
	BLOB("a length that is little-endian", "\1\1\x8\0"
					       "12345678"),
	BLOB("a time limit of 0", "\1\3\0\4\0\0\0\0"),
};

START_TEST(malformed_parameter_is_refused)
{
	struct options options;

	ck_assert_msg(options_take(refused[_i].blob, refused[_i].n, &options) == ERR_FORMAT, "%s",
		      refused[_i].why);
}
END_TEST

/* Behind the longest parameter that there can be lies nothing: a longer one is not even looked at. */
START_TEST(a_long_parameter_is_not_read)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	uint8_t *map =
		mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct options options;

	ck_assert(map != MAP_FAILED);
	ck_assert_int_eq(mprotect(map + page, page, PROT_NONE), 0);
	ck_assert_err(options_take(map + page - OPTIONS_MAX, OPTIONS_MAX + 1, &options),
		      ERR_FORMAT);
	ck_assert_err(options_take(map + page, SIZE_MAX, &options), ERR_FORMAT);
	ck_assert_err(options_take(NULL, 5, &options), ERR_FORMAT);
	map[page - OPTIONS_MAX] = 1;
	ck_assert_err(options_take(map + page - OPTIONS_MAX, OPTIONS_MAX, &options), ERR_FORMAT);
	munmap(map, 2 * page);
}
END_TEST

static void add(TCase *t)
{
	tcase_add_test(t, every_option_is_read);
	tcase_add_test(t, no_parameter_and_a_bare_version_are_no_options);
	tcase_add_loop_test(t, lengths_are_taken_within_their_bounds_only, 0,
			    sizeof bounds / sizeof *bounds);
	tcase_add_loop_test(t, malformed_parameter_is_refused, 0, sizeof refused / sizeof *refused);
	tcase_add_test(t, a_long_parameter_is_not_read);
}

int main(void)
{
	return check_run("options", add);
}

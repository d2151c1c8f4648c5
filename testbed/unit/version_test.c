/* version_test.c - which of two versions is the later one. */
#include "config/base/version.h"
#include "testbed/unit/check.h"

static const struct {
	const char *version, *least;
	bool is, back; /* and the other way round */
} pairs[] = {
	{ "1", "1", true, true },
	{ "1.10", "1.9", true, false },
	{ "2", "1.99", true, false },
	{ "1.0.1", "1.0", true, false },
	{ "1.0", "1", true, false },
	{ "01.02", "1.2", true, true },
	{ "0", "00", true, true },
	{ "1.0", "", true, false },
	{ "99999999999999999999999999999999", "18446744073709551616", true, false },
	{ "1.00000000000000000000000000000002", "1.1", true, false },
	{ "1.a", "1.0", false, false },
	{ "1..1", "1.0", false, false },
	{ "1-1", "1", false, false },
	{ "a", "a", false, false },
};

START_TEST(later_versions_are_told_from_earlier_ones)
{
	struct slice a = slice_text(pairs[_i].version), b = slice_text(pairs[_i].least);

	ck_assert_msg(version_is_least(a, b) == pairs[_i].is, "%s, least %s", pairs[_i].version,
		      pairs[_i].least);
	ck_assert_msg(version_is_least(b, a) == pairs[_i].back, "%s, least %s", pairs[_i].least,
		      pairs[_i].version);
}
END_TEST

static void add(TCase *t)
{
	tcase_add_table(t, later_versions_are_told_from_earlier_ones, pairs);
}

int main(void)
{
	return check_run("version", add);
}

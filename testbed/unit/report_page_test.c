#include <string.h>
#include <time.h>

#include "plugin/cli/audit_record.h"
#include "plugin/cli/html.h"
#include "plugin/cli/report.h"
#include "testbed/unit/check.h"

static const struct {
	const char *in, *html, *csv;
} texts[] = {
	{ "", "", "" },
	{ "plain \xc3\xa9", "plain \xc3\xa9", "plain \xc3\xa9" },
	{ "<a href=\"x\">&'", "&lt;a href=&quot;x&quot;&gt;&amp;&#39;",
	  "\"<a href=\"\"x\"\">&'\"" },
	{ "&lt;", "&amp;lt;", "\"&lt;\"" },
	{ "a,b", "a,b", "\"a,b\"" },
	{ "two\r\nlines", "two??lines", "two??lines" },
	{ "=1+1", "=1+1", "\"'=1+1\"" },
	{ "+1", "+1", "\"'+1\"" },
	{ "-1", "-1", "\"'-1\"" },
	{ "a;=1+1;b", "a;=1+1;b", "\"a;'=1+1;b\"" },
	{ "@SUM(A1)", "@SUM(A1)", "\"'@SUM(A1)\"" },
	{ "\t=1", "?=1", "\"'?=1\"" },
	{ "1=1", "1=1", "1=1" },
	{ "a\xe2\x80\xae"
	  "b",
	  "a?b", "a?b" },
	{ "half \xe2\x82", "half ??", "half ??" },
};

START_TEST(no_text_is_markup_or_a_formula)
{
	CLEANUP(buf) struct buf html = BUF_INIT;
	CLEANUP(buf) struct buf csv = BUF_INIT;

	html_put(&html, texts[_i].in);
	csv_put_cell(&csv, slice_text(texts[_i].in));
	ck_assert_str_eq(buf_text(&html), texts[_i].html);
	ck_assert_str_eq(buf_text(&csv), texts[_i].csv);
}
END_TEST

static const struct {
	uint64_t value;
	const char *number, *span;
} numbers[] = {
	{ 0, "0", "0 \xc2\xb5s" },
	{ 999, "999", "999 \xc2\xb5s" },
	{ 1000, "1,000", "1.00 ms" },
	{ 23456, "23,456", "23.5 ms" },
	{ 1000001, "1,000,001", "1.00 s" },
	{ 123456789, "123,456,789", "123 s" },
	{ UINT64_MAX, "18,446,744,073,709,551,615", "18446744073710 s" },
};

START_TEST(numbers_can_be_read)
{
	CLEANUP(buf) struct buf number = BUF_INIT;
	CLEANUP(buf) struct buf span = BUF_INIT;

	html_put_number(&number, numbers[_i].value);
	html_put_span(&span, numbers[_i].value);
	ck_assert_str_eq(buf_text(&number), numbers[_i].number);
	ck_assert_str_eq(buf_text(&span), numbers[_i].span);
}
END_TEST

START_TEST(a_percentile_is_a_duration_that_was_measured)
{
	struct sample samples[101] = { { 0 } };

	for (uint32_t i = 0; i < 100; i++)
		samples[i] = (struct sample){ .us = (i * 37) % 100 + 1, .kind = SAMPLE_OK };
	samples[100] = (struct sample){ .us = 9999, .kind = SAMPLE_REFUSED };
	ck_assert_uint_eq(report_percentile(samples, 101, 50), 50);
	ck_assert_uint_eq(report_percentile(samples, 101, 99), 99);
	ck_assert_uint_eq(report_percentile(samples, 101, 100), 100);
	ck_assert_uint_eq(report_percentile(samples, 1, 99), samples[0].us);
	ck_assert_uint_eq(report_percentile(samples + 100, 1, 99), 0);
	ck_assert_uint_eq(report_percentile(samples, 0, 50), 0);
}
END_TEST

/* Times from a second to longer than any log: every plot has its bars and few enough of them. */
static const int64_t spans[] = { 0, 1, 61, 3601, 86400, 86400 * 31, 86400LL * 365 * 30, INT64_MAX };

START_TEST(any_period_is_drawn)
{
	struct sample samples[] = { { 1000, 5, SAMPLE_OK },
				    { 1000 + spans[_i] / 2, 7, SAMPLE_FAILED },
				    { 1000, 0, SAMPLE_REFUSED } };
	struct report report = { .first = 1000, .samples = samples, .samples_n = 2 };
	CLEANUP(buf) struct buf out = BUF_INIT;
	size_t bars = 0;

	report.last = spans[_i] == INT64_MAX ? REPORT_TIME_MAX : 1000 + spans[_i];
	if (spans[_i] == INT64_MAX)
		samples[1].time = REPORT_TIME_MAX;
	report_put_plots(&report, &out);
	ck_assert_ok(buf_check(&out));
	for (const char *at = buf_text(&out); (at = strstr(at, "<rect")); at++)
		bars++;
	ck_assert_uint_eq(bars, 2);
	ck_assert(out.len < 40000);
}
END_TEST

static void add(TCase *t)
{
	tcase_add_table(t, no_text_is_markup_or_a_formula, texts);
	tcase_add_table(t, numbers_can_be_read, numbers);
	tcase_add_test(t, a_percentile_is_a_duration_that_was_measured);
	tcase_add_table(t, any_period_is_drawn, spans);
}

int main(void)
{
	return check_run("report_page", add);
}

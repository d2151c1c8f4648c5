#include "testbed/unit/check.h"
#include "testbed/unit/hardened.h"
#include "testbed/unit/place.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "plugin/cli/cli.h"
#include "plugin/cli/json.h"
#include "plugin/cli/pin.h"

/* What the command line may hold, and what becomes of it. */
static const struct {
	const char *argv[6];
	int code;
	const char *seen; /* "flag text number list args" when it is taken */
} lines[] = {
	{ { "a" }, EXIT_HOLDS, "0 - - [] a" },
	{ { "--flag", "a" }, EXIT_HOLDS, "1 - - [] a" },
	{ { "a", "--flag" }, EXIT_HOLDS, "1 - - [] a" },
	{ { "-o", "x", "a" }, EXIT_HOLDS, "0 x - [] a" },
	{ { "-o=x", "a" }, EXIT_HOLDS, "0 x - [] a" },
	{ { "-o", "--flag", "a" }, EXIT_HOLDS, "0 --flag - [] a" },
	{ { "--number", "18446744073709551615", "a" },
	  EXIT_HOLDS,
	  "0 - 18446744073709551615 [] a" },
	{ { "--number=0", "a" }, EXIT_HOLDS, "0 - 0 [] a" },
	{ { "--list", "x", "--list=y", "a" }, EXIT_HOLDS, "0 - - [xy] a" },
	{ { "--list=", "a" }, EXIT_HOLDS, "0 - - [] a" },
	{ { "--", "--flag" }, EXIT_HOLDS, "0 - - [] --flag" },
	{ { "-", "b" }, EXIT_HOLDS, "0 - - [] -b" },
	{ { "--help" }, EXIT_DONE, NULL },
	{ { "a", "-h" }, EXIT_DONE, NULL },
	{ { NULL }, EXIT_USAGE, NULL },
	{ { "a", "b", "c" }, EXIT_USAGE, NULL },
	{ { "--flag=1", "a" }, EXIT_USAGE, NULL },
	{ { "-flag", "a" }, EXIT_USAGE, NULL },
	{ { "--o", "x", "a" }, EXIT_USAGE, NULL },
	{ { "--fla", "a" }, EXIT_USAGE, NULL },
	{ { "a", "-o" }, EXIT_USAGE, NULL },
	{ { "-o", "x", "-o", "x", "a" }, EXIT_USAGE, NULL },
	{ { "--number", "-1", "a" }, EXIT_USAGE, NULL },
	{ { "--number", "", "a" }, EXIT_USAGE, NULL },
	{ { "--number", "1 ", "a" }, EXIT_USAGE, NULL },
	{ { "--number", "18446744073709551616", "a" }, EXIT_USAGE, NULL },
	{ { "--config", "x", "a" }, EXIT_USAGE, NULL },
};

START_TEST(a_command_line_is_taken_or_refused)
{
	const struct command command = { .words = "try",
					 .arguments = "A [B]",
					 .least = 1,
					 .most = 2,
					 .takes = TAKES_JSON,
					 .help = "try it" };
	struct cli cli = { .command = &command, .argv = (char **)lines[_i].argv };
	bool flag = false;
	const char *text = NULL;
	struct cli_number number = { 0 };
	struct cli_list list = { 0 };
	const struct cli_option options[] = { CLI_FLAG("flag", &flag, "a flag"),
					      CLI_TEXT("o", "FILE", &text, "a text"),
					      CLI_NUMBER("number", "N", &number, "a number"),
					      CLI_LIST("list", "X", &list, "a list") };
	CLEANUP(buf) struct buf seen = BUF_INIT;

	while (cli.argc < 6 && lines[_i].argv[cli.argc])
		cli.argc++;
	ck_assert_int_eq(cli_options(&cli, options, 4), lines[_i].code);
	buf_free(&cli.out);
	if (!lines[_i].seen)
		return;
	buf_printf(&seen, "%d %s ", flag, text ? text : "-");
	if (number.given)
		buf_printf(&seen, "%llu [", (unsigned long long)number.value);
	else
		buf_put_text(&seen, "- [");
	for (size_t i = 0; i < list.n; i++)
		buf_put_text(&seen, list.items[i]);
	buf_put_text(&seen, "] ");
	for (size_t i = 0; i < cli.args_n; i++)
		buf_put_text(&seen, cli.args[i]);
	ck_assert_str_eq(buf_text(&seen), lines[_i].seen);
}
END_TEST

/* Text of an application or a file, for machines and for terminals. */
static const struct {
	const char *in, *json, *plain;
} texts[] = {
	{ "", "\"\"", "" },
	{ "a b", "\"a b\"", "a b" },
	{ "\"\\/", "\"\\\"\\\\/\"", "\"\\/" },
	{ "\x1b[2J\n\x7f", "\"\\u001b[2J\\u000a\\u007f\"", "?[2J??" },
	{ "Z\xc3\xbcrich \xe2\x82\xac \xf0\x9f\x8f\xa6",
	  "\"Z\xc3\xbcrich \xe2\x82\xac \xf0\x9f\x8f\xa6\"",
	  "Z\xc3\xbcrich \xe2\x82\xac \xf0\x9f\x8f\xa6" },
	{ "\xc2\x9b"
	  "2J",
	  "\"\\u009b2J\"", "?2J" },
	{ "\xe2\x80\xae", "\"\\u202e\"", "?" },
	{ "\xff\xc3", "\"\\ufffd\\ufffd\"", "??" },
	{ "\xc0\xaf", "\"\\ufffd\\ufffd\"", "??" },
	{ "\xed\xa0\x80", "\"\\ufffd\\ufffd\\ufffd\"", "???" },
	{ "\xf4\x90\x80\x80", "\"\\ufffd\\ufffd\\ufffd\\ufffd\"", "????" },
	{ "\xef\xbf\xbd", "\"\xef\xbf\xbd\"", "\xef\xbf\xbd" },
};

START_TEST(foreign_text_stays_text)
{
	CLEANUP(buf) struct buf json = BUF_INIT, plain = BUF_INIT;

	json_put_text(&json, slice_text(texts[_i].in));
	plain_put_text(&plain, slice_text(texts[_i].in));
	ck_assert_str_eq(buf_text(&json), texts[_i].json);
	ck_assert_str_eq(buf_text(&plain), texts[_i].plain);
}
END_TEST

static enum err pin_from(const char *text, struct secret *pin)
{
	struct pin_source source = { .what = "PIN" };
	int pipes[2];

	ck_assert_int_eq(pipe2(pipes, O_CLOEXEC), 0);
	ck_assert_int_eq(write(pipes[1], text, strlen(text)), (ssize_t)strlen(text));
	close(pipes[1]);
	source.fd = (struct cli_number){ true, (uint64_t)pipes[0] };
	enum err e = pin_read(&source, pin);
	close(pipes[0]);
	return e;
}

START_TEST(a_pin_is_one_line)
{
	CLEANUP(secret) struct secret pin = { 0 }, other = { 0 }, none = { 0 }, large = { 0 };
	char text[300];

	ck_assert_ok(pin_from("1234\n5678\n", &pin));
	ck_assert_uint_eq(pin.len, 4);
	ck_assert_mem_eq(pin.p, "1234", 4);
	ck_assert_ok(pin_from("12 34", &other));
	ck_assert_uint_eq(other.len, 5);
	ck_assert_err(pin_from("\n", &none), ERR_USAGE);
	memset(text, '1', sizeof text - 1);
	text[sizeof text - 1] = '\0';
	ck_assert_err(pin_from(text, &large), ERR_RANGE);
}
END_TEST

START_TEST(a_process_that_takes_a_pin_leaves_no_core_and_no_debugger_in)
{
	CLEANUP(secret) struct secret pin = { 0 };

	ck_assert(!is_hardened());
	ck_assert_ok(pin_from("1234\n", &pin));
	ck_assert(is_hardened());
}
END_TEST

START_TEST(a_pin_has_one_source)
{
	CLEANUP(secret) struct secret pin = { 0 };
	struct pin_source both = { .what = "PIN", .file = "/dev/null", .fd = { true, 0 } };
	char path[96];

	place_template(path, sizeof path, "pin");
	int fd = mkstemp(path);

	ck_assert_err(pin_read(&both, &pin), ERR_USAGE);
	ck_assert_int_eq(write(fd, "1234\n", 5), 5);
	ck_assert_int_eq(fchmod(fd, 0640), 0);
	struct pin_source file = { .what = "PIN", .file = path };
	ck_assert_err(pin_read(&file, &pin), ERR_DENIED);
	ck_assert_int_eq(fchmod(fd, 0600), 0);
	ck_assert_ok(pin_read(&file, &pin));
	ck_assert_uint_eq(pin.len, 4);
	close(fd);
	unlink(path);
}
END_TEST

static void add(TCase *tests)
{
	tcase_add_table(tests, a_command_line_is_taken_or_refused, lines);
	tcase_add_table(tests, foreign_text_stays_text, texts);
	tcase_add_test(tests, a_pin_is_one_line);
	tcase_add_test(tests, a_process_that_takes_a_pin_leaves_no_core_and_no_debugger_in);
	tcase_add_test(tests, a_pin_has_one_source);
}

int main(void)
{
	return check_run("cli", add);
}

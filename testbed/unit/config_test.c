#include "testbed/unit/check.h"
#include "testbed/unit/place.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config/base/io.h"
#include "config/base/sha256.h"
#include "config/config.h"

/* Each is refused with just this reason, "f" being the name of the file. */
static const struct {
	const char *text, *reason;
} refused[] = {
	{ "mode: appliance\nlimits:\n    wall_ms: soon\n",
	  "f:3: limits.wall_ms: a whole number from 1 to 3600000 expected, found \"soon\"" },
	{ "limits:\n  wall_ms: 0\n",
	  "f:2: limits.wall_ms: a whole number from 1 to 3600000 expected, found \"0\"" },
	{ "limits: {wall_ms: 3600001}\n",
	  "f:1: limits.wall_ms: a whole number from 1 to 3600000 expected, found \"3600001\"" },
	{ "limits: {wall_ms: 99999999999999999999999}\n",
	  "f:1: limits.wall_ms: a whole number from 1 to 3600000 expected, "
	  "found \"99999999999999999999999\"" },
	{ "limits: {wall_ms: \"60\"}\n",
	  "f:1: limits.wall_ms: a whole number from 1 to 3600000 expected, found \"60\"" },
	{ "limits: {wall_ms: 060}\n",
	  "f:1: limits.wall_ms: a whole number from 1 to 3600000 expected, found \"060\"" },
	{ "limits: {wall_ms: -1}\n",
	  "f:1: limits.wall_ms: a whole number from 1 to 3600000 expected, found \"-1\"" },
	{ "limits: {wall_ms: 0x10}\n",
	  "f:1: limits.wall_ms: a whole number from 1 to 3600000 expected, found \"0x10\"" },
	{ "limits: {wall_ms: [1]}\n",
	  "f:1: limits.wall_ms: a whole number from 1 to 3600000 expected, found a list" },
	{ "limits: {wall_ms: {a: 1}}\n",
	  "f:1: limits.wall_ms: a whole number from 1 to 3600000 expected, found a map" },
	{ "limits:\n    wall_ms:\n",
	  "f:2: limits.wall_ms: a whole number from 1 to 3600000 expected, found nothing" },
	{ "mode: Appliance\n",
	  "f:1: mode: development or appliance expected, found \"Appliance\"" },
	{ "mode: [appliance]\n", "f:1: mode: development or appliance expected, found a list" },
	{ "state: var/lib\n", "f:1: state: an absolute path without \"..\", at most 4095 bytes "
			      "expected, found \"var/lib\"" },
	{ "state: /var/../etc\n", "f:1: state: an absolute path without \"..\", at most 4095 bytes "
				  "expected, found \"/var/../etc\"" },
	{ "state: /var/..\n", "f:1: state: an absolute path without \"..\", at most 4095 bytes "
			      "expected, found \"/var/..\"" },
	{ "state: \"\"\n", "f:1: state: an absolute path without \"..\", at most 4095 bytes "
			   "expected, found \"\"" },
	{ "state: \"/a\\0b\"\n", "f:1: state: an absolute path without \"..\", at most 4095 bytes "
				 "expected, found \"/a?b\"" },
	{ "token: {label: \"\"}\n",
	  "f:1: token.label: a text of 1 to 32 bytes expected, found \"\"" },
	{ "token: {label: true}\n",
	  "f:1: token.label: a text of 1 to 32 bytes expected, found \"true\"" },
	{ "token: {label: 12}\n",
	  "f:1: token.label: a text of 1 to 32 bytes expected, found \"12\"" },
	{ "token: {label: ~}\n",
	  "f:1: token.label: a text of 1 to 32 bytes expected, found \"~\"" },
	{ "token: {label: \"a\\nb\"}\n",
	  "f:1: token.label: a text of 1 to 32 bytes expected, found \"a?b\"" },
	{ "token: {label: \"a\\Nb\"}\n",
	  "f:1: token.label: a text of 1 to 32 bytes expected, found \"a??b\"" },
	{ "token: {label: \"a\\uFEFF\"}\n",
	  "f:1: token.label: a text of 1 to 32 bytes expected, found \"a???\"" },
	{ "token: {label: abcdefghijklmnopqrstuvwxyz1234567}\n",
	  "f:1: token.label: a text of 1 to 32 bytes expected, "
	  "found \"abcdefghijklmnopqrstuvwxyz1234567\"" },
	{ "hsm: {environment: A=b}\n", "f:1: hsm.environment: a list of at most 16 items, each "
				       "NAME=value expected, found \"A=b\"" },
	{ "hsm:\n  environment:\n    - A=b\n    - \"=b\"\n",
	  "f:4: hsm.environment: NAME=value expected, found \"=b\"" },
	{ "hsm: {environment: [1A=b]}\n",
	  "f:1: hsm.environment: NAME=value expected, found \"1A=b\"" },
	{ "hsm: {environment: [A]}\n", "f:1: hsm.environment: NAME=value expected, found \"A\"" },
	{ "hsm: {environment: [[A=b]]}\n",
	  "f:1: hsm.environment: NAME=value expected, found a list" },
	{ "sandbox:\n  allow_missing: [cpu, disk]\n",
	  "f:2: sandbox.allow_missing: memory, pids or cpu expected, found \"disk\"" },
	{ "sandbox:\n  allow_missing: [cpu, cpu, cpu,\n    cpu]\n",
	  "f:3: sandbox.allow_missing: a list of at most 3 items, each memory, pids or cpu "
	  "expected, found \"cpu\"" },
	{ "users: {administrators: [-1]}\n",
	  "f:1: users.administrators: a numeric user id from 0 to 4294967294 expected, "
	  "found \"-1\"" },
	{ "users: {administrators: [root]}\n",
	  "f:1: users.administrators: a numeric user id from 0 to 4294967294 expected, "
	  "found \"root\"" },
	{ "users: {administrators: 0}\n",
	  "f:1: users.administrators: a list of at most 16 items, each a numeric user id from 0 "
	  "to 4294967294 expected, found \"0\"" },
	{ "users:\n  admins: 4\n", "f:2: users: one of the settings daemon, group, token_group, "
				   "administrators expected, found \"admins\"" },
	{ "mode: appliance\nmodes: appliance\n",
	  "f:2: one of the settings mode, state, socket, hsm, token, users, programs, sandbox, "
	  "limits, results, requests, packages, daemon, audit, time, tpm expected, found "
	  "\"modes\"" },
	{ "limits.wall_ms: 5\n",
	  "f:1: one of the settings mode, state, socket, hsm, token, users, programs, sandbox, "
	  "limits, results, requests, packages, daemon, audit, time, tpm expected, found "
	  "\"limits.wall_ms\"" },
	{ "<<: {mode: appliance}\n",
	  "f:1: one of the settings mode, state, socket, hsm, token, users, programs, sandbox, "
	  "limits, results, requests, packages, daemon, audit, time, tpm expected, found \"<<\"" },
	{ "? [mode]\n: appliance\n",
	  "f:1: one of the settings mode, state, socket, hsm, token, users, programs, sandbox, "
	  "limits, results, requests, packages, daemon, audit, time, tpm expected, found a list" },
	{ "state: /a\nmode: appliance\n",
	  "f:2: users.daemon: an id other than 0 expected in appliance mode" },
	{ "mode: appliance\nusers:\n  daemon: 0\n",
	  "f:3: users.daemon: an id other than 0 expected in appliance mode" },
	{ "mode: appliance\nusers:\n  daemon: 5\n  group: 0\n",
	  "f:4: users.group: an id other than 0 expected in appliance mode" },
	{ "mode: appliance\nstate: /a\nmode: appliance\n",
	  "f:3: mode: each key once expected, found it in line 1 already" },
	{ "limits:\n  wall_ms: 5\naudit: {}\nlimits:\n  cpu: 4\n",
	  "f:4: limits: each key once expected, found it in line 1 already" },
	{ "limits:\n  wall_ms: 5\n  wall_ms: 5\n",
	  "f:3: limits.wall_ms: each key once expected, found it in line 2 already" },
	{ "limits: 5\n", "f:1: limits: a map of settings expected, found \"5\"" },
	{ "limits:\nmode: appliance\n", "f:1: limits: a map of settings expected, found nothing" },
	{ "- mode\n", "f:1: a map of settings expected, found a list" },
	{ "mode\n", "f:1: a map of settings expected, found \"mode\"" },
	{ "---\n", "f:2: a map of settings expected, found nothing" },
	{ "mode: &m appliance\n",
	  "f:1: mode: a value written out in place expected, found the anchor &m" },
	{ "mode: *m\n", "f:1: mode: a value written out in place expected, found the alias *m" },
	{ "limits: &l {}\n",
	  "f:1: limits: a value written out in place expected, found the anchor &l" },
	{ "hsm: {environment: &e []}\n",
	  "f:1: hsm.environment: a value written out in place expected, found the anchor &e" },
	{ "hsm: {environment: [*e]}\n",
	  "f:1: hsm.environment: a value written out in place expected, found the alias *e" },
	{ "*k : appliance\n", "f:1: a value written out in place expected, found the alias *k" },
	{ "mode: !!str appliance\n", "f:1: mode: a value written out in place expected, found the "
				     "tag tag:yaml.org,2002:str" },
	{ "mode: ! appliance\n",
	  "f:1: mode: a value written out in place expected, found the tag !" },
	{ "mode: !%0a%c2%85 appliance\n",
	  "f:1: mode: a value written out in place expected, found the tag !???" },
	{ "limits: !!map {}\n", "f:1: limits: a value written out in place expected, found the tag "
				"tag:yaml.org,2002:map" },
	{ "!!map {}\n", "f:1: a value written out in place expected, found the tag "
			"tag:yaml.org,2002:map" },
	{ "mode: appliance\n---\nstate: /a\n", "f:2: one document expected, found a second one" },
	{ "mode: appliance\n...\n---\n", "f:3: one document expected, found a second one" },
	{ "mode: appliance\nstate: \"/a\n",
	  "f:3: YAML in UTF-8 expected, but: found unexpected end of stream" },
	{ "mode: appliance\n\tstate: /a\n",
	  "f:2: YAML in UTF-8 expected, but: found a tab character "
	  "that violates indentation" },
	{ "mode: appliance\nstate: /\xff\n",
	  "f:2: YAML in UTF-8 expected, but: invalid leading UTF-8 octet" },
	{ "mode: appliance\nstate: /\xc0\xaf\n",
	  "f:2: YAML in UTF-8 expected, but: invalid length of a UTF-8 sequence" },
	{ "mode: appliance\nstate: /\x01\n",
	  "f:2: YAML in UTF-8 expected, but: control characters are not allowed" },
	{ "\xff\xfem\0o\0", "f:1: YAML in UTF-8 expected, but: invalid leading UTF-8 octet" },
};

START_TEST(a_file_is_refused_with_its_line_and_what_was_expected)
{
	struct config *config = NULL;
	enum err e = config_parse(slice_text(refused[_i].text), "f", &config);

	ck_assert_str_eq(err_reason(), refused[_i].reason);
	ck_assert_msg(e == ERR_FORMAT || e == ERR_RANGE, "%s: %s", refused[_i].text, err_name(e));
	ck_assert_ptr_null(config);
}
END_TEST

static struct config *parsed(const char *text)
{
	struct config *config = NULL;

	ck_assert_ok(config_parse(slice_text(text), "f", &config));
	return config;
}

START_TEST(an_empty_file_gives_the_defaults)
{
	static const char *const texts[] = { "", "# nothing\n", "{}\n", "--- {}\n...\n" };

	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
		CLEANUP(config) struct config *config = parsed(texts[i]);

		ck_assert_int_eq(config->mode, MODE_DEVELOPMENT);
		ck_assert_str_eq(config->state, "/var/lib/assay");
		ck_assert_str_eq(config->hsm_module, "");
		ck_assert_uint_eq(config->limits_wall_ms, 60000);
		ck_assert_uint_eq(config->sandbox_allow_missing.n, 0);
	}
}
END_TEST

START_TEST(values_of_every_type_arrive)
{
	const char *text =
		"mode: \"appliance\"\n"
		"state: '/srv/a b'\n"
		"hsm: {environment: [A=1, \"B=x=y\"]}\n"
		"token: {label: 'true'}\n"
		"users:\n  daemon: 64002\n  group: 64003\n  administrators: [0, 4294967294]\n"
		"sandbox: {allow_missing: [pids, memory]}\n";
	CLEANUP(config) struct config *config = parsed(text);
	uint8_t digest[SHA256_SIZE];

	ck_assert_int_eq(config->mode, MODE_APPLIANCE);
	ck_assert_str_eq(config->state, "/srv/a b");
	ck_assert_uint_eq(config->hsm_environment.n, 2);
	ck_assert_str_eq(config->hsm_environment.items[1], "B=x=y");
	ck_assert_str_eq(config->token_label, "true");
	ck_assert_uint_eq(config->users_daemon, 64002);
	ck_assert_uint_eq(config->users_administrators.n, 2);
	ck_assert_uint_eq(config->users_administrators.ids[1], 4294967294);
	ck_assert_str_eq(config->sandbox_allow_missing.items[0], "pids");
	sha256_once(slice_text(text), digest);
	ck_assert_mem_eq(config->digest, digest, sizeof digest);
}
END_TEST

START_TEST(what_is_shown_can_be_read_again)
{
	CLEANUP(buf) struct buf text = BUF_INIT, shown = BUF_INIT, again = BUF_INIT;
	struct config *other = NULL;

	ck_assert_ok(io_read_file("config/example.yaml", CONFIG_MAX, &text));
	CLEANUP(config) struct config *config = parsed(buf_text(&text));
	config_show(config, false, &shown);
	ck_assert_ok(config_parse(buf_slice(&shown), "shown", &other));
	config_show(other, false, &again);
	config_free(other);
	ck_assert_str_eq(buf_text(&shown), buf_text(&again));
	buf_reset(&again);
	config_show(config, true, &again);
	/* JSON is YAML. */
	ck_assert_ok(config_parse(buf_slice(&again), "json", &other));
	config_free(other);
}
END_TEST

START_TEST(a_file_over_the_maximum_is_refused)
{
	static char text[CONFIG_MAX + 2];
	struct config *config = NULL;

	memset(text, '#', sizeof text - 1);
	ck_assert_err(config_parse(slice_of(text, CONFIG_MAX + 1), "f", &config), ERR_RANGE);
	ck_assert_str_eq(err_reason(), "f:1: at most 65536 bytes expected, found 65537");
	ck_assert_ok(config_parse(slice_of(text, CONFIG_MAX), "f", &config));
	config_free(config);
}
END_TEST

/* A directory with a file in it, and what is done to them. */
static char top[64], dir[80], file[96];

static void make_file(void)
{
	place_make(top, sizeof top, "config");
	snprintf(dir, sizeof dir, "%s/dir", top);
	snprintf(file, sizeof file, "%s/f.yaml", dir);
	ck_assert_int_eq(mkdir(dir, 0755), 0);
	ck_assert_int_eq(chmod(top, 0755), 0);
	FILE *f = fopen(file, "we");
	ck_assert_ptr_nonnull(f);
	fputs("mode: development\n", f);
	fclose(f);
	ck_assert_int_eq(chmod(file, 0644), 0);
}

static void remove_file(void)
{
	char other[96];

	snprintf(other, sizeof other, "%s/link", top);
	unlink(other);
	unlink(file);
	rmdir(file);
	rmdir(dir);
	rmdir(top);
}

#define FILE_ONLY "a file that only its owner may write expected (chmod go-w)"
#define DIRECTORIES "directories above it that only their owner may write expected"
#define OWNERS "directories above it that belong to root or the file's owner expected"

static const struct {
	const char *why;
	mode_t file, dir;
	uid_t file_owner, dir_owner;
	const char *reason; /* NULL: accepted */
} guarded[] = {
	{ "plain", 0644, 0755, 0, 0, NULL },
	{ "private", 0600, 0700, 0, 0, NULL },
	{ "group may write", 0664, 0755, 0, 0, FILE_ONLY },
	{ "all may write", 0646, 0755, 0, 0, FILE_ONLY },
	{ "directory: group may write", 0644, 0775, 0, 0, DIRECTORIES },
	{ "directory: all may write", 0644, 0757, 0, 0, DIRECTORIES },
	{ "sticky directory", 0644, 01777, 0, 0, NULL },
	{ "another owner", 0644, 0755, 64003, 0, DIRECTORIES },
	{ "directory of a stranger", 0644, 0755, 0, 64003, OWNERS },
	{ "sticky directory, stranger's file", 0644, 01777, 64003, 0, DIRECTORIES },
};

START_TEST(who_may_write_decides)
{
	char reason[256] = "";
	struct config *config = NULL;

	if (geteuid() != 0)
		return;
	make_file();
	ck_assert_int_eq(chown(file, guarded[_i].file_owner, 0), 0);
	ck_assert_int_eq(chown(dir, guarded[_i].dir_owner, 0), 0);
	ck_assert_int_eq(chmod(file, guarded[_i].file), 0);
	ck_assert_int_eq(chmod(dir, guarded[_i].dir), 0);
	enum err e = config_load(file, &config);
	if (guarded[_i].reason) {
		ck_assert_msg(e == ERR_DENIED, "%s: %s", guarded[_i].why, err_name(e));
		snprintf(reason, sizeof reason, "%s:1: %s", file, guarded[_i].reason);
		ck_assert_str_eq(err_reason(), reason);
	} else {
		ck_assert_msg(e == OK, "%s: %s", guarded[_i].why, err_reason());
		ck_assert_str_eq(config->path, file);
	}
	config_free(config);
	remove_file();
}
END_TEST

START_TEST(nothing_but_a_regular_file_is_read)
{
	struct config *config = NULL;
	char link[96];

	make_file();
	snprintf(link, sizeof link, "%s/link", top);
	ck_assert_int_eq(symlink(file, link), 0);
	ck_assert_err(config_load(link, &config), ERR_DENIED);
	unlink(link);
	ck_assert_int_eq(symlink(dir, link), 0);
	snprintf(link, sizeof link, "%s/link/f.yaml", top);
	ck_assert_err(config_load(link, &config), ERR_DENIED);
	ck_assert_err(config_load(dir, &config), ERR_DENIED);
	ck_assert_err(config_load("/", &config), ERR_DENIED);
	ck_assert_int_eq(unlink(file), 0);
	ck_assert_err(config_load(file, &config), ERR_NOT_FOUND);
	ck_assert_int_eq(mkfifo(file, 0600), 0);
	ck_assert_err(config_load(file, &config), ERR_DENIED);
	ck_assert_ptr_null(config);
	remove_file();
}
END_TEST

START_TEST(a_relative_path_is_made_whole)
{
	struct config *config = NULL;
	char here[256];

	make_file();
	ck_assert_ptr_nonnull(getcwd(here, sizeof here));
	ck_assert_int_eq(chdir(top), 0);
	ck_assert_ok(config_load("dir/f.yaml", &config));
	ck_assert_int_eq(chdir(here), 0);
	ck_assert_str_eq(config->path, file);
	config_free(config);
	remove_file();
}
END_TEST

START_TEST(programs_lie_beside_the_caller_or_where_it_says)
{
	CLEANUP(config) struct config *config = parsed("");
	CLEANUP(config) struct config *moved = parsed("programs: /opt/assay\n");
	char out[64];

	ck_assert_ok(config_program(config, "/usr/lib/assay.so", "assayd", out, sizeof out));
	ck_assert_str_eq(out, "/usr/lib/assayd");
	ck_assert_ok(config_program(moved, "/usr/lib/assay.so", "assayd", out, sizeof out));
	ck_assert_str_eq(out, "/opt/assay/assayd");
	ck_assert_err(config_program(config, "assay.so", "assayd", out, sizeof out), ERR_USAGE);
	ck_assert_err(config_program(moved, "/a", "assayd", out, 8), ERR_RANGE);
}
END_TEST

START_TEST(every_setting_is_described)
{
	CLEANUP(buf) struct buf text = BUF_INIT;
	const char *words;

	config_describe(&text);
	ck_assert_ptr_nonnull(words = buf_text(&text));
#define SETTING(key, field, type, least, most, value, help) \
	ck_assert_ptr_nonnull(strstr(words, key "\n    " help "\n    "));
#include "config/settings.def"
#undef SETTING
}
END_TEST

static void add(TCase *tests)
{
	tcase_add_table(tests, a_file_is_refused_with_its_line_and_what_was_expected, refused);
	tcase_add_test(tests, an_empty_file_gives_the_defaults);
	tcase_add_test(tests, values_of_every_type_arrive);
	tcase_add_test(tests, what_is_shown_can_be_read_again);
	tcase_add_test(tests, a_file_over_the_maximum_is_refused);
	tcase_add_table(tests, who_may_write_decides, guarded);
	tcase_add_test(tests, nothing_but_a_regular_file_is_read);
	tcase_add_test(tests, a_relative_path_is_made_whole);
	tcase_add_test(tests, programs_lie_beside_the_caller_or_where_it_says);
	tcase_add_test(tests, every_setting_is_described);
}

int main(void)
{
	return check_run("config", add);
}

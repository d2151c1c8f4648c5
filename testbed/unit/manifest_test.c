/* manifest_test.c - what a manifest may say, and how it is written down. */
#include <string.h>

#include "testbed/unit/package.h"

static void no_id(struct manifest *m)
{
	m->id = slice_text("");
}

static void upper_id(struct manifest *m)
{
	m->id = slice_text("Screen");
}

static void dotted_id(struct manifest *m)
{
	m->id = slice_text(".screen");
}

static void long_id(struct manifest *m)
{
	static char id[65];

	memset(id, 'a', sizeof id);
	m->id = SLICE(id);
}

static void no_label(struct manifest *m)
{
	m->label = slice_text("");
}

static void bad_label(struct manifest *m)
{
	m->label = slice_text("\xff\xfe");
}

static void bad_version(struct manifest *m)
{
	m->version = slice_text("1..0");
}

static void worded_version(struct manifest *m)
{
	m->version = slice_text("1.0-rc");
}

static void no_arguments(struct manifest *m)
{
	m->argc = 0;
}

static void relative_program(struct manifest *m)
{
	m->argv[0] = slice_text("app");
}

static void up_program(struct manifest *m)
{
	m->argv[0] = slice_text("/../app");
}

static void nameless_variable(struct manifest *m)
{
	m->env[0] = slice_text("=C");
}

static void no_variable(struct manifest *m)
{
	m->env[0] = slice_text("LANG");
}

static void no_memory(struct manifest *m)
{
	m->limits.memory_bytes = 0;
}

static void no_time(struct manifest *m)
{
	m->limits.wall_ms = 0;
}

static void many_processes(struct manifest *m)
{
	m->limits.processes = 100000;
}

static void many_files(struct manifest *m)
{
	m->limits.open_files = 4096;
}

static void (*const spoil[])(struct manifest *) = {
	no_id,       upper_id,       dotted_id,    long_id,          no_label,   bad_label,
	bad_version, worded_version, no_arguments, relative_program, up_program, nameless_variable,
	no_variable, no_memory,      no_time,      many_processes,   many_files,
};

START_TEST(a_manifest_out_of_its_rules_is_refused)
{
	CLEANUP(buf) struct buf raw = BUF_INIT;
	struct manifest m = manifest();

	spoil[_i](&m);
	ck_assert_int_eq(package_build(&m, good, GOOD, &raw), ERR_FORMAT);
}
END_TEST

START_TEST(an_unknown_or_missing_key_is_refused)
{
	CLEANUP(buf) struct buf raw = BUF_INIT;
	struct manifest m = manifest(), out;

	ck_assert_int_eq(manifest_encode(&m, &raw), OK);
	ck_assert_int_eq(manifest_decode(buf_slice(&raw), &out), OK);
	raw.data[0]++; /* one key more than there are */
	buf_put(&raw, "\x18\x63\xf5", 3);
	ck_assert_int_eq(manifest_decode(buf_slice(&raw), &out), ERR_FORMAT);
	raw.data[0] -= 2;
	ck_assert_int_eq(manifest_decode(slice_of(raw.data, raw.len - 5), &out), ERR_FORMAT);
}
END_TEST

START_TEST(scratch_space_is_optional_and_has_tmp_to_itself)
{
	CLEANUP(buf) struct buf raw = BUF_INIT;
	CLEANUP(buf) struct buf small = BUF_INIT;
	CLEANUP(buf) struct buf taken = BUF_INIT;
	const struct entry in_tmp[] = { ENTRY("app", ENTRY_FILE, 0555, "program"),
					ENTRY("tmp/file", ENTRY_FILE, 0444, "x") };
	struct manifest m = manifest(), out;

	m.limits.scratch_bytes = 65536;
	for (uint8_t park = PARK_OFF; park <= PARK_AUTO; park++) {
		m.park = park;
		buf_reset(&raw);
		ck_assert_int_eq(manifest_encode(&m, &raw), OK);
		ck_assert_int_eq(manifest_decode(buf_slice(&raw), &out), OK);
		ck_assert_uint_eq(out.limits.scratch_bytes, 65536);
		ck_assert_uint_eq(out.park, park);
	}
	ck_assert_int_eq(package_build(&m, in_tmp, 2, &taken), ERR_FORMAT);
	m.limits.scratch_bytes = 0;
	buf_reset(&taken);
	ck_assert_int_eq(package_build(&m, in_tmp, 2, &taken), OK);
	m.limits.scratch_bytes = 65535;
	ck_assert_int_eq(manifest_encode(&m, &small), OK);
	ck_assert_int_eq(manifest_decode(buf_slice(&small), &out), ERR_FORMAT);
}
END_TEST

START_TEST(parking_is_written_down_only_where_it_is_allowed)
{
	CLEANUP(buf) struct buf off = BUF_INIT;
	CLEANUP(buf) struct buf on = BUF_INIT;
	struct manifest m = manifest(), out;

	ck_assert_int_eq(manifest_encode(&m, &off), OK);
	m.park = PARK_AUTO;
	ck_assert_int_eq(manifest_encode(&m, &on), OK);
	ck_assert_uint_eq(on.len, off.len + 2);
	ck_assert_int_eq(manifest_decode(buf_slice(&off), &out), OK);
	ck_assert_uint_eq(out.park, PARK_OFF);
	ck_assert_int_eq(manifest_decode(buf_slice(&on), &out), OK);
	ck_assert_uint_eq(out.park, PARK_AUTO);
	on.data[on.len - 1] = PARK_OFF; /* which is said by leaving it out */
	ck_assert_int_eq(manifest_decode(buf_slice(&on), &out), ERR_FORMAT);
	on.data[on.len - 1] = 3;
	ck_assert_int_eq(manifest_decode(buf_slice(&on), &out), ERR_FORMAT);
	ck_assert_int_eq(manifest_decode(slice_of(on.data, off.len), &out), ERR_FORMAT);
}
END_TEST

START_TEST(purity_and_needs_are_optional_and_told_in_words)
{
	static const struct {
		uint8_t purity;
		bool good;
		const char *words;
	} told[] = {
		{ 0, true, "not pure" },
		{ PURE, true, "pure" },
		{ PURE | NEED_CLOCK, true, "pure but for clock" },
		{ PURE | NEED_ALL, true, "pure but for clock, random, machine" },
		{ NEED_RANDOM, false, "needs nothing can have alone" },
		{ PURE | NEED_ALL | 16, false, "a need that nobody knows" },
	};

	for (size_t i = 0; i < sizeof told / sizeof *told; i++) {
		CLEANUP(buf) struct buf raw = BUF_INIT;
		CLEANUP(buf) struct buf words = BUF_INIT;
		struct manifest m = manifest(), out;

		m.purity = told[i].purity;
		ck_assert_int_eq(manifest_encode(&m, &raw), OK);
		ck_assert_msg(manifest_decode(buf_slice(&raw), &out) ==
				      (told[i].good ? OK : ERR_FORMAT),
			      "%s", told[i].words);
		if (!told[i].good)
			continue;
		ck_assert_uint_eq(out.purity, told[i].purity);
		manifest_purity_put(out.purity, &words);
		ck_assert_str_eq(buf_text(&words), told[i].words);
	}
}
END_TEST

static void add(TCase *t)
{
	tcase_add_table(t, a_manifest_out_of_its_rules_is_refused, spoil);
	tcase_add_test(t, an_unknown_or_missing_key_is_refused);
	tcase_add_test(t, scratch_space_is_optional_and_has_tmp_to_itself);
	tcase_add_test(t, parking_is_written_down_only_where_it_is_allowed);
	tcase_add_test(t, purity_and_needs_are_optional_and_told_in_words);
}

int main(void)
{
	return check_run("manifest", add);
}

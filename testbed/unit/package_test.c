/* package_test.c - a package is what it was made of, byte for byte, or is refused. */
#include <elf.h>
#include <string.h>

#include "config/base/cbor.h"
#include "sandbox/filter.h"
#include "testbed/unit/package.h"

START_TEST(a_package_comes_back_as_it_was_made)
{
	static const char *const order[] = { "app",       "etc",           "etc-old",
					     "etc/empty", "etc/list",      "lib",
					     "lib/deep",  "lib/deep/down", "lib/deep/down/link" };
	CLEANUP(buf) struct buf raw = BUF_INIT;
	struct package p;
	struct entry entry;
	size_t n = 0;

	build(&raw);
	ck_assert_int_eq(package_parse(buf_slice(&raw), &p), OK);
	ck_assert(slice_is(p.manifest.id, "screen"));
	ck_assert(slice_is(p.manifest.argv[0], "/app"));
	ck_assert(slice_is(p.manifest.env[0], "LANG=C"));
	for (struct slice cursor = p.entries; package_next(&cursor, &entry); n++)
		ck_assert(slice_is(entry.path, order[n]));
	ck_assert_uint_eq(n, sizeof order / sizeof *order);
	ck_assert_uint_eq(p.entries_n, n);
}
END_TEST

START_TEST(order_and_modes_of_the_input_do_not_matter)
{
	CLEANUP(buf) struct buf raw = BUF_INIT;
	CLEANUP(buf) struct buf again = BUF_INIT;
	struct entry reversed[GOOD];
	struct manifest m = manifest();

	build(&raw);
	for (size_t i = 0; i < GOOD; i++) {
		reversed[i] = good[GOOD - 1 - i];
		reversed[i].mode = reversed[i].mode == 0444 ? 0640 : 0751;
	}
	ck_assert_int_eq(package_build(&m, reversed, GOOD, &again), OK);
	ck_assert(slice_equal(buf_slice(&raw), buf_slice(&again)));
}
END_TEST

START_TEST(the_image_is_the_root_of_an_rfc_9162_tree)
{
	/* Two leaves, computed by hand from the description in package.h. */
	static const struct entry two[] = { ENTRY("app", ENTRY_FILE, 0555, "program"),
					    ENTRY("b", ENTRY_FILE, 0444, "x") };
	CLEANUP(buf) struct buf raw = BUF_INIT;
	CLEANUP(buf) struct buf node = BUF_INIT;
	struct manifest m = manifest();
	struct package p;
	uint8_t digest[SHA256_SIZE];

	ck_assert_int_eq(package_build(&m, two, 2, &raw), OK);
	ck_assert_int_eq(package_parse(buf_slice(&raw), &p), OK);
	buf_put_u8(&node, 1);
	for (size_t i = 0; i < 2; i++) {
		CLEANUP(buf) struct buf leaf = BUF_INIT;

		sha256_once(two[i].content, digest);
		buf_put_u8(&leaf, 0);
		buf_put_u16(&leaf, (uint16_t)two[i].path.left);
		buf_put_slice(&leaf, two[i].path);
		buf_put_u8(&leaf, (uint8_t)two[i].type);
		buf_put_u16(&leaf, two[i].mode);
		buf_put(&leaf, digest, sizeof digest);
		sha256_once(buf_slice(&leaf), digest);
		buf_put(&node, digest, sizeof digest);
	}
	sha256_once(buf_slice(&node), digest);
	ck_assert_mem_eq(digest, p.image, sizeof digest);
}
END_TEST

static void check_digest(const uint8_t digest[SHA256_SIZE], const char *wanted)
{
	char text[2 * SHA256_SIZE + 1];

	hex_put(text, digest, SHA256_SIZE);
	ck_assert_str_eq(text, wanted);
}

START_TEST(package_and_image_are_the_same_on_every_processor)
{
	CLEANUP(buf) struct buf raw = BUF_INIT;
	uint8_t digest[SHA256_SIZE];
	struct package p;

	build(&raw);
	ck_assert_int_eq(package_parse(buf_slice(&raw), &p), OK);
	check_digest(p.image, "ec225980f3dbddce69e83239c3756628745e6559e6064d30587191ce7d9d2ae6");
	sha256_once(buf_slice(&raw), digest);
	check_digest(digest, "95bd23142b5db5ba6e9fc8a989ad736437ab397b9741227776debd3298482e68");
}
END_TEST

static const char *const step_names[] = {
#define STEP(name, place, need, why) #name,
#include "sandbox/steps.def"
#undef STEP
};

/* Written out from manifest.h: of all that is measured, the filter alone knows the processor. */
START_TEST(the_profile_knows_the_processor_by_the_filter_alone)
{
	CLEANUP(buf) struct buf raw = BUF_INIT;
	CLEANUP(buf) struct buf b = BUF_INIT;
	static struct filter filter;
	uint8_t digest[SHA256_SIZE];
	struct package p;

	build(&raw);
	ck_assert_int_eq(package_parse(buf_slice(&raw), &p), OK);
	ck_assert_int_eq(filter_build(&p.manifest, &filter), OK);
	sha256_once(filter_bytes(&filter), digest);
	buf_put_u8(&b, 0x88);
	cbor_put_text(&b, "assay-profile-1");
	cbor_put_array(&b, 1);
	cbor_put_text(&b, "/app");
	cbor_put_array(&b, 1);
	cbor_put_text(&b, "LANG=C");
	/* 256 MiB, 16 MiB, 10 s, 10 s, 16 processes, 64 files; no code means refusal; static */
	buf_put(&b, "\x86\x1a\x10\0\0\0\x1a\1\0\0\0\x19\x27\x10\x19\x27\x10\x10\x18\x40\0\xf4", 22);
	cbor_put_bytes(&b, SLICE(digest));
	cbor_put_array(&b, sizeof step_names / sizeof *step_names);
	for (size_t i = 0; i < sizeof step_names / sizeof *step_names; i++)
		cbor_put_text(&b, step_names[i]);
	sha256_once(buf_slice(&b), digest);
	ck_assert_mem_eq(digest, p.profile, sizeof digest);
}
END_TEST

START_TEST(every_value_of_the_profile_changes_the_measurement)
{
	CLEANUP(buf) struct buf raw = BUF_INIT;
	struct package first, other;
	struct manifest variants[15];

	build(&raw);
	ck_assert_int_eq(package_parse(buf_slice(&raw), &first), OK);
	for (size_t i = 0; i < 15; i++)
		variants[i] = manifest();
	variants[0].argv[variants[0].argc++] = slice_text("-v");
	variants[1].envc = 0;
	variants[2].limits.memory_bytes++;
	variants[3].limits.output_bytes++;
	variants[4].limits.wall_ms++;
	variants[5].limits.processes++;
	variants[6].refuse_code = 3;
	variants[7].dynamic = true;
	variants[8].limits.open_files++;
	variants[9].park = PARK_ON;
	variants[10].park = PARK_AUTO;
	variants[11].limits.scratch_bytes = 65536;
	variants[12].purity = PURE;
	variants[13].purity = PURE | NEED_CLOCK;
	variants[14].purity = PURE | NEED_ALL;
	for (size_t i = 0; i < 15; i++) {
		CLEANUP(buf) struct buf changed = BUF_INIT;

		ck_assert_int_eq(package_build(&variants[i], good, GOOD, &changed), OK);
		ck_assert_int_eq(package_parse(buf_slice(&changed), &other), OK);
		ck_assert_mem_eq(first.image, other.image, SHA256_SIZE);
		ck_assert_mem_ne(first.profile, other.profile, SHA256_SIZE);
		ck_assert_mem_ne(first.measurement, other.measurement, SHA256_SIZE);
	}
}
END_TEST

START_TEST(a_package_cut_anywhere_is_refused)
{
	CLEANUP(buf) struct buf raw = BUF_INIT;
	CLEANUP(buf) struct buf cut = BUF_INIT;
	struct package p;

	build(&raw);
	for (size_t n = 0; n < raw.len; n++) {
		ck_assert_int_eq(package_parse(slice_of(raw.data, n), &p), ERR_FORMAT);
		if (n < PACKAGE_HEADER)
			continue;
		/* Even when length and hash are made to fit. */
		buf_reset(&cut);
		buf_put(&cut, raw.data, n);
		close_header(&cut);
		ck_assert_int_eq(package_parse(buf_slice(&cut), &p), ERR_FORMAT);
	}
}
END_TEST

START_TEST(a_changed_byte_anywhere_is_refused)
{
	CLEANUP(buf) struct buf raw = BUF_INIT;
	struct package p;

	build(&raw);
	for (size_t i = 0; i < raw.len; i++) {
		raw.data[i] ^= 1;
		ck_assert_int_eq(package_parse(buf_slice(&raw), &p), ERR_FORMAT);
		raw.data[i] ^= 1;
	}
	ck_assert_int_eq(package_parse(buf_slice(&raw), &p), OK);
}
END_TEST

START_TEST(bytes_after_the_end_are_refused)
{
	CLEANUP(buf) struct buf raw = BUF_INIT;
	struct package p;

	build(&raw);
	buf_put_u8(&raw, 0);
	ck_assert_int_eq(package_parse(buf_slice(&raw), &p), ERR_FORMAT);
	close_header(&raw);
	ck_assert_int_eq(package_parse(buf_slice(&raw), &p), ERR_FORMAT);
}
END_TEST

#define APP ENTRY("app", ENTRY_FILE, 0555, "program")

static const struct {
	const char *why;
	struct entry entries[3];
	size_t n;
} refused[] = {
	{ "no entry at all", { APP }, 0 },
	{ "a part \"..\"", { ENTRY("..", ENTRY_DIRECTORY, 0555, ""), APP }, 2 },
	{ "a part \"..\" further down",
	  { APP, ENTRY("b", ENTRY_DIRECTORY, 0555, ""), ENTRY("b/..", ENTRY_DIRECTORY, 0555, "") },
	  3 },
	{ "a part \".\"", { ENTRY(".", ENTRY_DIRECTORY, 0555, ""), APP }, 2 },
	{ "an absolute path", { ENTRY("/etc", ENTRY_DIRECTORY, 0555, ""), APP }, 2 },
	{ "an empty path", { ENTRY("", ENTRY_DIRECTORY, 0555, ""), APP }, 2 },
	{ "a slash at the end", { APP, ENTRY("b/", ENTRY_DIRECTORY, 0555, "") }, 2 },
	{ "an empty part",
	  { APP, ENTRY("b", ENTRY_DIRECTORY, 0555, ""), ENTRY("b//c", ENTRY_FILE, 0444, "") },
	  3 },
	{ "a NUL in the path", { APP, ENTRY("b\0c", ENTRY_FILE, 0444, "") }, 2 },
	{ "the same path twice", { APP, APP }, 2 },
	{ "unsorted", { ENTRY("b", ENTRY_FILE, 0444, ""), APP }, 2 },
	{ "no parent", { APP, ENTRY("b/c", ENTRY_FILE, 0444, "") }, 2 },
	{ "a file as parent", { APP, ENTRY("app/c", ENTRY_FILE, 0444, "") }, 2 },
	{ "a link as parent",
	  { APP, ENTRY("b", ENTRY_LINK, 0777, "app"), ENTRY("b/c", ENTRY_FILE, 0444, "") },
	  3 },
	{ "a device", { APP, ENTRY("b", (enum entry_type)4, 0444, "") }, 2 },
	{ "type 0", { APP, ENTRY("b", (enum entry_type)0, 0444, "") }, 2 },
	{ "a set-user-id file", { APP, ENTRY("b", ENTRY_FILE, 04555, "") }, 2 },
	{ "a writable file", { APP, ENTRY("b", ENTRY_FILE, 0644, "") }, 2 },
	{ "a directory with another mode", { APP, ENTRY("b", ENTRY_DIRECTORY, 0755, "") }, 2 },
	{ "a directory with content", { APP, ENTRY("b", ENTRY_DIRECTORY, 0555, "x") }, 2 },
	{ "a link with another mode", { APP, ENTRY("b", ENTRY_LINK, 0555, "app") }, 2 },
	{ "an absolute link", { APP, ENTRY("b", ENTRY_LINK, 0777, "/app") }, 2 },
	{ "a link that leaves the image", { APP, ENTRY("b", ENTRY_LINK, 0777, "../app") }, 2 },
	{ "a link that leaves and comes back",
	  { APP, ENTRY("b", ENTRY_LINK, 0777, "c/../../c") },
	  2 },
	{ "an empty link", { APP, ENTRY("b", ENTRY_LINK, 0777, "") }, 2 },
	{ "a link with a NUL", { APP, ENTRY("b", ENTRY_LINK, 0777, "a\0b") }, 2 },
	{ "no program", { ENTRY("b", ENTRY_FILE, 0555, "") }, 1 },
	{ "a program that is not executable", { ENTRY("app", ENTRY_FILE, 0444, "") }, 1 },
	{ "a program that is a directory", { ENTRY("app", ENTRY_DIRECTORY, 0555, "") }, 1 },
	{ "a file in /dev",
	  { APP, ENTRY("dev", ENTRY_DIRECTORY, 0555, ""), ENTRY("dev/x", ENTRY_FILE, 0444, "") },
	  3 },
	{ "a link instead of /dev", { APP, ENTRY("dev", ENTRY_LINK, 0777, "app") }, 2 },
};

START_TEST(an_image_with_a_broken_rule_is_refused_in_words)
{
	CLEANUP(buf) struct buf raw = BUF_INIT;
	struct manifest m = manifest();
	struct package p;

	build_raw(&m, refused[_i].entries, refused[_i].n, &raw);
	ck_assert_msg(package_parse(buf_slice(&raw), &p) == ERR_FORMAT, "%s", refused[_i].why);
	ck_assert_msg(strlen(err_reason()) > 10, "%s", refused[_i].why);
}
END_TEST

START_TEST(a_path_longer_than_the_maximum_is_refused)
{
	CLEANUP(buf) struct buf raw = BUF_INIT;
	struct manifest m = manifest();
	struct package p;
	static char part[300], path[PACKAGE_PATH_MAX + 10];

	memset(part, 'p', sizeof part);
	memset(path, 'q', sizeof path);
	const struct entry entries[] = {
		APP,
		{ slice_of(part, 256), ENTRY_FILE, 0444, { NULL, 0 } },
		{ slice_of(path, sizeof path), ENTRY_FILE, 0444, { NULL, 0 } }
	};
	build_raw(&m, entries, 2, &raw);
	ck_assert_int_eq(package_parse(buf_slice(&raw), &p), ERR_FORMAT);
	raw.len = 0;
	ck_assert_int_eq(package_build(&m, entries + 2, 1, &raw), ERR_FORMAT);
}
END_TEST

START_TEST(lengths_that_lie_are_refused)
{
	CLEANUP(buf) struct buf raw = BUF_INIT;
	struct package p;

	build(&raw);
	uint32_t manifest_n = get_u32(raw.data + PACKAGE_HEADER);
	size_t count = PACKAGE_HEADER + 4 + manifest_n;
	const size_t places[] = { PACKAGE_HEADER, count, count + 4, count + 4 + 2 + 3 + 1 + 2 };
	for (size_t i = 0; i < sizeof places / sizeof *places; i++)
		for (size_t value = 0xff; value; value = value == 0xff ? 0x7f : 0) {
			uint8_t saved[8];

			memcpy(saved, raw.data + places[i], 8);
			memset(raw.data + places[i], (int)value, i == 2 ? 2 : i == 3 ? 8 : 4);
			close_header(&raw);
			ck_assert_int_eq(package_parse(buf_slice(&raw), &p), ERR_FORMAT);
			memcpy(raw.data + places[i], saved, 8);
		}
	close_header(&raw);
	ck_assert_int_eq(package_parse(buf_slice(&raw), &p), OK);
}
END_TEST

/* An ELF file with two program headers at @at; the second is PT_GNU_STACK with @flags. */
static struct slice elf_with_stack(uint8_t room[512], uint16_t type, uint64_t at, uint32_t flags)
{
	const Elf64_Ehdr head = { .e_ident = { ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64 },
				  .e_type = type,
				  .e_phoff = at,
				  .e_phentsize = sizeof(Elf64_Phdr),
				  .e_phnum = 2 };
	const Elf64_Phdr parts[2] = { { .p_type = PT_LOAD, .p_flags = PF_R | PF_X },
				      { .p_type = PT_GNU_STACK, .p_flags = flags } };

	memset(room, 0, 512);
	memcpy(room, &head, sizeof head);
	if (at <= 512 - sizeof parts)
		memcpy(room + at, parts, sizeof parts);
	return slice_of(room, 512);
}

static const struct {
	uint16_t type, mode;
	uint64_t at;
	uint32_t flags;
	bool refused;
} stacks[] = {
	{ ET_EXEC, 0555, 64, PF_R | PF_W, false },
	{ ET_EXEC, 0555, 64, PF_R | PF_W | PF_X, true },
	{ ET_DYN, 0555, 64, PF_R | PF_W | PF_X, true },
	{ ET_DYN, 0444, 64, PF_X, true }, /* a library */
	{ ET_EXEC, 0555, 512 - 2 * sizeof(Elf64_Phdr), PF_X, true },
	/* No program to the kernel: its headers are not there. */
	{ ET_EXEC, 0555, 513 - 2 * sizeof(Elf64_Phdr), PF_X, false },
	{ ET_EXEC, 0555, UINT64_MAX - 32, PF_X, false },
};

START_TEST(an_executable_stack_is_refused_in_programs_and_libraries)
{
	CLEANUP(buf) struct buf raw = BUF_INIT;
	uint8_t room[512];
	struct manifest m = manifest();
	struct entry entries[] = { good[0],
				   { slice_text("lib/x.so"), ENTRY_FILE, stacks[_i].mode,
				     elf_with_stack(room, stacks[_i].type, stacks[_i].at,
						    stacks[_i].flags & ~(uint32_t)PF_X) } };
	struct package p;

	ck_assert_int_eq(package_build(&m, entries, 2, &raw), OK);
	/* As it is loaded: nobody needs to have packed it with our tools. */
	entries[1].content = elf_with_stack(room, stacks[_i].type, stacks[_i].at, stacks[_i].flags);
	memcpy(raw.data + raw.len - sizeof room, room, sizeof room);
	close_header(&raw);
	ck_assert_int_eq(package_parse(buf_slice(&raw), &p), stacks[_i].refused ? ERR_FORMAT : OK);
	if (stacks[_i].refused)
		ck_assert_msg(strstr(err_reason(), "\"lib/x.so\": asks for an executable stack"),
			      "%s", err_reason());
	ck_assert_int_eq(package_build(&m, entries, 2, &raw), stacks[_i].refused ? ERR_FORMAT : OK);
}
END_TEST

static void add(TCase *t)
{
	tcase_add_test(t, a_package_comes_back_as_it_was_made);
	tcase_add_test(t, order_and_modes_of_the_input_do_not_matter);
	tcase_add_test(t, the_image_is_the_root_of_an_rfc_9162_tree);
	tcase_add_test(t, package_and_image_are_the_same_on_every_processor);
	tcase_add_test(t, the_profile_knows_the_processor_by_the_filter_alone);
	tcase_add_test(t, every_value_of_the_profile_changes_the_measurement);
	tcase_add_test(t, a_package_cut_anywhere_is_refused);
	tcase_add_test(t, a_changed_byte_anywhere_is_refused);
	tcase_add_test(t, bytes_after_the_end_are_refused);
	tcase_add_table(t, an_image_with_a_broken_rule_is_refused_in_words, refused);
	tcase_add_test(t, a_path_longer_than_the_maximum_is_refused);
	tcase_add_test(t, lengths_that_lie_are_refused);
	tcase_add_table(t, an_executable_stack_is_refused_in_programs_and_libraries, stacks);
}

int main(void)
{
	return check_run("package", add);
}

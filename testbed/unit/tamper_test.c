/* Hands on the log's files, on its clock and on its HSM: whatever is done, a log is refused untouched
 * or holds everything that it released.
 */
#include "testbed/unit/promised.h"

#include <stdarg.h>

#include "testbed/crash/shim.h"

static char place[100], log_path[100], copy_path[100], copy_log[100];

static void start(void)
{
	promised_start();
	promised_path(place, "live");
	promised_path(log_path, "live/log");
	promised_path(copy_path, "copy");
	promised_path(copy_log, "copy/log");
	ck_assert_int_eq(mkdir(place, 0700), 0);
	shim_spare_syncs(true);
}

static void end(void)
{
	shim_clock(0);
	promised_end();
}

static void write_log(unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		ck_assert_ok(promised_write(PROMISED_TREES, i % 2));
}

/* The directory as it is now. */
static struct history taken(const char *path)
{
	struct history history;

	shim_watch(path);
	shim_take(&history);
	return history;
}

static void lay_out(const struct disk *disk)
{
	signer_remove(copy_path);
	disk_write(disk, copy_path);
}

/* The node of a path; SIZE_MAX: none. */
static size_t find_node(const struct disk *disk, const char *path)
{
	char name[DISK_NAME];
	size_t node = 0, n;

	for (; *path; path += n + (path[n] == '/')) {
		n = strcspn(path, "/");
		snprintf(name, sizeof name, "%.*s", (int)n, path);
		struct disk_entry *entry = disk_find(disk, node, name);
		if (!entry)
			return SIZE_MAX;
		node = entry->node;
	}
	return node;
}

/* --- refused and untouched, or whole --- */

static void compare(void *context, const char *path, struct slice bytes)
{
	CLEANUP(buf) struct buf real = BUF_INIT;
	char file[300];

	snprintf(file, sizeof file, "%s/%s", copy_path, path);
	ck_assert_ok(io_read_file(file, 1 << 30, &real));
	ck_assert_msg(slice_equal(buf_slice(&real), bytes), "%s: refused, but %s was touched",
		      (const char *)context, path);
}

/* TOLD: the log goes on, and an auditor says what was changed. */
enum verdict { REFUSED, WHOLE, TOLD };

/* What was promised is remembered elsewhere too. */
static enum verdict judge(const struct disk *disk, const char *what)
{
	lay_out(disk);
	enum err e = promised_open_with(copy_log, promised->heads, promised->heads_n);
	if (e) {
		ck_assert_msg(e == ERR_MISMATCH || e == ERR_CRYPTO, "%s: %s (%s)", what,
			      err_name(e), err_reason());
		disk_walk(disk, compare, (void *)what);
		return REFUSED;
	}
	ck_assert_ok(signer_record(trees[0], "goes on"));
	audit_close(audit);
	e = found_read(copy_log, buf_slice(&signer.ca));
	if (e == ERR_MISMATCH || e == ERR_CRYPTO)
		return TOLD;
	ck_assert_msg(!e && promised_hold(promised->n, promised->heads, promised->heads_n),
		      "%s: accepted, and what was released is gone (%s)", what, err_reason());
	return WHOLE;
}

/* --- bits --- */

static uint64_t seed = 1;

static uint64_t draw(uint64_t below)
{
	seed = seed * 6364136223846793005u + 1442695040888963407u;
	return (seed >> 20) % below;
}

static size_t flips(void)
{
	const char *more = getenv("ASSAY_STATES"), *from = getenv("ASSAY_SEED");

	seed = from ? strtoull(from, NULL, 10) : seed;
	(void)fprintf(stderr, "seed %llu\n", (unsigned long long)seed);
	return more ? 100 * (size_t)atoi(more) : 120;
}

/* A file, and a place in it: where something is written, or anywhere. */
static struct disk_node *draw_place(struct disk *disk, uint64_t *at)
{
	bool written = draw(4);

	for (;;) {
		struct disk_node *node = &disk->nodes[draw(disk->n)];

		if (node->is_dir || !node->size)
			continue;
		*at = draw(node->size);
		if (!written || node->data[*at])
			return node;
	}
}

static bool in_wal(const struct disk *disk, const struct disk_node *node)
{
	const struct disk_node *wal = &disk->nodes[find_node(disk, "log/wal")];

	for (size_t i = 0; i < wal->entries_n; i++)
		if (&disk->nodes[wal->entries[i].node] == node)
			return true;
	return false;
}

/* In the write-ahead log; in what is published, it is enough that an auditor says so. */
START_TEST(a_flipped_bit_is_refused_or_harms_nothing)
{
	size_t refused = 0, n = flips();

	start();
	ck_assert_ok(promised_open(log_path));
	write_log(6);
	audit_close(audit);
	struct history before = taken(place);
	for (size_t i = 0; i < n; i++) {
		char what[96];
		uint64_t at;
		struct disk_node *node = draw_place(&before.start, &at);
		uint8_t bit = (uint8_t)(1u << draw(8));

		snprintf(what, sizeof what, "bit 0x%02x of byte %llu of a file of %zu", bit,
			 (unsigned long long)at, node->size);
		node->data[at] ^= bit;
		enum verdict verdict = judge(&before.start, what);
		refused += verdict == REFUSED;
		ck_assert_msg(verdict != TOLD || !in_wal(&before.start, node),
			      "%s: the log goes on, and is none any more", what);
		node->data[at] ^= bit;
	}
	ck_assert_uint_gt(refused, n / 4);
	history_free(&before);
	end();
}
END_TEST

/* --- versions --- */

/* Two versions of one log; the later one is what was promised. */
static void two_versions(struct history *earlier, struct history *later)
{
	start();
	ck_assert_ok(promised_open(log_path));
	write_log(3);
	audit_close(audit);
	*earlier = taken(place);
	ck_assert_ok(promised_open(log_path));
	write_log(5);
	audit_close(audit);
	*later = taken(place);
}

START_TEST(an_earlier_version_in_place_of_the_log_is_refused)
{
	struct history earlier, later;

	two_versions(&earlier, &later);
	ck_assert(judge(&earlier.start, "the earlier version") == REFUSED);
	ck_assert(judge(&later.start, "the later version") == WHOLE);
	history_free(&earlier);
	history_free(&later);
	end();
}
END_TEST

struct other {
	struct disk *disk;
	struct slice bytes;
	char path[200];
	size_t refused;
};

/* One file of the other version among all of this one. */
static void swap_one(void *context, const char *path, struct slice bytes)
{
	struct other *other = context;
	size_t node = find_node(other->disk, path);
	struct disk mixed;

	if (node == SIZE_MAX)
		return;
	disk_copy(other->disk, &mixed);
	disk_resize(&mixed, node, 0);
	disk_put(&mixed, node, 0, bytes.p, bytes.left);
	disk_resize(&mixed, node, bytes.left);
	other->refused += judge(&mixed, path) != WHOLE;
	disk_free(&mixed);
}

START_TEST(files_of_two_versions_do_not_make_one_log)
{
	struct history earlier, later;

	two_versions(&earlier, &later);
	struct other into_later = { .disk = &later.start },
		     into_earlier = { .disk = &earlier.start };
	disk_walk(&earlier.start, swap_one, &into_later);
	ck_assert_uint_gt(into_later.refused, 0);
	disk_walk(&later.start, swap_one, &into_earlier);
	ck_assert_uint_gt(into_earlier.refused, 0);
	history_free(&earlier);
	history_free(&later);
	end();
}
END_TEST

/* --- the last batch, after its receipt left --- */

static size_t last_frame(const struct disk_node *node, bool with_records)
{
	size_t last = 0;

	for (size_t at = 4096; at + 4096 <= node->size; at += 4096)
		if (!memcmp(node->data + at, "ASSAYFR1", 8) &&
		    (!with_records || get_u32(node->data + at + 36) > 2048))
			last = at;
	return last;
}

START_TEST(the_last_batch_damaged_after_its_release_is_refused)
{
	start();
	ck_assert_ok(promised_open(log_path));
	ck_assert_ok(promised_write(1, true));
	struct history live = taken(place);
	audit_close(audit);
	struct disk_node *segment = &live.start.nodes[find_node(&live.start, "log/wal/00000000")];
	size_t at = last_frame(segment, true);
	ck_assert_uint_gt(at, 4096);
	segment->data[at + 1000] ^= 1;
	ck_assert(judge(&live.start, "the last batch") == REFUSED);
	memset(segment->data + at, 0, segment->size - at);
	ck_assert(judge(&live.start, "no last batch") == REFUSED);
	history_free(&live);
	end();
}
END_TEST

/* --- the live file --- */

static const off_t sizes[] = { 0, 4096, 100000, PROMISED_SEGMENT - 1, PROMISED_SEGMENT + 4096 };

START_TEST(a_live_segment_of_another_length_stops_the_log)
{
	char segment[120];

	start();
	ck_assert_ok(promised_open(log_path));
	write_log(2);
	snprintf(segment, sizeof segment, "%s/wal/00000000", log_path);
	ck_assert_int_eq(truncate(segment, sizes[_i]), 0);
	ck_assert_err(promised_write(1, false), ERR_IO);
	ck_assert_err(promised_write(1, false), ERR_IO);
	audit_close(audit);
	ck_assert_err(promised_open_with(log_path, promised->heads, promised->heads_n),
		      ERR_MISMATCH);
	end();
}
END_TEST

static void __attribute__((format(printf, 1, 2))) run(const char *format, ...)
{
	char words[200], command[400];
	va_list list;

	va_start(list, format);
	vsnprintf(words, sizeof words, format, list);
	va_end(list);
	snprintf(command, sizeof command, "cd '%s' && %s", place, words);
	ck_assert_int_eq(system(command), 0);
}

static const char *const moves[] = {
	"mv log away",
	"cp -a log copy && mv log away && mv copy log",
	"mv log/wal log/away",
	"cp -a log/wal copy && mv log/wal log/away && mv copy log/wal",
};

START_TEST(a_live_log_that_is_moved_or_swapped_stops)
{
	start();
	ck_assert_ok(promised_open(log_path));
	write_log(2);
	run("%s", moves[_i]);
	ck_assert_err(promised_write(1, false), ERR_IO);
	ck_assert_err(promised_write(1, false), ERR_IO);
	audit_close(audit);
	end();
}
END_TEST

/* --- the clock --- */

START_TEST(a_clock_that_jumps_back_changes_nothing_else)
{
	static const int64_t jumps[] = { -3600, -86400 * 400, 3600, -1, 0 };

	start();
	for (size_t i = 0; i < sizeof jumps / sizeof *jumps; i++) {
		ck_assert_ok(promised_open_with(log_path, promised->heads, promised->heads_n));
		write_log(1);
		shim_clock(jumps[i]);
		write_log(2);
		audit_close(audit);
		promised_check(log_path);
	}
	end();
}
END_TEST

/* --- the HSM --- */

START_TEST(an_hsm_error_in_the_middle_of_a_batch_holds_all_of_it_back)
{
	struct leaf *leaf = malloc(sizeof *leaf);
	struct audit_ticket *tickets[2];

	start();
	ck_assert_ok(promised_open(log_path));
	write_log(1);
	size_t released = promised->n;
	uint64_t sizes_before[] = { audit_tree_size(trees[0]), audit_tree_size(trees[1]) };
	atomic_store(&signer.closed, true);
	unsigned long calls = atomic_load(&signer.calls);
	promised_leaf(leaf, true);
	ck_assert_ok(audit_begin(trees[0], leaf, &tickets[0]));
	promised_leaf(leaf, true);
	ck_assert_ok(audit_begin(trees[1], leaf, &tickets[1]));
	signer_await(&signer, calls);
	atomic_store(&signer.passes, 1);
	for (int i = 0; i < 8; i++) {
		calls = atomic_load(&signer.calls);
		signer_await(&signer, calls);
	}
	/* One head may be signed by now; both must be, where they are in one batch. */
	ck_assert(audit_tree_size(trees[0]) == sizes_before[0] ||
		  audit_tree_size(trees[1]) == sizes_before[1]);
	atomic_store(&signer.closed, false);
	ck_assert_ok(promised_finish(sizes_before[0], tickets[0]));
	ck_assert_ok(promised_finish(sizes_before[1], tickets[1]));
	ck_assert_uint_eq(promised->n, released + 2);
	audit_ticket_free(tickets[0]);
	audit_ticket_free(tickets[1]);
	audit_close(audit);
	promised_check(log_path);
	free(leaf);
	end();
}
END_TEST

static void add(TCase *t)
{
	tcase_set_timeout(t, getenv("ASSAY_STATES") ? 3600 : 60);
	tcase_add_test(t, a_flipped_bit_is_refused_or_harms_nothing);
	tcase_add_test(t, an_earlier_version_in_place_of_the_log_is_refused);
	tcase_add_test(t, files_of_two_versions_do_not_make_one_log);
	tcase_add_test(t, the_last_batch_damaged_after_its_release_is_refused);
	tcase_add_table(t, a_live_segment_of_another_length_stops_the_log, sizes);
	tcase_add_table(t, a_live_log_that_is_moved_or_swapped_stops, moves);
	tcase_add_test(t, a_clock_that_jumps_back_changes_nothing_else);
	tcase_add_test(t, an_hsm_error_in_the_middle_of_a_batch_holds_all_of_it_back);
}

int main(void)
{
	return check_run("tamper", add);
}

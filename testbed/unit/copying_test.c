/* A log's directory that is copied file by file while the log goes on, in whatever order and however
 * slowly, is one that verifies. */
#include "testbed/unit/check.h"
#include "testbed/unit/memory.h"
#include "testbed/unit/signer.h"

#include <dirent.h>
#include <errno.h>

#include "audit/auditor.h"
#include "audit/history.h"
#include "audit/note.h"
#include "audit/public.h"
#include "testbed/crash/shim.h"

#define SEGMENT ((uint64_t)4 << 20)
#define TREES 3
#define BEFORE 40 /* publications before a copy is begun */

static const char *const origins[TREES] = { "assay.example/copied", "assay.example/copied/bank-a/1",
					    "assay.example/copied/bank-b/1" };
static struct signer signer;
static char room[64], path[80], copy[80];
static struct audit *audit;
static struct audit_tree *trees[TREES];
static unsigned between; /* publications from one file to the next */
static unsigned copied;

/* In one batch, so many of each tree. */
static void write_records(const unsigned n[TREES])
{
	struct audit_ticket *tickets[64];
	struct leaf *leaf = malloc(sizeof *leaf);
	unsigned all = 0;

	for (unsigned tree = 0; tree < TREES; tree++)
		for (unsigned i = 0; i < n[tree]; i++) {
			signer_leaf(leaf, "written while it is copied");
			ck_assert_ok(audit_begin(trees[tree], leaf, &tickets[all++]));
		}
	for (unsigned i = 0; i < all; i++) {
		CLEANUP(buf) struct buf receipt = BUF_INIT;

		ck_assert_ok(audit_finish(tickets[i], &receipt));
		audit_ticket_free(tickets[i]);
	}
	free(leaf);
}

/* What is asked for is published at once. */
static void publish(unsigned n)
{
	while (n--) {
		CLEANUP(buf) struct buf leaf = BUF_INIT, receipt = BUF_INIT;

		write_records((const unsigned[TREES]){ 1, 1, 23 });
		ck_assert_ok(audit_leaf(trees[0], audit_tree_size(trees[0]) - 1, &leaf, &receipt));
	}
}

static void turn(unsigned tree)
{
	struct leaf *leaves = calloc(2, sizeof *leaves);

	signer_leaf(&leaves[0], "closed");
	signer_leaf(&leaves[1], "next");
	leaves[1].type = LEAF_OPEN;
	ck_assert_ok(audit_turn(trees[tree], &leaves[0], &leaves[1]));
	free(leaves);
}

static void start(void)
{
	struct audit_recovery recovery;

	shim_spare_syncs(true);
	signer_start(&signer, NULL);
	place_make_memory(room, sizeof room, "log");
	snprintf(path, sizeof path, "%s/log", room);
	snprintf(copy, sizeof copy, "%s/copy", room);
	ck_assert_ok(signer_open(&signer, path, SEGMENT, &recovery, &audit));
	for (unsigned i = 0; i < TREES; i++)
		ck_assert_ok(signer_tree(&signer, audit, origins[i], &trees[i]));
	publish(BEFORE);
}

static void end(void)
{
	audit_close(audit);
	signer_end(&signer);
	place_remove_memory(room);
}

/* --- a copier that takes its time --- */

struct order {
	const char *words;
	int names;      /* 1: from the first to the last; -1: the other way round */
	int checkpoint; /* -1: before all others of its folder; 1: after them; 0: as its name says */
	bool late;      /* checkpoints come after tiles */
};
static const struct order orders[] = {
	{ "by name", 1, 0, false },
	{ "by name, checkpoints first", 1, -1, false },
	{ "by name, checkpoints last", 1, 1, true },
	{ "by name backwards", -1, 0, true },
	{ "by name backwards, checkpoints first", -1, -1, true },
	{ "by name backwards, checkpoints last", -1, 1, true },
};
static const struct order *order;

static int rank(const char *name)
{
	return strcmp(name, "checkpoint") ? 0 : order->checkpoint;
}

static int compare(const struct dirent **a, const struct dirent **b)
{
	int difference = rank((*a)->d_name) - rank((*b)->d_name);

	return difference ? difference : order->names * strcmp((*a)->d_name, (*b)->d_name);
}

static int is_name(const struct dirent *d)
{
	return strcmp(d->d_name, ".") != 0 && strcmp(d->d_name, "..") != 0;
}

static void copy_file(int from, int to, const char *name)
{
	CLEANUP(buf) struct buf data = BUF_INIT;
	CLEANUP(fd) int in = openat(from, name, O_RDONLY | O_CLOEXEC);

	if (in < 0) { /* it went since it was listed */
		ck_assert_int_eq(errno, ENOENT);
		return;
	}
	CLEANUP(fd) int out = openat(to, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	ck_assert_int_ge(out, 0);
	ck_assert_ok(io_read_all(in, 64 << 20, &data));
	ck_assert_ok(io_write_all(out, buf_slice(&data)));
}

static void pause_of_copier(void)
{
	publish(between);
	if (between && ++copied % 40 == 0)
		turn(1);
}

static void copy_folder(int from, int to)
{
	struct dirent **names;
	int n = scandirat(from, ".", &names, is_name, compare);

	for (int i = 0; i < n; i++) {
		const char *name = names[i]->d_name;
		CLEANUP(fd) int in = openat(from, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		CLEANUP(fd) int out = -1;

		if (in >= 0) {
			ck_assert_ok(io_open_dir(to, name, true, &out));
			copy_folder(in, out);
		} else {
			pause_of_copier();
			copy_file(from, to, name);
		}
		free(names[i]);
	}
	free(names);
}

static void copy_log(void)
{
	CLEANUP(fd) int from = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	CLEANUP(fd) int to = -1;

	signer_remove(copy);
	copied = 0;
	ck_assert_ok(io_open_dir(AT_FDCWD, copy, true, &to));
	copy_folder(from, to);
}

/* --- what comes of it --- */

static enum err verify(const char *where, struct slice against, struct auditor_report *report)
{
	struct auditor_options options = {
		.path = where, .ca = buf_slice(&signer.ca), .copy = true, .against = against
	};

	return auditor_run(&options, report);
}

static const struct auditor_tree *find(const struct auditor_report *report, const char *origin)
{
	for (size_t i = 0; i < report->trees_n; i++)
		if (!strcmp(report->trees[i].origin, origin))
			return &report->trees[i];
	ck_abort_msg("%s is not in the copy", origin);
	return NULL;
}

static void newest_note(unsigned tree, struct buf *note)
{
	ck_assert_ok(audit_checkpoint(audit, origins[tree], note));
}

static uint64_t newest_size(unsigned tree)
{
	CLEANUP(buf) struct buf raw = BUF_INIT;
	struct note note;

	newest_note(tree, &raw);
	ck_assert_ok(note_read(buf_slice(&raw), &note));
	return note.size;
}

START_TEST(a_slow_copy_in_any_order_verifies)
{
	struct auditor_report report;

	order = &orders[_i];
	start();
	between = 2;
	copy_log();
	enum err e = verify(copy, slice_of(NULL, 0), &report);
	ck_assert_msg(!e, "%s: %s", order->words, err_reason());
	for (unsigned i = 0; i < TREES; i++) {
		const struct auditor_tree *tree = find(&report, origins[i]);

		ck_assert_uint_ge(tree->size, 2);
		ck_assert_msg(!tree->newest || tree->newest > tree->size, "%s", tree->origin);
	}
	ck_assert_msg(report.behind || !order->late, "%s: a copy with all of its newest tiles",
		      order->words);
	auditor_report_free(&report);
	end();
}
END_TEST

START_TEST(a_copy_of_a_log_at_rest_is_whole)
{
	struct auditor_report report;

	order = &orders[_i];
	start();
	between = 0;
	uint64_t before[TREES] = { newest_size(0), newest_size(1), newest_size(2) };
	copy_log();
	ck_assert_ok(verify(copy, slice_of(NULL, 0), &report));
	for (unsigned i = 0; i < TREES; i++)
		ck_assert_uint_ge(find(&report, origins[i])->size, before[i]);
	ck_assert_uint_eq(report.behind, 0);
	auditor_report_free(&report);
	end();
}
END_TEST

/* Half of the publications before it, at worst, for a copy that took no longer than these. */
START_TEST(a_copy_is_no_older_than_it_took)
{
	struct auditor_report report;

	order = &orders[1];
	start();
	between = 0;
	uint64_t old = newest_size(0);
	publish(BEFORE);
	uint64_t before = newest_size(0);
	between = 1;
	copy_log();
	uint64_t took = newest_size(0) - before;
	ck_assert_ok(verify(copy, slice_of(NULL, 0), &report));
	const struct auditor_tree *tree = find(&report, origins[0]);
	ck_assert_uint_gt(took, 16);
	ck_assert_uint_gt(tree->size + took, before);
	ck_assert_uint_gt(tree->size, took < BEFORE ? old : 2);
	auditor_report_free(&report);
	end();
}
END_TEST

START_TEST(without_its_earlier_checkpoints_a_slow_copy_is_refused)
{
	struct auditor_report report;
	char command[200];

	order = &orders[2];
	start();
	between = 2;
	copy_log();
	snprintf(command, sizeof command, "rm -r %s/trees/*/" HISTORY_FOLDER, copy);
	ck_assert_int_eq(system(command), 0);
	ck_assert_err(verify(copy, slice_of(NULL, 0), &report), ERR_MISMATCH);
	end();
}
END_TEST

START_TEST(an_earlier_checkpoint_does_not_stand_for_one_that_somebody_kept)
{
	CLEANUP(buf) struct buf note = BUF_INIT;
	struct auditor_report report;
	struct note read;

	order = &orders[2];
	start();
	between = 2;
	copy_log();
	ck_assert_ok(verify(copy, slice_of(NULL, 0), &report));
	ck_assert_uint_gt(report.behind, 0);
	auditor_report_free(&report);
	newest_note(0, &note);
	ck_assert_ok(note_read(buf_slice(&note), &read));
	ck_assert_err(verify(copy, buf_slice(&note), &report), ERR_MISMATCH);
	ck_assert_msg(strstr(err_reason(), "there were"), "%s", err_reason());
	end();
}
END_TEST

START_TEST(a_log_that_somebody_has_open_is_no_copy)
{
	struct auditor_report report;
	char command[200], name[PUBLIC_NAME];

	start();
	ck_assert_ok(verify(path, slice_of(NULL, 0), &report));
	auditor_report_free(&report);
	public_name(origins[2], name);
	snprintf(command, sizeof command, "rm -r %s/trees/%s/tile/entries/*.p", path, name);
	ck_assert_int_eq(system(command), 0);
	ck_assert_err(verify(path, slice_of(NULL, 0), &report), ERR_MISMATCH);
	snprintf(command, sizeof command, "cp -a %s %s", path, copy);
	ck_assert_int_eq(system(command), 0);
	ck_assert_ok(verify(copy, slice_of(NULL, 0), &report));
	ck_assert_uint_eq(report.behind, 1);
	ck_assert_uint_gt(find(&report, origins[2])->newest, find(&report, origins[2])->size);
	auditor_report_free(&report);
	end();
}
END_TEST

static const struct {
	const char *words, *command;
} harms[] = {
	{ "another root", "sed -i '3s/./\\x41\\x41/;3s/.$//' 0" },
	{ "another size", "sed -i 2s/./9/ 32" },
	{ "another tree", "sed -i 1s/copied/other/ 0" },
	{ "nothing", ": > 0" },
};

START_TEST(an_earlier_checkpoint_that_was_changed_is_found)
{
	char command[300], name[PUBLIC_NAME];
	struct auditor_report report;

	start();
	audit_close(audit);
	public_name(origins[0], name);
	snprintf(command, sizeof command, "cp -a %s %s && cd %s/trees/%s/" HISTORY_FOLDER " && %s",
		 path, copy, copy, name, harms[_i].command);
	ck_assert_int_eq(system(command), 0);
	for (int as_copy = 0; as_copy < 2; as_copy++) {
		struct auditor_options options = { .path = copy,
						   .ca = buf_slice(&signer.ca),
						   .copy = as_copy };

		enum err e = auditor_run(&options, &report);
		ck_assert_msg(e == ERR_MISMATCH || (as_copy && e == ERR_CRYPTO), "%s",
			      harms[_i].words);
	}
	audit = NULL;
	end();
}
END_TEST

/* A number in a file and a few links cost nothing; whoever looks for tiles must not go round in them. */
START_TEST(tiles_that_lead_in_circles_are_not_followed)
{
	static const char harm[] =
		"cp -a %s %s && cd %s/trees/%s && sed -i 2s/.*/1152921504606846976/ checkpoint && "
		"for f in tile/*; do for i in $(seq -w 0 999); do "
		"ln -sf . $f/x$i; [ -e $f/$i ] || : > $f/$i; done; done";
	char command[500], name[PUBLIC_NAME];
	struct auditor_report report;

	start();
	audit_close(audit);
	audit = NULL;
	public_name(origins[0], name);
	snprintf(command, sizeof command, harm, path, copy, copy, name);
	ck_assert_int_eq(system(command), 0);
	ck_assert_int_ne(verify(copy, slice_of(NULL, 0), &report), OK);
	end();
}
END_TEST

/* --- how many are kept --- */

START_TEST(a_few_checkpoints_are_kept_for_each_power_of_two)
{
	struct history_list *h = calloc(1, sizeof *h);
	CLEANUP(fd) int folder = -1;
	CLEANUP(buf) struct buf note = BUF_INIT;
	uint8_t root[SHA256_SIZE] = { 0 }, digest[SHA256_SIZE];
	uint8_t id[NOTE_KEY_ID] = { 1 }, signature[64] = { 1 };

	shim_spare_syncs(true);
	place_make_memory(room, sizeof room, "log");
	ck_assert_ok(io_open_dir(AT_FDCWD, room, false, &folder));
	ck_assert_ok(note_prepare("a/b", 7, root, &note, digest));
	buf_put_text(&note, "\n");
	ck_assert_ok(note_put_signature("a/b", id, SLICE(signature), &note));
	for (unsigned n = 0; n < 3000; n++) {
		size_t at;

		ck_assert_ok(history_put(folder, h, n + 1, buf_slice(&note)));
		while (history_due(h, &at))
			ck_assert_ok(history_remove(folder, h, at));
		ck_assert_uint_le(h->n, 16 + 2 * 12);
		/* Whoever began at @then has one of not long before. */
		for (unsigned then = 1; then < n; then = then * 3 / 2 + 1) {
			uint64_t best = 0;

			for (size_t i = 0; i < h->n; i++)
				if (h->items[i].number < then && h->items[i].number > best)
					best = h->items[i].number;
			ck_assert_msg(best + (n - then) + 2 >= then, "%u, %u: %llu", n, then,
				      (unsigned long long)best);
		}
	}
	struct history_list *again = calloc(1, sizeof *again);
	ck_assert_ok(history_read(folder, again));
	ck_assert_uint_eq(again->n, h->n);
	ck_assert_uint_eq(again->next, 3000);
	free(again);
	free(h);
	place_remove_memory(room);
}
END_TEST

static void add(TCase *t)
{
	tcase_set_timeout(t, 120);
	tcase_add_table(t, a_slow_copy_in_any_order_verifies, orders);
	tcase_add_table(t, a_copy_of_a_log_at_rest_is_whole, orders);
	tcase_add_test(t, a_copy_is_no_older_than_it_took);
	tcase_add_test(t, without_its_earlier_checkpoints_a_slow_copy_is_refused);
	tcase_add_test(t, an_earlier_checkpoint_does_not_stand_for_one_that_somebody_kept);
	tcase_add_test(t, a_log_that_somebody_has_open_is_no_copy);
	tcase_add_table(t, an_earlier_checkpoint_that_was_changed_is_found, harms);
	tcase_add_test(t, tiles_that_lead_in_circles_are_not_followed);
	tcase_add_test(t, a_few_checkpoints_are_kept_for_each_power_of_two);
}

int main(void)
{
	return check_run("copying", add);
}

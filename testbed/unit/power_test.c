/* The power goes at any moment: a log is written through a recorder, and every disk that could be
 * left at every moment (testbed/crash/cut.h) is opened. Whatever had been released is there, at its
 * index, signed and published heads hold, and the log goes on. With syncs taken away, it must not.
 *
 * Which disks are tried is drawn: some of each history, evenly; with ASSAY_STATES (make soak) all, and
 * so many for each moment that leaves too many. ASSAY_SEED is where the draw begins.
 */
#include "testbed/unit/promised.h"

#include "audit/note.h"
#include "testbed/crash/cut.h"
#include "testbed/crash/shim.h"

#define MOMENTS_MAX 256
#define ALL_OF 5 /* so many atoms: all of their combinations */
#define TRIED_MAX 65536

static char place[100], log_path[100], disk_path[100], disk_log[100];
static struct history history;

/* --- what was promised, and when --- */

/* By then the first records were released, and these were the heads. */
struct moment {
	size_t at, records;
	struct audit_head heads[PROMISED_TREES];
	size_t heads_n;
};
static struct moment moments[MOMENTS_MAX];
static size_t moments_n;

static void write_records(size_t n, bool large)
{
	struct moment *moment = &moments[moments_n++];

	ck_assert_uint_le(moments_n, MOMENTS_MAX);
	ck_assert_ok(promised_write(n, large));
	moment->records = promised->n;
	moment->heads_n = promised->heads_n;
	memcpy(moment->heads, promised->heads, sizeof moment->heads);
	moment->at = shim_now();
}

static const struct moment *moment_at(size_t at)
{
	static const struct moment none;
	const struct moment *last = &none;

	for (size_t i = 0; i < moments_n && moments[i].at <= at; i++)
		last = &moments[i];
	return last;
}

static void start(void)
{
	promised_start();
	promised_path(place, "live");
	promised_path(log_path, "live/log");
	promised_path(disk_path, "disk");
	promised_path(disk_log, "disk/log");
	ck_assert_int_eq(mkdir(place, 0700), 0);
	shim_spare_syncs(true);
}

static void end(void)
{
	shim_unwatch();
	history_free(&history);
	promised_end();
}

/* Bytes that are left in the last segment in use; 0: none is. */
static size_t room_left(void)
{
	static uint8_t bytes[PROMISED_SEGMENT];
	size_t room = 0;

	for (unsigned number = 0;; number++) {
		char file[128];

		snprintf(file, sizeof file, "%s/wal/%08u", log_path, number);
		CLEANUP(fd) int fd = open(file, O_RDONLY | O_CLOEXEC);
		if (fd < 0 && number < 8)
			continue; /* retired */
		if (fd < 0 || io_read_at(fd, 0, bytes, sizeof bytes) || !bytes[0])
			return room;
		for (room = 0; !bytes[sizeof bytes - 1 - room];)
			room++;
	}
}

/* A log that is closed, with its segment nearly full. */
static void write_before(void)
{
	size_t room;

	ck_assert_ok(promised_open(log_path));
	do {
		write_records(1, true);
		room = room_left();
	} while (room < 40000 || room > 80000);
	audit_close(audit);
	moments[0] = moments[moments_n - 1];
	moments[0].at = 0;
	moments_n = 1;
}

/* --- the recorder sees everything --- */

static void compare(void *context, const char *path, struct slice bytes)
{
	CLEANUP(buf) struct buf real = BUF_INIT;
	char file[300];

	snprintf(file, sizeof file, "%s/%s", place, path);
	ck_assert_ok(io_read_file(file, 1 << 30, &real));
	ck_assert_msg(slice_equal(buf_slice(&real), bytes), "%s was changed in another way", path);
	++*(size_t *)context;
}

static int count_file(const char *path, const struct stat *st, int type, struct FTW *f)
{
	(void)path;
	(void)st;
	(void)f;
	recovery.records += type == FTW_F;
	return 0;
}

/* All operations of the history make of the old directory the one that is there. */
static void check_complete(void)
{
	struct disk disk;
	size_t files = 0;

	cut_seen(&history, history.n, &disk);
	disk_walk(&disk, compare, &files);
	disk_free(&disk);
	recovery.records = 0;
	nftw(place, count_file, 16, FTW_PHYS);
	ck_assert_uint_eq(files, recovery.records);
}

/* --- one disk --- */

enum verdict { HOLDS, LOSES, REFUSES };

static struct {
	size_t states, holds, loses, refuses;
} tried;

static bool skip_auditor; /* before the log is opened: only the log's own eyes count */

static bool holds(const struct moment *moment)
{
	return promised_hold(moment->records, moment->heads, moment->heads_n);
}

static bool ends_in(const char *path, const char *name)
{
	size_t n = strlen(path), m = strlen(name);

	return n >= m && !strcmp(path + n - m, name);
}

/* A tile is there as it was; a partial one may be gone, since a later one took its place. */
static bool tile_holds(const char *path, struct slice bytes)
{
	CLEANUP(buf) struct buf now = BUF_INIT;
	char file[300];

	snprintf(file, sizeof file, "%s/%s", disk_path, path);
	enum err e = io_read_file(file, 1 << 30, &now);
	return e == ERR_NOT_FOUND ? strstr(path, ".p/") != NULL
				  : !e && slice_equal(buf_slice(&now), bytes);
}

/* What anybody could have fetched before the power went stays true. */
static void check_seen(void *context, const char *path, struct slice bytes)
{
	bool *still = context;
	struct note note;
	char origin[AUDITOR_ORIGIN];

	if (strstr(path, "/tile/"))
		*still &= tile_holds(path, bytes);
	if (!ends_in(path, "/checkpoint") || !bytes.left)
		return;
	ck_assert_ok(note_read(bytes, &note));
	snprintf(origin, sizeof origin, "%.*s", (int)note.origin.left, note.origin.p);
	*still &= found_extends(origin, note.size, note.root);
}

static bool seen_holds(size_t at)
{
	struct disk seen;
	bool true_still = true;

	cut_seen(&history, at, &seen);
	disk_walk(&seen, check_seen, &true_still);
	disk_free(&seen);
	return true_still;
}

/* Opens what is in disk_log, goes on with it, and closes it. */
static enum verdict judge(size_t at, const struct moment *anchored)
{
	const struct moment *moment = moment_at(at);
	struct slice ca = buf_slice(&signer.ca);

	if (!skip_auditor && moment->records) {
		if (found_read(disk_log, ca))
			return REFUSES;
		if (!holds(moment))
			return LOSES;
	}
	if (promised_open_with(disk_log, anchored ? anchored->heads : NULL,
			       anchored ? anchored->heads_n : 0))
		return REFUSES;
	for (size_t i = 0; i < PROMISED_TREES; i++)
		ck_assert_ok(signer_record(trees[i], "after the power came back"));
	audit_close(audit);
	if (found_read(disk_log, ca))
		return REFUSES;
	return holds(moment) && seen_holds(at) ? HOLDS : LOSES;
}

/* --- all disks --- */

static uint64_t seed = 1;
static unsigned states = 3;
static uint64_t known[TRIED_MAX];
static size_t known_n;

static uint32_t draw(uint32_t below)
{
	seed = seed * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(seed >> 33) % below;
}

/* The same disk with the same promises need not be tried again. */
static bool is_new(const struct disk *disk, size_t at)
{
	uint64_t hash = disk_hash(disk) * 31 + moment_at(at)->at;

	for (size_t i = 0; i < known_n; i++)
		if (known[i] == hash)
			return false;
	known[known_n++ % TRIED_MAX] = hash;
	return true;
}

static void print_op(size_t number)
{
	static const char *const names[] = { "make",  "link", "rename", "unlink",
					     "write", "size", "sync" };
	const struct op *op = &history.ops[number];

	(void)fprintf(stderr, "%4zu %s node %zu, %s in %zu, at %llu, %zu bytes, began %zu\n",
		      number, names[op->kind], op->node, op->name, op->dir,
		      (unsigned long long)op->at, op->n, op->began);
}

static void explain(const struct cut *cut, const bool *keep, enum verdict verdict)
{
	(void)fprintf(stderr, "power lost after operation %zu: %s (%s)\n", cut->at,
		      verdict == LOSES ? "records are lost" : "refused", err_reason());
	for (size_t i = cut->at < 40 ? 0 : cut->at - 40; i < cut->at; i++)
		print_op(i);
	for (size_t i = 0; i < cut->n; i++)
		(void)fprintf(stderr, "%s: operation %zu, bytes %zu to %zu\n",
			      keep[i] ? "kept" : "lost", cut->atoms[i].op, cut->atoms[i].from,
			      cut->atoms[i].from + cut->atoms[i].n);
}

static bool must_hold, with_anchor;
static size_t enough = SIZE_MAX; /* disks that do not hold: the search ends */
static bool counting;            /* only how many would be tried */
static size_t wanted, candidates;
static size_t first; /* moment that is tried */

static void try_state(const struct cut *cut, const bool *keep, size_t tear, size_t bytes)
{
	struct disk disk;

	candidates += counting;
	if (counting || draw((uint32_t)candidates) >= wanted)
		return;
	cut_state(cut, keep, tear, bytes, &disk);
	if (tried.loses + tried.refuses < enough && is_new(&disk, cut->at)) {
		signer_remove(disk_path);
		disk_write(&disk, disk_path);
		const struct moment *moment = moment_at(cut->at);
		enum verdict verdict = judge(cut->at, with_anchor ? moment : NULL);

		tried.states++;
		tried.holds += verdict == HOLDS;
		tried.loses += verdict == LOSES;
		tried.refuses += verdict == REFUSES;
		if (must_hold && verdict != HOLDS) {
			explain(cut, keep, verdict);
			ck_abort_msg("a loss of power harmed the log, see above");
		}
	}
	disk_free(&disk);
}

static void try_all(const struct cut *cut, bool *keep)
{
	for (size_t mask = 0; mask < (size_t)1 << cut->n; mask++) {
		for (size_t i = 0; i < cut->n; i++)
			keep[i] = mask >> i & 1;
		try_state(cut, keep, CUT_NO_TEAR, 0);
	}
}

static void set_all(const struct cut *cut, bool *keep, bool value)
{
	for (size_t i = 0; i < cut->n; i++)
		keep[i] = value;
}

/* Nothing, all, all but one, one alone, any half of them, and sectors torn anywhere. */
static void try_some(const struct cut *cut, bool *keep)
{
	for (int value = 0; value < 2; value++) {
		set_all(cut, keep, value);
		try_state(cut, keep, CUT_NO_TEAR, 0);
		for (unsigned i = 0; i < states; i++) {
			size_t one = draw((uint32_t)cut->n);

			keep[one] = !value;
			try_state(cut, keep, CUT_NO_TEAR, 0);
			keep[one] = value;
		}
	}
	for (unsigned i = 0; i < states; i++) {
		for (size_t j = 0; j < cut->n; j++)
			keep[j] = draw(2);
		try_state(cut, keep, CUT_NO_TEAR, 0);
	}
}

static void try_tears(const struct cut *cut, bool *keep)
{
	for (unsigned i = 0; cut->n && i < states; i++) {
		size_t one = draw((uint32_t)cut->n);

		set_all(cut, keep, draw(2));
		keep[one] = false;
		if (cut->atoms[one].n > 1)
			try_state(cut, keep, one, 1 + draw((uint32_t)cut->atoms[one].n - 1));
	}
}

static void try_moment(size_t at, size_t sector)
{
	struct cut cut;

	cut_make(&cut, &history, at, sector);
	bool *keep = calloc(cut.n + 1, sizeof *keep);
	if (cut.n <= ALL_OF)
		try_all(&cut, keep);
	else
		try_some(&cut, keep);
	try_tears(&cut, keep);
	free(keep);
	cut_free(&cut);
}

static void try_moments(void)
{
	for (size_t at = first; at <= history.n; at++) {
		try_moment(at, 512);
		try_moment(at, 4096);
	}
}

/* About so many disks; the same one comes more than once. */
static void try_history(size_t disks)
{
	const char *more = getenv("ASSAY_STATES"), *from = getenv("ASSAY_SEED");

	states = more ? (unsigned)atoi(more) : states;
	seed = from ? strtoull(from, NULL, 10) : seed;
	(void)fprintf(stderr, "%zu operations, seed %llu: ", history.n, (unsigned long long)seed);
	counting = true;
	try_moments();
	counting = false;
	wanted = more ? candidates : 2 * disks;
	try_moments();
	(void)fprintf(stderr, "%zu disks tried, %zu hold, %zu lose, %zu refuse\n", tried.states,
		      tried.holds, tried.loses, tried.refuses);
}

static void take_history(void)
{
	shim_take(&history);
}

START_TEST(a_new_log_survives_the_loss_of_power_at_any_moment)
{
	start();
	must_hold = with_anchor = true;
	shim_watch(place);
	ck_assert_ok(promised_open(log_path));
	write_records(PROMISED_TREES, false);
	write_records(PROMISED_TREES, false);
	audit_close(audit);
	take_history();
	check_complete();
	try_history(70);
	ck_assert_uint_gt(tried.holds, 30);
	end();
}
END_TEST

/* Goes on with a log, over the end of a segment, and once more after closing it. */
static void write_history(unsigned ignored)
{
	write_before();
	shim_watch(place);
	shim_ignore(ignored);
	ck_assert_ok(promised_open(log_path));
	write_records(PROMISED_TREES, true);
	write_records(1, true);
	write_records(PROMISED_TREES, true);
	audit_close(audit);
	ck_assert_ok(promised_open(log_path));
	write_records(PROMISED_TREES, false);
}

START_TEST(a_log_survives_the_loss_of_power_at_any_moment)
{
	start();
	must_hold = with_anchor = true;
	write_history(0);
	audit_close(audit);
	take_history();
	check_complete();
	try_history(70);
	ck_assert_uint_gt(tried.holds, 30);
	end();
}
END_TEST

/* Over the end of a tile of 256 leaves, twice published, with what that lets go of. */
START_TEST(publication_survives_the_loss_of_power_at_any_moment)
{
	start();
	must_hold = with_anchor = true;
	ck_assert_ok(promised_open(log_path));
	promised_bulk(253);
	write_records(1, false);
	audit_close(audit);
	moments[0].at = 0;
	shim_watch(place);
	for (int i = 0; i < 2; i++) {
		ck_assert_ok(promised_open(log_path));
		write_records(PROMISED_TREES, false);
		audit_close(audit);
	}
	take_history();
	check_complete();
	try_history(70);
	ck_assert_uint_gt(tried.holds, 30);
	end();
}
END_TEST

/* More than one segment at a time is let go of. */
START_TEST(retirement_survives_the_loss_of_power_at_any_moment)
{
	start();
	must_hold = with_anchor = true;
	write_before();
	shim_watch(place);
	ck_assert_ok(promised_open(log_path));
	for (int i = 0; i < 12; i++)
		write_records(PROMISED_TREES, true);
	audit_close(audit);
	take_history();
	check_complete();
	first = history.n < 90 ? 0 : history.n - 90;
	try_history(50);
	ck_assert_uint_gt(tried.holds, 20);
	end();
}
END_TEST

/* The moment right after the last write of so many bytes that begin with these. */
static size_t write_of(const char *magic, size_t least)
{
	for (size_t i = history.n; i--;)
		if (history.ops[i].kind == OP_WRITE && history.ops[i].n >= least &&
		    !memcmp(history.ops[i].data, magic, strlen(magic)))
			return i + 1;
	ck_abort_msg("no write of %s", magic);
	return 0;
}

/* The directory as the power left it; what had been promised before stays promised. */
static void leave(size_t at, bool torn)
{
	struct moment moment = *moment_at(at);
	struct disk disk;
	struct cut cut;

	cut_make(&cut, &history, at, 512);
	bool *keep = calloc(cut.n + 1, sizeof *keep);
	for (size_t i = 0; i < cut.n; i++)
		keep[i] = !torn || i % 3;
	cut_state(&cut, keep, CUT_NO_TEAR, 0, &disk);
	signer_remove(place);
	disk_write(&disk, place);
	disk_free(&disk);
	free(keep);
	cut_free(&cut);
	moment.at = 0;
	moments[0] = moment;
	moments_n = 1;
	promised->n = moment.records;
	history_free(&history);
	known_n = 0;
}

static const struct {
	const char *magic; /* of a frame with records, or of the header of a segment */
	size_t bytes;
	bool torn;
} left[] = {
	{ "ASSAYFR1", 16384, false },
	{ "ASSAYFR1", 16384, true },
	{ "ASSAYSG2", 4096, false },
	{ "ASSAYSG2", 4096, true },
};

START_TEST(recovery_survives_the_loss_of_power_at_any_moment)
{
	start();
	must_hold = with_anchor = true;
	write_history(0);
	take_history();
	audit_close(audit);
	leave(write_of(left[_i].magic, left[_i].bytes), left[_i].torn);
	shim_watch(place);
	ck_assert_ok(promised_open(log_path));
	write_records(PROMISED_TREES, false);
	take_history();
	audit_close(audit);
	try_history(30);
	ck_assert_uint_gt(tried.holds, 2);
	end();
}
END_TEST

static const struct {
	unsigned ignored;
	bool loses; /* else the log is refused, since a segment lost its name */
} without[] = { { SHIM_BIT(SHIM_FDATASYNC), true }, { SHIM_BIT(SHIM_FSYNC), false } };

/* The same again, but the syncs do nothing: the test must notice, or it notices nothing. */
START_TEST(without_syncs_released_records_are_lost)
{
	start();
	enough = 20;
	write_history(without[_i].ignored);
	take_history();
	audit_close(audit);
	try_history(40);
	ck_assert_uint_gt(without[_i].loses ? tried.loses : tried.refuses, 0);
	end();
}
END_TEST

START_TEST(a_log_that_lost_records_is_refused_where_they_are_remembered)
{
	start();
	with_anchor = true;
	enough = 20;
	write_history(SHIM_BIT(SHIM_FDATASYNC));
	take_history();
	audit_close(audit);
	skip_auditor = true;
	try_history(40);
	ck_assert_uint_eq(tried.loses, 0);
	ck_assert_uint_gt(tried.refuses, 0);
	end();
}
END_TEST

static void add(TCase *t)
{
	tcase_set_timeout(t, getenv("ASSAY_STATES") ? 3600 : 60);
	tcase_add_test(t, a_new_log_survives_the_loss_of_power_at_any_moment);
	tcase_add_test(t, a_log_survives_the_loss_of_power_at_any_moment);
	tcase_add_test(t, publication_survives_the_loss_of_power_at_any_moment);
	tcase_add_test(t, retirement_survives_the_loss_of_power_at_any_moment);
	tcase_add_table(t, recovery_survives_the_loss_of_power_at_any_moment, left);
	tcase_add_table(t, without_syncs_released_records_are_lost, without);
	tcase_add_test(t, a_log_that_lost_records_is_refused_where_they_are_remembered);
}

int main(void)
{
	return check_run("power", add);
}

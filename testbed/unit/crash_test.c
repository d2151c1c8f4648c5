/* kill -9 again and again: what was released to anybody is in the log, and the log verifies. */
#include "testbed/unit/check.h"
#include "testbed/unit/signer.h"

#include <signal.h>
#include <sys/wait.h>

#include "audit/auditor.h"

#define ROUNDS 12
#define RECORDS_MAX 400000
#define LINE 256

static char path[64], keys[80], lines[80], writer[512];

/* What the auditor finds: the hash of each leaf of a tree. */
struct found {
	char *origin;
	uint8_t (*hashes)[SHA256_SIZE];
	uint64_t n;
};
static struct found found[8];
static size_t found_n;

static struct found *found_of(const char *origin)
{
	for (size_t i = 0; i < found_n; i++)
		if (!strcmp(found[i].origin, origin))
			return &found[i];
	return NULL;
}

static enum err collect(void *context, const char *origin, uint64_t index, struct slice raw,
			const struct leaf *leaf)
{
	struct found *f = found_of(origin);

	(void)context;
	(void)leaf;
	if (!f) {
		f = &found[found_n++];
		f->origin = strdup(origin);
		f->hashes = malloc(RECORDS_MAX * SHA256_SIZE);
		f->n = 0;
	}
	ck_assert_uint_eq(f->n, index);
	ck_assert_uint_lt(index, RECORDS_MAX);
	leaf_hash(raw, f->hashes[f->n++]);
	return OK;
}

static void forget(void)
{
	for (size_t i = 0; i < found_n; i++) {
		free(found[i].origin);
		free(found[i].hashes);
	}
	found_n = 0;
}

static void verify(void)
{
	CLEANUP(buf) struct buf ca = BUF_INIT;
	struct auditor_report report;
	char file[128];

	forget();
	snprintf(file, sizeof file, "%s/ca.der", keys);
	ck_assert_ok(io_read_file(file, 65536, &ca));
	ck_assert_ok(auditor_verify(path, buf_slice(&ca), collect, NULL, &report));
	auditor_report_free(&report);
}

/* Every line that the writer printed must be what the auditor found. */
static uint64_t check_lines(void)
{
	FILE *f = fopen(lines, "r");
	char line[LINE], origin[LINE], hex[LINE];
	unsigned long long index;
	uint64_t n = 0;

	ck_assert_ptr_nonnull(f);
	while (fgets(line, sizeof line, f)) {
		uint8_t hash[SHA256_SIZE];

		ck_assert_int_eq(sscanf(line, "%200s %llu %64s", origin, &index, hex), 3);
		ck_assert_ok(hex_take(hex, hash, sizeof hash));
		struct found *in = found_of(origin);
		ck_assert_msg(in && index < in->n, "released, but gone: %s %llu", origin, index);
		ck_assert_mem_eq(in->hashes[index], hash, sizeof hash);
		n++;
	}
	fclose(f);
	return n;
}

static pid_t start_writer(void)
{
	int fd = open(lines, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	pid_t pid = fork();

	ck_assert_int_ge(pid, 0);
	if (!pid) {
		dup2(fd, STDOUT_FILENO);
		execl(writer, writer, path, keys, "8", (char *)NULL);
		_exit(127);
	}
	close(fd);
	return pid;
}

/* After @us, unless it ended by itself, which it never should. */
static void kill_after(pid_t pid, unsigned us)
{
	int status;

	usleep(us);
	kill(pid, SIGKILL);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

/* Until it has released something, so that keys and log are there. */
static void kill_after_first(pid_t pid)
{
	struct stat st;

	for (int i = 0; i < 2000 && (stat(lines, &st) || !st.st_size); i++)
		usleep(10000);
	kill_after(pid, 100000);
}

START_TEST(whatever_was_released_survives_kill_9)
{
	uint32_t random;

	signer_folder(path);
	snprintf(keys, sizeof keys, "%s.keys", path);
	snprintf(lines, sizeof lines, "%s.lines", path);
	kill_after_first(start_writer());
	for (int i = 0; i < ROUNDS; i++) {
		verify();
		check_lines();
		ck_assert_ok(io_random(&random, sizeof random));
		kill_after(start_writer(), i < 5 ? random % 20000 : random % 120000);
	}
	verify();
	ck_assert_uint_gt(check_lines(), 50);
	forget();
	signer_remove(path);
	signer_remove(keys);
	unlink(lines);
}
END_TEST

static void add(TCase *t)
{
	tcase_add_test(t, whatever_was_released_survives_kill_9);
}

int main(int argc, char **argv)
{
	/* The writer lies beside the tests: BUILD/unit/crash_test, BUILD/crash/writer. */
	char *slash = strrchr(argv[0], '/');

	(void)argc;
	snprintf(writer, sizeof writer, "%.*s/../crash/writer", slash ? (int)(slash - argv[0]) : 1,
		 slash ? argv[0] : ".");
	return check_run("crash", add);
}

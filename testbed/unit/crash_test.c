/* kill -9 again and again: what was released to anybody is in the log, and the log verifies.
 * ASSAY_KILLS says how often (make soak: 300 times). */
#include "testbed/unit/check.h"
#include "testbed/unit/found.h"
#include "testbed/unit/signer.h"

#include <signal.h>
#include <sys/wait.h>

#define KILLS 12
#define LINE 256

static char path[64], keys[80], lines[80], writer[512];

static void verify(void)
{
	CLEANUP(buf) struct buf ca = BUF_INIT;
	char file[128];

	snprintf(file, sizeof file, "%s/ca.der", keys);
	ck_assert_ok(io_read_file(file, 65536, &ca));
	ck_assert_ok(found_read(path, buf_slice(&ca)));
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
		ck_assert_msg(found_holds(origin, index, hash), "released, but gone: %s %llu",
			      origin, index);
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
	const char *more = getenv("ASSAY_KILLS");
	int kills = more ? atoi(more) : KILLS;
	uint32_t random;

	signer_folder(path);
	snprintf(keys, sizeof keys, "%s.keys", path);
	snprintf(lines, sizeof lines, "%s.lines", path);
	kill_after_first(start_writer());
	for (int i = 0; i < kills; i++) {
		verify();
		check_lines();
		ck_assert_ok(io_random(&random, sizeof random));
		kill_after(start_writer(), i % 3 == 0 ? random % 20000 : random % 120000);
	}
	verify();
	ck_assert_uint_gt(check_lines(), 50);
	found_forget();
	signer_remove(path);
	signer_remove(keys);
	unlink(lines);
}
END_TEST

static void add(TCase *t)
{
	tcase_set_timeout(t, getenv("ASSAY_KILLS") ? 3600 : 60);
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

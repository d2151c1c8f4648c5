/* log_grow - a log of so many records, and what it costs at that length.
 *
 *   log_grow RECORDS BYTES DIRECTORY
 *
 * makes DIRECTORY/log and DIRECTORY/ca.pem, and prints "records-a-second p50 open": of many producers
 * while it grew; of one producer once it was that long; of opening it after the process that wrote it
 * ended without a word. Times in microseconds. */
#include <pthread.h>
#include <stdio.h>
#include <sys/wait.h>

#include "audit/audit.h"
#include "testbed/bench/measure.h"
#include "testbed/unit/signer.h"

#define ORIGIN "assay.example/bench/bank-a/1"
#define PRODUCERS 128
#define ALONE 500

static struct signer signer;
static struct audit *audit;
static struct audit_tree *tree;
static char text[512];
static atomic_long left;

static void open_log(const char *where)
{
	struct audit_recovery recovery;
	char path[200];

	snprintf(path, sizeof path, "%s/keys", where);
	signer_start(&signer, path);
	snprintf(path, sizeof path, "%s/log", where);
	MUST_DO(signer_open(&signer, path, 0, &recovery, &audit));
	MUST_DO(signer_tree(&signer, audit, ORIGIN, &tree));
}

static void append(struct leaf *leaf)
{
	MUST_DO(io_random(leaf->cti, sizeof leaf->cti));
	MUST_DO(audit_record(tree, leaf));
}

static void *produce(void *unused)
{
	struct leaf *leaf = malloc(sizeof *leaf);

	signer_leaf(leaf, text);
	while (atomic_fetch_sub(&left, 1) > 0)
		append(leaf);
	free(leaf);
	return unused;
}

static double alone_us(void)
{
	static double us[ALONE];
	struct leaf *leaf = malloc(sizeof *leaf);

	signer_leaf(leaf, text);
	for (int i = 0; i < ALONE; i++) {
		uint64_t start = now_ns();

		append(leaf);
		us[i] = (double)(now_ns() - start) / 1e3;
	}
	free(leaf);
	return median(us, ALONE);
}

/* Ends without closing the log, as a process that is killed. */
static _Noreturn void grow(const char *where, long records)
{
	pthread_t threads[PRODUCERS];

	open_log(where);
	atomic_init(&left, records);
	uint64_t start = now_ns();
	for (int i = 0; i < PRODUCERS; i++)
		if (pthread_create(&threads[i], NULL, produce, NULL))
			die("no thread");
	for (int i = 0; i < PRODUCERS; i++)
		pthread_join(threads[i], NULL);
	double rate = (double)records * 1e9 / (double)(now_ns() - start);
	printf("%.0f %.0f ", rate, alone_us());
	(void)fflush(stdout);
	_exit(0);
}

static void keep_ca(const char *where)
{
	CLEANUP(buf) struct buf pem = BUF_INIT;
	char path[300];

	certificate_put_pem(buf_slice(&signer.ca), &pem);
	snprintf(path, sizeof path, "%s/ca.pem", where);
	CLEANUP(fd) int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0)
		die("%s: %m", path);
	MUST_DO(io_write_all(fd, buf_slice(&pem)));
}

int main(int argc, char **argv)
{
	long records = argc == 4 ? atol(argv[1]) : 0, bytes = argc == 4 ? atol(argv[2]) : 0;
	int status;

	/* What a small record takes beside its text. */
	if (records < 1 || bytes < 256 || bytes > 400)
		die("usage: log_grow RECORDS BYTES DIRECTORY; 256 to 400 bytes");
	memset(text, 'x', (size_t)bytes - 180);
	pid_t pid = fork();
	if (pid == 0)
		grow(argv[3], records);
	if (pid < 0 || waitpid(pid, &status, 0) != pid || status)
		die("the log did not grow");
	uint64_t start = now_ns();
	open_log(argv[3]);
	printf("%.0f\n", (double)(now_ns() - start) / 1e3);
	keep_ca(argv[3]);
	audit_close(audit);
	signer_end(&signer);
	return 0;
}

/* log_naive - what one would write first: each record is appended to a file, which is synced, and then
 * signed, one record after the other. */
#include <fcntl.h>
#include <pthread.h>
#include <unistd.h>

#include "testbed/bench/measure.h"
#include "testbed/bench/producers.h"
#include "testbed/unit/signer.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct signer signer;
static char path[300];
static int fd;

static void open_file(const char *where, unsigned producers, unsigned partitions)
{
	(void)producers;
	(void)partitions;
	snprintf(path, sizeof path, "%s/naive", where);
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC, 0600);
	if (fd < 0)
		die("%s: %m", path);
	signer_start(&signer, NULL);
}

static void append(void *mine, struct slice record)
{
	CLEANUP(buf) struct buf signature = BUF_INIT;
	uint8_t digest[SHA256_SIZE];

	(void)mine;
	pthread_mutex_lock(&lock);
	MUST_DO(io_write_all(fd, record));
	if (fsync(fd))
		die("fsync: %m");
	sha256_once(record, digest);
	MUST_DO(signer.signer.sign(&signer, SIGNER_KEY, digest, &signature));
	pthread_mutex_unlock(&lock);
}

static void close_file(void)
{
	close(fd);
	unlink(path);
	signer_end(&signer);
}

const struct store store = { .open = open_file, .append = append, .close = close_file };

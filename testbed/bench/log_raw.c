/* log_raw - what this disk allows: records that wait while the last batch is synced go into the next
 * one; a zeroed file, one fdatasync for each batch, and neither tree nor signature. */
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "config/base/io.h"
#include "testbed/bench/measure.h"
#include "testbed/bench/producers.h"

#define FILE_BYTES ((size_t)64 << 20)
#define BLOCK 4096

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* guards what follows */
static pthread_cond_t synced = PTHREAD_COND_INITIALIZER;
static uint8_t batch[PRODUCERS_MAX * RECORD_MAX];
static size_t batch_n;
static uint64_t gathering = 1, durable; /* number of the batch at hand; of the last one synced */
static bool syncing;

static char path[300];
static size_t at;
static int fd;

static void open_file(const char *where, unsigned producers, unsigned partitions)
{
	static uint8_t zeros[1 << 20];

	(void)producers;
	(void)partitions;
	snprintf(path, sizeof path, "%s/raw", where);
	fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		die("%s: %m", path);
	for (size_t n = 0; n < FILE_BYTES; n += sizeof zeros)
		if (io_write_at(fd, n, SLICE(zeros)))
			die("%s", err_reason());
	if (fsync(fd))
		die("fsync: %m");
}

/* Whoever finds nobody syncing writes what there is, its own record among it. */
static void sync_locked(void)
{
	static uint8_t out[sizeof batch];
	size_t n = (batch_n + BLOCK - 1) / BLOCK * BLOCK;
	uint64_t number = gathering++;

	syncing = true;
	memcpy(out, batch, batch_n);
	memset(out + batch_n, 0, n - batch_n);
	batch_n = 0;
	at = at + n > FILE_BYTES ? 0 : at;
	pthread_mutex_unlock(&lock);
	if (io_write_at(fd, at, slice_of(out, n)) || fdatasync(fd))
		die("%s: %m", path);
	pthread_mutex_lock(&lock);
	at += n;
	durable = number;
	syncing = false;
	pthread_cond_broadcast(&synced);
}

static void append(void *mine, struct slice record)
{
	(void)mine;
	pthread_mutex_lock(&lock);
	memcpy(batch + batch_n, record.p, record.left);
	batch_n += record.left;
	for (uint64_t wanted = gathering; durable < wanted;) {
		if (syncing)
			pthread_cond_wait(&synced, &lock);
		else
			sync_locked();
	}
	pthread_mutex_unlock(&lock);
}

static void close_file(void)
{
	close(fd);
	unlink(path);
}

const struct store store = { .open = open_file, .append = append, .close = close_file };

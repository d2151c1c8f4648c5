#include "testbed/bench/producers.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "testbed/bench/measure.h"

#define LATENCIES_MAX (1 << 18) /* of one producer; more are not kept */
#define BYTES_MIN 256
#define BYTES_MAX 1100
#define LARGE 600 /* from here on a record has all that an execution's has */
#define POS ((uint64_t)1 << 20)

struct producer {
	pthread_t thread;
	unsigned number;
	unsigned long done;
	double *us;
};

static size_t bytes;
static uint8_t record[RECORD_MAX];
static size_t record_n;
static uint64_t end;
static pthread_barrier_t ready;

static double sync_us[LATENCIES_MAX];
static atomic_size_t syncs;

int __real_fdatasync(int fd);
int __wrap_fdatasync(int fd);

/* The linker puts this in front of the store's own calls (--wrap). */
int __wrap_fdatasync(int fd)
{
	uint64_t start = now_ns();
	int r = __real_fdatasync(fd);
	size_t i = atomic_fetch_add(&syncs, 1);

	if (i < LATENCIES_MAX)
		sync_us[i] = (double)(now_ns() - start) / 1e3;
	return r;
}

size_t record_bytes(void)
{
	return bytes;
}

static void fill_large(struct leaf *leaf)
{
	static const uint8_t nonce[32] = { 1 };

	leaf->has_input = leaf->has_output = leaf->has_messages = leaf->has_tcb = true;
	leaf->has_policy = leaf->has_frontend = leaf->has_times = leaf->has_status = true;
	leaf->has_caller = leaf->has_roleproof = leaf->has_epoch = leaf->has_uptime = true;
	leaf->role = LEAF_ROLE_USER;
	leaf->roleproof = LEAF_PROOF_ROLE_KEY;
	leaf->nonce = SLICE(nonce);
	leaf->hwmodel = leaf->swname = leaf->swversion =
		slice_text("thirty bytes of text in a claim");
	leaf->partition_serial = slice_text("0123456789abcdef");
	leaf->partition_label = slice_text("bank-a");
	leaf->components_n = 2;
	leaf->components[0].name = slice_text("image");
	leaf->components[1].name = slice_text("profile");
}

static size_t encoded(const struct leaf *leaf)
{
	CLEANUP(buf) struct buf raw = BUF_INIT;

	if (leaf_encode(leaf, &raw))
		die("a record: %s", err_reason());
	return raw.len;
}

/* Two texts are as long as it takes: one alone is bounded. */
void record_leaf(struct leaf *leaf, size_t wanted)
{
	static char fill[256];

	memset(fill, 'x', sizeof fill);
	memset(leaf, 0, sizeof *leaf);
	leaf->type = LEAF_EXECUTION;
	leaf->issuer = leaf->subject = slice_text("bank-a");
	leaf->time = time(NULL);
	leaf->profile = slice_text(LEAF_PROFILE_ES256);
	leaf->dbgstat = LEAF_DEBUG_DISABLED;
	leaf->origin = slice_text(BENCH_ORIGIN);
	leaf->pos = POS;
	if (wanted >= LARGE)
		fill_large(leaf);
	leaf->reason = slice_of(fill, 24);
	for (size_t n; (n = encoded(leaf)) < wanted;) {
		struct slice *text = leaf->reason.left < 250 ? &leaf->reason : &leaf->issuer;
		size_t room = 250 - (text->left < 24 ? 24 : text->left), more = wanted - n;

		if (text == &leaf->issuer && leaf->issuer.left == 250)
			die("a record of %zu bytes", wanted);
		*text = slice_of(fill, 250 - room + (more < room ? more : room));
	}
}

static void *produce(void *context)
{
	struct producer *p = context;
	void *mine = store.enter ? store.enter(p->number) : NULL;

	pthread_barrier_wait(&ready);
	for (uint64_t start = now_ns(), now; start < end; start = now) {
		store.append(mine, slice_of(record, record_n));
		now = now_ns();
		if (p->done < LATENCIES_MAX)
			p->us[p->done] = (double)(now - start) / 1e3;
		p->done++;
	}
	if (store.leave)
		store.leave(mine);
	return NULL;
}

static void report(struct producer *all, unsigned n, double seconds)
{
	unsigned long done = 0, kept = 0;

	for (unsigned i = 0; i < n; i++)
		done += all[i].done;
	double *us = calloc(done ? done : 1, sizeof *us);
	for (unsigned i = 0; us && i < n; i++) {
		unsigned long some = all[i].done < LATENCIES_MAX ? all[i].done : LATENCIES_MAX;

		memcpy(us + kept, all[i].us, some * sizeof *us);
		kept += some;
	}
	if (!kept)
		die("no record in %.1f seconds", seconds);
	size_t some = syncs < LATENCIES_MAX ? syncs : LATENCIES_MAX;
	double middle = median(us, kept);
	printf("%.1f %.0f %.0f %lu %.0f\n", (double)done / seconds, middle, us[kept * 99 / 100],
	       done, some ? median(sync_us, some) : 0);
	free(us);
}

static void run(struct producer *all, unsigned n, unsigned ms)
{
	pthread_barrier_init(&ready, NULL, n + 1);
	end = UINT64_MAX;
	for (unsigned i = 0; i < n; i++) {
		all[i].number = i;
		if (!(all[i].us = calloc(LATENCIES_MAX, sizeof *all[i].us)) ||
		    pthread_create(&all[i].thread, NULL, produce, &all[i]))
			die("no thread");
	}
	uint64_t began = now_ns();
	end = began + ms * UINT64_C(1000000);
	pthread_barrier_wait(&ready);
	for (unsigned i = 0; i < n; i++)
		pthread_join(all[i].thread, NULL);
	report(all, n, (double)(now_ns() - began) / 1e9);
	for (unsigned i = 0; i < n; i++)
		free(all[i].us);
}

static void encode(void)
{
	CLEANUP(buf) struct buf raw = BUF_INIT;
	struct leaf *leaf = malloc(sizeof *leaf);

	record_leaf(leaf, bytes);
	if (leaf_encode(leaf, &raw) || raw.len > sizeof record)
		die("a record: %s", err_reason());
	memcpy(record, raw.data, raw.len);
	record_n = raw.len;
	free(leaf);
}

int main(int argc, char **argv)
{
	static struct producer all[PRODUCERS_MAX];
	int n = argc > 4 ? atoi(argv[1]) : 0, ms = argc > 4 ? atoi(argv[3]) : 0;
	int partitions = argc > 5 ? atoi(argv[5]) : 1;

	bytes = argc > 4 ? (size_t)atoi(argv[2]) : 0;
	if (n < 1 || n > PRODUCERS_MAX || ms < 1 || partitions < 1 || partitions > PARTITIONS_MAX ||
	    bytes < BYTES_MIN || bytes > BYTES_MAX)
		die("usage: %s PRODUCERS BYTES MILLISECONDS WHERE [PARTITIONS]", argv[0]);
	encode();
	store.open(argv[4], (unsigned)n, (unsigned)partitions);
	run(all, (unsigned)n, (unsigned)ms);
	store.close();
	return 0;
}

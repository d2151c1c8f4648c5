/* producers.h - records from many producers at once, each of which waits until its own is durable: one
 * program for each kind of store, all with the same records and the same clock.
 *
 *   log_STORE PRODUCERS BYTES MILLISECONDS WHERE [PARTITIONS]
 *
 * prints "records-a-second p50 p99 records sync-p50", times in microseconds; the last is that of the
 * program's own fdatasync, 0 where it calls none.
 */
#ifndef TESTBED_BENCH_PRODUCERS_H
#define TESTBED_BENCH_PRODUCERS_H

#include "audit/leaf.h"

#define PRODUCERS_MAX 256
#define PARTITIONS_MAX 64
#define RECORD_MAX 2048
#define BENCH_ORIGIN "assay.example/bench/bank-a/1"

struct store {
	/* @where: a directory that is empty, or what else the store wants. */
	void (*open)(const char *where, unsigned producers, unsigned partitions);
	/* What one producer needs, made and freed by its own thread; NULL where it needs nothing. */
	void *(*enter)(unsigned producer);
	void (*leave)(void *mine);
	/* Returns when the record is as durable as the store makes it. */
	void (*append)(void *mine, struct slice record);
	void (*close)(void);
};

/* The store of this program; its main is in producers.c. */
extern const struct store store;

/* A leaf whose encoding has this many bytes, 256 to 1100; only its index may make it a few shorter. */
void record_leaf(struct leaf *leaf, size_t bytes);
size_t record_bytes(void); /* as asked for on the command line */

#endif

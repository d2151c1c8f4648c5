/* log_sqlite - SQLite, write-ahead log, synchronous=FULL: a transaction for each record, over one
 * connection that the producers share, which is faster than one each (whoever finds the database busy
 * sleeps there). Signs nothing. */
#include <pthread.h>
#include <sqlite3.h>
#include <stdio.h>
#include <unistd.h>

#include "testbed/bench/measure.h"
#include "testbed/bench/producers.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static sqlite3 *db;
static sqlite3_stmt *insert;
static char path[300];

static void need(bool good)
{
	if (!good)
		die("SQLite: %s", sqlite3_errmsg(db));
}

static void open_database(const char *where, unsigned producers, unsigned partitions)
{
	(void)producers;
	(void)partitions;
	snprintf(path, sizeof path, "%s/sqlite", where);
	need(sqlite3_open(path, &db) == SQLITE_OK);
	need(sqlite3_exec(db,
			  "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;"
			  "CREATE TABLE log (at INTEGER PRIMARY KEY, record BLOB NOT NULL)",
			  NULL, NULL, NULL) == SQLITE_OK);
	need(sqlite3_prepare_v2(db, "INSERT INTO log (record) VALUES (?)", -1, &insert, NULL) ==
	     SQLITE_OK);
}

static void append(void *mine, struct slice record)
{
	(void)mine;
	pthread_mutex_lock(&lock);
	need(sqlite3_bind_blob(insert, 1, record.p, (int)record.left, SQLITE_STATIC) == SQLITE_OK &&
	     sqlite3_step(insert) == SQLITE_DONE && sqlite3_reset(insert) == SQLITE_OK);
	pthread_mutex_unlock(&lock);
}

static void close_database(void)
{
	char more[310];

	sqlite3_finalize(insert);
	sqlite3_close(db);
	unlink(path);
	snprintf(more, sizeof more, "%s-wal", path);
	unlink(more);
	snprintf(more, sizeof more, "%s-shm", path);
	unlink(more);
}

const struct store store = { .open = open_database, .append = append, .close = close_database };

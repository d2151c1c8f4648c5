/* log_lmdb - LMDB as it comes, which syncs with each commit: a transaction for each record. Signs
 * nothing. */
#include <lmdb.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

#include "testbed/bench/measure.h"
#include "testbed/bench/producers.h"

#define MAP_BYTES ((size_t)4 << 30)

static MDB_env *env;
static MDB_dbi dbi;
static uint64_t next; /* under LMDB's own lock of the one writer */
static char path[300];

static void need(int rc)
{
	if (rc)
		die("LMDB: %s", mdb_strerror(rc));
}

static void open_database(const char *where, unsigned producers, unsigned partitions)
{
	MDB_txn *txn;

	(void)producers;
	(void)partitions;
	snprintf(path, sizeof path, "%s/lmdb", where);
	need(mdb_env_create(&env));
	need(mdb_env_set_mapsize(env, MAP_BYTES));
	need(mdb_env_open(env, path, MDB_NOSUBDIR, 0600));
	need(mdb_txn_begin(env, NULL, 0, &txn));
	need(mdb_dbi_open(txn, NULL, MDB_INTEGERKEY, &dbi));
	need(mdb_txn_commit(txn));
}

static void append(void *mine, struct slice record)
{
	MDB_txn *txn;

	(void)mine;
	need(mdb_txn_begin(env, NULL, 0, &txn));
	uint64_t number = next++;
	MDB_val key = { sizeof number, &number }, data = { record.left, (void *)record.p };
	need(mdb_put(txn, dbi, &key, &data, MDB_APPEND));
	need(mdb_txn_commit(txn));
}

static void close_database(void)
{
	char more[310];

	mdb_env_close(env);
	unlink(path);
	snprintf(more, sizeof more, "%s-lock", path);
	unlink(more);
}

const struct store store = { .open = open_database, .append = append, .close = close_database };

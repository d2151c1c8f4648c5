/* log_postgresql - PostgreSQL with fsync and synchronous_commit on, which gathers commits as well: a
 * connection for each producer, a transaction for each record. WHERE is the directory of a cluster's
 * socket. Signs nothing. */
#include <libpq-fe.h>
#include <stdio.h>

#include "testbed/bench/measure.h"
#include "testbed/bench/producers.h"

static char target[400];

static void need(PGconn *c, bool good)
{
	if (!good)
		die("PostgreSQL: %s", PQerrorMessage(c));
}

static void command(PGconn *c, const char *sql)
{
	PGresult *r = PQexec(c, sql);

	need(c, PQresultStatus(r) == PGRES_COMMAND_OK);
	PQclear(r);
}

static void *enter(unsigned producer)
{
	PGconn *c = PQconnectdb(target);

	(void)producer;
	need(c, PQstatus(c) == CONNECTION_OK);
	command(c, "PREPARE add (bytea) AS INSERT INTO log (record) VALUES ($1)");
	return c;
}

static void leave(void *mine)
{
	PQfinish(mine);
}

static void once(const char *sql)
{
	PGconn *c = PQconnectdb(target);

	need(c, PQstatus(c) == CONNECTION_OK);
	command(c, sql);
	PQfinish(c);
}

static void open_table(const char *where, unsigned producers, unsigned partitions)
{
	(void)producers;
	(void)partitions;
	snprintf(target, sizeof target, "host=%s dbname=postgres user=postgres", where);
	once("CREATE TABLE log (at bigserial PRIMARY KEY, record bytea NOT NULL)");
}

static void append(void *mine, struct slice record)
{
	const char *const values[] = { (const char *)record.p };
	const int lengths[] = { (int)record.left }, formats[] = { 1 };
	PGresult *r = PQexecPrepared(mine, "add", 1, values, lengths, formats, 0);

	need(mine, PQresultStatus(r) == PGRES_COMMAND_OK);
	PQclear(r);
}

static void close_table(void)
{
	once("DROP TABLE log");
}

const struct store store = { open_table, enter, leave, append, close_table };

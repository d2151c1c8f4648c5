/* Opening and closing a log: directories, the lock, threads. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>

#include "audit/state.h"
#include "config/base/io.h"

#define LOCK_TRIES 10
#define LOCK_PAUSE_MS 10

/* A log whose own name is not durable goes with all that is in it. */
static enum err sync_parent(int root)
{
	CLEANUP(fd) int parent = openat(root, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return parent < 0 ? failed(ERR_IO, "the directory above the log: %m") : io_sync_dir(parent);
}

static bool same_file(int dir, const char *name, int fd)
{
	struct stat named, opened;

	return !fstatat(dir, name, &named, AT_SYMLINK_NOFOLLOW) && !fstat(fd, &opened) &&
	       named.st_ino == opened.st_ino && named.st_dev == opened.st_dev;
}

enum err open_in_place(const struct audit *audit)
{
	if (same_file(audit->above, audit->name, audit->root) &&
	    same_file(audit->root, "wal", audit->dir))
		return OK;
	return failed(ERR_STATE, "the log's directory was moved, removed or replaced");
}

static enum err remember_place(struct audit *audit, const char *path)
{
	size_t n = strlen(path);

	while (n > 1 && path[n - 1] == '/')
		n--;
	size_t start = n;
	while (start && path[start - 1] != '/')
		start--;
	audit->name = strndup(path + start, n - start);
	audit->above = openat(audit->root, "..", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (!audit->name || audit->above < 0)
		return failed(ERR_IO, "the directory above the log: %m");
	return open_in_place(audit);
}

static enum err open_directories(struct audit *audit, const char *path, bool make)
{
	enum err e;

	if ((e = io_open_dir(AT_FDCWD, path, make, &audit->root)) ||
	    (e = io_open_dir(audit->root, "wal", make, &audit->dir)))
		return make ? e : failed(ERR_MISMATCH, "the log was removed: %s", err_reason());
	if ((e = remember_place(audit, path)) || (make && (e = sync_parent(audit->root))))
		return e;
	if (mkdirat(audit->root, "trees", 0755) && errno != EEXIST)
		return failed(ERR_IO, "%s/trees: %m", path);
	if ((e = io_open_dir(audit->root, "trees", false, &audit->trees_dir)))
		return e;
	return io_sync_dir(audit->root);
}

/* An auditor takes it for a moment, to see whether the log is live. */
static enum err take_lock(struct audit *audit, const char *path)
{
	audit->lock_fd =
		openat(audit->root, "lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (audit->lock_fd < 0)
		return failed(ERR_IO, "%s/lock: %m", path);
	for (int i = 0; i < LOCK_TRIES; i++) {
		if (!flock(audit->lock_fd, LOCK_EX | LOCK_NB))
			return OK;
		if (errno != EWOULDBLOCK)
			break;
		io_pause(LOCK_PAUSE_MS);
	}
	return failed(errno == EWOULDBLOCK ? ERR_STATE : ERR_IO,
		      "%s: the log is open in another process", path);
}

static void make_locks(struct audit *audit)
{
	pthread_cond_t *conditions[] = { &audit->work, &audit->room, &audit->publish,
					 &audit->tiled };
	pthread_condattr_t monotonic;

	pthread_mutex_init(&audit->making, NULL);
	pthread_mutex_init(&audit->publishing, NULL);
	pthread_mutex_init(&audit->lock, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	for (size_t i = 0; i < sizeof conditions / sizeof *conditions; i++)
		pthread_cond_init(conditions[i], &monotonic);
	pthread_condattr_destroy(&monotonic);
}

static enum err start_threads(struct audit *audit)
{
	size_t wanted = audit->signers + 1; /* one commits, or they are all needed to sign */

	audit->workers = calloc(wanted, sizeof *audit->workers);
	while (audit->workers && audit->workers_n < wanted &&
	       !pthread_create(&audit->workers[audit->workers_n], NULL, commit_thread, audit))
		audit->workers_n++;
	audit->has_publisher = !pthread_create(&audit->publisher, NULL, publish_thread, audit);
	return audit->workers_n == wanted && audit->has_publisher
		       ? OK
		       : failed(ERR_MEMORY, "no thread for the log");
}

/* Trees of the log wait for audit_tree() to bring their key. */
static enum err wake_trees(struct audit *audit)
{
	audit->trees = calloc(audit->ledger.n ? audit->ledger.n : 1, sizeof *audit->trees);
	if (!audit->trees)
		return failed(ERR_MEMORY, "the list of trees");
	for (size_t i = 0; i < audit->ledger.n; i++) {
		struct audit_tree *tree;
		enum err e = tree_wake(audit, audit->ledger.trees[i], &tree);

		if (e)
			return e;
	}
	return OK;
}

enum err audit_open(const struct audit_options *options, struct audit_recovery *recovery,
		    struct audit **out)
{
	struct audit *audit = calloc(1, sizeof *audit);
	enum err e;

	if (!audit)
		return failed(ERR_MEMORY, "the log");
	audit->signer = options->signer;
	audit->queue_max = options->queue_max ? options->queue_max : QUEUE_DEFAULT;
	audit->issuer = strdup(options->issuer);
	audit->root = audit->dir = audit->trees_dir = audit->lock_fd = audit->above = -1;
	audit->signers = options->signers ? options->signers : SIGNERS_DEFAULT;
	audit->last = &audit->first;
	audit->flight_last = &audit->flight;
	audit->pending_last = &audit->pending;
	make_locks(audit);
	e = audit->issuer ? OK : failed(ERR_MEMORY, "the log");
	if (audit->signers > AUDIT_SIGNERS_MAX)
		e = failed(ERR_RANGE, "%u signers", audit->signers);
	if (e || (e = open_directories(audit, options->path, !options->anchored_n)) ||
	    (e = take_lock(audit, options->path)) || (e = recovery_run(audit, options, recovery)) ||
	    (e = wake_trees(audit)) || (e = turn_adopt(audit)) || (e = start_threads(audit))) {
		audit_close(audit);
		return e;
	}
	*out = audit;
	return OK;
}

static void stop_threads(struct audit *audit)
{
	pthread_mutex_lock(&audit->lock);
	audit->closing = true;
	audit->closing_ms = io_monotonic_ms();
	pthread_cond_broadcast(&audit->work);
	pthread_cond_broadcast(&audit->room);
	pthread_mutex_unlock(&audit->lock);
	for (size_t i = 0; i < audit->workers_n; i++)
		pthread_join(audit->workers[i], NULL);
	pthread_mutex_lock(&audit->lock);
	audit->stop = true;
	pthread_cond_broadcast(&audit->publish);
	pthread_mutex_unlock(&audit->lock);
	if (audit->has_publisher)
		pthread_join(audit->publisher, NULL);
}

void audit_end(struct audit *audit)
{
	pthread_mutex_lock(&audit->lock);
	audit->ending = true;
	audit->closing_ms = io_monotonic_ms();
	pthread_mutex_unlock(&audit->lock);
}

void audit_close(struct audit *audit)
{
	if (!audit)
		return;
	stop_threads(audit);
	publish_free(audit->tiler);
	wal_close(audit->wal);
	for (struct batch *next; audit->flight; audit->flight = next) {
		next = audit->flight->next;
		batch_free(audit->flight);
	}
	for (size_t i = 0; i < audit->trees_n; i++)
		tree_sleep(audit->trees[i]);
	free(audit->trees);
	free(audit->workers);
	ledger_free(&audit->ledger);
	buf_free(&audit->raw);
	fd_cleanup(&audit->dir);
	fd_cleanup(&audit->trees_dir);
	fd_cleanup(&audit->root);
	fd_cleanup(&audit->above);
	free(audit->name);
	fd_cleanup(&audit->lock_fd);
	free(audit->issuer);
	free(audit);
}

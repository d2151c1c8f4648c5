#include "testbed/crash/shim_inner.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config/base/io.h"

#define FILE_MAX ((size_t)1 << 30)

/* Which file of the system is which node. */
struct known {
	dev_t device;
	ino_t number;
	size_t node;
};

pthread_mutex_t shim_lock = PTHREAD_MUTEX_INITIALIZER; /* guards what follows */
static bool watching;
static struct history history;
static struct disk now; /* names only */
static struct known *known;
static size_t known_n;
static struct shim_plan plan;
static unsigned seen, ignored;

static atomic_bool spare;
static atomic_llong off_seconds;

/* --- nodes --- */

static size_t add_known(const struct stat *st, bool is_dir)
{
	known = reallocarray(known, known_n + 1, sizeof *known);
	if (!known)
		abort();
	known[known_n++] = (struct known){ st->st_dev, st->st_ino, disk_add(&now, is_dir) };
	return disk_add(&history.start, is_dir);
}

/* The newest first: numbers are used again. */
size_t shim_node(const struct stat *st)
{
	for (size_t i = known_n; watching && i--;)
		if (known[i].device == st->st_dev && known[i].number == st->st_ino)
			return known[i].node;
	return SHIM_NONE;
}

size_t shim_node_of(int fd)
{
	struct stat st;

	return watching && !fstat(fd, &st) ? shim_node(&st) : SHIM_NONE;
}

/* The directory that a path ends in, if it is watched, and the last name. */
size_t shim_parent(int dir, const char *path, char name[DISK_NAME])
{
	const char *slash = strrchr(path, '/');
	char folder[4096];
	struct stat st;

	if (!watching || snprintf(folder, sizeof folder, "%.*s", slash ? (int)(slash - path) : 1,
				  slash ? path : ".") >= (int)sizeof folder)
		return SHIM_NONE;
	if (fstatat(dir, *folder ? folder : "/", &st, 0))
		return SHIM_NONE;
	size_t node = shim_node(&st);
	if (node != SHIM_NONE &&
	    snprintf(name, DISK_NAME, "%s", slash ? slash + 1 : path) >= DISK_NAME)
		abort();
	return node;
}

size_t shim_named(size_t dir, const char *name)
{
	struct disk_entry *entry = disk_find(&now, dir, name);

	return entry ? entry->node : SHIM_NONE;
}

static void read_node(const char *path, const struct stat *st);

static void read_folder(const char *path, size_t dir)
{
	DIR *list = opendir(path);

	if (!list)
		abort();
	for (struct dirent *d; (d = readdir(list));) {
		char below[4096];
		struct stat st;

		snprintf(below, sizeof below, "%s/%s", path, d->d_name);
		if (!strcmp(d->d_name, ".") || !strcmp(d->d_name, "..") || lstat(below, &st))
			continue;
		size_t node = shim_node(&st);
		if (node == SHIM_NONE) {
			read_node(below, &st);
			node = shim_node(&st);
		}
		disk_name(&history.start, dir, d->d_name, node);
		disk_name(&now, dir, d->d_name, node);
	}
	closedir(list);
}

static void read_node(const char *path, const struct stat *st)
{
	CLEANUP(buf) struct buf bytes = BUF_INIT;
	size_t node = add_known(st, S_ISDIR(st->st_mode));

	if (S_ISDIR(st->st_mode)) {
		read_folder(path, node);
		return;
	}
	if (io_read_file(path, FILE_MAX, &bytes))
		abort();
	disk_put(&history.start, node, 0, bytes.data, bytes.len);
	disk_resize(&history.start, node, bytes.len);
}

static void forget(void)
{
	watching = false;
	history_free(&history);
	disk_free(&now);
	free(known);
	known = NULL;
	known_n = 0;
	seen = ignored = 0;
	plan = (struct shim_plan){ 0 };
}

void shim_watch(const char *path)
{
	struct stat st;

	pthread_mutex_lock(&shim_lock);
	forget();
	watching = true;
	if (stat(path, &st))
		abort();
	read_node(path, &st);
	pthread_mutex_unlock(&shim_lock);
}

void shim_unwatch(void)
{
	pthread_mutex_lock(&shim_lock);
	forget();
	pthread_mutex_unlock(&shim_lock);
}

void shim_plan(const struct shim_plan *new)
{
	pthread_mutex_lock(&shim_lock);
	plan = new ? *new : (struct shim_plan){ 0 };
	seen = 0;
	pthread_mutex_unlock(&shim_lock);
}

unsigned shim_seen(void)
{
	pthread_mutex_lock(&shim_lock);
	unsigned n = seen;
	pthread_mutex_unlock(&shim_lock);
	return n;
}

size_t shim_now(void)
{
	pthread_mutex_lock(&shim_lock);
	size_t n = history.n;
	pthread_mutex_unlock(&shim_lock);
	return n;
}

void shim_take(struct history *out)
{
	pthread_mutex_lock(&shim_lock);
	*out = history;
	history = (struct history){ 0 };
	forget();
	pthread_mutex_unlock(&shim_lock);
}

void shim_spare_syncs(bool yes)
{
	atomic_store(&spare, yes);
}

void shim_ignore(unsigned calls)
{
	pthread_mutex_lock(&shim_lock);
	ignored = calls;
	pthread_mutex_unlock(&shim_lock);
}

void shim_clock(int64_t seconds)
{
	atomic_store(&off_seconds, seconds);
}

bool shim_spares(void)
{
	return atomic_load(&spare);
}

int64_t shim_off(void)
{
	return atomic_load(&off_seconds);
}

/* --- plans and records, under the lock --- */

struct blow shim_blow(enum shim_call call)
{
	if (!(plan.calls & SHIM_BIT(call)))
		return (struct blow){ 0 };
	unsigned n = seen++;
	if (n < plan.after || (plan.times && n >= plan.after + plan.times))
		return (struct blow){ 0 };
	if (plan.half && (n == plan.after || !plan.error))
		return (struct blow){ .half = true, .last = plan.last };
	return (struct blow){ .error = plan.error, .last = plan.last && !plan.error };
}

struct blow shim_blow_write(size_t n)
{
	bool counts = n >= plan.least && (!plan.most || n <= plan.most);

	return counts ? shim_blow(SHIM_WRITE) : (struct blow){ 0 };
}

bool shim_ignores(enum shim_call call)
{
	return ignored & SHIM_BIT(call);
}

void shim_fall(struct blow blow)
{
	if (blow.last)
		kill(getpid(), SIGKILL);
}

size_t shim_recorded(void)
{
	return history.n;
}

void shim_record(struct op op)
{
	if (!watching)
		return;
	if (history.n == history.room) {
		history.room = history.room ? 2 * history.room : 256;
		history.ops = reallocarray(history.ops, history.room, sizeof *history.ops);
		if (!history.ops)
			abort();
	}
	history.ops[history.n++] = op;
	if (op.kind != OP_WRITE && op.kind != OP_SIZE)
		disk_apply(&now, &op);
}

void shim_record_new(int dir, const char *path, size_t parent, const char *name)
{
	struct op op = { .kind = OP_MAKE, .dir = parent };
	struct stat st;

	if (fstatat(dir, path, &st, AT_SYMLINK_NOFOLLOW))
		abort();
	op.node = add_known(&st, S_ISDIR(st.st_mode));
	strcpy(op.name, name);
	shim_record(op);
}

void shim_record_write(size_t node, uint64_t at, const void *p, size_t n, uint64_t size)
{
	struct op op = { .kind = OP_WRITE, .node = node, .at = at, .n = n };

	op.longer = at + n > size;
	op.data = malloc(n + 1);
	if (!op.data)
		abort();
	memcpy(op.data, p, n);
	shim_record(op);
}

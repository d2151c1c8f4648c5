#include "sandbox/launcher/cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config/base/dir.h"
#include "config/base/io.h"
#include "sandbox/launcher/launcher.h"

#define MOUNTINFO_MAX (1 << 20)
#define INIT_MEMORY ((uint64_t)2 << 20) /* init, and what the kernel keeps for the cell itself */
#define PARENT_PREFIX "assay-"
#define CELL_PREFIX "cell"
#define REMOVE_TRIES 200 /* of 5 ms: a dead process leaves its group a little later */

const char *const controller_names[CONTROLLERS] = { "memory", "pids", "cpu", "cpuacct" };

static enum err write_file(int dir, const char *name, const char *text)
{
	enum err e = write_text(dir, name, text);

	return e ? failed(e, "cgroup %s", err_reason()) : OK;
}

static void read_file(int dir, const char *name, char *text, size_t room)
{
	CLEANUP(fd) int fd = openat(dir, name, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? 0 : read(fd, text, room - 1);

	text[n > 0 ? n : 0] = '\0';
}

/* Without swap there is nothing to limit, and no such file. */
static enum err write_if_there(int dir, const char *name, const char *text)
{
	if (faccessat(dir, name, F_OK, 0) && errno == ENOENT)
		return OK;
	return write_file(dir, name, text);
}

static unsigned controllers(const char *options)
{
	unsigned bits = 0;

	for (int i = 0; i < CONTROLLERS; i++)
		if (has_word(options, controller_names[i]))
			bits |= 1u << i;
	return bits;
}

/* Version 2: a controller must be handed down from the top, then from the parent. */
static unsigned enable(int dir, unsigned bits)
{
	for (int i = 0; i < CONTROLLERS; i++) {
		char text[32];

		snprintf(text, sizeof text, "+%s", controller_names[i]);
		if (bits & 1u << i && write_file(dir, "cgroup.subtree_control", text))
			bits &= ~(1u << i);
	}
	return bits;
}

/* With the first of them, which is process 1 of its namespace, all others die. */
static void kill_members(int dir)
{
	char text[4096];

	read_file(dir, "cgroup.procs", text, sizeof text);
	for (char *p = text, *end; *p; p = *end ? end + 1 : end) {
		long pid = strtol(p, &end, 10);

		if (pid > 1)
			kill((pid_t)pid, SIGKILL);
	}
}

static bool removed(int parent, const char *name)
{
	if (unlinkat(parent, name, AT_REMOVEDIR) == 0 || errno == ENOENT)
		return true;
	CLEANUP(fd) int dir = openat(parent, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	kill_members(dir);
	return false;
}

static void remove_group(int parent, const char *name)
{
	for (int i = 0; i < REMOVE_TRIES && !removed(parent, name); i++)
		usleep(5000);
}

/* Calls @each for the groups in @dir whose names start so. */
static enum err sweep(int dir, const char *prefix, enum err (*each)(int dir, const char *name))
{
	CLEANUP(dir) DIR *list = dir_list(dir);
	enum err e = OK;

	if (!list)
		return failed(ERR_IO, "sweeping cgroups: %m");
	for (const char *name; !e && (name = dir_next(list));)
		if (strncmp(name, prefix, strlen(prefix)) == 0)
			e = each(dir, name);
	return e;
}

static enum err sweep_cell(int parent, const char *name)
{
	remove_group(parent, name);
	return OK;
}

/* Of a launcher that was killed and never started again: nobody holds its lock. */
static enum err sweep_orphan(int top, const char *name)
{
	CLEANUP(fd) int dir = openat(top, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);

	if (dir < 0)
		return errno == ENOENT ? OK : failed(ERR_IO, "sweeping cgroups: %m");
	if (flock(dir, LOCK_EX | LOCK_NB))
		return OK;
	enum err e = sweep(dir, CELL_PREFIX, sweep_cell);
	unlinkat(top, name, AT_REMOVEDIR);
	return e;
}

/* Our group, locked; @out stays -1 when it can't be had. A launcher that ends removes it while the
 * next one waits for its lock: then what was locked is gone, and is made again. */
static enum err open_parent(int top, const char *name, int *out)
{
	for (int i = 0; i < REMOVE_TRIES; i++, usleep(5000)) {
		struct stat held, named;

		bool made = mkdirat(top, name, 0755) == 0;
		if (!made && errno != EEXIST)
			return OK;
		CLEANUP(fd)
		int dir = openat(top, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
		if (dir < 0 && errno == ENOENT)
			continue;
		bool locked = dir >= 0 && flock(dir, LOCK_EX | LOCK_NB) == 0;
		if (locked && !fstat(dir, &held) &&
		    !fstatat(top, name, &named, AT_SYMLINK_NOFOLLOW) &&
		    held.st_ino == named.st_ino) {
			*out = fd_steal(&dir);
			return OK;
		}
		if (dir >= 0 && (locked || errno == EWOULDBLOCK))
			continue;
		if (made)
			unlinkat(top, name, AT_REMOVEDIR);
		return dir < 0 ? OK : failed(ERR_IO, "flock of cgroup %s: %m", name);
	}
	return failed(ERR_EXISTS, "another launcher uses the cgroup %s", name);
}

static enum err add_hierarchy(struct cgroups *g, const char *path, int version, unsigned bits)
{
	char text[512];
	enum err e;

	if (version == 1 && !bits)
		return OK;
	CLEANUP(fd) int top = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (version == 2 && top >= 0) {
		read_file(top, "cgroup.controllers", text, sizeof text);
		bits = controllers(text);
	}
	for (size_t i = 0; i < g->n; i++)
		bits &= ~g->at[i].controllers;
	if (top < 0 || !bits)
		return OK;
	if (version == 2 && !(bits = enable(top, bits)))
		return OK;
	CLEANUP(fd) int parent = -1;
	if ((e = open_parent(top, g->parent, &parent)) || parent < 0)
		return e; /* not ours to use: the controller is missing */
	if (version == 2 && !(bits = enable(parent, bits)))
		return OK;
	g->at[g->n].version = version;
	g->at[g->n].controllers = bits;
	g->at[g->n].top = fd_steal(&top);
	g->at[g->n].parent = fd_steal(&parent);
	g->n++;
	if ((e = sweep(g->at[g->n - 1].parent, CELL_PREFIX, sweep_cell)))
		return e;
	return sweep(g->at[g->n - 1].top, PARENT_PREFIX, sweep_orphan);
}

/* One line: "id parent major:minor root point options [optional...] - type source options". */
static enum err take_mount(struct cgroups *g, char *line)
{
	char point[PATH_MAX], type[32], options[256];
	char *tail = strstr(line, " - ");

	if (g->n == CONTROLLERS || !tail || sscanf(line, "%*s %*s %*s %*s %4095s", point) != 1 ||
	    sscanf(tail, " - %31s %*s %255s", type, options) != 2 || strchr(point, '\\'))
		return OK;
	if (strcmp(type, "cgroup") == 0)
		return add_hierarchy(g, point, 1, controllers(options));
	if (strcmp(type, "cgroup2") == 0)
		return add_hierarchy(g, point, 2, 0);
	return OK;
}

/* The hierarchy that has it; -1: none. */
static int place_of(const struct cgroups *groups, enum controller controller)
{
	for (size_t i = 0; i < groups->n; i++)
		if (groups->at[i].controllers & 1u << controller)
			return (int)i;
	return -1;
}

/* Each cell weighs as much as one ordinary process, so that together they weigh as many as they are;
 * among them they are equal. */
static enum err weigh(const struct cgroups *g, uint32_t cells)
{
	int at = place_of(g, CGROUP_CPU);
	bool v2 = at >= 0 && g->at[at].version == 2;
	char text[32];

	snprintf(text, sizeof text, "%" PRIu32, cells * (v2 ? 100 : 1024));
	return at < 0 ? OK : write_file(g->at[at].parent, v2 ? "cpu.weight" : "cpu.shares", text);
}

enum err cgroups_open(const char *name, uint32_t cells, struct cgroups *out)
{
	CLEANUP(buf) struct buf text = BUF_INIT;
	char *rest, *line;
	enum err e;

	*out = (struct cgroups){ 0 };
	snprintf(out->parent, sizeof out->parent, PARENT_PREFIX "%s", name);
	if ((e = io_read_file("/proc/self/mountinfo", MOUNTINFO_MAX, &text)))
		return e;
	if (!buf_text(&text))
		return buf_check(&text);
	for (line = strtok_r((char *)text.data, "\n", &rest); line;
	     line = strtok_r(NULL, "\n", &rest))
		if ((e = take_mount(out, line)))
			return e;
	return weigh(out, cells);
}

/* Which hierarchy counts CPU time; -1: none. */
static int cpu_counter(const struct cgroups *groups)
{
	int cpu = place_of(groups, CGROUP_CPU);

	return cpu >= 0 && groups->at[cpu].version == 2 ? cpu : place_of(groups, CGROUP_CPUACCT);
}

bool cgroups_have(const struct cgroups *groups, enum controller controller)
{
	return place_of(groups, controller) >= 0 &&
	       (controller != CGROUP_CPU || cpu_counter(groups) >= 0);
}

void cgroups_forget(struct cgroups *groups, enum controller controller)
{
	for (size_t i = 0; i < groups->n; i++)
		groups->at[i].controllers &= ~(1u << controller);
}

void cgroups_close(struct cgroups *groups)
{
	for (size_t i = 0; i < groups->n; i++) {
		remove_group(groups->at[i].top, groups->parent);
		fd_cleanup(&groups->at[i].top);
		fd_cleanup(&groups->at[i].parent);
	}
	groups->n = 0;
}

static enum err limit_memory(int version, int dir, uint64_t bytes)
{
	char text[32];
	enum err e;

	snprintf(text, sizeof text, "%" PRIu64, bytes + INIT_MEMORY);
	if (version == 2) {
		if ((e = write_file(dir, "memory.max", text)) ||
		    (e = write_if_there(dir, "memory.swap.max", "0")))
			return e;
		return write_file(dir, "memory.oom.group", "1");
	}
	if ((e = write_file(dir, "memory.limit_in_bytes", text)))
		return e;
	return write_if_there(dir, "memory.memsw.limit_in_bytes", text);
}

static enum err set_limits(const struct cgroups *g, size_t i, int dir, uint64_t memory,
			   uint32_t processes)
{
	unsigned bits = g->at[i].controllers;
	char text[32];
	enum err e;

	if (bits & 1u << CGROUP_MEMORY && (e = limit_memory(g->at[i].version, dir, memory)))
		return e;
	snprintf(text, sizeof text, "%" PRIu32, processes + 1); /* and init */
	if (bits & 1u << CGROUP_PIDS && (e = write_file(dir, "pids.max", text)))
		return e;
	return OK;
}

enum err cgroup_make(const struct cgroups *groups, uint32_t number, uint64_t memory,
		     uint32_t processes, struct cgroup_cell *out)
{
	enum err e = OK;

	*out = (struct cgroup_cell){ .dir = { -1, -1, -1, -1 } };
	snprintf(out->name, sizeof out->name, CELL_PREFIX "%" PRIu32, number);
	for (size_t i = 0; i < groups->n && !e; i++) {
		int parent = groups->at[i].parent;

		if (mkdirat(parent, out->name, 0755) ||
		    (out->dir[i] = openat(parent, out->name, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) <
			    0)
			e = failed(ERR_IO, "cgroup %s: %m", out->name);
		else
			e = set_limits(groups, i, out->dir[i], memory, processes);
	}
	if (e)
		(void)cgroup_remove(groups, out);
	return e;
}

enum err cgroup_join(const struct cgroups *groups, const struct cgroup_cell *cell)
{
	enum err e;

	for (size_t i = 0; i < groups->n; i++)
		if (groups->at[i].version == 1 && (e = write_file(cell->dir[i], "tasks", "0")))
			return e;
	return OK;
}

int cgroup_v2(const struct cgroups *groups, const struct cgroup_cell *cell)
{
	for (size_t i = 0; i < groups->n; i++)
		if (groups->at[i].version == 2)
			return cell->dir[i];
	return -1;
}

enum err cgroup_open_usage(const struct cgroups *groups, const struct cgroup_cell *cell,
			   int files[USAGE_FILES])
{
	const struct {
		int place;
		const char *v1, *v2;
	} list[USAGE_FILES] = {
		[USAGE_MEMORY] = { place_of(groups, CGROUP_MEMORY), "memory.oom_control",
				   "memory.events" },
		[USAGE_PROCESSES] = { place_of(groups, CGROUP_PIDS), "pids.events", "pids.events" },
		[USAGE_CPU] = { cpu_counter(groups), "cpuacct.usage", "cpu.stat" },
	};

	for (int i = 0; i < USAGE_FILES; i++) {
		int at = list[i].place;
		const char *name = at < 0                        ? "/dev/null"
				   : groups->at[at].version == 2 ? list[i].v2
								 : list[i].v1;
		files[i] = openat(at < 0 ? -1 : cell->dir[at], name, O_RDONLY | O_CLOEXEC);
		if (files[i] < 0)
			return failed(ERR_IO, "cgroup %s: %m", name);
	}
	return OK;
}

bool cgroup_remove(const struct cgroups *groups, struct cgroup_cell *cell)
{
	bool gone = true;

	for (size_t i = 0; i < groups->n; i++) {
		fd_cleanup(&cell->dir[i]);
		gone &= removed(groups->at[i].parent, cell->name);
	}
	return gone;
}

/* soak - very many runs in a row, and whether anything grew: descriptors, memory, mounts, cgroups,
 * processes, of this program and of the launcher.
 *
 *   soak PROGRAMS_DIRECTORY PACKAGE RUNS
 *
 * The package copies its input. Prints a line every tenth of the runs; exits 1 when something grew
 * after the first tenth.
 */
#include <dirent.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config/base/io.h"
#include "sandbox/sandbox.h"

#define NAME "50a650a6"
#define MEMORY_SLACK 1024 /* KiB: what an allocator may keep */

static const char *const hierarchies[] = { "/sys/fs/cgroup", "/sys/fs/cgroup/memory",
					   "/sys/fs/cgroup/pids", "/sys/fs/cgroup/cpu" };

struct counts {
	long descriptors, memory, launcher_descriptors, launcher_memory, mounts, groups, children;
};

static void __attribute__((noreturn, format(printf, 1, 2))) die(const char *format, ...)
{
	va_list list;

	va_start(list, format);
	vfprintf(stderr, format, list);
	va_end(list);
	fputc('\n', stderr);
	exit(1);
}

static void check(enum err e)
{
	if (e)
		die("%s", err_reason());
}

static long entries(const char *path, const char *prefix)
{
	DIR *d = opendir(path);
	long n = 0;

	for (struct dirent *e; d && (e = readdir(d));)
		n += strncmp(e->d_name, prefix, strlen(prefix)) == 0;
	if (d)
		closedir(d);
	return n;
}

static long resident(const char *path)
{
	char line[256];
	long value = 0;
	FILE *f = fopen(path, "re");

	while (f && fgets(line, sizeof line, f))
		if (strncmp(line, "VmRSS:", 6) == 0)
			value = atol(line + 6);
	if (f)
		fclose(f);
	return value;
}

static long words(const char *path, const char *between)
{
	CLEANUP(buf) struct buf text = BUF_INIT;
	char *rest = NULL;
	long n = 0;

	check(io_read_file(path, 1 << 22, &text));
	if (!buf_text(&text))
		die("no memory");
	for (char *p = strtok_r((char *)text.data, between, &rest); p;
	     p = strtok_r(NULL, between, &rest))
		n++;
	return n;
}

static pid_t child_of(pid_t parent)
{
	char path[64];
	int pid = 0;

	snprintf(path, sizeof path, "/proc/%d/task/%d/children", (int)parent, (int)parent);
	FILE *f = fopen(path, "re");
	if (!f || fscanf(f, "%d", &pid) != 1)
		die("no launcher");
	fclose(f);
	return pid;
}

static struct counts count(pid_t launcher)
{
	char path[96];
	struct counts c = { .descriptors = entries("/proc/self/fd", ""),
			    .memory = resident("/proc/self/status") };

	snprintf(path, sizeof path, "/proc/%d/fd", (int)launcher);
	c.launcher_descriptors = entries(path, "");
	snprintf(path, sizeof path, "/proc/%d/status", (int)launcher);
	c.launcher_memory = resident(path);
	snprintf(path, sizeof path, "/proc/%d/mountinfo", (int)launcher);
	c.mounts = words(path, "\n");
	snprintf(path, sizeof path, "/proc/%d/task/%d/children", (int)launcher, (int)launcher);
	c.children = words(path, " \n");
	for (size_t i = 0; i < sizeof hierarchies / sizeof *hierarchies; i++) {
		snprintf(path, sizeof path, "%s/assay-" NAME, hierarchies[i]);
		c.groups += entries(path, "cell");
	}
	return c;
}

static void print(unsigned long runs, const struct counts *c)
{
	printf("%8lu runs: descriptors %ld and %ld, KiB %ld and %ld, mounts %ld, groups %ld, "
	       "cells %ld\n",
	       runs, c->descriptors, c->launcher_descriptors, c->memory, c->launcher_memory,
	       c->mounts, c->groups, c->children);
	fflush(stdout);
}

static bool grew(const struct counts *a, const struct counts *b)
{
	return b->descriptors > a->descriptors || b->mounts > a->mounts ||
	       b->launcher_descriptors > a->launcher_descriptors || b->groups > a->groups ||
	       b->children > a->children || b->memory > a->memory + MEMORY_SLACK ||
	       b->launcher_memory > a->launcher_memory + MEMORY_SLACK;
}

static struct sandbox_image *add_image(struct sandbox *box, const char *path)
{
	CLEANUP(buf) struct buf raw = BUF_INIT;
	CLEANUP(fd) int fd = -1;
	struct sandbox_image *image;
	struct package package;

	check(io_read_file(path, PACKAGE_MAX, &raw));
	check(package_parse(buf_slice(&raw), &package));
	check(io_memfd("package", buf_slice(&raw), &fd));
	check(sandbox_image_add(box, fd, package.measurement, &image));
	return image;
}

static void run_many(struct sandbox_image *image, unsigned long n)
{
	for (unsigned long i = 0; i < n; i++) {
		CLEANUP(run) struct run run = { 0 };

		check(sandbox_run(image, slice_text("the same"), NULL, &run));
		if (run.kind != RUN_EXIT || run.code ||
		    !slice_is(buf_slice(&run.output), "the same"))
			die("run %lu: kind %d, code %u", i, (int)run.kind, run.code);
	}
	usleep(100000); /* what is done ahead is done */
}

int main(int argc, char **argv)
{
	char launcher[4096], init[4096];
	struct sandbox *box;
	struct counts first = { 0 }, last = { 0 };

	if (argc != 4 || atol(argv[3]) < 10)
		die("usage: soak PROGRAMS_DIRECTORY PACKAGE RUNS");
	snprintf(launcher, sizeof launcher, "%s/assay-launcher", argv[1]);
	snprintf(init, sizeof init, "%s/assay-init", argv[1]);
	const struct sandbox_options options = { .launcher = launcher,
						 .init = init,
						 .uid_base = 2100000000,
						 .name = NAME,
						 .allow_missing = "",
						 .cells_max = 1 };
	check(sandbox_start(&options, &box));
	struct sandbox_image *image = add_image(box, argv[2]);
	unsigned long step = (unsigned long)atol(argv[3]) / 10;
	for (unsigned long i = 1; i <= 10; i++) {
		run_many(image, step);
		last = count(child_of(getpid()));
		if (i == 1)
			first = last;
		print(i * step, &last);
	}
	sandbox_image_drop(image);
	sandbox_close(box);
	if (grew(&first, &last))
		die("something grew");
	return 0;
}

#include "testbed/bench/ways.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config/base/io.h"
#include "sandbox/pack.h"
#include "testbed/bench/measure.h"
#include "testbed/bench/spawn.h"

#define UID_BASE 2100000000u
#define UIDS 1024 /* more than the cells of one sandbox need */
#define CELLS 16
#define PARKED_CELLS 4
#define PARK_TRIES 50
#define PARK_US 2000
#define LINE 256 /* bytes of input: a shell reads them one at a time */

const char *const program_name[] = {
#define PROGRAM(id, name, what) name,
#define WAY(id, name, what, runs, every, ...)
#include "testbed/bench/ways.def"
#undef PROGRAM
#undef WAY
};

#define PROGRAM(id, name, what)
#define WAY(id, name, what, runs, every, ...) \
	static const char *const argv_##id[] = { __VA_ARGS__, NULL };
#include "testbed/bench/ways.def"
#undef WAY
#define WAY(id, name, what, runs, every, ...) { name, what, runs, every, argv_##id },
const struct way_kind way_kind[] = {
#include "testbed/bench/ways.def"
};
#undef PROGRAM
#undef WAY

static const char *programs, *work;
static char line[LINE];
static struct sandbox *demand, *fresh, *parked;
static struct sandbox_image *parked_image;
static struct {
	struct sandbox_image *demand, *fresh;
	struct limits
		limits[2]; /* of fresh runs, by turns: a cell with others is never used again */
	unsigned turn;
} images[PROGRAMS];

static void check(enum err e)
{
	if (e)
		die("%s", err_reason());
}

struct slice ways_input(void)
{
	return slice_of(line, sizeof line);
}

struct sandbox *ways_sandbox(const char *name, uint32_t cells)
{
	static uint32_t sandboxes;
	char launcher[PATH_MAX], init[PATH_MAX];
	struct sandbox *box;
	const struct sandbox_options options = { .launcher = launcher,
						 .init = init,
						 .uid_base = UID_BASE + UIDS * sandboxes++,
						 .name = name,
						 .allow_missing = "",
						 .cells_max = cells };

	snprintf(launcher, sizeof launcher, "%s/assay-launcher", programs);
	snprintf(init, sizeof init, "%s/assay-init", programs);
	check(sandbox_start(&options, &box));
	return box;
}

struct sandbox_image *ways_image(struct sandbox *box, enum program program, enum park park,
				 struct limits *limits)
{
	CLEANUP(buf) struct buf raw = BUF_INIT;
	CLEANUP(fd) int fd = -1;
	char root[PATH_MAX];
	struct manifest manifest;
	struct package package;
	struct sandbox_image *image;

	snprintf(root, sizeof root, "%s/%s/root", work, program_name[program]);
	manifest_default(&manifest);
	manifest.id = manifest.label = slice_text(program_name[program]);
	manifest.version = slice_text("1");
	manifest.park = park;
	check(package_from_directory(root, "/echo", &manifest, &raw));
	check(package_parse(buf_slice(&raw), &package));
	check(io_memfd("package", buf_slice(&raw), &fd));
	check(sandbox_image_add(box, fd, package.measurement, &image));
	*limits = package.manifest.limits;
	return image;
}

void ways_open(const char *programs_directory, const char *work_directory)
{
	programs = programs_directory;
	work = work_directory;
	memset(line, 'x', sizeof line);
	line[sizeof line - 1] = '\n';
	demand = ways_sandbox("be7c0001", CELLS);
	fresh = ways_sandbox("be7c0002", 1);
	for (int p = 0; p < PROGRAMS; p++) {
		struct limits *limits = images[p].limits;

		images[p].demand = ways_image(demand, p, PARK_OFF, &limits[0]);
		images[p].fresh = ways_image(fresh, p, PARK_OFF, &limits[0]);
		limits[1] = limits[0];
		limits[1].processes--;
	}
}

void ways_park(enum program program)
{
	struct limits limits;

	parked = ways_sandbox("be7c0004", PARKED_CELLS);
	parked_image = ways_image(parked, program, PARK_ON, &limits);
}

void ways_unpark(void)
{
	sandbox_close(parked);
	parked = NULL;
}

void ways_close(void)
{
	sandbox_close(demand);
	sandbox_close(fresh);
}

void ways_enter(enum program program)
{
	char path[PATH_MAX];

	snprintf(path, sizeof path, "%s/%s", work, program_name[program]);
	if (chdir(path))
		die("%s: %s", path, strerror(errno));
}

static const char *run_ours(struct sandbox_image *image, const struct limits *limits,
			    enum run_start *start)
{
	static _Thread_local char why[160];
	CLEANUP(run) struct run run = { 0 };

	if (sandbox_run(image, ways_input(), limits, &run))
		return err_reason();
	if (run.kind != RUN_EXIT || run.code) {
		snprintf(why, sizeof why, "it failed in the cell: kind %d, code %u: %.100s",
			 (int)run.kind, run.code, buf_text(&run.messages));
		why[strcspn(why, "\n|")] = '\0'; /* it becomes part of a row */
		return why;
	}
	if (run.output.len != sizeof line || memcmp(run.output.data, line, sizeof line) != 0)
		return "its output is not its input";
	*start = run.start;
	return NULL;
}

static const char *run_fresh(enum program program, enum run_start *start)
{
	const struct limits *limits = &images[program].limits[images[program].turn++ % 2];
	const char *why = run_ours(images[program].fresh, limits, start);

	return why || *start == RUN_FRESH ? why : "the cell had been used";
}

static const char *try(enum program program, enum way way, enum run_start *start)
{
	static const char *const none[] = { NULL };
	static const char *const tools[] = { "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root",
					     NULL };

	switch (way) {
	case WAY_DEMAND:
		return run_ours(images[program].demand, NULL, start);
	case WAY_FRESH:
		return run_fresh(program, start);
	case WAY_PARKED:
		return run_ours(parked_image, NULL, start);
	case WAY_SPAWN:
		return spawn_run(way_kind[way].argv, none, ways_input());
	default:
		return spawn_run(way_kind[way].argv, tools, ways_input());
	}
}

/* Programs are parked off the path, so it may take a while until the first one is. */
static const char *try_parked(enum program program)
{
	enum run_start start = RUN_FRESH;
	const char *why = NULL;

	ways_park(program);
	for (int i = 0; !why && start != RUN_PARKED && i < PARK_TRIES; i++) {
		why = try(program, WAY_PARKED, &start);
		usleep(PARK_US);
	}
	ways_unpark();
	return why || start == RUN_PARKED ? why : "no program was parked";
}

const char *way_lacks(enum program program, enum way way)
{
	enum run_start start;

	ways_enter(program);
	return way == WAY_PARKED ? try_parked(program) : try(program, way, &start);
}

bool way_run(enum program program, enum way way)
{
	enum run_start start = RUN_FRESH;
	const char *why = try(program, way, &start);

	if (why)
		die("%s, %s: %s", program_name[program], way_kind[way].what, why);
	return start == RUN_PARKED;
}

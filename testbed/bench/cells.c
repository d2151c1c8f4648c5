/* cells - the sandbox alone: runs per second from many threads, no HSM, no log, no module.
 *
 *   cells PROGRAMS_DIRECTORY PACKAGE INPUT THREADS SECONDS CELLS
 *
 * Prints "runs-per-second runs".
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "config/base/io.h"
#include "sandbox/sandbox.h"
#include "testbed/bench/measure.h"

#define THREADS_MAX 256

static struct sandbox_image *image;
static struct buf input;
static uint64_t end;
static atomic_ulong done;

static void check(enum err e)
{
	if (e)
		die("%s", err_reason());
}

static void *work(void *unused)
{
	while (now_ns() < end) {
		CLEANUP(run) struct run run = { 0 };
		check(sandbox_run(image, buf_slice(&input), NULL, &run));
		if (run.kind != RUN_EXIT || run.code)
			die("the application failed: kind %d, code %u", (int)run.kind, run.code);
		atomic_fetch_add(&done, 1);
	}
	return unused;
}

static void add_image(struct sandbox *box, const char *path)
{
	struct buf raw = BUF_INIT;
	struct package package;
	CLEANUP(fd) int fd = -1;

	check(io_read_file(path, PACKAGE_MAX, &raw));
	check(package_parse(buf_slice(&raw), &package));
	check(io_memfd("package", buf_slice(&raw), &fd));
	check(sandbox_image_add(box, fd, package.measurement, &image));
	buf_free(&raw);
}

int main(int argc, char **argv)
{
	pthread_t threads[THREADS_MAX];
	char launcher[4096], init[4096];
	struct sandbox *box;

	if (argc != 7 || atoi(argv[4]) < 1 || atoi(argv[4]) > THREADS_MAX)
		die("usage: cells PROGRAMS_DIRECTORY PACKAGE INPUT THREADS SECONDS CELLS");
	snprintf(launcher, sizeof launcher, "%s/assay-launcher", argv[1]);
	snprintf(init, sizeof init, "%s/assay-init", argv[1]);
	struct sandbox_options options = { .launcher = launcher,
					   .init = init,
					   .uid_base = 2100000000,
					   .name = "be7c0de0",
					   .allow_missing = "",
					   .cells_max = (uint32_t)atoi(argv[6]) };
	int n = atoi(argv[4]);
	check(io_read_file(argv[3], 1 << 26, &input));
	check(sandbox_start(&options, &box));
	add_image(box, argv[2]);
	uint64_t start = now_ns();
	end = start + (uint64_t)atoi(argv[5]) * 1000000000u;
	for (int i = 0; i < n; i++)
		if (pthread_create(&threads[i], NULL, work, NULL))
			die("no thread");
	for (int i = 0; i < n; i++)
		pthread_join(threads[i], NULL);
	double seconds = (double)(now_ns() - start) / 1e9;
	printf("%.1f %lu\n", (double)atomic_load(&done) / seconds, atomic_load(&done));
	sandbox_image_drop(image);
	sandbox_close(box);
	buf_free(&input);
	return 0;
}

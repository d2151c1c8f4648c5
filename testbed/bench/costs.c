#include "testbed/bench/costs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/types.h>
#include <unistd.h>

#include "testbed/bench/measure.h"

static double of_rusage(int who)
{
	struct rusage use;

	getrusage(who, &use);
	return (double)(use.ru_utime.tv_sec + use.ru_stime.tv_sec) * 1e6 +
	       (double)(use.ru_utime.tv_usec + use.ru_stime.tv_usec);
}

/* The process's own and its ended children's. */
static double of_process(pid_t pid)
{
	char path[64], text[1024];
	unsigned long ticks[4] = { 0 };

	snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
	FILE *f = fopen(path, "re");
	size_t n = f ? fread(text, 1, sizeof text - 1, f) : 0;
	if (f)
		fclose(f);
	text[n] = '\0';
	const char *rest = strrchr(text, ')');
	if (rest)
		(void)sscanf(rest + 1,
			     " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu %lu %lu",
			     &ticks[0], &ticks[1], &ticks[2], &ticks[3]);
	return (double)(ticks[0] + ticks[1] + ticks[2] + ticks[3]) * 1e6 /
	       (double)sysconf(_SC_CLK_TCK);
}

/* Adds up over all below a process, so many generations deep. */
static double below(pid_t pid, int deep, double (*of)(pid_t))
{
	char path[64];
	double sum = 0;
	int child;

	snprintf(path, sizeof path, "/proc/%d/task/%d/children", (int)pid, (int)pid);
	FILE *f = fopen(path, "re");
	while (f && fscanf(f, "%d", &child) == 1)
		sum += of(child) + (deep > 1 ? below(child, deep - 1, of) : 0);
	if (f)
		fclose(f);
	return sum;
}

double costs_cpu_us(void)
{
	/* Launchers, their inits. */
	return of_rusage(RUSAGE_SELF) + of_rusage(RUSAGE_CHILDREN) + below(getpid(), 2, of_process);
}

/* The number after a word at the start of a line, or of the whole file when the word is empty. */
static double number_in(const char *path, const char *word)
{
	char line[256];
	double number = 0;
	size_t n = strlen(word);
	FILE *f = fopen(path, "re");

	while (f && fgets(line, sizeof line, f))
		if (strncmp(line, word, n) == 0) {
			number = strtod(line + n, NULL);
			break;
		}
	if (f)
		fclose(f);
	return number;
}

static double share_of(pid_t pid)
{
	char path[64];

	snprintf(path, sizeof path, "/proc/%d/smaps_rollup", (int)pid);
	return number_in(path, "Pss:") * 1024;
}

static double one(pid_t pid)
{
	(void)pid;
	return 1;
}

double costs_inits(double *n)
{
	*n = below(getpid(), 2, one) - below(getpid(), 1, one);
	return below(getpid(), 2, share_of) - below(getpid(), 1, share_of);
}

double costs_group(const char *name)
{
	char path[128];

	snprintf(path, sizeof path, "/sys/fs/cgroup/memory/assay-%s/memory.kmem.usage_in_bytes",
		 name);
	double version_1 = number_in(path, "");
	snprintf(path, sizeof path, "/sys/fs/cgroup/assay-%s/memory.stat", name);
	return version_1 > 0 ? version_1 : number_in(path, "kernel ");
}

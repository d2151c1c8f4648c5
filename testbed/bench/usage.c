#include "testbed/bench/usage.h"

#include <stdio.h>
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

/* Of all below a process, so many generations deep. */
static double of_children(pid_t pid, int deep)
{
	char path[64];
	double sum = 0;
	int child;

	snprintf(path, sizeof path, "/proc/%d/task/%d/children", (int)pid, (int)pid);
	FILE *f = fopen(path, "re");
	while (f && fscanf(f, "%d", &child) == 1)
		sum += of_process(child) + (deep > 1 ? of_children(child, deep - 1) : 0);
	if (f)
		fclose(f);
	return sum;
}

double usage_cpu_us(void)
{
	/* Launchers, their inits. */
	return of_rusage(RUSAGE_SELF) + of_rusage(RUSAGE_CHILDREN) + of_children(getpid(), 2);
}

double usage_available(void)
{
	unsigned long kib = 0;
	char line[256];
	FILE *f = fopen("/proc/meminfo", "re");

	while (f && fgets(line, sizeof line, f))
		if (sscanf(line, "MemAvailable: %lu kB", &kib) == 1)
			break;
	if (f)
		fclose(f);
	return (double)kib * 1024;
}

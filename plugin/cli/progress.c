#include "plugin/cli/progress.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config/base/io.h"

#define EVERY_MS 100
#define BAR 32

void progress_start(struct progress *progress, const char *what)
{
	const char *terminal = getenv("TERM");
	uint64_t now = io_monotonic_ms();

	*progress =
		(struct progress){ isatty(STDERR_FILENO) && terminal && strcmp(terminal, "dumb"),
				   what, now, now };
}

void progress_show(struct progress *progress, uint64_t done, uint64_t total)
{
	static const char full[] = "################################";
	uint64_t now;

	if (!progress->on || (now = io_monotonic_ms()) - progress->last < EVERY_MS)
		return;
	progress->last = now;
	double rate = (double)done * 1000 / (double)(now - progress->start);
	if (!total)
		(void)fprintf(stderr, "\r\033[K%llu %s, %.0f/s", (unsigned long long)done,
			      progress->what, rate);
	else
		(void)fprintf(stderr, "\r\033[K[%-*.*s] %3.0f %%  %llu of %llu %s, %.0f/s", BAR,
			      (int)(BAR * (done < total ? done : total) / total), full,
			      100.0 * (double)(done < total ? done : total) / (double)total,
			      (unsigned long long)done, (unsigned long long)total, progress->what,
			      rate);
}

void progress_end(struct progress *progress)
{
	if (progress->on && progress->last != progress->start)
		(void)fprintf(stderr, "\r\033[K");
	progress->on = false;
}

#include "sandbox/usage.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config/base/io.h"

static const char *text_of(const struct usage *usage, enum usage_file file, char text[1024])
{
	ssize_t n = pread(usage->files[file], text, 1023, 0);

	text[n > 0 ? n : 0] = '\0';
	return text;
}

/* The number after @key, which ends with its space; 0 where there is none. */
static uint64_t number_after(const char *text, const char *key)
{
	const char *at = strstr(text, key);

	return at ? strtoull(at + strlen(key), NULL, 10) : 0;
}

bool usage_out_of_memory(const struct usage *usage)
{
	char text[1024];

	return number_after(text_of(usage, USAGE_MEMORY, text), "oom_kill ") > 0;
}

uint64_t usage_refused(const struct usage *usage)
{
	char text[1024];

	return number_after(text_of(usage, USAGE_PROCESSES, text), "max ");
}

/* cpu.stat of version 2; cpuacct.usage of version 1 is one number, of nanoseconds. */
uint64_t usage_cpu_us(const struct usage *usage)
{
	char text[1024];

	text_of(usage, USAGE_CPU, text);
	if (*text >= '0' && *text <= '9')
		return strtoull(text, NULL, 10) / 1000;
	return number_after(text, "usage_usec ");
}

void usage_close(struct usage *usage)
{
	for (int i = 0; i < USAGE_FILES; i++)
		fd_cleanup(&usage->files[i]);
}

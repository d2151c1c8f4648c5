#include "config/base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

static const char *program_name = "assay";
static enum log_level threshold = LOG_LEVEL_INFO;

void log_start(const char *program, enum log_level level)
{
	program_name = program;
	threshold = level;
}

void log_line(enum log_level level, const char *format, ...)
{
	static const char *const names[] = { "error", "warning", "info", "debug" };
	char line[1024];
	int saved = errno;

	if (level > threshold)
		return;
	int head = snprintf(line, sizeof line, "%s: %s: ", program_name, names[level]);
	if (head < 0 || head >= (int)sizeof line)
		return;
	va_list args;
	va_start(args, format);
	errno = saved;
	int body = vsnprintf(line + head, sizeof line - (size_t)head - 1, format, args);
	va_end(args);
	if (body < 0)
		return;
	size_t n = (size_t)head + (size_t)body;
	if (n > sizeof line - 2)
		n = sizeof line - 2;
	for (size_t i = 0; i < n; i++)
		if ((unsigned char)line[i] < 0x20 || line[i] == 0x7f)
			line[i] = '?';
	line[n++] = '\n';
	/* One write for one line: threads and processes that share stderr do not mix. */
	if (write(STDERR_FILENO, line, n) < 0)
		errno = saved;
	errno = saved;
}

#include "config/base/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

static _Thread_local char reason[ERR_REASON_MAX];

void err_note(const char *format, ...)
{
	/* The format may quote an earlier reason, so the new one is made beside it. */
	char text[ERR_REASON_MAX];
	int saved = errno;
	va_list args;

	va_start(args, format);
	errno = saved;
	if (vsnprintf(text, sizeof text, format, args) < 0)
		text[0] = '\0';
	va_end(args);
	snprintf(reason, sizeof reason, "%s", text);
	errno = saved;
}

const char *err_reason(void)
{
	return reason;
}

static const struct {
	const char *name, *words;
} errors[ERR_COUNT] = {
	[OK] = { "OK", "OK" },
#define ERROR(name, words) [name] = { #name, words },
#include "config/base/errors.def"
#undef ERROR
};

const char *err_name(enum err e)
{
	return (unsigned)e < ERR_COUNT ? errors[e].name : "ERR_?";
}

const char *err_words(enum err e)
{
	return (unsigned)e < ERR_COUNT ? errors[e].words : "unknown error";
}

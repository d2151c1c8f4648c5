#include "plugin/cli/html.h"

#include <string.h>
#include <time.h>

#include "plugin/cli/json.h"

void html_put_text(struct buf *out, struct slice text)
{
	static const char special[] = "&<>\"'";
	static const char *const entities[] = { "&amp;", "&lt;", "&gt;", "&quot;", "&#39;" };
	CLEANUP(buf) struct buf plain = BUF_INIT;

	plain_put_text(&plain, text);
	if (buf_check(&plain))
		out->failed = true;
	for (size_t i = 0; i < plain.len; i++) {
		const char *found = memchr(special, plain.data[i], sizeof special - 1);

		if (found)
			buf_put_text(out, entities[found - special]);
		else
			buf_put_u8(out, plain.data[i]);
	}
}

void html_put(struct buf *out, const char *text)
{
	html_put_text(out, slice_text(text));
}

void html_put_number(struct buf *out, uint64_t value)
{
	if (value >= 1000) {
		html_put_number(out, value / 1000);
		buf_printf(out, ",%03u", (unsigned)(value % 1000));
	} else {
		buf_printf(out, "%u", (unsigned)value);
	}
}

void html_put_time(struct buf *out, int64_t seconds)
{
	time_t t = (time_t)seconds;
	struct tm tm;

	html_put_minute(out, seconds);
	if (gmtime_r(&t, &tm))
		buf_printf(out, ":%02d", tm.tm_sec);
}

void html_put_minute(struct buf *out, int64_t seconds)
{
	time_t t = (time_t)seconds;
	char text[64];
	struct tm tm;

	if (gmtime_r(&t, &tm) && strftime(text, sizeof text, "%Y-%m-%d %H:%M", &tm))
		buf_put_text(out, text);
	else
		buf_printf(out, "@%lld", (long long)seconds);
}

void html_put_span(struct buf *out, uint64_t us)
{
	if (us < 1000)
		buf_printf(out, "%u µs", (unsigned)us);
	else if (us < 1000000)
		buf_printf(out, "%.*f ms", us < 10000 ? 2 : us < 100000 ? 1 : 0, (double)us / 1e3);
	else
		buf_printf(out, "%.*f s", us < 100000000 ? 2 : 0, (double)us / 1e6);
}

#include "plugin/cli/audit_filter.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "audit/leaf_text.h"
#include "config/base/io.h"
#include "plugin/cli/html.h"

/* ---- reading ---- */

/* "2026-11-25", or with "T16:00", "T16:00:05", and "Z" or "+01:00" behind that; UTC without. */
static bool take_date(const char *text, int64_t *out)
{
	struct tm tm = { 0 };
	const char *end = strptime(text, "%Y-%m-%d", &tm);
	int hours, minutes, n = 0;
	char sign;

	if (end && (*end == 'T' || *end == ' ')) {
		const char *seconds = strptime(end + 1, "%H:%M:%S", &tm);

		end = seconds ? seconds : strptime(end + 1, "%H:%M", &tm);
	}
	if (!end)
		return false;
	*out = timegm(&tm);
	if (sscanf(end, "%c%2d:%2d%n", &sign, &hours, &minutes, &n) == 3 && n == 6 &&
	    (sign == '+' || sign == '-')) {
		*out -= (sign == '+' ? 1 : -1) * (hours * 3600 + minutes * 60);
		end += n;
	} else if (*end == 'Z') {
		end++;
	}
	return !*end;
}

/* "@1764000000", or "90m", "24h", "7d": so long ago. */
static bool take_seconds(const char *text, int64_t *out)
{
	static const char units[] = "smhd";
	static const int64_t seconds[] = { 1, 60, 3600, 86400 };
	bool absolute = *text == '@';
	char *end;

	text += absolute;
	if (!isdigit((unsigned char)*text) || strlen(text) > 15)
		return false;
	int64_t n = strtoll(text, &end, 10);
	const char *unit = absolute || !*end ? NULL : strchr(units, *end);
	if (absolute ? *end : !unit || end[1])
		return false;
	if (unit && n > (int64_t)1 << 40)
		return false;
	*out = absolute ? n : (int64_t)(io_realtime_us() / 1000000) - n * seconds[unit - units];
	return true;
}

MUST static enum err take_time(const char *text, int64_t *out)
{
	return take_date(text, out) || take_seconds(text, out)
		       ? OK
		       : failed(ERR_USAGE,
				"a time expected (2026-11-25, 2026-11-25T16:00:00Z, @1764000000, "
				"or 24h for 24 hours ago), found \"%s\"",
				text);
}

/* Without regard to case, and to whether a blank was written as "-". */
static bool same_name(const char *text, size_t n, const char *name)
{
	if (strlen(name) != n)
		return false;
	for (size_t i = 0; i < n; i++)
		if (tolower((unsigned char)text[i]) != tolower((unsigned char)name[i]) &&
		    !(text[i] == '-' && name[i] == ' '))
			return false;
	return true;
}

typedef const char *name_of(unsigned number); /* NULL behind the last */

/* "user,SO": a bit for each name. */
MUST static enum err take_names(const char *text, name_of *names, const char *what, uint64_t *bits)
{
	*bits = 0;
	for (;;) {
		size_t n = strcspn(text, ",");
		unsigned i = 0;

		while (names(i) && !same_name(text, n, names(i)))
			i++;
		if (!names(i))
			return failed(ERR_USAGE, "no %s are called \"%.*s\"", what, (int)n, text);
		*bits |= (uint64_t)1 << i;
		if (!text[n])
			return OK;
		text += n + 1;
	}
}

static const char *type_of(unsigned i)
{
	return i == 0 ? "" : i <= LEAF_TCB ? leaf_type_name((enum leaf_type)i) : NULL;
}

static const char *role_of(unsigned i)
{
	return i <= LEAF_ROLE_ADMIN ? leaf_role_name((enum leaf_role)i) : NULL;
}

/* The ends of a run by their numbers, and two words that sum them up. */
enum { STATUS_OK = LEAF_OUTCOMES_N, STATUS_FAILED };

static const char *status_of(unsigned i)
{
	return i < LEAF_OUTCOMES_N  ? leaf_status_name(i)
	       : i == STATUS_OK     ? "ok"
	       : i == STATUS_FAILED ? "failed"
				    : NULL;
}

static enum err read_from(struct filter *f, const char *text)
{
	return take_time(text, &f->from);
}

static enum err read_to(struct filter *f, const char *text)
{
	return take_time(text, &f->to);
}

static enum err read_types(struct filter *f, const char *text)
{
	return take_names(text, type_of, "records", &f->types);
}

static enum err read_roles(struct filter *f, const char *text)
{
	return take_names(text, role_of, "roles", &f->roles);
}

static enum err read_statuses(struct filter *f, const char *text)
{
	return take_names(text, status_of, "ends of a run", &f->statuses);
}

static enum err read_proof(struct filter *f, const char *text)
{
	size_t n = strspn(text, "0123456789abcdefABCDEF");

	(void)f;
	return n >= 4 && n <= 32 && !text[n]
		       ? OK
		       : failed(ERR_USAGE, "4 to 32 hexadecimal digits expected, found \"%s\"",
				text);
}

static enum err read_text(struct filter *f, const char *text)
{
	(void)f;
	return *text ? OK : failed(ERR_USAGE, "a text expected");
}

/* ---- what passes ---- */

/* One record, and the text of the option that is asked. */
struct question {
	const struct filter *filter;
	const char *text, *origin;
	const struct leaf *leaf;
};

static bool passes_from(const struct question *q)
{
	return q->leaf->time >= q->filter->from;
}

static bool passes_to(const struct question *q)
{
	return q->leaf->time < q->filter->to;
}

static bool passes_type(const struct question *q)
{
	return q->filter->types >> q->leaf->type & 1;
}

static bool passes_role(const struct question *q)
{
	enum leaf_role role = q->leaf->has_caller ? q->leaf->role : LEAF_ROLE_NONE;

	return q->filter->roles >> role & 1;
}

static bool passes_status(const struct question *q)
{
	const struct leaf *leaf = q->leaf;
	bool good = leaf->status_kind == LEAF_ENDED_EXIT && leaf->status_code == 0;

	return leaf->has_status &&
	       ((q->filter->statuses >> leaf->status_kind & 1) ||
		(q->filter->statuses >> (good ? STATUS_OK : STATUS_FAILED) & 1));
}

static bool passes_application(const struct question *q)
{
	return slice_is(q->leaf->subject, q->text);
}

static bool passes_proof(const struct question *q)
{
	char hex[2 * sizeof q->leaf->cti + 1];

	hex_put(hex, q->leaf->cti, sizeof q->leaf->cti);
	return !strncasecmp(hex, q->text, strlen(q->text));
}

static bool passes_tree(const struct question *q)
{
	return strstr(q->origin, q->text) != NULL;
}

static bool passes_partition(const struct question *q)
{
	return slice_is(q->leaf->partition_label, q->text) ||
	       slice_is(q->leaf->partition_serial, q->text);
}

static const struct row {
	const char *name, *value;
	enum err (*read)(struct filter *filter, const char *text);
	bool (*passes)(const struct question *q);
	const char *help;
} rows[] = {
	[FILTER_FROM] = { "from", "TIME", read_from, passes_from, "not before this time" },
	[FILTER_TO] = { "to", "TIME", read_to, passes_to,
			"before this time; UTC unless it says otherwise" },
	{ "type", "TYPE,...", read_types, passes_type,
	  "execution, refusal, authorization, management..." },
	{ "application", "ID", read_text, passes_application, "of this application" },
	{ "role", "ROLE,...", read_roles, passes_role, "user, SO, administrator, none" },
	{ "status", "STATUS,...", read_statuses, passes_status,
	  "ok, failed, exit, signal, time-limit, memory-limit..." },
	{ "proof", "ID", read_proof, passes_proof, "of this proof id (cti), or its beginning" },
	{ "tree", "TEXT", read_text, passes_tree, "of trees in whose origin this occurs" },
	{ "partition", "NAME", read_text, passes_partition, "of this label or serial" },
};
_Static_assert(sizeof rows / sizeof *rows == FILTER_OPTIONS_N, "an option for each row");

void filter_options(struct filter *filter, struct cli_option *options)
{
	for (size_t i = 0; i < FILTER_OPTIONS_N; i++)
		options[i] = (struct cli_option){ rows[i].name, CLI_KIND_TEXT, &filter->given[i],
						  rows[i].value, rows[i].help };
}

enum err filter_read(struct filter *filter)
{
	for (size_t i = 0; i < FILTER_OPTIONS_N; i++) {
		enum err e = filter->given[i] ? rows[i].read(filter, filter->given[i]) : OK;

		if (e)
			return failed(e, "%s: %s", rows[i].name, err_reason());
	}
	return OK;
}

bool filter_passes(const struct filter *filter, const char *origin, const struct leaf *leaf)
{
	for (size_t i = 0; i < FILTER_OPTIONS_N; i++) {
		const struct question q = { filter, filter->given[i], origin, leaf };

		if (q.text && !rows[i].passes(&q))
			return false;
	}
	return true;
}

void filter_put_words(const struct filter *filter, struct buf *out)
{
	bool first = true;

	for (size_t i = 0; i < FILTER_OPTIONS_N; i++) {
		if (!filter->given[i] || i == FILTER_FROM || i == FILTER_TO)
			continue;
		buf_printf(out, "%s%s ", first ? "<p class=\"only\">Only records with: " : ", ",
			   rows[i].name);
		html_put(out, filter->given[i]);
		first = false;
	}
	buf_put_text(out, first ? "" : "</p>\n");
}

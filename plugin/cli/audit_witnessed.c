#include "plugin/cli/audit_witnessed.h"

#include <fcntl.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "config/base/io.h"
#include "plugin/cli/json.h"

enum err trail_witnessed(const struct trail *trail, const char *origin, struct buf *note)
{
	CLEANUP(fd) int root = -1;
	CLEANUP(fd) int trees = -1;
	enum err e = trail_open(trail, &root, &trees);

	return e ? e : public_witnessed(trees, origin, note);
}

static enum err add_one(const struct trail *trail, const char *origin, struct against *against)
{
	CLEANUP(buf) struct buf raw = BUF_INIT;
	struct note note;
	enum err e = trail_witnessed(trail, origin, &raw);

	if (e)
		return e == ERR_NOT_FOUND ? OK : e;
	if ((e = note_read(buf_slice(&raw), &note)) || (e = against_add(against, &note)))
		return failed(e, "the witnessed checkpoint of %s: %s", origin, err_reason());
	return OK;
}

static enum err add_own(const struct trail *trail, struct against *against)
{
	CLEANUP(published) struct published list = { 0 };
	enum err e = trail_published(trail, &list);

	for (size_t i = 0; !e && i < list.n; i++)
		e = add_one(trail, list.items[i].origin, against);
	return e;
}

enum err witnessed_read(const struct trail *trail, const char *policy, struct against *against)
{
	CLEANUP(buf) struct buf text = BUF_INIT;
	enum err e;

	if ((e = cli_read(policy, TRUST_MAX, &text)) ||
	    (e = trust_read(buf_slice(&text), policy, true, &against->trust)))
		return e;
	return add_own(trail, against);
}

/* The largest head of a tree with the quorum; NULL: none has it. */
static const struct against_head *newest(const struct against *against, const char *origin)
{
	const struct against_head *best = NULL;

	for (size_t i = 0; i < against->n; i++) {
		const struct against_head *head = &against->heads[i];

		if (head->quorum && !strcmp(head->origin, origin) &&
		    (!best || head->size > best->size))
			best = head;
	}
	return best;
}

static bool is_asked(const struct against *against, const struct auditor_tree *tree)
{
	return tree->size > 1 && trust_names(against->trust, tree->origin);
}

enum err witnessed_check(const struct against *against, const struct auditor_report *report)
{
	for (size_t i = 0; against->trust && i < report->trees_n; i++)
		if (is_asked(against, &report->trees[i]) &&
		    !newest(against, report->trees[i].origin))
			return failed(ERR_MISMATCH,
				      "%s: no checkpoint of it has the quorum of witnesses",
				      report->trees[i].origin);
	return OK;
}

static void put_time(uint64_t seconds, char text[32])
{
	time_t t = (time_t)seconds;
	struct tm tm;

	if (!gmtime_r(&t, &tm) || !strftime(text, 32, "%Y-%m-%dT%H:%M:%SZ", &tm))
		snprintf(text, 32, "%llu", (unsigned long long)seconds);
}

static void put_tree(const struct auditor_tree *tree, const struct against_head *head, bool json,
		     bool first, struct buf *out)
{
	char when[32];

	put_time(head->count.newest, when);
	if (json) {
		buf_put_text(out, first ? "{" : ", {");
		json_put_field(out, "origin", slice_text(tree->origin), true);
		buf_printf(out, ", \"size\": %llu, \"witnesses\": %zu, \"newest\": \"%s\"}",
			   (unsigned long long)head->size, head->count.n, when);
		return;
	}
	plain_put_text(out, slice_text(tree->origin));
	buf_printf(out,
		   ": %llu records are vouched for by %zu witnesses (last at %s), %llu not yet\n",
		   (unsigned long long)head->size, head->count.n, when,
		   (unsigned long long)(tree->size - head->size));
}

void witnessed_print(const struct against *against, const struct auditor_report *report, bool json,
		     struct buf *out)
{
	bool first = true;

	if (!against->trust)
		return;
	buf_put_text(out, json ? ", \"witnessed\": [" : "");
	for (size_t i = 0; i < report->trees_n; i++) {
		const struct against_head *head = newest(against, report->trees[i].origin);

		if (!head)
			continue;
		put_tree(&report->trees[i], head, json, first, out);
		first = false;
	}
	buf_put_text(out, json ? "]" : "");
}

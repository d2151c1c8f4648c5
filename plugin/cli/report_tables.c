#include <string.h>

#include "audit/leaf_text.h"
#include "plugin/cli/html.h"
#include "plugin/cli/report.h"

static void put_hex(struct buf *out, const uint8_t *bytes, size_t n)
{
	buf_put_text(out, "<code>");
	buf_put_hex(out, slice_of(bytes, n));
	buf_put_text(out, "</code>");
}

/* @class: "k" keeps its words on one line, "p" and "o" have room for a partition and an origin. */
static void put_cell(struct buf *out, const char *class, const char *text)
{
	buf_printf(out, "<td class=\"%s\">", class);
	html_put(out, text);
	buf_put_text(out, "</td>");
}

static void put_count(struct buf *out, uint64_t value)
{
	buf_put_text(out, "<td class=\"n\">");
	html_put_number(out, value);
	buf_put_text(out, "</td>");
}

static void put_when(struct buf *out, int64_t when)
{
	buf_put_text(out, "<td class=\"t\">");
	html_put_time(out, when);
	buf_put_text(out, "</td>");
}

static void open_table(struct buf *out, const char *headings)
{
	buf_printf(out, "<table>\n<thead><tr>%s</tr></thead>\n<tbody>\n", headings);
}

static void close_table(struct buf *out)
{
	buf_put_text(out, "</tbody>\n</table>\n");
}

static void put_app(const struct report_app *app, struct buf *out)
{
	buf_put_text(out, "<tr class=\"app\">");
	put_cell(out, "p", app->partition);
	buf_put_text(out, "<td><b>");
	html_put(out, app->id);
	buf_put_text(out, "</b><br>");
	html_put(out, app->label);
	buf_put_text(out, "</td>");
	put_cell(out, "", app->version);
	put_count(out, app->runs);
	put_count(out, app->failed);
	buf_put_text(out, "<td class=\"t\">");
	html_put_time(out, app->first);
	buf_put_text(out, "<br>");
	html_put_time(out, app->last);
	buf_put_text(out, "</td></tr>\n<tr class=\"under\"><td></td><td colspan=\"5\">");
	buf_put_text(out, app->measured ? "measurement " : "image ");
	put_hex(out, app->measured ? app->measurement : app->image, SHA256_SIZE);
	buf_put_text(out, "</td></tr>\n");
}

static void put_apps(const struct report *report, struct buf *out)
{
	buf_put_text(out, "<section>\n<h2>Applications that ran</h2>\n");
	if (!report->apps_n) {
		buf_put_text(out, "<p>None ran in this period.</p>\n</section>\n");
		return;
	}
	open_table(out, "<th>Partition</th><th>Application</th><th>Version</th>"
			"<th class=\"n\">Runs</th><th class=\"n\">Failed</th><th>First and last "
			"run</th>");
	for (size_t i = 0; i < report->apps_n; i++)
		put_app(&report->apps[i], out);
	close_table(out);
	buf_put_text(out,
		     report->apps_full ? "<p>There were more, which are not listed.</p>\n" : "");
	buf_put_text(out, "<p class=\"note\">A measurement stands for every file of the "
			  "application, its arguments and its limits: <code>assay measure "
			  "PACKAGE</code> prints the same number for the same "
			  "package.</p>\n</section>\n");
}

static void put_acts(const struct report *report, struct buf *out)
{
	size_t kept = report->acts_n < REPORT_ACTS_MAX ? report->acts_n : REPORT_ACTS_MAX;

	buf_put_text(out, "<section>\n<h2>Keys, policy and administration</h2>\n");
	if (!kept) {
		buf_put_text(out, "<p>Nothing was changed in this period.</p>\n</section>\n");
		return;
	}
	if (kept < report->acts_n) {
		buf_put_text(out, "<p>The latest ");
		html_put_number(out, kept);
		buf_put_text(out, " of ");
		html_put_number(out, report->acts_n);
		buf_put_text(out, ".</p>\n");
	}
	open_table(out, "<th>Time (UTC)</th><th>Record</th><th>By</th><th>What was "
			"done</th><th>Log</th>");
	for (size_t i = 0; i < kept; i++) {
		const struct report_act *act = &report->acts[i];

		buf_put_text(out, "<tr class=\"act\">");
		put_when(out, act->time);
		put_cell(out, "k", leaf_type_name(act->type));
		put_cell(out, "k", *act->role ? act->role : "–");
		buf_put_text(out, "<td>");
		html_put(out, act->subject);
		buf_put_text(out, *act->subject && *act->words ? ": " : "");
		html_put(out, act->words);
		buf_put_text(out, "</td>");
		put_cell(out, "o", act->origin);
		buf_put_text(out, "</tr>\n");
	}
	close_table(out);
	buf_put_text(out, "</section>\n");
}

static void put_refusals(const struct report *report, struct buf *out)
{
	buf_put_text(out, "<section>\n<h2>Why requests were refused</h2>\n");
	if (!report->reasons_n) {
		buf_put_text(out, "<p>None was.</p>\n</section>\n");
		return;
	}
	open_table(out, "<th>Reason</th><th class=\"n\">Records</th><th>Last (UTC)</th>");
	for (size_t i = 0; i < report->reasons_n; i++) {
		const struct report_reason *r = &report->reasons[i];

		buf_put_text(out, "<tr class=\"reason\">");
		put_cell(out, "", *r->words ? r->words : "–");
		put_count(out, r->count);
		put_when(out, r->last);
		buf_put_text(out, "</tr>\n");
	}
	close_table(out);
	buf_put_text(out, report->reasons_full ? "<p>There were other reasons, which are not "
						 "listed.</p>\n"
					       : "");
	buf_put_text(out, "<p class=\"note\">What repeats is counted, and its number is in the "
			  "record's words: a record may stand for many refusals.</p>\n");
	buf_put_text(out, "</section>\n");
}

static void put_outcomes(const struct report *report, struct buf *out)
{
	buf_put_text(out, "<section class=\"half\">\n<h2>How executions ended</h2>\n");
	open_table(out, "<th>End</th><th class=\"n\">Executions</th>");
	buf_put_text(out, "<tr><td>success</td>");
	put_count(out, report->types[LEAF_EXECUTION] - report->failed);
	buf_put_text(out, "</tr>\n");
	for (uint64_t i = 0; i < LEAF_OUTCOMES_N; i++) {
		uint64_t n = report->outcomes[i];

		if (i == LEAF_ENDED_EXIT)
			n -= report->types[LEAF_EXECUTION] - report->failed;
		if (!n)
			continue;
		buf_put_text(out, "<tr>");
		put_cell(out, "",
			 i == LEAF_ENDED_EXIT ? "another exit status than 0" : leaf_status_name(i));
		put_count(out, n);
		buf_put_text(out, "</tr>\n");
	}
	close_table(out);
	buf_put_text(out, "</section>\n");
}

static void put_types(const struct report *report, struct buf *out)
{
	buf_put_text(out, "<section class=\"half\">\n<h2>Records of the period</h2>\n");
	open_table(out, "<th>Type</th><th class=\"n\">Records</th>");
	for (int type = LEAF_EXECUTION; type <= LEAF_TCB; type++) {
		if (!report->types[type])
			continue;
		buf_put_text(out, "<tr class=\"type\">");
		put_cell(out, "", leaf_type_name((enum leaf_type)type));
		put_count(out, report->types[type]);
		buf_put_text(out, "</tr>\n");
	}
	close_table(out);
	buf_put_text(out, "</section>\n");
}

/* Line by line, since what is no text would become "?". */
static void put_note(struct slice note, struct buf *out)
{
	const char *before = "<pre class=\"note\">";

	if (!note.left)
		return;
	while (note.left) {
		const uint8_t *end = memchr(note.p, '\n', note.left);
		size_t n = end ? (size_t)(end - note.p) : note.left;

		buf_put_text(out, before);
		html_put_text(out, slice_of(note.p, n));
		n += end != NULL;
		note = slice_of(note.p + n, note.left - n);
		before = "\n";
	}
	buf_put_text(out, "</pre>\n");
}

static void put_trees(const struct report *report, struct buf *out)
{
	buf_put_text(out, "<section>\n<h2>The log's trees and checkpoints</h2>\n");
	open_table(out, "<th>Origin</th><th class=\"n\">Records</th><th class=\"n\">Under a signed "
			"head</th><th class=\"n\">Unsigned</th>");
	for (size_t i = 0; i < report->audited.trees_n; i++) {
		const struct auditor_tree *t = &report->audited.trees[i];

		buf_put_text(out, "<tr class=\"tree\">");
		put_cell(out, "o", t->origin);
		put_count(out, t->size);
		put_count(out, t->signed_size);
		put_count(out, t->size - t->signed_size);
		buf_put_text(out, "</tr>\n<tr class=\"under\"><td colspan=\"4\">root ");
		put_hex(out, t->root, sizeof t->root);
		buf_put_text(out, "</td></tr>\n");
	}
	close_table(out);
	buf_put_text(out, "<p>The newest signed checkpoints, as they are published. Whoever keeps "
			  "them can show later whether the log was cut back or rewritten: "
			  "<code>assay audit verify --against FILE</code>.</p>\n");
	for (size_t i = 0; i < report->checkpoints.n; i++)
		put_note(buf_slice(&report->checkpoints.items[i].note), out);
	buf_put_text(out, "</section>\n");
}

void report_put_tables(const struct report *report, struct buf *out)
{
	put_apps(report, out);
	put_acts(report, out);
	put_refusals(report, out);
	buf_put_text(out, "<div class=\"halves\">\n");
	put_outcomes(report, out);
	put_types(report, out);
	buf_put_text(out, "</div>\n");
	put_trees(report, out);
}

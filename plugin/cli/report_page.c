#include <string.h>

#include "audit/leaf_text.h"
#include "plugin/cli/html.h"
#include "plugin/cli/report.h"

/* The page's only style. Its hash is in the page's policy, which lets nothing else in: no script, no
 * other style, nothing from anywhere. */
static const char style[] =
#include "plugin/cli/report_style.h"
	;

static void put_head(struct buf *out)
{
	uint8_t digest[SHA256_SIZE];

	sha256_once(slice_text(style), digest);
	buf_put_text(out, "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
			  "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src "
			  "'none'; style-src 'sha256-");
	buf_put_base64(out, SLICE(digest));
	buf_put_text(out, "'; base-uri 'none'; form-action 'none'\">\n"
			  "<meta name=\"referrer\" content=\"no-referrer\">\n"
			  "<meta name=\"viewport\" content=\"width=device-width\">\n"
			  "<title>Audit report</title>\n<style>");
	buf_put_text(out, style);
	buf_put_text(out, "</style>\n</head>\n");
}

/* ---- small pieces ---- */

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

static void put_count(struct buf *out, const char *id, uint64_t value)
{
	buf_put_text(out, "<td class=\"n\"");
	if (id)
		buf_printf(out, " id=\"%s\"", id);
	buf_put_text(out, ">");
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

/* ---- top ---- */

static const char *appliance_of(const struct report *report)
{
	return report->audited.trees_n ? report->audited.trees[0].origin : "";
}

static void put_title(const struct report *report, struct buf *out)
{
	buf_put_text(out, "<header>\n<p class=\"kind\">Audit report</p>\n<h1>");
	html_put(out, appliance_of(report));
	buf_put_text(out, "</h1>\n<p class=\"period\">");
	if (report->records) {
		html_put_minute(out, report->first);
		buf_put_text(out, " to ");
		html_put_minute(out, report->last);
		buf_put_text(out, " UTC");
	} else {
		buf_put_text(out, "no records");
	}
	buf_put_text(out, " <span>written ");
	html_put_minute(out, report->made);
	buf_put_text(out, " UTC</span></p>\n");
	filter_put_words(&report->filter, out);
	buf_put_text(out, "</header>\n");
}

static void put_verdict(const struct report *report, struct buf *out)
{
	buf_printf(out, "<section class=\"verdict %s\" id=\"verdict\">\n",
		   report->holds ? "holds" : "broken");
	if (report->holds) {
		buf_put_text(out, "<h2>The log holds</h2>\n<p>");
		html_put_number(out, report->audited.records);
		buf_put_text(out, " records in ");
		html_put_number(out, report->audited.trees_n);
		buf_put_text(out, " trees, ");
		html_put_number(out, report->audited.heads);
		buf_put_text(out, " signed heads: all of them were checked for this report; <a "
				  "href=\"#unchecked\">what was not</a> is said below.");
	} else {
		buf_put_text(out, "<h2>The log does not hold</h2>\n<p>");
		html_put(out, report->reason);
		buf_put_text(out, ". Nothing below counts as evidence.");
	}
	buf_put_text(out, "</p>\n");
	if (report->development) {
		buf_put_text(out, "<p class=\"warn\">");
		html_put_number(out, report->development);
		buf_put_text(out, " of the period's records are development evidence: whoever ran "
				  "the application could have forged them.</p>\n");
	}
	buf_put_text(out, "</section>\n");
}

static void open_figure(struct buf *out, const char *name)
{
	buf_printf(out, "<div><dt>%s</dt><dd id=\"", name);
}

static void put_figure(struct buf *out, const char *name, const char *id, uint64_t value)
{
	open_figure(out, name);
	buf_printf(out, "%s\">", id);
	html_put_number(out, value);
	buf_put_text(out, "</dd></div>\n");
}

static void put_span(struct buf *out, const char *name, const char *id, uint64_t us, bool any)
{
	open_figure(out, name);
	buf_printf(out, "%s\">", id);
	if (any)
		html_put_span(out, us);
	else
		buf_put_text(out, "–");
	buf_put_text(out, "</dd></div>\n");
}

static void put_figures(const struct report *report, struct buf *out)
{
	uint64_t runs = report->types[LEAF_EXECUTION];

	buf_put_text(out, "<dl class=\"figures\">\n");
	put_figure(out, "Executions", "executions", runs);
	put_figure(out, "succeeded", "succeeded", runs - report->failed);
	put_figure(out, "failed", "failed", report->failed);
	put_figure(out, "Refusals", "refusals", report->types[LEAF_REFUSAL]);
	put_span(out, "Duration, p50", "p50",
		 report_percentile(report->samples, report->samples_n, 50), runs > 0);
	put_span(out, "Duration, p99", "p99",
		 report_percentile(report->samples, report->samples_n, 99), runs > 0);
	put_figure(out, "Changes", "changes", report->acts_n);
	put_figure(out, "Records", "records", report->records);
	buf_put_text(out, "</dl>\n");
}

/* ---- sections ---- */

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
	for (size_t i = 0; i < report->apps_n; i++) {
		const struct report_app *app = &report->apps[i];

		buf_put_text(out, "<tr class=\"app\">");
		put_cell(out, "p", app->partition);
		buf_put_text(out, "<td><b>");
		html_put(out, app->id);
		buf_put_text(out, "</b><br>");
		html_put(out, app->label);
		buf_put_text(out, "</td>");
		put_cell(out, "", app->version);
		put_count(out, NULL, app->runs);
		put_count(out, NULL, app->failed);
		buf_put_text(out, "<td class=\"t\">");
		html_put_time(out, app->first);
		buf_put_text(out, "<br>");
		html_put_time(out, app->last);
		buf_put_text(out, "</td></tr>\n<tr class=\"under\"><td></td><td colspan=\"5\">");
		buf_put_text(out, app->measured ? "measurement " : "image ");
		put_hex(out, app->measured ? app->measurement : app->image, SHA256_SIZE);
		buf_put_text(out, "</td></tr>\n");
	}
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
		put_count(out, NULL, r->count);
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
	put_count(out, NULL, report->types[LEAF_EXECUTION] - report->failed);
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
		put_count(out, NULL, n);
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
		put_count(out, NULL, report->types[type]);
		buf_put_text(out, "</tr>\n");
	}
	close_table(out);
	buf_put_text(out, "</section>\n");
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
		put_count(out, NULL, t->size);
		put_count(out, NULL, t->signed_size);
		put_count(out, NULL, t->size - t->signed_size);
		buf_put_text(out, "</tr>\n<tr class=\"under\"><td colspan=\"4\">root ");
		put_hex(out, t->root, sizeof t->root);
		buf_put_text(out, "</td></tr>\n");
	}
	close_table(out);
	buf_put_text(out, "<p>The newest signed checkpoints, as they are published. Whoever keeps "
			  "them can show later whether the log was cut back or rewritten: "
			  "<code>assay audit verify --against FILE</code>.</p>\n");
	for (size_t i = 0; i < report->checkpoints.n; i++) {
		const struct buf *note = &report->checkpoints.items[i].note;

		for (struct slice left = buf_slice(note), line; left.left;) {
			const uint8_t *end = memchr(left.p, '\n', left.left);
			size_t n = end ? (size_t)(end - left.p) : left.left;

			line = slice_of(left.p, n);
			buf_put_text(out, left.p == note->data ? "<pre class=\"note\">" : "\n");
			html_put_text(out, line);
			n += end != NULL;
			left = slice_of(left.p + n, left.left - n);
		}
		buf_put_text(out, note->len ? "</pre>\n" : "");
	}
	buf_put_text(out, "</section>\n");
}

typedef const char *facts_next(const struct trail_facts *facts, size_t *at);

static void put_facts(facts_next *next, const struct report *report, const char *heading,
		      const char *class, struct buf *out)
{
	const char *words;
	size_t at = 0;

	buf_printf(out, "<section class=\"half\" id=\"%s\">\n<h2>%s</h2>\n<ul class=\"%s\">\n",
		   next == trail_checked ? "checked" : "unchecked", heading, class);
	while ((words = next(&report->facts, &at))) {
		buf_put_text(out, "<li>");
		html_put(out, words);
		buf_put_text(out, "</li>\n");
	}
	buf_put_text(out, "</ul>\n</section>\n");
}

static void put_foot(const struct report *report, struct buf *out)
{
	buf_put_text(out, "<footer><p>Certificate of the appliance's CA, by which all was checked: "
			  "SHA-256 ");
	put_hex(out, report->ca_sha256, sizeof report->ca_sha256);
	buf_put_text(out, "</p>\n<p>Made by <code>assay audit report</code> from the log's own "
			  "files. This page is no evidence by itself: the log is, and anybody who "
			  "has a copy and the certificate can make this page again. Times are the "
			  "appliance's, in UTC.</p></footer>\n");
}

void report_put_page(const struct report *report, struct buf *out)
{
	put_head(out);
	buf_put_text(out, "<body>\n<main>\n");
	put_title(report, out);
	put_verdict(report, out);
	put_figures(report, out);
	if (report->records) {
		buf_put_text(out, "<section class=\"plots\">\n");
		report_put_plots(report, out);
		buf_put_text(out, "</section>\n");
	}
	put_apps(report, out);
	put_acts(report, out);
	put_refusals(report, out);
	buf_put_text(out, "<div class=\"halves\">\n");
	put_outcomes(report, out);
	put_types(report, out);
	buf_put_text(out, "</div>\n");
	put_trees(report, out);
	buf_put_text(out, "<div class=\"halves\">\n");
	put_facts(trail_checked, report, report->holds ? "What was checked" : "What is checked",
		  "yes", out);
	put_facts(trail_unchecked, report, "What was not checked", "no", out);
	buf_put_text(out, "</div>\n");
	put_foot(report, out);
	buf_put_text(out, "</main>\n</body>\n</html>\n");
}

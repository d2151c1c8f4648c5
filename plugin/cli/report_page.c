#include <string.h>

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

/* ---- top ---- */

/* Its own tree has the shortest origin: those of partitions begin with it. */
static const char *appliance_of(const struct report *report)
{
	const char *shortest = report->audited.trees_n ? report->audited.trees[0].origin : "";

	for (size_t i = 1; i < report->audited.trees_n; i++)
		if (strlen(report->audited.trees[i].origin) < strlen(shortest))
			shortest = report->audited.trees[i].origin;
	return shortest;
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

static size_t published(const struct report *report)
{
	size_t n = 0;

	for (size_t i = 0; i < report->checkpoints.n; i++)
		n += report->checkpoints.items[i].note.len > 0;
	return n;
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
		buf_put_text(out, " trees, under ");
		html_put_number(out, published(report));
		buf_put_text(out, " signed checkpoints: all of them were checked for this report; "
				  "<a href=\"#unchecked\">what was not</a> is said below.");
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
			  "SHA-256 <code>");
	buf_put_hex(out, SLICE(report->ca_sha256));
	buf_put_text(out,
		     "</code></p>\n<p>Made by <code>assay audit report</code> from the log's own "
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
	report_put_tables(report, out);
	buf_put_text(out, "<div class=\"halves\">\n");
	put_facts(trail_checked, report, report->holds ? "What was checked" : "What is checked",
		  "yes", out);
	put_facts(trail_unchecked, report, "What was not checked", "no", out);
	buf_put_text(out, "</div>\n");
	put_foot(report, out);
	buf_put_text(out, "</main>\n</body>\n</html>\n");
}

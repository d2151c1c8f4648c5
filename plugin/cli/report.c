#include "plugin/cli/report.h"

#include <string.h>

#include "config/base/io.h"
#include "plugin/cli/audit_against.h"

struct work {
	struct trail trail;
	struct cli_list kept; /* --against */
	size_t kept_n;        /* checkpoints in them */
	struct against against;
	struct report report;
};

static void work_cleanup(struct work *work)
{
	trail_cleanup(&work->trail);
	against_cleanup(&work->against);
	report_cleanup(&work->report);
}

static enum err on_record(void *context, const char *origin, uint64_t index, struct slice raw,
			  const struct leaf *leaf)
{
	struct report *report = context;

	(void)index;
	(void)raw;
	return filter_passes(&report->filter, origin, leaf) ? report_add(report, origin, leaf) : OK;
}

/* A log that does not hold is reported too: that it does not is the report. */
static bool is_verdict(enum err e)
{
	return e == ERR_MISMATCH || e == ERR_CRYPTO || e == ERR_FORMAT || e == ERR_RANGE;
}

MUST static enum err walk(struct work *work)
{
	struct report *report = &work->report;
	enum err e;

	e = trail_walk(&work->trail, &work->against, on_record, report, &report->audited);
	if (!e && !(e = trail_settled(&work->against, &report->audited)))
		e = trail_signed(&work->trail, &report->checkpoints);
	report->holds = !e;
	report->facts = (struct trail_facts){ report->audited.live, work->kept_n, work->trail.copy,
					      report->audited.behind };
	if (e)
		snprintf(report->reason, sizeof report->reason, "%s", err_reason());
	return is_verdict(e) ? OK : e;
}

/* Before the log is read, which only grows: those that the page shows are checked like others. */
MUST static enum err read_checkpoints(struct work *work)
{
	struct published *list = &work->report.checkpoints;
	struct note note;
	enum err e = trail_published(&work->trail, list);

	for (size_t i = 0; !e && i < list->n; i++) {
		/* One that is damaged is for the walk to tell. */
		if (list->items[i].note.len && !note_read(buf_slice(&list->items[i].note), &note))
			e = against_add(&work->against, &note);
	}
	return e;
}

MUST static enum err gather(struct work *work)
{
	struct report *report = &work->report;
	enum err e;

	report->made = (int64_t)(io_realtime_us() / 1000000);
	sha256_once(buf_slice(&work->trail.ca_der), report->ca_sha256);
	if ((e = against_read_all(&work->against, &work->kept, work->trail.remembered)))
		return e;
	work->kept_n = work->against.n;
	if ((e = read_checkpoints(work)) || (e = report_start(report)) || (e = walk(work)))
		return e;
	report_settle(report);
	return OK;
}

int cmd_audit_report(struct cli *cli)
{
	CLEANUP(work) struct work work = { 0 };
	CLEANUP(buf) struct buf page = BUF_INIT;
	const char *output = NULL;
	struct cli_option options[FILTER_OPTIONS_N + TRAIL_OPTIONS_N + 2] = {
		CLI_TEXT("o", "FILE", &output, "where the page goes; required"),
		CLI_LIST("against", "CHECKPOINT", &work.kept,
			 "a file with checkpoints that somebody kept"),
		TRAIL_OPTIONS(&work.trail),
	};
	filter_options(&work.report.filter, options + TRAIL_OPTIONS_N + 2);
	enum cli_exit code = cli_options(cli, options, sizeof options / sizeof *options);
	enum err e;

	if (code)
		return code;
	if (!output)
		return cli_usage(cli, "-o is missing: where the page goes");
	if ((e = filter_read(&work.report.filter)) ||
	    (e = trail_find(cli, cli->args_n ? cli->args[0] : NULL, &work.trail)) ||
	    (e = gather(&work)))
		return cli_failed(cli, e);
	report_put_page(&work.report, &page);
	if ((e = buf_check(&page)) || (e = cli_write(cli, output, 0600, buf_slice(&page))))
		return cli_failed(cli, e);
	if (!work.report.holds)
		return cli_failed(
			cli, failed(ERR_MISMATCH, "the log does not hold: %s", work.report.reason));
	return EXIT_HOLDS;
}

#include "plugin/cli/audit_show.h"

static void show_cleanup(struct show *show)
{
	trail_cleanup(&show->trail);
	list_cleanup(&show->list);
}

enum err show_record(void *context, const char *origin, uint64_t index, struct slice raw,
		     const struct leaf *leaf)
{
	struct show *show = context;
	struct list_tree *tree = list_tree(&show->list, origin);

	if (!tree)
		return failed(ERR_MEMORY, "the list of trees");
	if (show->follow && show_interrupted())
		return failed(ERR_GONE, "interrupted");
	if (leaf->time > tree->newest)
		tree->newest = leaf->time;
	if (show->follow)
		peaks_add(&tree->seen, raw);
	tree->next = index + 1;
	return filter_passes(&show->filter, origin, leaf) ? list_add(&show->list, tree, leaf) : OK;
}

/* Where the log does not hold, so much as could be read is printed, and nothing of it counts as
 * signed. */
static enum err show_once(struct show *show, struct cli *cli, size_t most,
			  struct auditor_report *report)
{
	enum err e = trail_walk(&show->trail, NULL, show_record, show, report);

	if (show->follow && show_interrupted())
		return OK;
	for (size_t i = 0; i < show->list.trees_n; i++)
		show->list.trees[i].signed_size = 0;
	for (size_t i = 0; !e && i < report->trees_n; i++) {
		struct list_tree *tree = list_tree(&show->list, report->trees[i].origin);

		if (!tree)
			return failed(ERR_MEMORY, "the list of trees");
		tree->signed_size = report->trees[i].signed_size;
	}
	if (e) {
		CLEANUP(buf) struct buf reason = BUF_INIT;

		buf_put_text(&reason, err_reason());
		enum err printed = list_print(&show->list, most, &cli->out);
		return printed ? printed : failed(e, "%s", buf_text(&reason));
	}
	return list_print(&show->list, most, &cli->out);
}

static enum err show_all(struct show *show, struct cli *cli)
{
	struct auditor_report report = { 0 };
	enum err e =
		show_once(show, cli, show->limit.given ? show->limit.value : SIZE_MAX, &report);

	if (!e)
		e = trail_settled(NULL, &report);
	auditor_report_free(&report);
	return e || !show->follow ? e : show_follow(show, &cli->out);
}

int cmd_audit_show(struct cli *cli)
{
	CLEANUP(show) struct show show = { .list = LIST_INIT(RECORD_LINE) };
	struct cli_option options[FILTER_OPTIONS_N + TRAIL_OPTIONS_N + 3] = {
		CLI_FLAG("follow", &show.follow, "go on as records come in, until interrupted"),
		CLI_NUMBER("limit", "N", &show.limit, "only the last so many"),
		CLI_FLAG("csv", &show.csv, "print CSV (RFC 4180)"),
		TRAIL_OPTIONS(&show.trail),
	};
	filter_options(&show.filter, options + TRAIL_OPTIONS_N + 3);
	enum cli_exit code = cli_options(cli, options, sizeof options / sizeof *options);
	enum err e;

	if (code)
		return code;
	if (show.csv && cli->json)
		return cli_usage(cli, "--csv or --json: one of them expected");
	if ((e = filter_read(&show.filter)) ||
	    (e = trail_find(cli, cli->args_n ? cli->args[0] : NULL, &show.trail)))
		return cli_failed(cli, e);
	show.list.form = show.csv ? RECORD_CSV : cli->json ? RECORD_JSON : RECORD_LINE;
	record_put_heading(show.list.form, &cli->out);
	/* What is followed is read up to its checkpoints, and from one to the next after that. */
	show.trail.copy |= show.follow;
	if (show.follow)
		show_follow_start();
	e = show_all(&show, cli);
	return e ? cli_failed(cli, e) : EXIT_HOLDS;
}

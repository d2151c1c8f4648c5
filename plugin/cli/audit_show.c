#include <signal.h>
#include <string.h>

#include "config/base/io.h"
#include "plugin/cli/audit.h"
#include "plugin/cli/audit_filter.h"
#include "plugin/cli/audit_list.h"

/* While a log is followed it is looked at once a second, and read again when it shows new heads; the
 * longer that takes, the longer until the next time: a tenth of a processor at most. */
#define FOLLOW_MS 1000
#define FOLLOW_SHARE 9

struct show {
	struct trail trail;
	struct filter filter;
	struct list list;
	struct cli_number limit;
	bool csv, follow;
	uint8_t heads[SHA256_SIZE]; /* of all checkpoints, when the log was read */
};

static void show_cleanup(struct show *show)
{
	trail_cleanup(&show->trail);
	list_cleanup(&show->list);
}

static volatile sig_atomic_t interrupted;

static void interrupt(int signal)
{
	(void)signal;
	interrupted = 1;
}

/* Not restarted, so that it also ends a wait. */
static void catch_interrupts(void)
{
	struct sigaction action = { .sa_handler = interrupt };

	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
}

static enum err show_record(void *context, const char *origin, uint64_t index, struct slice raw,
			    const struct leaf *leaf)
{
	struct show *show = context;
	struct list_tree *tree = list_tree(&show->list, origin);

	(void)raw;
	if (!tree)
		return failed(ERR_MEMORY, "the list of trees");
	if (interrupted)
		return failed(ERR_GONE, "interrupted");
	if (leaf->time > tree->newest)
		tree->newest = leaf->time;
	if (index < tree->next)
		return OK;
	tree->next = index + 1;
	return filter_passes(&show->filter, origin, leaf) ? list_add(&show->list, tree, leaf) : OK;
}

/* Where the log does not hold, so much as could be read is printed, and nothing of it counts as
 * signed. */
static enum err show_once(struct show *show, struct cli *cli, size_t most,
			  struct auditor_report *report)
{
	enum err e = trail_walk(&show->trail, NULL, show_record, show, report);

	if (interrupted)
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
	if (show->follow)
		list_hold_back(&show->list);
	return list_print(&show->list, most, &cli->out);
}

/* Did the log grow since it was read? Learned before it is read, so that nothing is missed. */
static enum err look(struct show *show, bool *grew)
{
	CLEANUP(public_list) struct public_list list = { 0 };
	uint8_t heads[SHA256_SIZE];
	struct sha256 h;
	enum err e = trail_published(&show->trail, &list);

	if (e)
		return e;
	sha256_init(&h);
	for (size_t i = 0; i < list.n; i++)
		sha256_add(&h, list.items[i].note.data, list.items[i].note.len);
	sha256_end(&h, heads);
	*grew = memcmp(heads, show->heads, sizeof heads) != 0;
	memcpy(show->heads, heads, sizeof heads);
	return OK;
}

static enum err follow(struct show *show, struct cli *cli)
{
	struct auditor_report report = { 0 };
	uint64_t pause = FOLLOW_MS;
	bool grew = false;
	enum err e = OK;

	while (!e && !interrupted) {
		uint64_t start = io_monotonic_ms();

		if ((e = look(show, &grew)))
			break;
		if (grew) {
			e = show_once(show, cli, SIZE_MAX, &report);
			auditor_report_free(&report);
			pause = FOLLOW_SHARE * (io_monotonic_ms() - start);
		}
		if (!interrupted)
			io_pause(pause > FOLLOW_MS ? pause : FOLLOW_MS);
	}
	return e;
}

static enum err show_all(struct show *show, struct cli *cli)
{
	struct auditor_report report = { 0 };
	bool grew;
	enum err e = show->follow ? look(show, &grew) : OK;

	if (!e)
		e = show_once(show, cli, show->limit.given ? show->limit.value : SIZE_MAX, &report);
	if (!e && !show->follow)
		e = trail_settled(NULL, &report);
	auditor_report_free(&report);
	return e || !show->follow ? e : follow(show, cli);
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
	if (show.follow)
		catch_interrupts();
	e = show_all(&show, cli);
	return e ? cli_failed(cli, e) : EXIT_HOLDS;
}

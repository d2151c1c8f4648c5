#include "audit/auditor.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "audit/leaf_text.h"
#include "plugin/cli/cli.h"
#include "plugin/cli/json.h"

/* What both commands read: the directory, and the CA that everything must lead to. */
struct log {
	const char *ca, *type;
	struct cli_number limit;
	struct buf ca_der;
	char path[4096];
};

static void log_cleanup(struct log *log)
{
	buf_free(&log->ca_der);
}

/* The log named, or the configured daemon's; its CA likewise. */
static enum err find_log(struct cli *cli, struct log *log)
{
	CLEANUP(config) struct config *config = NULL;
	char ca[4096];
	enum err e;

	if (!cli->args_n || !log->ca) {
		if ((e = cli_config(cli, &config)))
			return e;
	}
	snprintf(ca, sizeof ca, "%s/ca.pem", config ? config->state : "");
	if (cli->args_n)
		snprintf(log->path, sizeof log->path, "%s", cli->args[0]);
	else
		snprintf(log->path, sizeof log->path, "%s/log", config->state);
	if (access(log->path, R_OK | X_OK))
		return failed(errno == ENOENT ? ERR_NOT_FOUND : ERR_IO, "%s: %m", log->path);
	return cli_certificate(log->ca ? log->ca : ca, &log->ca_der);
}

static void print_report(const struct auditor_report *r, bool json, struct buf *out)
{
	if (json)
		buf_printf(out,
			   "{\"holds\": true, \"records\": %llu, \"batches\": %llu, "
			   "\"heads\": %llu, \"torn_bytes\": %llu, \"live\": %s, \"trees\": [",
			   (unsigned long long)r->records, (unsigned long long)r->batches,
			   (unsigned long long)r->heads, (unsigned long long)r->torn_bytes,
			   r->live ? "true" : "false");
	for (size_t i = 0; i < r->trees_n; i++) {
		const struct auditor_tree *t = &r->trees[i];

		if (json) {
			buf_put_text(out, i ? ", {" : "{");
			json_put_field(out, "origin", slice_text(t->origin), true);
			buf_printf(out, ", \"size\": %llu, \"signed_size\": %llu",
				   (unsigned long long)t->size, (unsigned long long)t->signed_size);
			json_put_hex(out, "root", SLICE(t->root), false);
			buf_put_text(out, "}");
			continue;
		}
		plain_put_text(out, slice_text(t->origin));
		buf_printf(out,
			   ": %llu records, %llu of them under a signed head, %llu UNSIGNED, root ",
			   (unsigned long long)t->size, (unsigned long long)t->signed_size,
			   (unsigned long long)(t->size - t->signed_size));
		buf_put_hex(out, SLICE(t->root));
		buf_put_text(out, "\n");
	}
	if (json)
		buf_put_text(out, "]}\n");
	else
		buf_printf(out,
			   "The log holds: %llu records in %llu batches, %llu signed heads; %llu "
			   "bytes of a torn tail.\nNot checked here: the frames' HMAC, which needs "
			   "the daemon's token, and so UNSIGNED records%s.\n",
			   (unsigned long long)r->records, (unsigned long long)r->batches,
			   (unsigned long long)r->heads, (unsigned long long)r->torn_bytes,
			   r->live ? " (the log is live)" : "");
}

static enum cli_exit refuse(struct cli *cli, const struct log *log, enum err e)
{
	buf_reset(&cli->out);
	if (e == ERR_NOT_FOUND || e == ERR_IO)
		e = failed(e, "%s: %s", log->path, err_reason());
	if (e == ERR_IO || e == ERR_NOT_FOUND || e == ERR_MEMORY || e == ERR_USAGE)
		return cli_failed(cli, e);
	if (cli->json) {
		buf_put_text(&cli->out, "{\"holds\": false");
		json_put_field(&cli->out, "reason", slice_text(err_reason()), false);
		buf_put_text(&cli->out, "}\n");
	} else {
		buf_put_text(&cli->out, "The log does not hold: ");
		plain_put_text(&cli->out, slice_text(err_reason()));
		buf_put_text(&cli->out, "\n");
	}
	return EXIT_REFUSED;
}

#define CA_OPTION \
	CLI_TEXT("ca", "FILE", &log.ca, "certificate of the appliance's CA; default: STATE/ca.pem")

int cmd_audit_verify(struct cli *cli)
{
	CLEANUP(log) struct log log = { 0 };
	struct auditor_report report = { 0 };
	const struct cli_option options[] = { CA_OPTION };
	enum cli_exit code = cli_options(cli, options, 1);

	if (code)
		return code;
	enum err e = find_log(cli, &log);
	if (e)
		return cli_failed(cli, e);
	if ((e = auditor_verify(log.path, buf_slice(&log.ca_der), NULL, NULL, &report)) ||
	    (e = auditor_settled(&report)))
		code = refuse(cli, &log, e);
	else
		print_report(&report, cli->json, &cli->out);
	auditor_report_free(&report);
	return code;
}

/* The walk of `audit show`: a line for each record of the wanted type. Whether a record is signed is
 * known at the end of the walk only. */
struct line {
	char origin[AUDITOR_ORIGIN];
	uint64_t index;
	size_t at, length; /* in show.text */
};

struct show {
	const char *type;
	bool json;
	struct buf text;
	struct line *lines;
	size_t n, room;
};

static void show_cleanup(struct show *show)
{
	buf_free(&show->text);
	free(show->lines);
}

static enum err add_line(struct show *show, const char *origin, uint64_t index, size_t at)
{
	if (show->n == show->room) {
		size_t room = show->room ? 2 * show->room : 256;
		struct line *more = reallocarray(show->lines, room, sizeof *more);

		if (!more)
			return failed(ERR_MEMORY, "the list of records");
		show->lines = more;
		show->room = room;
	}
	struct line *line = &show->lines[show->n++];
	*line = (struct line){ .index = index, .at = at, .length = show->text.len - at };
	snprintf(line->origin, sizeof line->origin, "%s", origin);
	return buf_check(&show->text);
}

static enum err show_record(void *context, const char *origin, uint64_t index, struct slice raw,
			    const struct leaf *leaf)
{
	struct show *show = context;
	size_t at = show->text.len;

	(void)raw;
	if (show->type && strcmp(show->type, leaf_type_name(leaf->type)))
		return OK;
	if (show->json)
		leaf_json(leaf, &show->text);
	else
		leaf_print_line(leaf, &show->text);
	return add_line(show, origin, index, at);
}

static bool is_signed(const struct auditor_report *report, const struct line *line)
{
	for (size_t i = 0; i < report->trees_n; i++)
		if (!strcmp(report->trees[i].origin, line->origin))
			return line->index < report->trees[i].signed_size;
	return false;
}

/* JSON's claims are an object, which gets a field more. */
static void print_record(const struct show *show, const struct line *line, bool is, struct buf *out)
{
	if (show->json) {
		buf_put(out, show->text.data + line->at, line->length - 1);
		buf_printf(out, ",\"signed\":%s}", is ? "true" : "false");
		return;
	}
	plain_put_text(out, slice_text(line->origin));
	buf_put_text(out, is ? " " : " UNSIGNED ");
	buf_put(out, show->text.data + line->at, line->length);
}

/* The last @limit of them; JSON is one document, with commas between them. */
static void print_lines(const struct show *show, const struct auditor_report *report,
			const struct cli_number *limit, struct buf *out)
{
	size_t i = limit->given && limit->value < show->n ? show->n - limit->value : 0;

	buf_put_text(out, show->json ? "[" : "");
	for (; i < show->n; i++) {
		print_record(show, &show->lines[i], is_signed(report, &show->lines[i]), out);
		if (show->json && i + 1 < show->n)
			buf_put_text(out, ",\n");
	}
	buf_put_text(out, show->json ? "]\n" : "");
}

static bool is_type(const char *name)
{
	for (int type = LEAF_EXECUTION; type <= LEAF_TCB; type++)
		if (!strcmp(leaf_type_name((enum leaf_type)type), name))
			return true;
	return false;
}

int cmd_audit_show(struct cli *cli)
{
	CLEANUP(log) struct log log = { 0 };
	struct auditor_report report = { 0 };
	CLEANUP(show) struct show show = { 0 };
	const struct cli_option options[] = {
		CA_OPTION,
		CLI_TEXT("type", "TYPE", &log.type,
			 "only these: execution, refusal, management..."),
		CLI_NUMBER("limit", "N", &log.limit, "only the last so many"),
	};
	enum cli_exit code = cli_options(cli, options, sizeof options / sizeof *options);

	if (code)
		return code;
	if (log.type && !is_type(log.type))
		return cli_usage(cli, "type: no records are called \"%s\"", log.type);
	enum err e = find_log(cli, &log);
	if (e)
		return cli_failed(cli, e);
	show.type = log.type;
	show.json = cli->json;
	e = auditor_verify(log.path, buf_slice(&log.ca_der), show_record, &show, &report);
	/* Where the log does not hold, so much as could be read, and nothing of it counts as signed. */
	print_lines(&show, &report, &log.limit, &cli->out);
	if (!e)
		e = auditor_settled(&report);
	auditor_report_free(&report);
	return e ? cli_failed(cli, e) : EXIT_HOLDS;
}

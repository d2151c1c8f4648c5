#include "audit/auditor.h"

#include <errno.h>
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
			   "\"heads\": %llu, \"torn_bytes\": %llu, \"trees\": [",
			   (unsigned long long)r->records, (unsigned long long)r->batches,
			   (unsigned long long)r->heads, (unsigned long long)r->torn_bytes);
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
		buf_printf(out, ": %llu records, %llu of them under a signed head, root ",
			   (unsigned long long)t->size, (unsigned long long)t->signed_size);
		buf_put_hex(out, SLICE(t->root));
		buf_put_text(out, "\n");
	}
	if (json)
		buf_put_text(out, "]}\n");
	else
		buf_printf(out,
			   "The log holds: %llu records in %llu batches, %llu signed heads; %llu "
			   "bytes of a torn tail.\nNot checked here: the frames' HMAC, which needs "
			   "the daemon's token.\n",
			   (unsigned long long)r->records, (unsigned long long)r->batches,
			   (unsigned long long)r->heads, (unsigned long long)r->torn_bytes);
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
	if ((e = auditor_verify(log.path, buf_slice(&log.ca_der), NULL, NULL, &report)))
		code = refuse(cli, &log, e);
	else
		print_report(&report, cli->json, &cli->out);
	auditor_report_free(&report);
	return code;
}

/* The walk of `audit show`: a line for each record of the wanted type. */
struct show {
	const char *type;
	bool json;
	struct buf lines;
};

static enum err show_record(void *context, const char *origin, uint64_t index, struct slice raw,
			    const struct leaf *leaf)
{
	struct show *show = context;

	(void)index;
	(void)raw;
	if (show->type && strcmp(show->type, leaf_type_name(leaf->type)))
		return OK;
	if (show->json) {
		leaf_json(leaf, &show->lines);
		buf_put_text(&show->lines, "\n");
	} else {
		plain_put_text(&show->lines, slice_text(origin));
		buf_put_text(&show->lines, " ");
		leaf_print_line(leaf, &show->lines);
	}
	return buf_check(&show->lines);
}

/* The last @limit lines. */
static struct slice last_lines(struct slice lines, const struct cli_number *limit)
{
	size_t start = lines.left, n = 0;

	if (!limit->given)
		return lines;
	while (start && (lines.p[start - 1] != '\n' || n++ < limit->value))
		start--;
	return slice_of(lines.p + start, lines.left - start);
}

/* JSON is one document: a line for each record, with commas between them. */
static void print_lines(struct slice lines, bool json, struct buf *out)
{
	buf_put_text(out, json ? "[" : "");
	while (lines.left) {
		const uint8_t *end = memchr(lines.p, '\n', lines.left);
		size_t n = end ? (size_t)(end - lines.p) : lines.left;

		buf_put(out, lines.p, n);
		lines.left -= n + (end != NULL);
		lines.p += n + (end != NULL);
		buf_put_text(out, json && lines.left ? ",\n" : json ? "" : "\n");
	}
	buf_put_text(out, json ? "]\n" : "");
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
	struct show show = { 0 };
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
	auditor_report_free(&report);
	if (!e || show.lines.len)
		print_lines(last_lines(buf_slice(&show.lines), &log.limit), cli->json, &cli->out);
	buf_free(&show.lines);
	return e ? cli_failed(cli, e) : EXIT_HOLDS;
}

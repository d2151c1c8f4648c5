#include <stdio.h>
#include <string.h>

#include "audit/covered.h"
#include "plugin/cli/audit.h"
#include "plugin/cli/audit_against.h"
#include "plugin/cli/audit_witnessed.h"
#include "plugin/cli/json.h"

struct check {
	struct trail trail;
	struct cli_list kept;  /* --against */
	const char *witnesses; /* --witnesses */
	struct against against;
};

static void check_cleanup(struct check *check)
{
	trail_cleanup(&check->trail);
	against_cleanup(&check->against);
}

/* Whoever copied a live log, and forgot to say so, is told. */
static enum err hint_at_copy(const struct trail *trail, enum err e)
{
	char why[ERR_REASON_MAX];

	snprintf(why, sizeof why, "%s", err_reason());
	bool hint = e == ERR_MISMATCH && !trail->copy && covered_lacking(trail->path);
	return failed(e, "%s%s", why, hint ? "; if this is a copy: --copy" : "");
}

static unsigned long long ull(uint64_t v)
{
	return v;
}

/* ---- what is said ---- */

typedef const char *facts_next(const struct trail_facts *facts, size_t *at);

static void put_facts(facts_next *next, const struct trail_facts *facts, const char *heading,
		      bool json, struct buf *out)
{
	const char *words;
	size_t at = 0;
	bool first = true;

	if (json) {
		json_put_name(out, heading, false);
		buf_put_text(out, "[");
	} else {
		buf_printf(out, "%s:\n", heading);
	}
	for (; (words = next(facts, &at)); first = false) {
		if (json) {
			buf_put_text(out, first ? "" : ", ");
			json_put_text(out, slice_text(words));
		} else {
			buf_printf(out, "  - %s\n", words);
		}
	}
	buf_put_text(out, json ? "]" : "");
}

static void put_trees_json(const struct auditor_report *r, struct buf *out)
{
	for (size_t i = 0; i < r->trees_n; i++) {
		const struct auditor_tree *t = &r->trees[i];

		buf_put_text(out, i ? ", {" : "{");
		json_put_field(out, "origin", slice_text(t->origin), true);
		buf_printf(out, ", \"size\": %llu, \"signed_size\": %llu", ull(t->size),
			   ull(t->signed_size));
		json_put_hex(out, "root", SLICE(t->root), false);
		buf_printf(out, ", \"pruned\": %s, \"checkpoint\": %llu",
			   t->pruned ? "true" : "false", ull(t->checkpoint));
		if (t->newest)
			buf_printf(out, ", \"newest_not_usable\": %llu", ull(t->newest));
		buf_put_text(out, "}");
	}
}

static void print_json(const struct auditor_report *r, const struct trail_facts *facts,
		       const struct against *against, struct buf *out)
{
	buf_printf(out,
		   "{\"holds\": true, \"records\": %llu, \"tiles\": %llu, \"batches\": %llu, "
		   "\"heads\": %llu, \"torn_bytes\": %llu, \"live\": %s, \"copy\": %s, "
		   "\"behind\": %zu, \"against\": %zu, \"trees\": [",
		   ull(r->records), ull(r->tiles), ull(r->batches), ull(r->heads),
		   ull(r->torn_bytes), r->live ? "true" : "false", facts->copy ? "true" : "false",
		   r->behind, facts->against);
	put_trees_json(r, out);
	buf_put_text(out, "]");
	witnessed_print(against, r, true, out);
	put_facts(trail_checked, facts, "checked", true, out);
	put_facts(trail_unchecked, facts, "not_checked", true, out);
	buf_put_text(out, "}\n");
}

static void print_plain(const struct auditor_report *r, const struct trail_facts *facts,
			const struct against *against, struct buf *out)
{
	for (size_t i = 0; i < r->trees_n; i++) {
		const struct auditor_tree *t = &r->trees[i];

		plain_put_text(out, slice_text(t->origin));
		buf_printf(out,
			   ": %llu records, %llu of them under a signed head, %llu UNSIGNED, root ",
			   ull(t->size), ull(t->signed_size), ull(t->size - t->signed_size));
		buf_put_hex(out, SLICE(t->root));
		buf_put_text(out, t->pruned ? "; pruned: not here, a record says so, and the next "
					      "shard goes on from this root\n"
					    : "\n");
	}
	if (r->elsewhere)
		buf_printf(out, "%zu shards that others go on from are not in this copy.\n",
			   r->elsewhere);
	trail_print_behind(r, out);
	witnessed_print(against, r, false, out);
	put_facts(trail_checked, facts, "Checked", false, out);
	put_facts(trail_unchecked, facts, "Not checked", false, out);
	if (!facts->copy)
		buf_printf(
			out,
			"Of its write-ahead log: %llu batches, %llu signed heads, %llu bytes of a "
			"torn tail.\n",
			ull(r->batches), ull(r->heads), ull(r->torn_bytes));
	buf_printf(out, "The log holds%s: %llu records in %zu trees and %llu tiles.\n",
		   r->behind     ? " to the last checkpoints that its tiles lead to"
		   : facts->copy ? " to its last checkpoints"
				 : "",
		   ull(r->records), r->trees_n, ull(r->tiles));
	if (facts->against)
		buf_printf(out, "It goes on from %s%zu checkpoint%s given.\n",
			   facts->against > 1 ? "all " : "the ", facts->against,
			   facts->against > 1 ? "s" : "");
}

int cmd_audit_verify(struct cli *cli)
{
	CLEANUP(check) struct check check = { 0 };
	struct auditor_report report = { 0 };
	const struct cli_option options[] = {
		CLI_LIST("against", "CHECKPOINT", &check.kept,
			 "a file with checkpoints that somebody kept: must go on from them"),
		CLI_TEXT("witnesses", "POLICY", &check.witnesses,
			 "a file with witnesses and a quorum (C2SP tlog-policy): a checkpoint of "
			 "each tree, of the log or of --against, must have the quorum"),
		TRAIL_OPTIONS(&check.trail),
	};
	enum cli_exit code = cli_options(cli, options, sizeof options / sizeof *options);
	enum err e;

	if (code)
		return code;
	if ((e = trail_find(cli, cli->args_n ? cli->args[0] : NULL, &check.trail)) ||
	    (check.witnesses &&
	     (e = witnessed_read(&check.trail, check.witnesses, &check.against))) ||
	    (e = against_read_all(&check.against, &check.kept, check.trail.remembered)))
		return cli_failed(cli, e);
	if ((e = trail_walk(&check.trail, &check.against, NULL, NULL, &report)) ||
	    (e = trail_settled(&check.against, &report)) ||
	    (e = witnessed_check(&check.against, &report))) {
		code = trail_refuse(cli, &check.trail, hint_at_copy(&check.trail, e));
	} else {
		const struct trail_facts facts = { report.live, check.against.n, check.trail.copy,
						   report.behind };

		(cli->json ? print_json : print_plain)(&report, &facts, &check.against, &cli->out);
	}
	auditor_report_free(&report);
	return code;
}

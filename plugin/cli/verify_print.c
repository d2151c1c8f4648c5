#include <string.h>

#include "plugin/cli/json.h"
#include "plugin/cli/verify.h"

static void print_checks(const struct assay_outcome *outcome, struct buf *out)
{
	static const char *const states[] = { [ASSAY_CHECK_PASSED] = "ok",
					      [ASSAY_CHECK_FAILED] = "FAILED",
					      [ASSAY_CHECK_SKIPPED] = "not checked" };

	for (size_t i = 0; i < assay_outcome_checks(outcome); i++) {
		struct assay_check check = assay_outcome_check(outcome, i);

		buf_printf(out, "%-12s %-14s ", states[check.state], check.name);
		plain_put_text(out, slice_text(check.words));
		buf_put_text(out, "\n");
	}
	for (size_t i = 0; i < assay_outcome_rules(outcome); i++) {
		struct assay_rule rule = assay_outcome_rule(outcome, i);

		buf_printf(out, "%-12s policy: %s: ", rule.met ? "ok" : "REFUSED", rule.key);
		plain_put_text(out, slice_text(rule.words));
		buf_put_text(out, "\n");
	}
}

void verify_print_plain(enum assay_verdict verdict, struct assay_outcome *outcome, bool compact,
			struct buf *out)
{
	static const char *const verdicts[] = {
		[ASSAY_HOLDS] = "The proof holds.",
		[ASSAY_FAILED_RUN] = "The proof holds, and is of a failure: ",
		[ASSAY_REFUSED] = "The proof holds, but ",
		[ASSAY_DOES_NOT_HOLD] = "The proof does not hold: ",
	};

	print_checks(outcome, out);
	if (verdict != ASSAY_DOES_NOT_HOLD) {
		buf_put_text(out, "record: ");
		buf_put_text(out, assay_outcome_line(outcome));
		if (compact)
			buf_put_text(out, assay_outcome_claims(outcome));
	}
	buf_put_text(out, verdicts[verdict]);
	plain_put_text(out, slice_text(assay_outcome_reason(outcome)));
	buf_put_text(out, "\n");
}

static void put_checks(const struct assay_outcome *outcome, struct buf *out)
{
	static const char *const states[] = { [ASSAY_CHECK_PASSED] = "passed",
					      [ASSAY_CHECK_FAILED] = "failed",
					      [ASSAY_CHECK_SKIPPED] = "skipped" };

	json_put_name(out, "checks", false);
	buf_put_text(out, "[");
	for (size_t i = 0; i < assay_outcome_checks(outcome); i++) {
		struct assay_check check = assay_outcome_check(outcome, i);

		buf_put_text(out, i ? ", {" : "{");
		json_put_field(out, "name", slice_text(check.name), true);
		json_put_field(out, "verdict", slice_text(states[check.state]), false);
		json_put_field(out, "words", slice_text(check.words), false);
		buf_put_text(out, "}");
	}
	buf_put_text(out, "]");
}

/* Statuses and claims are AR4SI's. */
static void put_appraisal(enum assay_verdict verdict, const struct assay_outcome *outcome,
			  struct buf *out)
{
	static const char *const statuses[] = { "contraindicated", "affirming" };

	json_put_name(out, "appraisal", false);
	buf_put_text(out, "{");
	json_put_field(out, "status", slice_text(statuses[verdict != ASSAY_REFUSED]), true);
	json_put_name(out, "rules", false);
	buf_put_text(out, "[");
	for (size_t i = 0; i < assay_outcome_rules(outcome); i++) {
		struct assay_rule rule = assay_outcome_rule(outcome, i);

		buf_put_text(out, i ? ", {" : "{");
		json_put_field(out, "rule", slice_text(rule.key), true);
		if (rule.claim)
			json_put_field(out, "claim", slice_text(rule.claim), false);
		json_put_field(out, "status", slice_text(statuses[rule.met]), false);
		json_put_field(out, "words", slice_text(rule.words), false);
		buf_put_text(out, "}");
	}
	buf_put_text(out, "]}");
}

void verify_print_json(enum assay_verdict verdict, struct assay_outcome *outcome, struct buf *out)
{
	const char *reason = assay_outcome_reason(outcome);
	bool holds = verdict != ASSAY_DOES_NOT_HOLD;

	buf_printf(out, "{\"holds\": %s%s", holds ? "true" : "false",
		   verdict == ASSAY_FAILED_RUN ? ", \"failed_run\": true" : "");
	if (*reason)
		json_put_field(out, "reason", slice_text(reason), false);
	put_checks(outcome, out);
	if (holds && assay_outcome_rules(outcome))
		put_appraisal(verdict, outcome, out);
	if (holds) {
		json_put_name(out, "claims", false);
		buf_put_text(out, assay_outcome_json(outcome));
	}
	buf_put_text(out, "}\n");
}

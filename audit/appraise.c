#include "audit/appraise_inner.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RULES_MAX 1024

enum err appraise_judge(struct appraiser *a, bool met, const char *format, ...)
{
	struct appraise_report *report = a->report;
	va_list args;

	if (report->n == RULES_MAX)
		return failed(ERR_LIMIT, "more than %d rules", RULES_MAX);
	struct appraise_rule *more = reallocarray(report->rules, report->n + 1, sizeof *more);
	if (!more)
		return failed(ERR_MEMORY, "a list of rules");
	report->rules = more;
	struct appraise_rule *rule = &more[report->n++];
	*rule = (struct appraise_rule){ .key = a->key, .claim = a->claim, .met = met };
	va_start(args, format);
	vsnprintf(rule->words, sizeof rule->words, format, args);
	va_end(args);
	report->missed += !met;
	return OK;
}

bool appraise_in_list(const struct config_list *list, struct slice value)
{
	for (size_t i = 0; i < list->n; i++)
		if (slice_is(value, list->items[i]))
			return true;
	return false;
}

enum err appraise_one_of(struct appraiser *a, const struct config_list *list, struct slice value)
{
	if (!list->n)
		return OK;
	bool met = appraise_in_list(list, value);

	return appraise_judge(a, met, "\"%.*s\" is %s", (int)value.left, (const char *)value.p,
			      met ? "one that is listed" : "none of those listed");
}

enum err appraise_digest_of(struct appraiser *a, const struct config_list *list, bool has,
			    const uint8_t digest[SHA256_SIZE])
{
	char hex[2 * SHA256_SIZE + 1];

	if (!list->n)
		return OK;
	if (!has)
		return appraise_judge(a, false, "the proof names none");
	hex_put(hex, digest, SHA256_SIZE);
	return appraise_one_of(a, list, slice_text(hex));
}

enum err appraise_text_is(struct appraiser *a, const char *wanted, struct slice value)
{
	if (!*wanted)
		return OK;
	bool met = slice_is(value, wanted);

	return appraise_judge(a, met, "\"%.*s\"%s%s%s", (int)value.left, (const char *)value.p,
			      met ? "" : ", expected \"", met ? "" : wanted, met ? "" : "\"");
}

/* What AR4SI calls it; see its section on trustworthiness claims. */
#define IDENTITY "instance-identity"
#define EXECUTABLES "executables"
#define HARDWARE "hardware"
#define CONFIGURATION "configuration"
#define RUNTIME "runtime-opaque"
static const struct {
	const char *field, *claim;
} claims[] = {
	{ "origin", IDENTITY },
	{ "partition", IDENTITY },
	{ "application.", EXECUTABLES },
	{ "platform.", EXECUTABLES },
	{ "hsm.", HARDWARE },
	{ "caller.", CONFIGURATION },
	{ "policies", CONFIGURATION },
	{ "least_epoch", CONFIGURATION },
	{ "confinement.", RUNTIME },
	{ "limits.", RUNTIME },
	{ "debug", CONFIGURATION },
};

static const char *claim_of(const char *key)
{
	for (size_t i = 0; i < sizeof claims / sizeof *claims; i++)
		if (!strncmp(claims[i].field, key, strlen(claims[i].field)))
			return claims[i].claim;
	return NULL;
}

static const struct {
	const char *key;
	enum err (*apply)(struct appraiser *a);
} rules[] = {
#define SETTING(key, field, type, least, most, value, help) { key, rule_##field },
#include "config/appraisal.def"
#undef SETTING
};

enum err appraise(const struct appraisal *policy, const struct appraise_evidence *evidence,
		  struct appraise_report *report)
{
	struct appraiser a = { policy, evidence, evidence->leaf, report, NULL, NULL };

	*report = (struct appraise_report){ 0 };
	for (size_t i = 0; i < sizeof rules / sizeof *rules; i++) {
		a.key = rules[i].key;
		a.claim = claim_of(a.key);
		enum err e = rules[i].apply(&a);
		if (e)
			return e;
	}
	for (size_t i = 0; i < report->n; i++)
		if (!report->rules[i].met)
			return failed(ERR_MISMATCH, "the policy refuses it: %s: %s",
				      report->rules[i].key, report->rules[i].words);
	return OK;
}

void appraise_report_free(struct appraise_report *report)
{
	free(report->rules);
	*report = (struct appraise_report){ 0 };
}

void appraise_report_cleanup(struct appraise_report *report)
{
	appraise_report_free(report);
}

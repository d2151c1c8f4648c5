#include "audit/appraise.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "audit/leaf_text.h"
#include "audit/profile.h"
#include "audit/proof.h"
#include "config/base/version.h"
#include "audit/vouch.h"

#define RULES_MAX 1024
#define TIME_SYNCHRONISED 1
#define SKEW_SECONDS 300 /* how far a proof may seem to lie in the future */

struct appraiser {
	const struct appraisal *policy;
	const struct appraise_evidence *evidence;
	const struct leaf *leaf;
	struct appraise_report *report;
	const char *key, *claim; /* of the rule at hand */
};

__attribute__((format(printf, 3, 4))) static enum err judge(struct appraiser *a, bool met,
							    const char *format, ...)
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

static bool in_list(const struct config_list *list, struct slice value)
{
	for (size_t i = 0; i < list->n; i++)
		if (slice_is(value, list->items[i]))
			return true;
	return false;
}

/* The rule of most lists: the proof's value must be one of them. */
static enum err one_of(struct appraiser *a, const struct config_list *list, struct slice value)
{
	if (!list->n)
		return OK;
	bool met = in_list(list, value);

	return judge(a, met, "\"%.*s\" is %s", (int)value.left, (const char *)value.p,
		     met ? "one that is listed" : "none of those listed");
}

static enum err digest_of(struct appraiser *a, const struct config_list *list, bool has,
			  const uint8_t digest[SHA256_SIZE])
{
	char hex[2 * SHA256_SIZE + 1];

	if (!list->n)
		return OK;
	if (!has)
		return judge(a, false, "the proof names none");
	hex_put(hex, digest, SHA256_SIZE);
	return one_of(a, list, slice_text(hex));
}

/* ---- one function per line of appraisal.def, in its order ---- */

static enum err text_is(struct appraiser *a, const char *wanted, struct slice value)
{
	if (!*wanted)
		return OK;
	bool met = slice_is(value, wanted);

	return judge(a, met, "\"%.*s\"%s%s%s", (int)value.left, (const char *)value.p,
		     met ? "" : ", expected \"", met ? "" : wanted, met ? "" : "\"");
}

static enum err rule_origin(struct appraiser *a)
{
	return text_is(a, a->policy->origin, a->leaf->origin);
}

static enum err rule_partition(struct appraiser *a)
{
	return text_is(a, a->policy->partition, a->leaf->partition_serial);
}

static enum err rule_application_measurements(struct appraiser *a)
{
	uint8_t measurement[SHA256_SIZE];
	bool has = !proof_measurement(a->leaf, measurement);

	return digest_of(a, &a->policy->application_measurements, has, measurement);
}

static enum err rule_application_ids(struct appraiser *a)
{
	return one_of(a, &a->policy->application_ids, a->leaf->subject);
}

static enum err rule_application_least_version(struct appraiser *a)
{
	const char *least = a->policy->application_least_version;
	struct slice version = a->leaf->swversion;

	if (!*least)
		return OK;
	return judge(a, version_is_least(version, slice_text(least)), "%.*s, least %s",
		     (int)version.left, (const char *)version.p, least);
}

static enum err rule_application_signers(struct appraiser *a)
{
	const struct config_list *list = &a->policy->application_signers;
	const struct leaf_component *image = leaf_component(a->leaf, "image");
	struct slice left = image ? image->authorities : slice_of(NULL, 0);
	uint64_t found = 0, others = 0, need = a->policy->application_approvals;
	char hex[2 * SHA256_SIZE + 1];

	if (!list->n)
		return OK;
	for (const uint8_t *signer; (signer = leaf_next_authority(&left));) {
		hex_put(hex, signer, SHA256_SIZE);
		if (in_list(list, slice_text(hex)))
			found++;
		else
			others++;
	}
	return judge(a, found >= need,
		     "approved by %llu of those listed, least %llu, and by %llu others",
		     (unsigned long long)found, (unsigned long long)need,
		     (unsigned long long)others);
}

/* Only says more of the rule above. */
static enum err rule_application_approvals(struct appraiser *a)
{
	(void)a;
	return OK;
}

static enum err rule_application_purity(struct appraiser *a)
{
	const struct leaf_component *profile = leaf_component(a->leaf, "profile");
	struct slice words = profile ? profile->version : slice_of(NULL, 0), said = words;

	if (!a->policy->application_purity)
		return OK;
	if (!profile_take_pure(&words))
		return judge(a, false, "it is not pure");
	while (words.left) {
		struct slice need = profile_take_need(&words);

		if (!in_list(&a->policy->application_may_need, need))
			return judge(a, false, "%.*s, and it may not need %.*s", (int)said.left,
				     (const char *)said.p, (int)need.left, (const char *)need.p);
	}
	return judge(a, true, "%.*s", (int)said.left, (const char *)said.p);
}

/* Only widens the rule above. */
static enum err rule_application_may_need(struct appraiser *a)
{
	(void)a;
	return OK;
}

/* What a package allows is the most that any run of it had; the leaf names it by its digest alone. */
static enum err judge_limit(struct appraiser *a, uint64_t most, size_t field)
{
	struct profile_limits limits;
	struct slice profile = a->evidence->profile;

	if (!most)
		return OK;
	if (!profile.left)
		return judge(a, false,
			     "the proof names the application's limits by a digest: without its "
			     "package or profile nobody knows them");
	if (profile_limits_read(profile, a->leaf, &limits))
		return judge(a, false, "%s", err_reason());
	uint64_t limit = *(const uint64_t *)((const char *)&limits + field);
	return judge(a, limit <= most, "%llu, at most %llu", (unsigned long long)limit,
		     (unsigned long long)most);
}

#define LIMIT_RULE(name)                                                   \
	static enum err rule_limits_##name(struct appraiser *a)            \
	{                                                                  \
		return judge_limit(a, a->policy->limits_##name,            \
				   offsetof(struct profile_limits, name)); \
	}
LIMIT_RULE(memory_bytes)
LIMIT_RULE(output_bytes)
LIMIT_RULE(wall_ms)
LIMIT_RULE(cpu_ms)
LIMIT_RULE(processes)
LIMIT_RULE(open_files)
LIMIT_RULE(scratch_bytes)

static enum err rule_platform_records(struct appraiser *a)
{
	return digest_of(a, &a->policy->platform_records, a->leaf->has_tcb, a->leaf->tcb);
}

static struct slice part_name(const char *item)
{
	return slice_of(item, (size_t)(strrchr(item, '=') - item));
}

/* All the lines of one name are one rule, told at the first of them. */
static bool is_first(const struct config_list *list, size_t i)
{
	struct slice name = part_name(list->items[i]);

	for (size_t k = 0; k < i; k++)
		if (slice_equal(part_name(list->items[k]), name))
			return false;
	return true;
}

static enum err judge_part(struct appraiser *a, const struct leaf_component *part)
{
	CLEANUP(buf) struct buf item = BUF_INIT;
	char hex[2 * SHA256_SIZE + 1];

	hex_put(hex, part->sha256, SHA256_SIZE);
	buf_put_slice(&item, part->name);
	buf_printf(&item, "=%s", hex);
	enum err e = buf_check(&item);
	if (e)
		return e;
	bool met = in_list(&a->policy->platform_parts, buf_slice(&item));
	return judge(a, met, "%.*s: %s%s%.*s%s", (int)part->name.left, (const char *)part->name.p,
		     hex, part->version.left ? " (" : "", (int)part->version.left,
		     (const char *)part->version.p, part->version.left ? ")" : "");
}

/* Where a record has several parts of one name, a good one does not speak for the others. */
static enum err judge_parts(struct appraiser *a, struct slice name)
{
	const struct leaf *tcb = a->evidence->tcb;
	size_t found = 0;
	enum err e = OK;

	for (size_t i = 0; !e && tcb && i < tcb->components_n; i++)
		if (slice_equal(tcb->components[i].name, name)) {
			found++;
			e = judge_part(a, &tcb->components[i]);
		}
	if (e || found)
		return e;
	return judge(a, false, "%.*s: %s", (int)name.left, (const char *)name.p,
		     tcb ? "not among the measured parts" : "no TCB record came with the proof");
}

static enum err rule_platform_parts(struct appraiser *a)
{
	const struct config_list *list = &a->policy->platform_parts;
	enum err e = OK;

	for (size_t i = 0; !e && i < list->n; i++)
		if (is_first(list, i))
			e = judge_parts(a, part_name(list->items[i]));
	return e;
}

static enum err rule_hsm_manufacturers(struct appraiser *a)
{
	return one_of(a, &a->policy->hsm_manufacturers, a->leaf->hsm.manufacturer);
}

static enum err rule_hsm_models(struct appraiser *a)
{
	return one_of(a, &a->policy->hsm_models, a->leaf->hsm.model);
}

static enum err rule_hsm_firmware(struct appraiser *a)
{
	return one_of(a, &a->policy->hsm_firmware, a->leaf->hsm.firmware);
}

static enum err rule_caller_roles(struct appraiser *a)
{
	return one_of(a, &a->policy->caller_roles,
		      slice_text(a->leaf->has_caller ? leaf_role_name(a->leaf->role) : "none"));
}

static enum err rule_caller_proofs(struct appraiser *a)
{
	bool has = a->leaf->has_roleproof;

	return one_of(a, &a->policy->caller_proofs,
		      slice_text(has ? leaf_roleproof_name(a->leaf->roleproof) : "none"));
}

static enum err rule_policies(struct appraiser *a)
{
	return digest_of(a, &a->policy->policies, a->leaf->has_policy, a->leaf->policy);
}

static enum err rule_least_epoch(struct appraiser *a)
{
	uint64_t least = a->policy->least_epoch;

	if (!least)
		return OK;
	return judge(a, a->leaf->has_epoch && a->leaf->epoch >= least, "%llu, least %llu",
		     (unsigned long long)a->leaf->epoch, (unsigned long long)least);
}

static enum err rule_confinement_launcher(struct appraiser *a)
{
	if (!a->policy->confinement_launcher)
		return OK;
	return judge(a, a->leaf->has_confinement && a->leaf->confinement_mode == 0, "%s",
		     a->leaf->has_confinement ? leaf_mode_name(a->leaf->confinement_mode)
					      : "the proof does not say");
}

static enum err rule_confinement_steps(struct appraiser *a)
{
	struct slice absent = a->leaf->absent_steps;

	if (!a->policy->confinement_steps)
		return OK;
	if (!a->leaf->has_confinement)
		return judge(a, false, "the proof does not say");
	while (absent.left) {
		const uint8_t *space = memchr(absent.p, ' ', absent.left);
		struct slice step =
			slice_of(absent.p, space ? (size_t)(space - absent.p) : absent.left);

		if (step.left && !in_list(&a->policy->confinement_may_lack, step))
			return judge(a, false, "step %.*s was absent", (int)step.left,
				     (const char *)step.p);
		size_t n = step.left + (space != NULL);
		absent = slice_of(absent.p + n, absent.left - n);
	}
	return judge(a, true, "no step was absent%s",
		     a->leaf->absent_steps.left ? " but those allowed" : "");
}

/* Only narrows the rule above. */
static enum err rule_confinement_may_lack(struct appraiser *a)
{
	(void)a;
	return OK;
}

static enum err rule_confinement_starts(struct appraiser *a)
{
	bool has = a->leaf->has_confinement;

	return one_of(a, &a->policy->confinement_starts,
		      slice_text(has ? leaf_start_name(a->leaf->start_kind) : "unknown"));
}

static enum err rule_fresh_nonce(struct appraiser *a)
{
	if (!a->policy->fresh_nonce)
		return OK;
	return judge(a, a->evidence->nonce, "%s",
		     a->evidence->nonce ? "the verifier's" : "none was given to compare");
}

static enum err rule_fresh_age_seconds(struct appraiser *a)
{
	uint64_t most = a->policy->fresh_age_seconds;
	int64_t age;

	if (!most)
		return OK;
	if (__builtin_sub_overflow(a->evidence->now, a->leaf->time, &age))
		return judge(a, false, "the proof's time is out of any range");
	return judge(a, age >= -SKEW_SECONDS && (age < 0 || (uint64_t)age <= most),
		     "%lld seconds old, at most %llu", (long long)age, (unsigned long long)most);
}

static enum err rule_time_source(struct appraiser *a)
{
	bool met = a->leaf->has_times && a->leaf->time_source == TIME_SYNCHRONISED;

	if (!a->policy->time_source)
		return OK;
	return judge(a, met, "%s", met ? "synchronised, it says" : "not synchronised");
}

static enum err rule_time_error_ms(struct appraiser *a)
{
	uint64_t most = a->policy->time_error_ms;

	if (!most)
		return OK;
	/* A clock that nothing holds has no error to speak of: it says 0. */
	if (!a->leaf->has_times || a->leaf->time_source != TIME_SYNCHRONISED)
		return judge(a, false, "not synchronised, so it may be off by anything");
	return judge(a, a->leaf->time_error_us <= most * 1000, "%llu us, at most %llu ms",
		     (unsigned long long)a->leaf->time_error_us, (unsigned long long)most);
}

static bool is_debug(const struct leaf *leaf)
{
	return leaf->dbgstat != LEAF_DEBUG_DISABLED ||
	       slice_is(leaf->profile, LEAF_PROFILE_DEVELOPMENT);
}

static enum err rule_debug(struct appraiser *a)
{
	const struct leaf *tcb = a->evidence->tcb;
	bool debug = is_debug(a->leaf) || (tcb && is_debug(tcb));

	if (!a->policy->debug)
		return OK;
	return judge(a, !debug, "dbgstat: %s", debug ? "enabled" : "disabled");
}

static enum err read_witnesses(const struct config_list *lines, struct trust **out)
{
	CLEANUP(buf) struct buf text = BUF_INIT;

	for (size_t i = 0; i < lines->n; i++)
		buf_printf(&text, "%s\n", lines->items[i]);
	enum err e = buf_check(&text);
	if (e || !(e = trust_read(buf_slice(&text), "witnesses", true, out)))
		return e;
	return e == ERR_MEMORY ? e : failed(ERR_USAGE, "the policy's %s", err_reason());
}

static enum err rule_witnesses(struct appraiser *a)
{
	CLEANUP(trust) struct trust *trust = NULL;
	const struct appraise_evidence *evidence = a->evidence;
	struct trust_count count = { 0 };
	enum err e;

	if (!a->policy->witnesses.n)
		return OK;
	if ((e = read_witnesses(&a->policy->witnesses, &trust)))
		return e;
	if (!evidence->checkpoint.left)
		return judge(a, false, "no checkpoint came with the proof");
	if (vouch_check(trust, evidence->checkpoint, evidence->proof, &count))
		return judge(a, false, "%s", err_reason());
	return judge(a, true, "%zu cosigned a checkpoint that goes on from this tree", count.n);
}

static enum err rule_failures(struct appraiser *a)
{
	bool failed_run = a->leaf->status_kind != LEAF_ENDED_EXIT || a->leaf->status_code;

	if (a->policy->failures || a->leaf->type != LEAF_EXECUTION)
		return OK;
	if (!a->leaf->has_status)
		return judge(a, false, "the proof does not say how it ended");
	return judge(a, !failed_run, "%s %llu", leaf_status_words(a->leaf->status_kind),
		     (unsigned long long)a->leaf->status_code);
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

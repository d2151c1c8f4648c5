/* Where it ran: the log and its partition, platform, HSM, confinement, and whether it could be debugged. */
#include <string.h>

#include "audit/appraise_inner.h"
#include "audit/leaf_text.h"

enum err rule_origin(struct appraiser *a)
{
	return appraise_text_is(a, a->policy->origin, a->leaf->origin);
}

enum err rule_partition(struct appraiser *a)
{
	return appraise_text_is(a, a->policy->partition, a->leaf->partition_serial);
}

enum err rule_platform_records(struct appraiser *a)
{
	return appraise_digest_of(a, &a->policy->platform_records, a->leaf->has_tcb, a->leaf->tcb);
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
	bool met = appraise_in_list(&a->policy->platform_parts, buf_slice(&item));
	return appraise_judge(a, met, "%.*s: %s%s%.*s%s", (int)part->name.left,
			      (const char *)part->name.p, hex, part->version.left ? " (" : "",
			      (int)part->version.left, (const char *)part->version.p,
			      part->version.left ? ")" : "");
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
	return appraise_judge(a, false, "%.*s: %s", (int)name.left, (const char *)name.p,
			      tcb ? "not among the measured parts"
				  : "no TCB record came with the proof");
}

enum err rule_platform_parts(struct appraiser *a)
{
	const struct config_list *list = &a->policy->platform_parts;
	enum err e = OK;

	for (size_t i = 0; !e && i < list->n; i++)
		if (is_first(list, i))
			e = judge_parts(a, part_name(list->items[i]));
	return e;
}

enum err rule_hsm_manufacturers(struct appraiser *a)
{
	return appraise_one_of(a, &a->policy->hsm_manufacturers, a->leaf->hsm.manufacturer);
}

enum err rule_hsm_models(struct appraiser *a)
{
	return appraise_one_of(a, &a->policy->hsm_models, a->leaf->hsm.model);
}

enum err rule_hsm_firmware(struct appraiser *a)
{
	return appraise_one_of(a, &a->policy->hsm_firmware, a->leaf->hsm.firmware);
}

enum err rule_confinement_launcher(struct appraiser *a)
{
	if (!a->policy->confinement_launcher)
		return OK;
	return appraise_judge(a, a->leaf->has_confinement && a->leaf->confinement_mode == 0, "%s",
			      a->leaf->has_confinement ? leaf_mode_name(a->leaf->confinement_mode)
						       : "the proof does not say");
}

enum err rule_confinement_steps(struct appraiser *a)
{
	struct slice absent = a->leaf->absent_steps;

	if (!a->policy->confinement_steps)
		return OK;
	if (!a->leaf->has_confinement)
		return appraise_judge(a, false, "the proof does not say");
	while (absent.left) {
		const uint8_t *space = memchr(absent.p, ' ', absent.left);
		struct slice step =
			slice_of(absent.p, space ? (size_t)(space - absent.p) : absent.left);

		if (step.left && !appraise_in_list(&a->policy->confinement_may_lack, step))
			return appraise_judge(a, false, "step %.*s was absent", (int)step.left,
					      (const char *)step.p);
		size_t n = step.left + (space != NULL);
		absent = slice_of(absent.p + n, absent.left - n);
	}
	return appraise_judge(a, true, "no step was absent%s",
			      a->leaf->absent_steps.left ? " but those allowed" : "");
}

/* Only narrows the rule above. */
enum err rule_confinement_may_lack(struct appraiser *a)
{
	(void)a;
	return OK;
}

enum err rule_confinement_starts(struct appraiser *a)
{
	bool has = a->leaf->has_confinement;

	return appraise_one_of(a, &a->policy->confinement_starts,
			       slice_text(has ? leaf_start_name(a->leaf->start_kind) : "unknown"));
}

static bool is_debug(const struct leaf *leaf)
{
	return leaf->dbgstat != LEAF_DEBUG_DISABLED ||
	       slice_is(leaf->profile, LEAF_PROFILE_DEVELOPMENT);
}

enum err rule_debug(struct appraiser *a)
{
	const struct leaf *tcb = a->evidence->tcb;
	bool debug = is_debug(a->leaf) || (tcb && is_debug(tcb));

	if (!a->policy->debug)
		return OK;
	return appraise_judge(a, !debug, "dbgstat: %s", debug ? "enabled" : "disabled");
}

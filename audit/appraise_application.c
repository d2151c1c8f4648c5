/* What ran: which application, who approved it, what it may need, and its limits. */
#include <stddef.h>

#include "audit/appraise_inner.h"
#include "audit/profile.h"
#include "audit/proof.h"
#include "config/base/version.h"

enum err rule_application_measurements(struct appraiser *a)
{
	uint8_t measurement[SHA256_SIZE];
	bool has = !proof_measurement(a->leaf, measurement);

	return appraise_digest_of(a, &a->policy->application_measurements, has, measurement);
}

enum err rule_application_ids(struct appraiser *a)
{
	return appraise_one_of(a, &a->policy->application_ids, a->leaf->subject);
}

enum err rule_application_least_version(struct appraiser *a)
{
	const char *least = a->policy->application_least_version;
	struct slice version = a->leaf->swversion;

	if (!*least)
		return OK;
	return appraise_judge(a, version_is_least(version, slice_text(least)), "%.*s, least %s",
			      (int)version.left, (const char *)version.p, least);
}

enum err rule_application_signers(struct appraiser *a)
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
		if (appraise_in_list(list, slice_text(hex)))
			found++;
		else
			others++;
	}
	return appraise_judge(a, found >= need,
			      "approved by %llu of those listed, least %llu, and by %llu others",
			      (unsigned long long)found, (unsigned long long)need,
			      (unsigned long long)others);
}

/* Only says more of the rule above. */
enum err rule_application_approvals(struct appraiser *a)
{
	(void)a;
	return OK;
}

enum err rule_application_purity(struct appraiser *a)
{
	const struct leaf_component *profile = leaf_component(a->leaf, "profile");
	struct slice words = profile ? profile->version : slice_of(NULL, 0), said = words;

	if (!a->policy->application_purity)
		return OK;
	if (!profile_take_pure(&words))
		return appraise_judge(a, false, "it is not pure");
	while (words.left) {
		struct slice need = profile_take_need(&words);

		if (!appraise_in_list(&a->policy->application_may_need, need))
			return appraise_judge(a, false, "%.*s, and it may not need %.*s",
					      (int)said.left, (const char *)said.p, (int)need.left,
					      (const char *)need.p);
	}
	return appraise_judge(a, true, "%.*s", (int)said.left, (const char *)said.p);
}

/* Only widens the rule above. */
enum err rule_application_may_need(struct appraiser *a)
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
		return appraise_judge(
			a, false,
			"the proof names the application's limits by a digest: without its "
			"package or profile nobody knows them");
	if (profile_limits_read(profile, a->leaf, &limits))
		return appraise_judge(a, false, "%s", err_reason());
	uint64_t limit = *(const uint64_t *)((const char *)&limits + field);
	return appraise_judge(a, limit <= most, "%llu, at most %llu", (unsigned long long)limit,
			      (unsigned long long)most);
}

#define LIMIT_RULE(name)                                                   \
	enum err rule_limits_##name(struct appraiser *a)                   \
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

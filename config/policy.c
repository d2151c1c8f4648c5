#include "config/policy.h"

#include <stdlib.h>
#include <string.h>

#include "config/settings.h"
#include "config/yaml.h"

static const struct setting settings[] = {
#define SETTING(key, field, type, least, most, value, help) \
	{ key, SETTING_##type, least, most, value, help, offsetof(struct partition_policy, field) },
#include "config/policy.def"
#undef SETTING
};

/* Neither signers who need not sign, nor more approvals than there are signers. A list of signers that
 * are revoked may well leave too few: then nothing is approved. */
static bool packages_sound(const struct partition_policy *p, struct fault *fault)
{
	if (p->packages_signers.n && !p->packages_approvals)
		*fault = (struct fault){ "packages.approvals",
					 "1 or more expected, because of signers",
					 "packages.signers" };
	else if (p->packages_approvals > p->packages_signers.n)
		*fault =
			(struct fault){ "packages.signers", "as many signers as approvals expected",
					"packages.approvals" };
	else if (p->packages_revoked_signers.n && !p->packages_signers.n)
		*fault = (struct fault){ "packages.signers", "expected, because of revoked_signers",
					 "packages.revoked_signers" };
	else
		return true;
	return false;
}

/* A setting that would do nothing is a mistake of whoever wrote it. */
static bool sound(const void *values, struct fault *fault)
{
	const struct partition_policy *policy = values;
	bool sealed = policy->keep == KEEP_SEALED;

	if (sealed && !*policy->sealed_auditor) {
		*fault = (struct fault){ "sealed.auditor",
					 "a certificate's file expected, because of keep: sealed",
					 "keep" };
		return false;
	}
	if (!sealed && (*policy->sealed_auditor || policy->sealed_retention_days)) {
		*fault = (struct fault){ "sealed", "expected with keep: sealed only", "keep" };
		return false;
	}
	return packages_sound(policy, fault);
}

static const struct schema schema = { "policy", settings, sizeof settings / sizeof *settings,
				      sound };

enum err partition_policy_parse(struct slice text, const char *name, struct partition_policy **out)
{
	enum err e;

	if (text.left > PARTITION_POLICY_MAX)
		return failed(ERR_RANGE, "%s:1: at most %d bytes expected, found %zu", name,
			      PARTITION_POLICY_MAX, text.left);
	CLEANUP(partition_policy) struct partition_policy *policy = calloc(1, sizeof *policy);
	if (!policy)
		return failed(ERR_MEMORY, "policy: out of memory");
	if ((e = schema_default(&schema, policy)) || (e = yaml_read(text, name, &schema, policy)))
		return e;
	*out = STEAL(policy);
	return OK;
}

void partition_policy_describe(struct buf *out)
{
	schema_describe(&schema, out);
}

void partition_policy_show(const struct partition_policy *policy, bool json, struct buf *out)
{
	schema_show(&schema, policy, json, out);
}

bool policy_lists(const struct config_list *digests, const uint8_t digest[SHA256_SIZE])
{
	char hex[2 * SHA256_SIZE + 1];

	hex_put(hex, digest, SHA256_SIZE);
	for (size_t i = 0; i < digests->n; i++)
		if (!strcmp(digests->items[i], hex))
			return true;
	return false;
}

void partition_policy_free(struct partition_policy *policy)
{
	if (!policy)
		return;
	schema_free(&schema, policy);
	free(policy);
}

void partition_policy_cleanup(struct partition_policy **policy)
{
	partition_policy_free(STEAL(*policy));
}

#include "plugin/daemon/rules.h"

#include <stdlib.h>
#include <string.h>

#include "audit/seal.h"
#include "config/base/version.h"

void rules_release(struct rules *rules)
{
	if (!rules || atomic_fetch_sub(&rules->refs, 1) != 1)
		return;
	partition_policy_free(rules->says);
	buf_free(&rules->text);
	buf_free(&rules->auditor);
	free(rules);
}

void rules_cleanup(struct rules **rules)
{
	rules_release(STEAL(*rules));
}

struct rules *rules_hold(struct rules *rules)
{
	atomic_fetch_add(&rules->refs, 1);
	return rules;
}

/* The policy names the certificate's file; its bytes come along. */
static enum err check_auditor(const struct partition_policy *says, struct slice auditor, int64_t at)
{
	if (says->keep != KEEP_SEALED)
		return auditor.left
			       ? failed(ERR_FORMAT, "a certificate that the policy doesn't name")
			       : OK;
	if (!auditor.left || auditor.left > CERTIFICATE_MAX)
		return failed(ERR_FORMAT, "a certificate of %zu bytes", auditor.left);
	if (!at)
		return OK;
	enum err e = seal_check(auditor, at);
	return e ? failed(e, "the auditor's certificate: %s", err_reason()) : OK;
}

static void digest(struct rules *rules)
{
	struct sha256 hash;

	sha256_init(&hash);
	sha256_add(&hash, rules->text.data, rules->text.len);
	sha256_add(&hash, rules->auditor.data, rules->auditor.len);
	sha256_end(&hash, rules->digest);
}

enum err rules_new(struct slice text, struct slice auditor, uint64_t number, int64_t at,
		   struct rules **out)
{
	CLEANUP(rules) struct rules *rules = calloc(1, sizeof *rules);
	enum err e;

	if (!rules)
		return failed(ERR_MEMORY, "policy");
	rules->refs = 1;
	rules->number = number;
	if ((e = partition_policy_parse(text, "policy", &rules->says)) ||
	    (e = check_auditor(rules->says, auditor, at)))
		return e;
	buf_put_slice(&rules->text, text);
	buf_put_slice(&rules->auditor, auditor);
	if ((e = buf_check(&rules->text)) || (e = buf_check(&rules->auditor)))
		return e;
	digest(rules);
	*out = STEAL(rules);
	return OK;
}

/* What holds for loading and running alike. */
static enum err check_package(const struct rules *rules, const struct app *app)
{
	size_t have = approvals_count(&app->approvals, rules->says);
	uint64_t need = rules->says->packages_approvals;
	char hex[2 * SHA256_SIZE + 1] = "";

	if (policy_lists(&rules->says->revoked, app->measurement))
		return failed(ERR_DENIED, "%s %s is revoked by the policy", app->id, app->version);
	if (have >= need)
		return OK;
	const uint8_t *revoked = approvals_revoked(&app->approvals, rules->says);
	if (revoked)
		hex_put(hex, revoked, SHA256_SIZE);
	return failed(ERR_DENIED, "%s %s has %zu of %llu approvals that the policy asks for%s%s%s",
		      app->id, app->version, have, (unsigned long long)need,
		      revoked ? "; signer " : "", hex, revoked ? " is revoked" : "");
}

enum err rules_may_load(const struct rules *rules, const struct app *app, const char *newest)
{
	enum err e = check_package(rules, app);

	if (e || rules->says->packages_rollback == ROLLBACK_ALLOWED ||
	    version_is_least(slice_text(app->version), slice_text(newest)))
		return e;
	return failed(ERR_DENIED, "%s %s is older than %s, which was loaded before", app->id,
		      app->version, newest);
}

static bool names(const struct config_list *list, const char *name)
{
	for (size_t i = 0; i < list->n; i++)
		if (!strcmp(list->items[i], name))
			return true;
	return list->n == 0;
}

static bool has_user(const struct config_users *list, uid_t uid)
{
	for (size_t i = 0; i < list->n; i++)
		if (list->ids[i] == uid)
			return true;
	return list->n == 0;
}

enum err rules_may_run(const struct rules *rules, uid_t uid, const struct app *app)
{
	enum err e = check_package(rules, app);

	if (e)
		return e;
	if (!names(&rules->says->execute_applications, app->id))
		return failed(ERR_DENIED, "the policy does not let %s run", app->id);
	if (!has_user(&rules->says->execute_users, uid))
		return failed(ERR_DENIED, "the policy does not let user %u run applications", uid);
	return OK;
}

enum err rules_may_take(const struct rules *rules, size_t input)
{
	uint64_t most = rules->says->limits_input_bytes;

	return input <= most ? OK
			     : failed(ERR_RANGE,
				      "an input of %zu bytes, at most %llu allowed by "
				      "the policy",
				      input, (unsigned long long)most);
}

#include "config/appraisal.h"

#include <stdlib.h>
#include <string.h>

#include "config/settings.h"
#include "config/yaml.h"

static const struct setting settings[] = {
#define SETTING(key, field, type, least, most, value, help) \
	{ key, SETTING_##type, least, most, value, help, offsetof(struct appraisal, field) },
#include "config/appraisal.def"
#undef SETTING
};
#define SETTINGS_N (sizeof settings / sizeof *settings)

/* A list of exceptions to no rule would read as if there were one. */
static bool sound(const void *values, struct fault *fault)
{
	const struct appraisal *a = values;

	if (!a->confinement_steps && a->confinement_may_lack.n)
		*fault = (struct fault){ "confinement.steps", "all expected, because of may_lack",
					 "confinement.may_lack" };
	else if (!a->application_purity && a->application_may_need.n)
		*fault = (struct fault){ "application.purity", "pure expected, because of may_need",
					 "application.may_need" };
	else if (a->application_approvals > 1 &&
		 a->application_approvals > a->application_signers.n)
		*fault = (struct fault){ "application.signers",
					 "as many signers as approvals expected",
					 "application.approvals" };
	else
		return true;
	return false;
}

static const struct schema schema = { "appraisal", settings, SETTINGS_N, sound };

enum err appraisal_new(struct appraisal **out)
{
	CLEANUP(appraisal) struct appraisal *appraisal = calloc(1, sizeof *appraisal);
	enum err e = appraisal ? schema_default(&schema, appraisal)
			       : failed(ERR_MEMORY, "appraisal policy: out of memory");

	if (!e)
		*out = STEAL(appraisal);
	return e;
}

enum err appraisal_parse(struct slice text, const char *name, struct appraisal **out)
{
	CLEANUP(appraisal) struct appraisal *appraisal = NULL;
	enum err e;

	if (text.left > APPRAISAL_MAX)
		return failed(ERR_RANGE, "%s:1: at most %d bytes expected, found %zu", name,
			      APPRAISAL_MAX, text.left);
	if ((e = appraisal_new(&appraisal)) || (e = yaml_read(text, name, &schema, appraisal)))
		return e;
	*out = STEAL(appraisal);
	return OK;
}

enum err appraisal_put(struct appraisal *appraisal, const char *key, const char *value)
{
	for (size_t i = 0; i < SETTINGS_N; i++) {
		if (strcmp(settings[i].key, key))
			continue;
		/* Quoted when written, so it need not look like a text. */
		struct scalar scalar = { slice_text(value), settings[i].type == SETTING_NUMBER };
		enum err e = setting_put(&settings[i], appraisal, scalar);
		return e ? failed(e, "%s: \"%s\" can't be written", key, value) : OK;
	}
	return failed(ERR_NOT_FOUND, "no setting %s", key);
}

void appraisal_describe(struct buf *out)
{
	schema_describe(&schema, out);
}

void appraisal_show(const struct appraisal *appraisal, bool json, struct buf *out)
{
	schema_show(&schema, appraisal, json, out);
}

void appraisal_free(struct appraisal *appraisal)
{
	if (!appraisal)
		return;
	schema_free(&schema, appraisal);
	free(appraisal);
}

void appraisal_cleanup(struct appraisal **appraisal)
{
	appraisal_free(STEAL(*appraisal));
}

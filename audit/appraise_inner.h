/* appraise_inner.h - how the rules of an appraisal tell what they found: for appraise.c, which applies them
 * in the order of config/appraisal.def, and for appraise_application.c, appraise_platform.c and
 * appraise_run.c, which have one for every line of it. Not for others.
 *
 * A rule whose setting is not set says nothing. Errors are those of memory and of the policy itself: a
 * value that is not accepted is none, but told.
 */
#ifndef AUDIT_APPRAISE_INNER_H
#define AUDIT_APPRAISE_INNER_H

#include "audit/appraise.h"

struct appraiser {
	const struct appraisal *policy;
	const struct appraise_evidence *evidence;
	const struct leaf *leaf;
	struct appraise_report *report;
	const char *key, *claim; /* of the rule at hand */
};

/* Tells whether the rule at hand is met, and by which value. */
__attribute__((format(printf, 3, 4))) MUST enum err appraise_judge(struct appraiser *a, bool met,
								   const char *format, ...);
bool appraise_in_list(const struct config_list *list, struct slice value);
/* The rules of most settings: the value is this one; it is one of the list's; its digest is, if it @has
 * one. */
MUST enum err appraise_text_is(struct appraiser *a, const char *wanted, struct slice value);
MUST enum err appraise_one_of(struct appraiser *a, const struct config_list *list,
			      struct slice value);
MUST enum err appraise_digest_of(struct appraiser *a, const struct config_list *list, bool has,
				 const uint8_t digest[SHA256_SIZE]);

/* One for each line of appraisal.def. */
#define SETTING(key, field, type, least, most, value, help) \
	MUST enum err rule_##field(struct appraiser *a);
#include "config/appraisal.def"
#undef SETTING

#endif

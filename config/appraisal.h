/* appraisal.h - what a relying party accepts of a proof (its appraisal policy for evidence, RFC 9334
 * section 8.5), as typed values, read from YAML. audit/appraise.h says how it is applied.
 *
 * The reader is that of config.h, and refuses the same. Read-only after it was read, so any thread
 * may read.
 */
#ifndef CONFIG_APPRAISAL_H
#define CONFIG_APPRAISAL_H

#include "config/config.h"

#define APPRAISAL_MAX 65536

/* One field per line of appraisal.def. */
struct appraisal {
#define SETTING(key, field, type, least, most, value, help) CONFIG_FIELD_##type(field)
#include "config/appraisal.def"
#undef SETTING
};

/* All defaults: accepts anything that verifies. */
MUST enum err appraisal_new(struct appraisal **out);
/* @name stands for the file in reasons. ERR_FORMAT or ERR_RANGE, with file, line and what was
 * expected. */
MUST enum err appraisal_parse(struct slice text, const char *name, struct appraisal **out);
/* Sets one setting, or appends to it when it is a list; for a policy that is made, not read. ERR_RANGE:
 * the list is full; ERR_FORMAT: no such value can be written. */
MUST enum err appraisal_put(struct appraisal *appraisal, const char *key, const char *value);
void appraisal_describe(struct buf *out);
/* As YAML that appraisal_parse reads, or as JSON. */
void appraisal_show(const struct appraisal *appraisal, bool json, struct buf *out);
void appraisal_free(struct appraisal *appraisal);
void appraisal_cleanup(struct appraisal **appraisal);

#endif

/* policy.h - what a partition's policy says, as typed values, read from YAML.
 *
 * The reader is that of config.h, and refuses the same. Read-only after it was read, so any thread
 * may read.
 */
#ifndef CONFIG_POLICY_H
#define CONFIG_POLICY_H

#include "config/base/sha256.h"
#include "config/config.h"

#define PARTITION_POLICY_MAX 32768

enum partition_keep { KEEP_NOTHING = 0, KEEP_SEALED = 1 };
enum partition_rollback { ROLLBACK_ALLOWED = 0, ROLLBACK_REFUSED = 1 };
enum partition_witness { WITNESS_NOT_REQUIRED = 0, WITNESS_REQUIRED = 1 };

/* One field per line of policy.def. */
struct partition_policy {
#define SETTING(key, field, type, least, most, value, help) CONFIG_FIELD_##type(field)
#include "config/policy.def"
#undef SETTING
};

/* @name stands for the file in reasons. An empty text is the policy of a partition that was given
 * none. ERR_FORMAT or ERR_RANGE, with file, line and what was expected. */
MUST enum err partition_policy_parse(struct slice text, const char *name,
				     struct partition_policy **out);
/* Prints every setting with its type, range, default and help; or its value, as JSON or YAML. */
void partition_policy_describe(struct buf *out);
void partition_policy_show(const struct partition_policy *policy, bool json, struct buf *out);
/* Whether a list of digests has this one. */
bool policy_lists(const struct config_list *digests, const uint8_t digest[SHA256_SIZE]);
void partition_policy_free(struct partition_policy *policy);
void partition_policy_cleanup(struct partition_policy **policy);

#endif

/* config.h - the typed configuration, read from one YAML file.
 *
 * A file is refused, with file, line and what was expected, for: an unknown or duplicate key, a
 * wrong type, a value out of range, an alias or tag, a second document, over CONFIG_MAX bytes, or a
 * file or directory above it that others than root and its owner may write. Strings are owned by
 * the config. Read-only after loading, so any thread may read.
 */
#ifndef CONFIG_CONFIG_H
#define CONFIG_CONFIG_H

#include <sys/types.h>

#include "config/base/bytes.h"

#define CONFIG_MAX 65536
#define CONFIG_PATH_DEFAULT "/etc/assay/assay.yaml"
#define CONFIG_PATH_VARIABLE "ASSAY_CONFIG"
#define HSM_MODULE_VARIABLE "ASSAY_HSM_MODULE"
#define CONFIG_LIST_MAX 256

enum config_mode { MODE_DEVELOPMENT = 0, MODE_APPLIANCE = 1 };

struct config_list {
	char *items[CONFIG_LIST_MAX];
	size_t n;
};

struct config_users {
	uid_t ids[CONFIG_LIST_MAX];
	size_t n;
};

/* One field per line of settings.def, policy.def or appraisal.def. */
#define CONFIG_FIELD_NUMBER(field) uint64_t field;
#define CONFIG_FIELD_CHOICE(field) unsigned field;
#define CONFIG_FIELD_TEXT(field) char *field;
#define CONFIG_FIELD_PATH(field) char *field; /* "" when not set */
#define CONFIG_FIELD_ENVIRONMENT(field) struct config_list field;
#define CONFIG_FIELD_WORDS(field) struct config_list field;
#define CONFIG_FIELD_USERS(field) struct config_users field;
#define CONFIG_FIELD_NAMES(field) struct config_list field;
#define CONFIG_FIELD_DIGESTS(field) struct config_list field; /* as hexadecimal digits */
#define CONFIG_FIELD_PARTS(field) struct config_list field;   /* NAME=digest */
#define CONFIG_FIELD_LINES(field) struct config_list field;   /* of another format */

struct config {
	char *path;         /* absolute, of the file that it was read from; NULL: defaults */
	uint8_t digest[32]; /* SHA-256 of that file */
#define SETTING(key, field, type, least, most, value, help) CONFIG_FIELD_##type(field)
#include "config/settings.def"
#undef SETTING
};

/* ERR_NOT_FOUND when there is no such file; ERR_FORMAT, ERR_RANGE or ERR_DENIED as said above. With
 * @path NULL: the defaults. */
MUST enum err config_load(const char *path, struct config **out);
/* The same for text that was read already; @name stands for the file in reasons. */
MUST enum err config_parse(struct slice text, const char *name, struct config **out);
/* The path to read: $ASSAY_CONFIG (ignored in set-user-id programs), else the default. */
const char *config_path(void);
/* "<programs>/<name>", where programs defaults to the directory of the running module or program,
 * @self (absolute path of it). */
MUST enum err config_program(const struct config *config, const char *self, const char *name,
			     char *out, size_t out_n);
/* Puts a list of NAME=value into the environment of this process, in which no other thread may run
 * yet. Unless @replace, what is set there already stays. */
MUST enum err config_environment(const struct config_list *list, bool replace);
/* Prints every setting with its type, range, default and help. */
void config_describe(struct buf *out);
/* Prints every setting's value, as JSON, or as YAML that config_load reads. */
void config_show(const struct config *config, bool json, struct buf *out);
void config_free(struct config *config);
void config_cleanup(struct config **config);

#endif

/* settings.h - the tables made from settings.def, policy.def and appraisal.def, and how one setting takes a value
 * from text.
 *
 * For the files of this folder only; everybody else reads the structs of values.
 */
#ifndef CONFIG_SETTINGS_H
#define CONFIG_SETTINGS_H

#include "config/config.h"

enum setting_type {
	SETTING_NUMBER,
	SETTING_CHOICE,
	SETTING_TEXT,
	SETTING_PATH,
	SETTING_ENVIRONMENT, /* this and those that follow are lists */
	SETTING_WORDS,
	SETTING_USERS,
	SETTING_NAMES,
	SETTING_DIGESTS,
	SETTING_PARTS,
	SETTING_LINES
};

struct setting {
	const char *key;
	enum setting_type type;
	uint64_t least, most;
	const char *value; /* default, or the words to choose from */
	const char *help;
	size_t offset; /* of its field in the struct of values */
};

/* What is wrong with values that are right one by one. */
struct fault {
	const char *key, *expected;
	const char *because; /* the key to blame where the first one isn't in the file */
};

/* One kind of file, and the struct of values that it is read into. */
struct schema {
	const char *what; /* "configuration" */
	const struct setting *settings;
	size_t n;
	bool (*sound)(const void *values, struct fault *fault);
};

/* Sets every value of zeroed @values to its default; lets go of what they own. */
MUST enum err schema_default(const struct schema *schema, void *values);
void schema_free(const struct schema *schema, void *values);
/* Every setting with type, range, default and help; and every value, as JSON or as YAML. */
void schema_describe(const struct schema *schema, struct buf *out);
void schema_show(const struct schema *schema, const void *values, bool json, struct buf *out);

/* One scalar as it stands in the file; @plain: without quotes, so YAML may see a number in it. */
struct scalar {
	struct slice text;
	bool plain;
};

/* Whether the setting is a list, given as a sequence of scalars. */
bool setting_is_list(const struct setting *setting);
/* Sets a setting, or appends an item when it is a list. ERR_FORMAT or ERR_RANGE: the value is not
 * what setting_expected() says, or (a list, ERR_RANGE) it is full; ERR_MEMORY. No reason is noted:
 * the caller knows the line. */
MUST enum err setting_put(const struct setting *setting, void *values, struct scalar value);
/* The default; @values are zeroed. */
MUST enum err setting_default(const struct setting *setting, void *values);
void setting_free(const struct setting *setting, void *values);

/* "a whole number from 1 to 64"; for an item of a list when @item. */
void setting_expected(const struct setting *setting, bool item, struct buf *out);
/* The value as JSON, which is YAML too; null when not set. */
void setting_print(const struct setting *setting, const void *values, struct buf *out);

#endif

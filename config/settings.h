/* settings.h - the table made from settings.def, and how one setting takes a value from text.
 *
 * For the files of this folder only; everybody else reads struct config.
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
	SETTING_USERS
};

struct setting {
	const char *key;
	enum setting_type type;
	uint64_t least, most;
	const char *value; /* default, or the words to choose from */
	const char *help;
	size_t offset; /* of its field in struct config */
};

extern const struct setting settings[];
extern const size_t settings_n;

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
MUST enum err setting_put(const struct setting *setting, struct config *config,
			  struct scalar value);
/* The default; @config is zeroed. */
MUST enum err setting_default(const struct setting *setting, struct config *config);
void setting_free(const struct setting *setting, struct config *config);

/* "a whole number from 1 to 64"; for an item of a list when @item. */
void setting_expected(const struct setting *setting, bool item, struct buf *out);
/* The value as JSON, which is YAML too; null when not set. */
void setting_print(const struct setting *setting, const struct config *config, struct buf *out);

#endif

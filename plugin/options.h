/* options.h - the one parameter that our mechanisms take, from options.def.
 *
 * It is flat, so that it crosses any transport, and a client that passes none has no options. Pure.
 */
#ifndef PLUGIN_OPTIONS_H
#define PLUGIN_OPTIONS_H

#include "config/base/bytes.h"

#define OPTIONS_VERSION 1
#define OPTION_MAX 64

struct option_value {
	uint8_t n; /* 0: it is not there */
	uint8_t bytes[OPTION_MAX];
};

struct options {
#define OPTION(name, tag, least, most) struct option_value name;
#include "plugin/options.def"
#undef OPTION
};

/* The longest parameter that there can be. */
enum {
	OPTIONS_MAX = 1
#define OPTION(name, tag, least, most) +3 + (most)
#include "plugin/options.def"
#undef OPTION
};

/* Copies the caller's parameter once, if it is short enough, and reads the copy. No parameter (NULL
 * and 0) is no options. ERR_FORMAT: anything that options.def does not describe. */
MUST enum err options_take(const void *parameter, size_t n, struct options *out);
/* The same of bytes that are the caller's own already, and not empty. */
MUST enum err options_read(struct slice in, struct options *out);

bool options_any(const struct options *options);
struct slice option_slice(const struct option_value *value);
/* Milliseconds; 0: no limit was given. */
uint32_t options_time_limit(const struct options *options);

#endif

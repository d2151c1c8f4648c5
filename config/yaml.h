/* yaml.h - the one walk over libyaml's events, driven by a schema. */
#ifndef CONFIG_YAML_H
#define CONFIG_YAML_H

#include "config/settings.h"

/* Puts what @text says into @values, which hold the defaults. Every reason reads "@name:line: key:
 * what was expected, what was found". */
MUST enum err yaml_read(struct slice text, const char *name, const struct schema *schema,
			void *values);

#endif

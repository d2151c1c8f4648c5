/* yaml.h - the one walk over libyaml's events, driven by settings.def. */
#ifndef CONFIG_YAML_H
#define CONFIG_YAML_H

#include "config/config.h"

/* Puts what @text says into @config, which holds the defaults. Every reason reads "@name:line: key:
 * what was expected, what was found". */
MUST enum err yaml_read(struct slice text, const char *name, struct config *config);

#endif

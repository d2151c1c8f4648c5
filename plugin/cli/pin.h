/* pin.h - a PIN from where the command line says: a file, a descriptor, or the terminal. Never from
 * an argument or the environment, which other processes can read.
 */
#ifndef PLUGIN_CLI_PIN_H
#define PLUGIN_CLI_PIN_H

#include "config/base/secret.h"
#include "plugin/cli/cli.h"

struct pin_source {
	const char *what;     /* "user PIN" */
	const char *file;     /* mode 0600 */
	struct cli_number fd; /* a pipe or file that the caller opened */
};

/* The first line, without its end. The process is one without core dumps and debuggers from here on.
 * ERR_USAGE: no source was named and there is no terminal. */
MUST enum err pin_read(const struct pin_source *source, struct secret *pin);

#endif

/* local.h - packages run on this machine, in a sandbox of the command's own: no HSM, no daemon. */
#ifndef PLUGIN_CLI_LOCAL_H
#define PLUGIN_CLI_LOCAL_H

#include "plugin/cli/cli.h"
#include "sandbox/sandbox.h"

/* The sandbox that the daemon would start, but with a launcher and a cgroup of its own. */
MUST enum err local_open(const struct cli *cli, const struct config *config, struct sandbox **out);
void local_cleanup(struct sandbox **box);
/* Takes a parsed package in, for one run or many. */
MUST enum err local_image(struct sandbox *box, const struct package *package,
			  struct sandbox_image **out);
/* One run of one package; free @run. */
MUST enum err local_run(struct sandbox *box, const struct package *package, struct slice input,
			struct run *run);

#endif

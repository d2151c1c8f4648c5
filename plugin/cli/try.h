/* try.h - what an application needs of what a pure one lacks, found by running it. */
#ifndef PLUGIN_CLI_TRY_H
#define PLUGIN_CLI_TRY_H

#include "plugin/cli/cli.h"

/* Makes the package with that purity (enum purity). */
typedef enum err try_make(void *context, uint8_t purity, struct buf *out);

/* Runs it on each of the files @inputs: with everything open, twice, more than a second apart; then
 * pure, with nothing at first, then with each need, with two, with all. Proposes the first that does
 * on all inputs as was done with everything open: the same end and output, or another output each time
 * where it was another each time. @purity 0: none does. One input shows what that one needs. */
MUST enum err try_purity(const struct cli *cli, const struct config *config,
			 const struct cli_list *inputs, try_make *make, void *context,
			 uint8_t *purity);

#endif

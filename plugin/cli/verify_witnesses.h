/* verify_witnesses.h - do enough witnesses vouch for the log that a proof is from? */
#ifndef PLUGIN_CLI_VERIFY_WITNESSES_H
#define PLUGIN_CLI_VERIFY_WITNESSES_H

#include "audit/proof.h"

/* Adds a check to the report of a proof that holds: of the files of --witnesses and --checkpoint.
 * Errors are those of reading them, and of witness_vouches(). */
MUST enum err verify_witnesses(const char *policy, const char *checkpoint, struct slice proof,
			       struct proof_report *report);

#endif

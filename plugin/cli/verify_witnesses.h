/* verify_witnesses.h - do enough witnesses vouch for the log that a proof is from? One thread. */
#ifndef PLUGIN_CLI_VERIFY_WITNESSES_H
#define PLUGIN_CLI_VERIFY_WITNESSES_H

#include "audit/trust.h"

/* The files of --witnesses and --checkpoint. */
struct vouchers {
	struct trust *trust; /* NULL: nobody is asked */
	struct buf checkpoint;
};
MUST enum err vouchers_read(const char *policy, const char *checkpoint, struct vouchers *out);
void vouchers_cleanup(struct vouchers *vouchers);

/* For a proof that holds (or a result that has one): do they vouch for the tree that its receipt is
 * about? Whatever is not OK is a verdict, and its reason. */
MUST enum err vouchers_check(const struct vouchers *vouchers, struct slice file, size_t *witnesses);

#endif

/* quoting.h - asks the machine's TPM for a quote, through a process of its own (tpm/). */
#ifndef PLUGIN_DAEMON_QUOTING_H
#define PLUGIN_DAEMON_QUOTING_H

#include "audit/quote.h"
#include "config/config.h"

#define QUOTING_MS 10000

/* Appends the quote, as audit/quote.h has it. Blocks for at most QUOTING_MS; any thread. */
MUST enum err quoting_ask(const struct config *config, const char *self,
			  const uint8_t challenge[SHA256_SIZE], struct buf *quote,
			  uint8_t registers[QUOTE_REGISTERS][SHA256_SIZE]);

#endif

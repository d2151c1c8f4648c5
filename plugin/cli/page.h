/* page.h - one HTML file that verifies a proof in a browser, with nothing but what it holds. */
#ifndef PLUGIN_CLI_PAGE_H
#define PLUGIN_CLI_PAGE_H

#include "config/base/bytes.h"

/* What is put in; empty: left to be chosen in the browser. */
struct page_evidence {
	struct slice proof, ca, keys, input, output, messages;
};
MUST enum err page_put(const struct page_evidence *evidence, struct buf *out);

#endif

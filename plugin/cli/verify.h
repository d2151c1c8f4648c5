/* verify.h - how the outcome of a verification is told. */
#ifndef PLUGIN_CLI_VERIFY_H
#define PLUGIN_CLI_VERIFY_H

#include "audit/library/assay-verify.h"
#include "config/base/bytes.h"

/* @compact: of a compact proof, whose few claims no other command shows. */
void verify_print_plain(enum assay_verdict verdict, struct assay_outcome *outcome, bool compact,
			struct buf *out);
void verify_print_json(enum assay_verdict verdict, struct assay_outcome *outcome, struct buf *out);

#endif

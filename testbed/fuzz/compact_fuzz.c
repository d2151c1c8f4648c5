/* The reader of compact proofs, and their verification: none may verify, since the key that signs for
 * the certificate is gone. */
#include <stdlib.h>

#include "audit/compact.h"
#include "audit/proof.h"
#include "testbed/fuzz/authority.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct proof_expect expect = { .ca = SLICE(authority), .allow_development = true };
	CLEANUP(proof_report) struct proof_report report = { .n = 0 };
	struct slice raw = slice_of(data, n);
	struct compact compact;

	if (!compact_read(raw, &compact) && n > COMPACT_MAX)
		abort();
	if (!proof_verify_compact(raw, SLICE(authority), &expect, &report))
		abort();
	return 0;
}

/* The files that a relying party reads: proof, keys, result. What is read is written the same way, and
 * a proof verifies only if it is of the one record that the key, which is gone, signed for. */
#include <stdlib.h>
#include <string.h>

#include "audit/proof.h"
#include "testbed/fuzz/authority.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void same(struct buf *again, struct slice raw)
{
	if (!slice_equal(buf_slice(again), raw))
		abort();
	buf_reset(again);
}

static void read_files(struct slice raw)
{
	CLEANUP(buf) struct buf again = BUF_INIT;
	struct proof_parts parts;
	struct slice of[4];
	struct proof_keys keys;

	if (!proof_read(raw, &parts)) {
		proof_write(&parts, &again);
		same(&again, raw);
	}
	if (!proof_result_read(raw, &of[0], &of[1], &of[2], &of[3])) {
		proof_result_write(of[0], of[1], of[2], of[3], &again);
		same(&again, raw);
	}
	(void)!proof_keys_read(raw, &keys);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct proof_expect expect = { .ca = SLICE(authority), .allow_development = true };
	CLEANUP(proof_report) struct proof_report report = { .n = 0 };
	struct slice raw = slice_of(data, n);

	if (!proof_verify(raw, &expect, &report) &&
	    memcmp(report.leaf->cti, AUTHORITY_RECORD, sizeof report.leaf->cti) != 0)
		abort();
	read_files(raw);
	return 0;
}

/* The reader of receipts, time-stamped ones too: what is taken is written again to the same bytes, but
 * for the stamp, and no path leads to a root that somebody signed. */
#include <stdlib.h>
#include <string.h>

#include "audit/receipt.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* A stamped receipt that is stamped again with its own stamp is itself. */
static void stamp_again(struct slice raw, const struct receipt *receipt)
{
	CLEANUP(buf) struct buf again = BUF_INIT;
	struct receipt second;

	if (receipt->timestamp.left) {
		if (receipt_stamp(raw, receipt->timestamp, &again) ||
		    !slice_equal(buf_slice(&again), raw))
			abort();
		return;
	}
	if (receipt_stamp(raw, slice_text("stamp"), &again))
		return; /* too large with it */
	if (receipt_read(buf_slice(&again), &second) || !slice_is(second.timestamp, "stamp") ||
	    !slice_equal(second.signature, receipt->signature) ||
	    !slice_equal(second.protected, receipt->protected) || second.index != receipt->index)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static const uint8_t hash[SHA256_SIZE];
	uint8_t root[SHA256_SIZE];
	struct receipt receipt;

	if (receipt_read(slice_of(data, n), &receipt))
		return 0;
	if (receipt.index >= receipt.size || receipt.path_n > RECEIPT_PATH_MAX)
		abort();
	if (!receipt_root(&receipt, hash, root) && !receipt_verify(&receipt, hash))
		abort();
	stamp_again(slice_of(data, n), &receipt);
	return 0;
}

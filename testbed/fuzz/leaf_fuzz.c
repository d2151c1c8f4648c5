/* The reader of records: what it takes, the encoder writes the same way, and both can be shown. */
#include <stdlib.h>

#include "audit/leaf_text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static struct leaf leaf;
	CLEANUP(buf) struct buf again = BUF_INIT;
	CLEANUP(buf) struct buf text = BUF_INIT;

	if (leaf_decode(slice_of(data, n), &leaf))
		return 0;
	if (leaf_encode(&leaf, &again) || !slice_equal(buf_slice(&again), slice_of(data, n)))
		abort();
	leaf_json(&leaf, &text);
	leaf_print(&leaf, &text);
	leaf_print_line(&leaf, &text);
	if (buf_check(&text))
		abort();
	return 0;
}

/* Answers of time-stamping authorities, and their tokens: none may verify over a signature that nobody
 * had stamped. */
#include <stdlib.h>
#include <string.h>

#include "audit/timestamp.h"
#include "testbed/fuzz/authority.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static const uint8_t signature[64];
	CLEANUP(buf) struct buf token = BUF_INIT;
	CLEANUP(buf) struct buf again = BUF_INIT;
	struct timestamp stamp;

	if (timestamp_take(slice_of(data, n), &token))
		return 0;
	if (timestamp_take(buf_slice(&token), &again) ||
	    !slice_equal(buf_slice(&token), buf_slice(&again)))
		abort();
	if (!timestamp_verify(buf_slice(&token), SLICE(signature), SLICE(authority), &stamp))
		abort();
	return 0;
}

/* An application's manifest, which the launcher reads with privilege: what is taken is written again to
 * the same bytes, and can be measured. */
#include <stdlib.h>

#include "sandbox/manifest.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	CLEANUP(buf) struct buf again = BUF_INIT;
	uint8_t profile[SHA256_SIZE];
	static struct manifest manifest;

	if (manifest_decode(slice_of(data, n), &manifest))
		return 0;
	if (manifest_encode(&manifest, &again) ||
	    !slice_equal(buf_slice(&again), slice_of(data, n)) ||
	    manifest_profile(&manifest, profile))
		abort();
	return 0;
}

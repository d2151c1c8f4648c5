/* A partition's policy: what is accepted, can be shown, and reads again to the same. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "config/policy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	CLEANUP(partition_policy) struct partition_policy *policy = NULL, *again = NULL;
	CLEANUP(buf) struct buf shown = BUF_INIT, second = BUF_INIT;

	if (partition_policy_parse(slice_of(data, n), "fuzz", &policy))
		return 0;
	partition_policy_show(policy, false, &shown);
	if (partition_policy_parse(buf_slice(&shown), "shown", &again))
		abort();
	partition_policy_show(again, false, &second);
	if (!slice_equal(buf_slice(&shown), buf_slice(&second)))
		abort();
	return 0;
}

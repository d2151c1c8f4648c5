/* How an application runs, in a file that says it is a proof's profile: what is read of it is in the
 * words that a policy is held against. */
#include <stdlib.h>
#include <string.h>

#include "audit/profile.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void take_words(struct slice words)
{
	if (!profile_take_pure(&words))
		return;
	while (words.left) {
		size_t before = words.left;

		(void)profile_take_need(&words);
		if (words.left >= before)
			abort();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static struct leaf leaf;
	struct profile_limits limits;
	struct slice raw = slice_of(data, n);

	take_words(raw);
	leaf.components_n = 1;
	leaf.components[0].name = slice_text("profile");
	sha256_once(raw, leaf.components[0].sha256);
	if (profile_limits_read(raw, &leaf, &limits))
		return 0;
	leaf.components[0].sha256[0] ^= 1;
	if (profile_limits_read(raw, &leaf, &limits) != ERR_MISMATCH || limits.memory_bytes)
		abort();
	return 0;
}

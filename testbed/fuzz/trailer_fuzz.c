/* The signatures after a package, which the daemon reads before it knows who sent them. The input is a
 * trailer; what is taken must be what the writer makes of it, and split off the package that it follows. */
#include <stdlib.h>
#include <string.h>

#include "sandbox/trailer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void follow(struct buf *raw, const uint8_t *data, size_t n)
{
	buf_put_text(raw, PACKAGE_MAGIC);
	buf_put_u64(raw, PACKAGE_HEADER);
	if (buf_add(raw, SHA256_SIZE))
		memset(raw->data + 16, 0, SHA256_SIZE);
	buf_put(raw, data, n);
	if (buf_check(raw))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	CLEANUP(buf) struct buf raw = BUF_INIT, again = BUF_INIT;
	static struct trailer trailer, added;

	follow(&raw, data, n);
	struct slice package = buf_slice(&raw);
	if (trailer_split(&package, &trailer))
		return 0;
	if (package.left != PACKAGE_HEADER)
		abort();
	added.n = 0;
	for (size_t i = trailer.n; i--;)
		if (trailer_add(&added, trailer.list[i].key, trailer.list[i].signature))
			abort();
	if (trailer_put(&added, &again) || !slice_equal(buf_slice(&again), slice_of(data, n)))
		abort();
	return 0;
}

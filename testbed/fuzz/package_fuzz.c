/* The reader of packages, which the launcher calls with privilege. The input is what follows the
 * header; the header is made to fit, since a fuzzer would not find the hash. What is taken must be
 * what the builder writes from the same entries. */
#include <stdlib.h>

#include "sandbox/package.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void seal(struct buf *raw, const uint8_t *data, size_t n)
{
	buf_put(raw, "ASSAYPK1", 8);
	buf_put_u64(raw, PACKAGE_HEADER + n);
	if (buf_add(raw, SHA256_SIZE))
		sha256_once(slice_of(data, n), raw->data + 16);
	buf_put(raw, data, n);
	if (buf_check(raw))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	CLEANUP(buf) struct buf raw = BUF_INIT;
	CLEANUP(buf) struct buf again = BUF_INIT;
	static struct package package;
	static struct entry entries[PACKAGE_ENTRIES_MAX];
	size_t entries_n = 0;

	seal(&raw, data, n);
	if (package_parse(buf_slice(&raw), &package))
		return 0;
	for (struct slice cursor = package.entries; package_next(&cursor, &entries[entries_n]);)
		entries_n++;
	if (entries_n != package.entries_n ||
	    package_build(&package.manifest, entries, entries_n, &again) ||
	    !slice_equal(buf_slice(&raw), buf_slice(&again)))
		abort();
	return 0;
}

/* The reader of checkpoints: what it takes as text, the writer writes the same way. */
#include <stdlib.h>
#include <string.h>

#include "audit/note.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct note note;
	char origin[256];
	uint8_t digest[SHA256_SIZE];
	CLEANUP(buf) struct buf text = BUF_INIT;

	if (note_read(slice_of(data, n), &note))
		return 0;
	memcpy(origin, note.origin.p, note.origin.left);
	origin[note.origin.left] = '\0';
	if (note_prepare(origin, note.size, note.root, &text, digest) ||
	    !slice_equal(buf_slice(&text), note.text))
		abort();
	return 0;
}

/* The reader of checkpoints: what it takes as text, the writer writes the same way; and no line passes for
 * one of a key that nobody here has. */
#include <stdlib.h>
#include <string.h>

#include "audit/vkey.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* The key of C2SP's example. */
static void verify(const struct note *note)
{
	static const char known[] =
		"example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k";
	struct vkey key;

	if (vkey_read(slice_text(known), &key) || !vkey_verify(&key, note, NULL))
		abort();
}

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
	verify(&note);
	return 0;
}

/* What a witness reads of strangers, a request's body, and what the daemon reads of a witness; what is
 * read as a request is written the same way. */
#include <stdlib.h>
#include <string.h>

#include "audit/witness.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void as_request(struct slice in)
{
	CLEANUP(buf) struct buf again = BUF_INIT;
	CLEANUP(trust) struct trust *none = NULL;
	struct witness_seen seen = { 0 };
	struct witness_request r;

	if (witness_request_read(in, &r))
		return;
	if (witness_request_write(r.old, &r.proof, r.checkpoint, &again) ||
	    !slice_equal(buf_slice(&again), in))
		abort();
	if (trust_read(slice_of("", 0), "none", false, &none) ||
	    witness_judge(none, &r, &seen) != WITNESS_UNKNOWN)
		abort();
	/* The growth alone, as if the log were known and had signed. */
	seen.size = r.old;
	memcpy(seen.root, r.note.root, sizeof seen.root);
	if (r.old)
		(void)!tree_check_consistency(seen.size, seen.root, r.note.size, r.note.root,
					      &r.proof);
}

static void as_answer(struct slice in)
{
	static const char text[] = "o\n1\n+/8AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n\n"
				   "\xe2\x80\x94 o AQIDBAUGBwgJCg==\n";
	static const uint8_t public[VKEY_ED25519_SIZE] = { 1 };
	CLEANUP(buf) struct buf lines = BUF_INIT;
	struct vkey key;
	uint64_t size;

	if (vkey_make(slice_text("w"), VKEY_COSIGNATURE, SLICE(public), &key))
		abort();
	if (!witness_answer_read(in, &key, slice_text(text), &lines) && !lines.len)
		abort();
	(void)!witness_size_read(in, &size);
}

/* A key that is read is written the same way; of a trust, that it is read at all. */
static void as_text(struct slice in)
{
	CLEANUP(buf) struct buf again = BUF_INIT;
	CLEANUP(trust) struct trust *trust = NULL;
	struct vkey key;

	if (!vkey_read(in, &key)) {
		vkey_write(&key, &again);
		if (!slice_is(in, buf_text(&again)))
			abort();
	}
	if (!trust_read(in, "p", true, &trust) && trust_quorum(trust, 0) != trust_quorum(trust, 0))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	as_request(slice_of(data, n));
	as_answer(slice_of(data, n));
	as_text(slice_of(data, n));
	return 0;
}

/* The write-ahead log's readers: blocks as they come, and payloads behind a right CRC and HMAC, to
 * reach what a torn or hostile disk alone would not. */
#include <stdlib.h>
#include <string.h>

#include "audit/ledger.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static const uint8_t key[FRAME_KEY] = "fuzz";

/* What an entry was read from is what it is written as. */
static void entries(struct slice payload)
{
	while (payload.left) {
		CLEANUP(buf) struct buf again = BUF_INIT;
		struct slice before = payload;
		struct entry entry;

		if (entry_take(&payload, &entry))
			return;
		entry_put(&again, &entry);
		if (!slice_equal(buf_slice(&again), slice_of(before.p, before.left - payload.left)))
			abort();
	}
}

static void as_payload(struct slice payload)
{
	CLEANUP(ledger) struct ledger ledger = LEDGER_INIT;
	CLEANUP(buf) struct buf raw = BUF_INIT;
	struct frame frame = { .count = (uint32_t)(payload.left ? payload.p[0] : 0) }, read;
	uint64_t leaves;

	if (!buf_add(&raw, FRAME_HEADER))
		return;
	buf_put_slice(&raw, payload);
	if (frame_seal(&frame, key, &raw))
		abort();
	if (frame_read(buf_slice(&raw), &read) || !slice_equal(read.payload, payload) ||
	    !frame_authentic(read.hash, read.hmac, key))
		abort();
	(void)!ledger_apply(&ledger, &read, NULL, NULL, &leaves);
}

static void as_blocks(struct slice in)
{
	uint8_t block[FRAME_BLOCK];
	struct segment segment;
	struct frame frame;

	for (; in.left >= FRAME_BLOCK; in.p += FRAME_BLOCK, in.left -= FRAME_BLOCK) {
		size_t claims = frame_claims(in.p);

		if (claims && claims <= in.left)
			(void)!frame_read(slice_of(in.p, claims), &frame);
		memcpy(block, in.p, sizeof block);
		if (!segment_read(block, &segment) && segment.wrapped_n > FRAME_WRAPPED_MAX)
			abort();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct slice in = slice_of(data, n);

	entries(in);
	as_payload(in);
	as_blocks(in);
	return 0;
}

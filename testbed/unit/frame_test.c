#include "testbed/unit/check.h"

#include <string.h>

#include "audit/frame.h"

static const uint8_t key[FRAME_KEY] = "a frame key for tests";

/* A sealed frame of two entries. */
static void make(struct frame *frame, struct buf *raw)
{
	struct entry leaf = {
		.kind = ENTRY_LEAF, .tree = 3, .index = 17, .leaf = slice_text("a record")
	};
	struct entry tree = { .kind = ENTRY_TREE,
			      .tree = 4,
			      .origin = slice_text("bank-a"),
			      .certificate = slice_text("certificate"),
			      .ca = slice_text("ca") };

	*frame = (struct frame){ .epoch = 1, .sequence = 2, .first = 3, .count = 2 };
	memset(frame->previous, 0x77, SHA256_SIZE);
	ck_assert_ptr_nonnull(buf_add(raw, FRAME_HEADER));
	entry_put(raw, &leaf);
	entry_put(raw, &tree);
	ck_assert_ok(frame_seal(frame, key, raw));
}

START_TEST(a_frame_reads_as_it_was_sealed)
{
	CLEANUP(buf) struct buf raw = BUF_INIT;
	struct frame sealed, read;
	struct entry entry;

	make(&sealed, &raw);
	ck_assert_uint_eq(raw.len % FRAME_BLOCK, 0);
	ck_assert_uint_eq(frame_claims(raw.data), raw.len);
	ck_assert_ok(frame_read(buf_slice(&raw), &read));
	ck_assert_uint_eq(read.epoch, 1);
	ck_assert_uint_eq(read.sequence, 2);
	ck_assert_uint_eq(read.first, 3);
	ck_assert_uint_eq(read.count, 2);
	ck_assert_mem_eq(read.previous, sealed.previous, SHA256_SIZE);
	ck_assert_mem_eq(read.hash, sealed.hash, SHA256_SIZE);
	ck_assert(frame_authentic(read.hash, read.hmac, key));
	ck_assert_ok(entry_take(&read.payload, &entry));
	ck_assert_uint_eq(entry.index, 17);
	ck_assert(slice_is(entry.leaf, "a record"));
	ck_assert_ok(entry_take(&read.payload, &entry));
	ck_assert(slice_is(entry.origin, "bank-a"));
	ck_assert(slice_is(entry.ca, "ca"));
	ck_assert_uint_eq(read.payload.left, 0);
}
END_TEST

START_TEST(any_changed_byte_is_seen)
{
	CLEANUP(buf) struct buf raw = BUF_INIT;
	struct frame frame;

	make(&frame, &raw);
	for (size_t i = 0; i < raw.len; i++) {
		raw.data[i] ^= 0x10;
		ck_assert_err(frame_read(buf_slice(&raw), &frame), ERR_FORMAT);
		raw.data[i] ^= 0x10;
	}
	ck_assert_ok(frame_read(buf_slice(&raw), &frame));
}
END_TEST

START_TEST(a_frame_under_another_key_is_not_authentic)
{
	CLEANUP(buf) struct buf raw = BUF_INIT;
	uint8_t other[FRAME_KEY] = "another key";
	struct frame frame;

	make(&frame, &raw);
	ck_assert_ok(frame_read(buf_slice(&raw), &frame));
	ck_assert(!frame_authentic(frame.hash, frame.hmac, other));
	frame.hmac[31] ^= 1;
	ck_assert(!frame_authentic(frame.hash, frame.hmac, key));
}
END_TEST

START_TEST(a_length_beyond_the_maximum_claims_nothing)
{
	CLEANUP(buf) struct buf raw = BUF_INIT;
	struct frame frame;

	make(&frame, &raw);
	set_u32(raw.data + 36, FRAME_PAYLOAD_MAX + 1);
	ck_assert_uint_eq(frame_claims(raw.data), 0);
	set_u32(raw.data + 36, 0xffffffff);
	ck_assert_uint_eq(frame_claims(raw.data), 0);
	ck_assert_err(frame_read(buf_slice(&raw), &frame), ERR_FORMAT);
}
END_TEST

START_TEST(a_segment_header_reads_as_it_was_sealed)
{
	struct segment sealed = { .epoch = 4,
				  .number = 5,
				  .sequence = 6,
				  .bytes = 7 * FRAME_BLOCK,
				  .flags = SEGMENT_RECOVERED,
				  .wrapped = "wrapped",
				  .wrapped_n = 7 };
	uint8_t block[FRAME_BLOCK];
	struct segment read;

	segment_seal(&sealed, key, block);
	ck_assert_ok(segment_read(block, &read));
	ck_assert_uint_eq(read.epoch, 4);
	ck_assert_uint_eq(read.number, 5);
	ck_assert_uint_eq(read.sequence, 6);
	ck_assert_uint_eq(read.bytes, 7 * FRAME_BLOCK);
	ck_assert_uint_eq(read.flags, SEGMENT_RECOVERED);
	ck_assert_uint_eq(read.wrapped_n, 7);
	ck_assert(frame_authentic(read.hash, read.hmac, key));
	for (size_t i = 0; i < FRAME_BLOCK; i++) {
		block[i] ^= 1;
		ck_assert_err(segment_read(block, &read), ERR_FORMAT);
		block[i] ^= 1;
	}
}
END_TEST

static const struct {
	const char *why;
	uint8_t in[24];
	size_t n;
} refused[] = {
	{ "nothing at all", { 0 }, 0 },
	{ "a kind that is unknown", { 9, 0, 0, 0, 0 }, 5 },
	{ "kind 0", { 0, 0, 0, 0, 0 }, 5 },
	{ "half a tree number", { ENTRY_LEAF, 0, 0 }, 3 },
	{ "a leaf without its length", { ENTRY_LEAF, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1 }, 13 },
	{ "a leaf over the maximum",
	  { ENTRY_LEAF, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 1, 0, 0, 'x' },
	  18 },
	{ "a leaf that is cut",
	  { ENTRY_LEAF, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 2, 'x' },
	  18 },
	{ "a head that is cut", { ENTRY_HEAD, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0 }, 14 },
};

START_TEST(entries_that_are_none_are_refused_and_nothing_is_taken)
{
	struct slice in = { refused[_i].in, refused[_i].n };
	struct entry entry;

	ck_assert_msg(entry_take(&in, &entry) == ERR_FORMAT, "%s", refused[_i].why);
	ck_assert_uint_eq(in.left, refused[_i].n);
}
END_TEST

START_TEST(crc32c_gives_the_published_values)
{
	uint8_t zeros[32] = { 0 }, ones[32], up[32];

	memset(ones, 0xff, sizeof ones);
	for (uint8_t i = 0; i < 32; i++)
		up[i] = i;
	ck_assert_uint_eq(crc32c(0, "123456789", 9), 0xe3069283u);
	ck_assert_uint_eq(crc32c(0, zeros, 32), 0x8a9136aau); /* RFC 3720 appendix B.4 */
	ck_assert_uint_eq(crc32c(0, ones, 32), 0x62a8ab43u);
	ck_assert_uint_eq(crc32c(0, up, 32), 0x46dd794eu);
	ck_assert_uint_eq(crc32c(crc32c(0, up, 13), up + 13, 19), 0x46dd794eu);
}
END_TEST

START_TEST(all_zero_sees_every_byte)
{
	uint8_t block[100] = { 0 };

	ck_assert(all_zero(block, sizeof block));
	ck_assert(all_zero(block, 0));
	for (size_t i = 0; i < sizeof block; i++) {
		block[i] = 1;
		ck_assert(!all_zero(block, sizeof block));
		block[i] = 0;
	}
}
END_TEST

static void add(TCase *t)
{
	tcase_add_test(t, a_frame_reads_as_it_was_sealed);
	tcase_add_test(t, any_changed_byte_is_seen);
	tcase_add_test(t, a_frame_under_another_key_is_not_authentic);
	tcase_add_test(t, a_length_beyond_the_maximum_claims_nothing);
	tcase_add_test(t, a_segment_header_reads_as_it_was_sealed);
	tcase_add_table(t, entries_that_are_none_are_refused_and_nothing_is_taken, refused);
	tcase_add_test(t, crc32c_gives_the_published_values);
	tcase_add_test(t, all_zero_sees_every_byte);
}

int main(void)
{
	return check_run("frame", add);
}

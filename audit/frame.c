#include "audit/frame.h"
#include "audit/openssl.h"

#include <string.h>

#define FRAME_MAGIC "ASSAYFR1"
#define SEGMENT_MAGIC "ASSAYSG2"
#define SEGMENT_MAGIC_OLD "ASSAYSG1"
#define MAGIC 8

/* Offsets in a frame's header. */
enum {
	AT_EPOCH = 8,
	AT_SEQUENCE = 16,
	AT_FIRST = 24,
	AT_COUNT = 32,
	AT_LENGTH = 36,
	AT_PREVIOUS = 40,
	AT_HMAC = 72,
	AT_CRC = 104,
	AT_ZERO = 108
};
/* And in a segment's. */
enum {
	SEG_EPOCH = 8,
	SEG_NUMBER = 16,
	SEG_FLAGS = 24,
	SEG_WRAPPED_N = 28,
	SEG_SEQUENCE = 32,
	SEG_PREVIOUS = 40,
	SEG_BYTES = 72,
	SEG_WRAPPED = 80,
	SEG_HMAC = 336,
	SEG_CRC = 368,
	SEG_ZERO = 372
};
_Static_assert(AT_ZERO <= FRAME_HEADER, "the header has room for its fields");

bool all_zero(const uint8_t *p, size_t n)
{
	return !n || (!p[0] && !memcmp(p, p + 1, n - 1));
}

static bool hmac_of(const uint8_t hash[SHA256_SIZE], const uint8_t key[FRAME_KEY],
		    uint8_t out[SHA256_SIZE])
{
	unsigned n = SHA256_SIZE;

	return HMAC(EVP_sha256(), key, FRAME_KEY, hash, SHA256_SIZE, out, &n) != NULL;
}

bool frame_authentic(const uint8_t hash[SHA256_SIZE], const uint8_t hmac[SHA256_SIZE],
		     const uint8_t key[FRAME_KEY])
{
	uint8_t right[SHA256_SIZE];
	uint8_t difference = 0;

	if (!hmac_of(hash, key, right))
		return false;
	for (size_t i = 0; i < SHA256_SIZE; i++)
		difference |= right[i] ^ hmac[i];
	return !difference;
}

/* Of a block or frame whose field for the CRC, at @at, counts as zeros. */
static uint32_t crc_around(const uint8_t *p, size_t n, size_t at)
{
	static const uint8_t zero[4];
	uint32_t crc = crc32c(0, p, at);

	crc = crc32c(crc, zero, sizeof zero);
	return crc32c(crc, p + at + 4, n - at - 4);
}

/* OpenSSL's SHA-256: it uses the processor's instructions, and all of the log goes through it. */
static enum err frame_hash(const uint8_t *header, struct slice payload, uint8_t hash[SHA256_SIZE])
{
	EVP_MD_CTX *c = EVP_MD_CTX_new();
	bool good = c && EVP_DigestInit_ex(c, EVP_sha256(), NULL) &&
		    EVP_DigestUpdate(c, header, AT_HMAC) &&
		    EVP_DigestUpdate(c, payload.p, payload.left) &&
		    EVP_DigestFinal_ex(c, hash, NULL);

	EVP_MD_CTX_free(c);
	return good ? OK : failed(ERR_MEMORY, "a frame's hash");
}

enum err frame_seal(struct frame *frame, const uint8_t key[FRAME_KEY], struct buf *out)
{
	size_t payload_n = out->len - FRAME_HEADER, whole = FRAME_BYTES(payload_n);
	size_t pad = whole - out->len;
	uint8_t *padding = buf_add(out, pad), *h = out->data;
	enum err e;

	if ((e = buf_check(out)))
		return e;
	memset(padding, 0, pad);
	memset(h, 0, FRAME_HEADER);
	memcpy(h, FRAME_MAGIC, MAGIC);
	set_u64(h + AT_EPOCH, frame->epoch);
	set_u64(h + AT_SEQUENCE, frame->sequence);
	set_u64(h + AT_FIRST, frame->first);
	set_u32(h + AT_COUNT, frame->count);
	set_u32(h + AT_LENGTH, (uint32_t)payload_n);
	memcpy(h + AT_PREVIOUS, frame->previous, SHA256_SIZE);
	if ((e = frame_hash(h, slice_of(h + FRAME_HEADER, payload_n), frame->hash)))
		return e;
	if (!hmac_of(frame->hash, key, h + AT_HMAC))
		return failed(ERR_CRYPTO, "a frame's HMAC");
	set_u32(h + AT_CRC, crc_around(h, whole, AT_CRC));
	return OK;
}

size_t frame_claims(const uint8_t block[FRAME_BLOCK])
{
	size_t length = get_u32(block + AT_LENGTH);

	if (memcmp(block, FRAME_MAGIC, MAGIC) || length > FRAME_PAYLOAD_MAX)
		return 0;
	return FRAME_BYTES(length);
}

uint64_t frame_claims_sequence(const uint8_t block[FRAME_BLOCK])
{
	return get_u64(block + AT_SEQUENCE);
}

enum err frame_read(struct slice raw, struct frame *out)
{
	const uint8_t *h = raw.p;
	size_t length;

	if (raw.left < FRAME_BLOCK || frame_claims(h) != raw.left)
		return failed(ERR_FORMAT, "no frame");
	length = get_u32(h + AT_LENGTH);
	if (get_u32(h + AT_CRC) != crc_around(h, raw.left, AT_CRC))
		return failed(ERR_FORMAT, "a frame's CRC is wrong");
	if (!all_zero(h + AT_ZERO, FRAME_HEADER - AT_ZERO) ||
	    !all_zero(h + FRAME_HEADER + length, raw.left - FRAME_HEADER - length))
		return failed(ERR_FORMAT, "a frame's padding is not zero");
	*out = (struct frame){ .epoch = get_u64(h + AT_EPOCH),
			       .sequence = get_u64(h + AT_SEQUENCE),
			       .first = get_u64(h + AT_FIRST),
			       .count = get_u32(h + AT_COUNT),
			       .payload = slice_of(h + FRAME_HEADER, length) };
	memcpy(out->previous, h + AT_PREVIOUS, SHA256_SIZE);
	memcpy(out->hmac, h + AT_HMAC, SHA256_SIZE);
	return frame_hash(h, out->payload, out->hash);
}

void segment_seal(struct segment *segment, const uint8_t key[FRAME_KEY], uint8_t block[FRAME_BLOCK])
{
	memset(block, 0, FRAME_BLOCK);
	memcpy(block, SEGMENT_MAGIC, MAGIC);
	set_u64(block + SEG_EPOCH, segment->epoch);
	set_u64(block + SEG_NUMBER, segment->number);
	set_u32(block + SEG_FLAGS, segment->flags);
	set_u32(block + SEG_WRAPPED_N, (uint32_t)segment->wrapped_n);
	set_u64(block + SEG_SEQUENCE, segment->sequence);
	memcpy(block + SEG_PREVIOUS, segment->previous, SHA256_SIZE);
	set_u64(block + SEG_BYTES, segment->bytes);
	memcpy(block + SEG_WRAPPED, segment->wrapped, segment->wrapped_n);
	sha256_once(slice_of(block, SEG_HMAC), segment->hash);
	hmac_of(segment->hash, key, segment->hmac);
	memcpy(block + SEG_HMAC, segment->hmac, SHA256_SIZE);
	set_u32(block + SEG_CRC, crc_around(block, FRAME_BLOCK, SEG_CRC));
}

enum err segment_read(const uint8_t block[FRAME_BLOCK], struct segment *out)
{
	uint32_t wrapped_n = get_u32(block + SEG_WRAPPED_N);

	if (!memcmp(block, SEGMENT_MAGIC_OLD, MAGIC))
		return failed(
			ERR_UNSUPPORTED,
			"the log was written by an earlier version, which this one can't read");
	if (memcmp(block, SEGMENT_MAGIC, MAGIC) ||
	    get_u32(block + SEG_CRC) != crc_around(block, FRAME_BLOCK, SEG_CRC) ||
	    wrapped_n > FRAME_WRAPPED_MAX || !all_zero(block + SEG_ZERO, FRAME_BLOCK - SEG_ZERO))
		return failed(ERR_FORMAT, "no segment header");
	*out = (struct segment){ .epoch = get_u64(block + SEG_EPOCH),
				 .number = get_u64(block + SEG_NUMBER),
				 .sequence = get_u64(block + SEG_SEQUENCE),
				 .flags = get_u32(block + SEG_FLAGS),
				 .bytes = get_u64(block + SEG_BYTES),
				 .wrapped_n = wrapped_n };
	memcpy(out->previous, block + SEG_PREVIOUS, SHA256_SIZE);
	memcpy(out->wrapped, block + SEG_WRAPPED, wrapped_n);
	memcpy(out->hmac, block + SEG_HMAC, SHA256_SIZE);
	sha256_once(slice_of(block, SEG_HMAC), out->hash);
	return OK;
}

static void put_bytes(struct buf *out, struct slice s)
{
	buf_put_u32(out, (uint32_t)s.left);
	buf_put_slice(out, s);
}

void entry_put(struct buf *out, const struct entry *entry)
{
	buf_put_u8(out, (uint8_t)entry->kind);
	buf_put_u32(out, entry->tree);
	switch (entry->kind) {
	case ENTRY_TREE:
		put_bytes(out, entry->origin);
		put_bytes(out, entry->certificate);
		put_bytes(out, entry->ca);
		break;
	case ENTRY_LEAF:
		buf_put_u64(out, entry->index);
		put_bytes(out, entry->leaf);
		break;
	case ENTRY_HEAD:
		buf_put_u64(out, entry->size);
		buf_put_slice(out, entry->root);
		put_bytes(out, entry->protected);
		put_bytes(out, entry->signature);
		break;
	case ENTRY_SNAPSHOT:
	case ENTRY_CLOSED:
	case ENTRY_PRUNED:
		break;
	case ENTRY_STATE:
		put_bytes(out, entry->origin);
		put_bytes(out, entry->certificate);
		put_bytes(out, entry->ca);
		put_bytes(out, entry->former);
		buf_put_u64(out, entry->leaves);
		put_bytes(out, entry->frontier);
		buf_put_u64(out, entry->size);
		put_bytes(out, entry->root);
		put_bytes(out, entry->protected);
		put_bytes(out, entry->signature);
		break;
	}
}

bool frame_is_snapshot(const struct frame *frame)
{
	return frame->payload.left && frame->payload.p[0] == ENTRY_SNAPSHOT;
}

static enum err take_state(struct slice *in, struct entry *out)
{
	enum err e;

	if ((e = slice_take_bytes(in, FRAME_ORIGIN_MAX, &out->origin)) ||
	    (e = slice_take_bytes(in, FRAME_CERTIFICATE_MAX, &out->certificate)) ||
	    (e = slice_take_bytes(in, FRAME_CERTIFICATE_MAX, &out->ca)) ||
	    (e = slice_take_bytes(in, FRAME_CERTIFICATE_MAX, &out->former)) ||
	    (e = slice_take_u64(in, &out->leaves)) ||
	    (e = slice_take_bytes(in, ENTRY_FRONTIER_MAX, &out->frontier)) ||
	    (e = slice_take_u64(in, &out->size)) ||
	    (e = slice_take_bytes(in, SHA256_SIZE, &out->root)) ||
	    (e = slice_take_bytes(in, FRAME_PROTECTED_MAX, &out->protected)) ||
	    (e = slice_take_bytes(in, FRAME_SIGNATURE_MAX, &out->signature)))
		return e;
	return out->root.left == (out->size ? SHA256_SIZE : 0)
		       ? OK
		       : failed(ERR_FORMAT, "a tree's state without its head's root");
}

static enum err take_body(struct slice *in, struct entry *out)
{
	enum err e;

	switch (out->kind) {
	case ENTRY_TREE:
		if ((e = slice_take_bytes(in, FRAME_ORIGIN_MAX, &out->origin)) ||
		    (e = slice_take_bytes(in, FRAME_CERTIFICATE_MAX, &out->certificate)) ||
		    (e = slice_take_bytes(in, FRAME_CERTIFICATE_MAX, &out->ca)))
			return e;
		return OK;
	case ENTRY_LEAF:
		if ((e = slice_take_u64(in, &out->index)) ||
		    (e = slice_take_bytes(in, 65535, &out->leaf)))
			return e;
		return OK;
	case ENTRY_HEAD:
		if ((e = slice_take_u64(in, &out->size)) ||
		    (e = slice_take(in, SHA256_SIZE, &out->root)) ||
		    (e = slice_take_bytes(in, FRAME_PROTECTED_MAX, &out->protected)) ||
		    (e = slice_take_bytes(in, FRAME_SIGNATURE_MAX, &out->signature)))
			return e;
		return OK;
	case ENTRY_SNAPSHOT:
	case ENTRY_CLOSED:
	case ENTRY_PRUNED:
		return OK;
	case ENTRY_STATE:
		return take_state(in, out);
	}
	return failed(ERR_FORMAT, "an entry of an unknown kind");
}

enum err entry_take(struct slice *payload, struct entry *out)
{
	struct slice in = *payload;
	uint8_t kind;
	enum err e;

	*out = (struct entry){ 0 };
	if ((e = slice_take_u8(&in, &kind)) || (e = slice_take_u32(&in, &out->tree)))
		return e;
	out->kind = kind;
	if ((e = take_body(&in, out)))
		return e;
	*payload = in;
	return OK;
}

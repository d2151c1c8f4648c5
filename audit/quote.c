#include "audit/quote.h"

#include <stdio.h>
#include <string.h>

#include "audit/ecdsa.h"
#include "audit/receipt.h"
#include "audit/shard.h"
#include "config/base/cbor.h"

#define FORMAT "assay-tpm-1"
#define PART_MAX 1024

#define TPM_GENERATED 0xff544347
#define TPM_ST_ATTEST_QUOTE 0x8018
#define TPM_ALG_SHA256 0x000b
#define TPM_ALG_NULL 0x0010
#define TPM_ALG_ECDSA 0x0018
#define TPM_ALG_ECC 0x0023
#define TPM_ECC_NIST_P256 0x0003
/* fixedTPM, fixedParent, sensitiveDataOrigin, restricted, sign: a key that never was elsewhere, and
 * that signs nothing but what the TPM itself says. */
#define KEY_ATTRIBUTES 0x00050032u
#define CLOCK_INFO 17
#define CHUNK_MAX 128

void quote_write(const struct quote_parts *parts, struct buf *out)
{
	cbor_put_array(out, 4);
	cbor_put_text(out, FORMAT);
	cbor_put_bytes(out, parts->public);
	cbor_put_bytes(out, parts->attest);
	cbor_put_bytes(out, parts->signature);
}

enum err quote_read(struct slice raw, struct quote_parts *out)
{
	struct slice format;
	size_t n;
	enum err e;

	if ((e = cbor_take_array(&raw, 4, &n)) || (e = n == 4 ? OK : ERR_FORMAT) ||
	    (e = cbor_take_text(&raw, 32, &format)) ||
	    (e = slice_is(format, FORMAT) ? OK : ERR_FORMAT) ||
	    (e = cbor_take_bytes(&raw, PART_MAX, &out->public)) ||
	    (e = cbor_take_bytes(&raw, PART_MAX, &out->attest)) ||
	    (e = cbor_take_bytes(&raw, PART_MAX, &out->signature)) || (e = cbor_take_end(raw)))
		return failed(e, "the TPM's quote is damaged");
	return OK;
}

enum err quote_challenge(const uint8_t cti[16], struct slice origin, struct slice certificate,
			 uint8_t out[SHA256_SIZE])
{
	CLEANUP(buf) struct buf text = BUF_INIT;
	uint8_t digest[SHA256_SIZE];
	size_t base;

	shard_number(origin, &base);
	origin.left = base;
	sha256_once(certificate, digest);
	cbor_put_array(&text, 4);
	cbor_put_text(&text, FORMAT);
	cbor_put_bytes(&text, slice_of(cti, 16));
	cbor_put_text_slice(&text, origin);
	cbor_put_bytes(&text, SLICE(digest));
	enum err e = buf_check(&text);
	if (!e)
		sha256_once(buf_slice(&text), out);
	return e;
}

/* ---- the TPM's structures: big-endian, sized byte strings ---- */

static enum err damaged(const char *what)
{
	return failed(ERR_FORMAT, "the TPM's quote: %s is not as expected", what);
}

static bool take_is16(struct slice *in, uint16_t wanted)
{
	uint16_t v;

	return !slice_take_u16(in, &v) && v == wanted;
}

static bool take_is32(struct slice *in, uint32_t wanted)
{
	uint32_t v;

	return !slice_take_u32(in, &v) && v == wanted;
}

static bool take_sized(struct slice *in, struct slice *out)
{
	uint16_t n;

	return !slice_take_u16(in, &n) && n <= CHUNK_MAX && !slice_take(in, n, out);
}

/* A number of at most 32 bytes, with leading zeros or without. */
static bool take_number(struct slice *in, uint8_t out[32])
{
	struct slice number;

	if (!take_sized(in, &number) || number.left > 32)
		return false;
	memset(out, 0, 32);
	if (number.left)
		memcpy(out + 32 - number.left, number.p, number.left);
	return true;
}

/* TPMT_PUBLIC of a restricted signing key on P-256. */
static enum err take_key(struct slice in, uint8_t point[ECDSA_POINT])
{
	struct slice policy;
	uint32_t attributes;

	if (!take_is16(&in, TPM_ALG_ECC) || !take_is16(&in, TPM_ALG_SHA256) ||
	    slice_take_u32(&in, &attributes) || (attributes & KEY_ATTRIBUTES) != KEY_ATTRIBUTES ||
	    !take_sized(&in, &policy) || !take_is16(&in, TPM_ALG_NULL) ||
	    !take_is16(&in, TPM_ALG_ECDSA) || !take_is16(&in, TPM_ALG_SHA256) ||
	    !take_is16(&in, TPM_ECC_NIST_P256) || !take_is16(&in, TPM_ALG_NULL))
		return damaged("its key");
	point[0] = 4;
	if (!take_number(&in, point + 1) || !take_number(&in, point + 33) || in.left)
		return damaged("its key's point");
	return OK;
}

static enum err take_signature(struct slice in, uint8_t raw[ECDSA_RAW])
{
	if (!take_is16(&in, TPM_ALG_ECDSA) || !take_is16(&in, TPM_ALG_SHA256) ||
	    !take_number(&in, raw) || !take_number(&in, raw + 32) || in.left)
		return damaged("its signature");
	return OK;
}

/* TPMS_ATTEST of a quote: what it was asked with, and the digest over the registers 0 to 7. */
static enum err take_attest(struct slice in, struct slice *challenge, struct slice *digest)
{
	struct slice signer, clock, firmware, select;

	if (!take_is32(&in, TPM_GENERATED) || !take_is16(&in, TPM_ST_ATTEST_QUOTE) ||
	    !take_sized(&in, &signer) || !take_sized(&in, challenge) ||
	    slice_take(&in, CLOCK_INFO, &clock) || slice_take(&in, 8, &firmware))
		return damaged("what was signed");
	if (!take_is32(&in, 1) || !take_is16(&in, TPM_ALG_SHA256) || slice_take(&in, 4, &select) ||
	    memcmp(select.p, "\3\xff\0\0", 4) != 0 || !take_sized(&in, digest) || in.left)
		return damaged("its choice of registers");
	return OK;
}

/* ---- against the record ---- */

static const struct leaf_component *component(const struct leaf *tcb, const char *name)
{
	for (size_t i = 0; i < tcb->components_n; i++)
		if (slice_is(tcb->components[i].name, name))
			return &tcb->components[i];
	return NULL;
}

static enum err check_registers(const struct leaf *tcb, struct slice digest)
{
	struct sha256 hash;
	uint8_t expected[SHA256_SIZE];

	sha256_init(&hash);
	for (unsigned i = 0; i < QUOTE_REGISTERS; i++) {
		char name[16];

		snprintf(name, sizeof name, QUOTE_REGISTER, i);
		const struct leaf_component *part = component(tcb, name);
		if (!part)
			return failed(ERR_MISMATCH, "the record has a quote, and no %s", name);
		sha256_add(&hash, part->sha256, SHA256_SIZE);
	}
	sha256_end(&hash, expected);
	return slice_equal(digest, SLICE(expected))
		       ? OK
		       : failed(ERR_MISMATCH,
				"the TPM's quote is over other registers than the record lists");
}

static enum err check_key(const struct leaf *tcb, struct slice public)
{
	const struct leaf_component *part = component(tcb, QUOTE_KEY);
	uint8_t digest[SHA256_SIZE];

	sha256_once(public, digest);
	return part && !memcmp(part->sha256, digest, SHA256_SIZE)
		       ? OK
		       : failed(ERR_MISMATCH, "the TPM's quote is by another key than the record "
					      "names");
}

enum err quote_verify(const struct leaf *tcb, struct slice certificate)
{
	uint8_t point[ECDSA_POINT], raw[ECDSA_RAW], signed_digest[SHA256_SIZE];
	uint8_t challenge[SHA256_SIZE];
	struct slice asked, registers;
	struct quote_parts parts;
	enum err e;

	if (!tcb->has_hsm || !tcb->hsm.tpm.left)
		return failed(ERR_NOT_FOUND, "no TPM's quote is in the TCB record");
	if ((e = quote_read(tcb->hsm.tpm, &parts)) || (e = take_key(parts.public, point)) ||
	    (e = take_signature(parts.signature, raw)) ||
	    (e = take_attest(parts.attest, &asked, &registers)) ||
	    (e = check_key(tcb, parts.public)) || (e = check_registers(tcb, registers)) ||
	    (e = quote_challenge(tcb->cti, tcb->origin, certificate, challenge)))
		return e;
	if (!slice_equal(asked, SLICE(challenge)))
		return failed(ERR_MISMATCH, "the TPM's quote was made for another record");
	sha256_once(parts.attest, signed_digest);
	e = ecdsa_verify_point(point, signed_digest, SLICE(raw));
	return e ? failed(e, "the TPM's quote: %s", err_reason()) : OK;
}

static enum err carry(struct slice certificate, struct buf *receipt)
{
	CLEANUP(buf) struct buf carrying = BUF_INIT;
	enum err e = receipt_carry(buf_slice(receipt), certificate, &carrying);

	buf_reset(receipt);
	buf_put_slice(receipt, buf_slice(&carrying));
	return e ? e : buf_check(receipt);
}

enum err quote_carry(const struct leaf *tcb, struct slice certificates, struct buf *receipt)
{
	struct slice certificate;
	struct receipt r;
	enum err e;

	if (!tcb->hsm.tpm.left)
		return OK;
	if ((e = receipt_read(buf_slice(receipt), &r)))
		return e;
	if (!quote_verify(tcb, r.certificate))
		return OK;
	while (certificates.left) {
		if ((e = chain_take(&certificates, &certificate)))
			return e;
		if (!quote_verify(tcb, certificate))
			return carry(certificate, receipt);
	}
	return failed(
		ERR_NOT_FOUND,
		"the TPM's quote in the TCB record is for a key whose certificate is not kept");
}

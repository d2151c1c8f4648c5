/* quote.h - a TPM's quote over the registers (PCRs) that the machine's boot was measured into, as it
 * stands in a TCB record, and its check. Structures are those of TPM 2.0, part 2. Pure.
 *
 * Submodule "tpm" (claim 266): deterministic CBOR ["assay-tpm-1", bstr TPMT_PUBLIC, bstr TPMS_ATTEST,
 * bstr TPMT_SIGNATURE]. The record's components "tpm:pcr-0" to "tpm:pcr-7" have the registers'
 * SHA-256 values, and "tpm:key" the SHA-256 of TPMT_PUBLIC: both are values that a relying party's
 * policy can name. That the key is in a genuine TPM is nothing that the quote itself shows.
 *
 * What the TPM signs along (its qualifying data) is quote_challenge(): so the quote is for one record
 * of one log, under one attestation key, and no other will do.
 */
#ifndef AUDIT_QUOTE_H
#define AUDIT_QUOTE_H

#include "audit/leaf.h"

#define QUOTE_REGISTERS 8   /* PCR 0 to 7: firmware, boot loader, Secure Boot's policy */
#define QUOTE_PREFIX "tpm:" /* of parts that need a quote in the same record */
#define QUOTE_KEY QUOTE_PREFIX "key"
#define QUOTE_REGISTER QUOTE_PREFIX "pcr-%u"

struct quote_parts {
	struct slice public, attest, signature;
};
void quote_write(const struct quote_parts *parts, struct buf *out);
MUST enum err quote_read(struct slice raw, struct quote_parts *out);

/* SHA-256 of CBOR ["assay-tpm-1", cti, origin, SHA-256 of the attestation key's certificate]; of a
 * shard's record, the origin is its tree's own, as in the certificate. */
MUST enum err quote_challenge(const uint8_t cti[16], struct slice origin, struct slice certificate,
			      uint8_t out[SHA256_SIZE]);

/* Does the quote in this TCB record hold: signed by the key that it names, for this record under
 * this certificate, over the registers that it lists? ERR_NOT_FOUND: it has none. ERR_FORMAT,
 * ERR_MISMATCH or ERR_CRYPTO say in words what does not hold. */
MUST enum err quote_verify(const struct leaf *tcb, struct slice certificate);
/* Has the receipt of this TCB record carry the certificate that its quote is for, if that is another than
 * the receipt's own: one of these, one after another. Without a quote nothing is done. ERR_NOT_FOUND: it
 * is for none of them. */
MUST enum err quote_carry(const struct leaf *tcb, struct slice certificates, struct buf *receipt);

#endif

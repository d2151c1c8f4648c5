/* Everything that a relying party reads of a proof. Nothing may verify here: no CA is known. */
#include <stdlib.h>

#include "audit/certificate.h"
#include "audit/compact.h"
#include "audit/ecdsa.h"
#include "audit/proof.h"
#include "audit/receipt.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void read_receipt(struct slice raw)
{
	static const uint8_t hash[SHA256_SIZE];
	struct receipt receipt;
	uint8_t root[SHA256_SIZE];

	if (!receipt_read(raw, &receipt) && !receipt_root(&receipt, hash, root) &&
	    !receipt_verify(&receipt, hash))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct proof_expect expect = { .ca = slice_of(data, n), .allow_development = true };
	struct slice raw = slice_of(data, n), parts[4];
	struct compact compact;
	struct proof_keys keys;
	CLEANUP(proof_report) struct proof_report report = { .n = 0 };
	CLEANUP(buf) struct buf der = BUF_INIT;
	uint8_t signature[ECDSA_RAW];

	if (!proof_verify(raw, &expect, &report))
		abort();
	read_receipt(raw);
	(void)!compact_read(raw, &compact);
	(void)!proof_keys_read(raw, &keys);
	(void)!proof_result_read(raw, &parts[0], &parts[1], &parts[2], &parts[3]);
	(void)!certificate_from_file(raw, &der);
	(void)!ecdsa_from_der(raw, signature);
	return 0;
}

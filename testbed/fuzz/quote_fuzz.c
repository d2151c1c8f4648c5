/* A TPM's quote in a TCB record: what is read is written the same way, and none verifies for a record
 * that no TPM was asked about. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "audit/quote.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* Names the key that the quote brings along, and registers of zeros. */
static void fill(struct leaf *tcb, struct slice raw, struct slice public)
{
	static char names[QUOTE_REGISTERS][16];

	*tcb = (struct leaf){ .has_hsm = true, .origin = slice_text("fuzz") };
	tcb->hsm.tpm = raw;
	for (unsigned i = 0; i < QUOTE_REGISTERS; i++) {
		(void)snprintf(names[i], sizeof names[i], QUOTE_REGISTER, i);
		tcb->components[i].name = slice_text(names[i]);
	}
	tcb->components[QUOTE_REGISTERS].name = slice_text(QUOTE_KEY);
	sha256_once(public, tcb->components[QUOTE_REGISTERS].sha256);
	tcb->components_n = QUOTE_REGISTERS + 1;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	CLEANUP(buf) struct buf again = BUF_INIT;
	static struct leaf tcb;
	struct quote_parts parts;

	if (quote_read(slice_of(data, n), &parts))
		return 0;
	quote_write(&parts, &again);
	if (!slice_equal(buf_slice(&again), slice_of(data, n)))
		abort();
	fill(&tcb, slice_of(data, n), parts.public);
	if (!quote_verify(&tcb, slice_text("certificate")))
		abort();
	return 0;
}

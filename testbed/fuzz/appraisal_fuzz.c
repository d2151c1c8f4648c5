/* A relying party's policy: what is accepted can be shown, reads again to the same, and judges a record
 * the same way, whatever it says. */
#include <stdlib.h>

#include "audit/appraise.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* Every value at its default: a record that claims nothing. */
static size_t missed(const struct appraisal *policy)
{
	CLEANUP(appraise_report) struct appraise_report report = { 0 };
	static struct leaf leaf, tcb;
	struct appraise_evidence evidence = { .leaf = &leaf, .tcb = &tcb };

	enum err e = appraise(policy, &evidence, &report);
	if (e != OK && e != ERR_MISMATCH && e != ERR_LIMIT && e != ERR_USAGE)
		abort();
	if (e == OK ? report.missed != 0 : e == ERR_MISMATCH && report.missed == 0)
		abort();
	return report.missed;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	CLEANUP(appraisal) struct appraisal *policy = NULL, *again = NULL;
	CLEANUP(buf) struct buf shown = BUF_INIT, second = BUF_INIT, json = BUF_INIT;

	if (appraisal_parse(slice_of(data, n), "fuzz", &policy))
		return 0;
	appraisal_show(policy, false, &shown);
	appraisal_show(policy, true, &json);
	if (appraisal_parse(buf_slice(&shown), "shown", &again))
		abort();
	appraisal_show(again, false, &second);
	if (!slice_equal(buf_slice(&shown), buf_slice(&second)) || missed(policy) != missed(again))
		abort();
	return 0;
}

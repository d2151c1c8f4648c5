/* sealed.h - one sample of a proof for each test, and how its verification must end. */
#ifndef TESTBED_UNIT_SEALED_H
#define TESTBED_UNIT_SEALED_H

#include "testbed/unit/sample.h"

/* Of each test, by a fixture of make_sample and free_sample; the test seals it. */
static struct sample s;

static inline void make_sample(void)
{
	sample_init(&s);
}

static inline void free_sample(void)
{
	sample_free(&s);
}

static inline enum err verify(void)
{
	CLEANUP(proof_report) struct proof_report report;

	return proof_verify(buf_slice(&s.proof), &s.expect, &report);
}

/* Verification must end with this result, and with a reason that says this. */
static inline void assert_refused(enum err wanted, const char *words)
{
	CLEANUP(proof_report) struct proof_report report;

	ck_assert_err(proof_verify(buf_slice(&s.proof), &s.expect, &report), wanted);
	ck_assert_msg(strstr(err_reason(), words) != NULL, "\"%s\" expected in \"%s\"", words,
		      err_reason());
	ck_assert_int_eq(report.checks[report.n - 1].verdict, PROOF_FAILED);
	ck_assert_msg(strstr(report.checks[report.n - 1].words, words) != NULL, "%s",
		      report.checks[report.n - 1].words);
}

#endif

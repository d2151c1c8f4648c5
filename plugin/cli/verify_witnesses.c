#include "plugin/cli/verify_witnesses.h"

#include <stdio.h>

#include "audit/receipt.h"
#include "audit/witness.h"
#include "plugin/cli/cli.h"

/* The head of the tree that the proof's receipt is about. The receipt was verified before. */
static enum err read_head(struct slice proof, struct witness_head *head)
{
	struct proof_parts parts;
	struct receipt receipt;
	uint8_t hash[SHA256_SIZE];
	enum err e;

	if ((e = proof_read(proof, &parts)) || (e = receipt_read(parts.receipt, &receipt)))
		return e;
	leaf_hash(parts.leaf, hash);
	head->origin = receipt.origin;
	head->size = receipt.size;
	return receipt_root(&receipt, hash, head->root);
}

enum err verify_witnesses(const char *policy, const char *checkpoint, struct slice proof,
			  struct proof_report *report)
{
	CLEANUP(buf) struct buf text = BUF_INIT, file = BUF_INIT;
	CLEANUP(trust) struct trust *trust = NULL;
	struct proof_check *check = &report->checks[report->n];
	struct trust_count count;
	struct witness_head head;
	enum err e;

	if (report->n == PROOF_CHECKS_MAX)
		return failed(ERR_RANGE, "too many checks");
	if ((e = cli_read(policy, TRUST_MAX, &text)) ||
	    (e = trust_read(buf_slice(&text), policy, true, &trust)) ||
	    (e = cli_read(checkpoint, WITNESS_REQUEST_MAX, &file)) || (e = read_head(proof, &head)))
		return e;
	e = witness_vouches(trust, buf_slice(&file), &head, &count);
	report->n++;
	check->name = "witnesses";
	check->verdict = e ? PROOF_FAILED : PROOF_PASSED;
	if (e)
		snprintf(check->words, sizeof check->words, "%s", err_reason());
	else
		snprintf(check->words, sizeof check->words,
			 "%zu of them cosigned a checkpoint that goes on from this tree", count.n);
	return e;
}

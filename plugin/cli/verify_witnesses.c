#include "plugin/cli/verify_witnesses.h"

#include "audit/proof.h"
#include "audit/receipt.h"
#include "audit/witness.h"
#include "plugin/cli/cli.h"

enum err vouchers_read(const char *policy, const char *checkpoint, struct vouchers *out)
{
	CLEANUP(buf) struct buf text = BUF_INIT;
	enum err e;

	if (!policy)
		return OK;
	if ((e = cli_read(policy, TRUST_MAX, &text)) ||
	    (e = trust_read(buf_slice(&text), policy, true, &out->trust)))
		return e;
	return cli_read(checkpoint, WITNESS_REQUEST_MAX, &out->checkpoint);
}

void vouchers_cleanup(struct vouchers *vouchers)
{
	trust_free(vouchers->trust);
	buf_free(&vouchers->checkpoint);
}

/* The head of the tree that the receipt is about, which was verified before. */
static enum err read_head(struct slice file, struct witness_head *head)
{
	struct slice proof, others[3];
	struct proof_parts parts;
	struct receipt receipt;
	uint8_t hash[SHA256_SIZE];
	enum err e;

	if (proof_result_read(file, &proof, &others[0], &others[1], &others[2]))
		proof = file;
	if ((e = proof_read(proof, &parts)) || (e = receipt_read(parts.receipt, &receipt)))
		return e;
	leaf_hash(parts.leaf, hash);
	head->origin = receipt.origin;
	head->size = receipt.size;
	return receipt_root(&receipt, hash, head->root);
}

enum err vouchers_check(const struct vouchers *vouchers, struct slice file, size_t *witnesses)
{
	struct witness_head head;
	struct trust_count count = { 0 };
	enum err e;

	if ((e = read_head(file, &head)) ||
	    (e = witness_vouches(vouchers->trust, buf_slice(&vouchers->checkpoint), &head, &count)))
		return e;
	*witnesses = count.n;
	return OK;
}

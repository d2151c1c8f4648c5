#include "audit/vouch.h"

#include "audit/proof.h"
#include "audit/receipt.h"
#include "audit/witness.h"

/* The head of the tree that the receipt is about, which was verified before. */
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

enum err vouch_check(const struct trust *trust, struct slice checkpoint, struct slice proof,
		     struct trust_count *count)
{
	struct witness_head head;
	enum err e = read_head(proof, &head);

	return e ? e : witness_vouches(trust, checkpoint, &head, count);
}

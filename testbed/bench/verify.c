/* verify - what verifying costs a relying party, beside bare checks of a P-256 signature by OpenSSL with
 * the key at hand: proofs of one appliance, each with a TCB record of as many parts as a real one has. By
 * turns, so that both see the same machine, in one thread, by its processor time. Prints rows for testbed/bench/bench. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "audit/library/assay-verify.h"
#include "testbed/bench/measure.h"
#include "testbed/unit/appliance.h"

#define PROOFS 512 /* of one batch, and as many of batches of their own */
#define PARTS 48
#define ROUNDS 9

#define OWN_ORIGIN "assay.example/test"

static struct appliance a;
static struct appliance
	own; /* the appliance's own log, for its TCB records: another key, the same CA */
static struct buf leaves[PROOFS], batch[PROOFS], alone[PROOFS], tcb, tcb_receipt;
static uint64_t first; /* index of the first of them */

static void append(struct appliance *to, struct slice raw)
{
	uint8_t hash[SHA256_SIZE];

	leaf_hash(raw, hash);
	appliance_must(tree_append(&to->tree, hash));
}

static void make_own(void)
{
	struct certificate_spec spec = { .name = "Assay test attestation key",
					 .origin = OWN_ORIGIN,
					 .issuer = buf_slice(&a.ca),
					 .not_before = APPLIANCE_TIME - 1000,
					 .not_after = APPLIANCE_TIME + 1000000000 };

	appliance_init_for(&own, OWN_ORIGIN);
	appliance_point(&own, APPLIANCE_KEY, spec.point);
	buf_reset(&own.certificate);
	appliance_must(certificate_make(&spec, &a.signer, APPLIANCE_CA, &own.certificate));
	own.key.certificate = buf_slice(&own.certificate);
	own.key.chain = buf_slice(&a.ca);
	appliance_grow(&own, 1);
}

static void make_tcb(uint8_t digest[SHA256_SIZE])
{
	static char names[PARTS][64];
	struct leaf *leaf = appliance_leaf();

	leaf->type = LEAF_TCB;
	leaf->origin = slice_text(OWN_ORIGIN);
	leaf->pos = own.tree.size;
	leaf->components_n = PARTS;
	for (size_t i = 0; i < PARTS; i++) {
		(void)snprintf(names[i], sizeof names[i],
			       "mapped:/usr/lib/x86_64-linux-gnu/libexample-%zu.so", i);
		leaf->components[i] = (struct leaf_component){ .name = slice_text(names[i]) };
		leaf->components[i].sha256[0] = (uint8_t)i;
	}
	appliance_must(leaf_encode(leaf, &tcb));
	appliance_must(leaf_components_digest(leaf, digest));
	append(&own, buf_slice(&tcb));
	appliance_grow(&own, 3);
	appliance_receipt(&own, OWN_ORIGIN, leaf->pos, &tcb_receipt);
	free(leaf);
}

static void make_leaves(const uint8_t digest[SHA256_SIZE])
{
	struct leaf *leaf = appliance_leaf();

	memcpy(leaf->tcb, digest, SHA256_SIZE);
	first = a.tree.size;
	for (size_t i = 0; i < PROOFS; i++) {
		leaf->pos = a.tree.size;
		set_u64(leaf->cti, leaf->pos);
		appliance_must(leaf_encode(leaf, &leaves[i]));
		append(&a, buf_slice(&leaves[i]));
	}
	free(leaf);
}

static void write_proof(size_t i, struct slice receipt, struct buf *out)
{
	proof_write(&(struct proof_parts){ buf_slice(&leaves[i]), receipt, buf_slice(&tcb),
					   buf_slice(&tcb_receipt) },
		    out);
	appliance_must(buf_check(out));
}

/* One signed head with receipts of all of them. */
static void make_batch(void)
{
	CLEANUP(receipt_head) struct receipt_head head = RECEIPT_HEAD_INIT;
	CLEANUP(buf) struct buf signature = BUF_INIT;
	uint8_t digest[SHA256_SIZE];
	struct tree_path path;
	tree_hash root;

	appliance_must(tree_root(&a.tree, a.tree.size, root));
	appliance_must(receipt_head_prepare(&head, &a.key, APPLIANCE_NAME, APPLIANCE_ORIGIN,
					    a.tree.size, root, APPLIANCE_TIME, digest));
	appliance_must(appliance_sign(&a, APPLIANCE_KEY, digest, &signature));
	appliance_must(receipt_head_sign(&head, buf_slice(&signature)));
	for (size_t i = 0; i < PROOFS; i++) {
		CLEANUP(buf) struct buf receipt = BUF_INIT;

		appliance_must(tree_inclusion(&a.tree, first + i, a.tree.size, &path));
		appliance_must(
			receipt_write(&head, &a.key, first + i, path.hash, path.n, &receipt));
		write_proof(i, buf_slice(&receipt), &batch[i]);
	}
}

/* Each with a head of its own: the tree has grown in between. */
static void make_alone(void)
{
	for (size_t i = 0; i < PROOFS; i++) {
		CLEANUP(buf) struct buf receipt = BUF_INIT;

		appliance_grow(&a, 1);
		appliance_receipt(&a, APPLIANCE_ORIGIN, first + i, &receipt);
		write_proof(i, buf_slice(&receipt), &alone[i]);
	}
}

static double verify_all(const struct buf proofs[PROOFS], struct assay_cache *cache)
{
	struct assay_expect expect = { .size = sizeof expect,
				       .ca = { a.ca.data, a.ca.len },
				       .origin = APPLIANCE_ORIGIN,
				       .cache = cache };
	uint64_t began = cpu_ns();

	for (size_t i = 0; i < PROOFS; i++) {
		struct assay_outcome *outcome;

		if (assay_verify(proofs[i].data, proofs[i].len, &expect, &outcome) != ASSAY_HOLDS)
			die("proof %zu: %s", i, assay_outcome_reason(outcome));
		assay_outcome_free(outcome);
	}
	return (double)(cpu_ns() - began) / PROOFS;
}

static double verify_bare(void)
{
	uint8_t digest[SHA256_SIZE] = { 1 }, der[ECDSA_DER_MAX];
	size_t n = sizeof der;
	EVP_PKEY_CTX *c = EVP_PKEY_CTX_new(a.keys[APPLIANCE_KEY], NULL);

	if (EVP_PKEY_sign_init(c) != 1 || EVP_PKEY_sign(c, der, &n, digest, sizeof digest) != 1 ||
	    EVP_PKEY_verify_init(c) != 1)
		die("no signature");
	uint64_t began = cpu_ns();
	for (size_t i = 0; i < PROOFS; i++)
		if (EVP_PKEY_verify(c, der, n, digest, sizeof digest) != 1)
			die("a signature does not hold");
	double each = (double)(cpu_ns() - began) / PROOFS;
	EVP_PKEY_CTX_free(c);
	return each;
}

/* A cache that knows the appliance, and none of the heads. */
static double verify_known(void)
{
	struct assay_cache *cache = assay_cache_new();
	struct assay_expect expect = { .size = sizeof expect,
				       .ca = { a.ca.data, a.ca.len },
				       .cache = cache };
	struct assay_outcome *outcome;

	if (assay_verify(batch[0].data, batch[0].len, &expect, &outcome) != ASSAY_HOLDS)
		die("%s", assay_outcome_reason(outcome));
	assay_outcome_free(outcome);
	double each = verify_all(alone, cache);
	assay_cache_free(cache);
	return each;
}

static double verify_batch(void)
{
	struct assay_cache *cache = assay_cache_new();
	double each = verify_all(batch, cache);

	assay_cache_free(cache);
	return each;
}

int main(void)
{
	double bare[ROUNDS], known[ROUNDS], cold[ROUNDS], together[ROUNDS];
	uint8_t digest[SHA256_SIZE];

	appliance_init(&a);
	appliance_grow(&a, 1);
	make_own();
	make_tcb(digest);
	make_leaves(digest);
	make_batch();
	make_alone();
	for (int i = 0; i < ROUNDS; i++) {
		bare[i] = verify_bare();
		known[i] = verify_known();
		cold[i] = verify_all(alone, NULL);
		together[i] = verify_batch();
	}
	double one = median(bare, ROUNDS);
	printf("verify_one|%.0f|ns|%.0f|%d||one bare P-256 check by OpenSSL; a proof with a head "
	       "of "
	       "its own, of an appliance that the cache knows\n",
	       median(known, ROUNDS), one, ROUNDS);
	printf("verify_first|%.0f|ns|%.0f|%d||the same check; nothing is known: four signatures, "
	       "and "
	       "certificates to read\n",
	       median(cold, ROUNDS), one, ROUNDS);
	printf("verify_batch|%.0f|1/s|%.0f|%d||bare checks a second; proofs of one batch, one "
	       "thread\n",
	       1e9 / median(together, ROUNDS), 1e9 / one, ROUNDS);
	return 0;
}

/* sample.h - a whole proof, for tests of its verification: record, TCB record, receipts, keys, and what a
 * relying party expects. Change the leaf or the TCB record before sample_seal().
 */
#ifndef TESTBED_UNIT_SAMPLE_H
#define TESTBED_UNIT_SAMPLE_H

#include "testbed/unit/appliance.h"
#include "testbed/unit/check.h"

#define INPUT "<Document>pain.001</Document>"
#define OUTPUT "accepted\n"
#define MESSAGES "1 transfer\n"

/* A whole proof, its keys, and what a relying party expects of it. */
struct sample {
	struct appliance appliance;
	struct leaf *leaf, *tcb;
	struct buf leaf_raw, receipt, tcb_raw, tcb_receipt, proof, keys;
	struct proof_keys key;
	uint8_t measurement[32];
	struct proof_expect expect;
};

static inline void sample_tcb(struct sample *s)
{
	*s->tcb = (struct leaf){ .type = LEAF_TCB,
				 .issuer = slice_text(APPLIANCE_NAME),
				 .time = APPLIANCE_TIME,
				 .components = { { .name = slice_text("daemon"), .sha256 = { 1 } },
						 { .name = slice_text("kernel"),
						   .version = slice_text("6.1"),
						   .sha256 = { 2 } } },
				 .components_n = 2,
				 .origin = slice_text(APPLIANCE_ORIGIN) };
}

/* Encodes a record as it is now, at the end of the tree. */
static inline void sample_append(struct sample *s, struct leaf *leaf, struct buf *raw)
{
	uint8_t hash[SHA256_SIZE];

	leaf->pos = s->appliance.tree.size;
	buf_reset(raw);
	ck_assert_ok(leaf_encode(leaf, raw));
	leaf_hash(buf_slice(raw), hash);
	ck_assert_ok(tree_append(&s->appliance.tree, hash));
}

static inline void sample_write(struct sample *s)
{
	buf_reset(&s->proof);
	proof_write(&(struct proof_parts){ buf_slice(&s->leaf_raw), buf_slice(&s->receipt),
					   buf_slice(&s->tcb_raw), buf_slice(&s->tcb_receipt) },
		    &s->proof);
	ck_assert_ok(buf_check(&s->proof));
}

/* Puts both records into the tree as they are now, and makes the proof. */
static inline void sample_seal(struct sample *s)
{
	s->tcb->dbgstat = s->leaf->dbgstat;
	s->tcb->profile = s->leaf->profile;
	sample_append(s, s->tcb, &s->tcb_raw);
	ck_assert_ok(leaf_components_digest(s->tcb, s->leaf->tcb));
	appliance_grow(&s->appliance, 2);
	sample_append(s, s->leaf, &s->leaf_raw);
	appliance_grow(&s->appliance, 3);
	appliance_receipt(&s->appliance, APPLIANCE_ORIGIN, s->leaf->pos, &s->receipt);
	appliance_receipt(&s->appliance, APPLIANCE_ORIGIN, s->tcb->pos, &s->tcb_receipt);
	sample_write(s);
}

static inline void sample_init(struct sample *s)
{
	memset(s, 0, sizeof *s);
	appliance_init(&s->appliance);
	appliance_grow(&s->appliance, 1);
	s->leaf = appliance_leaf();
	s->tcb = calloc(1, sizeof *s->tcb);
	sample_tcb(s);
	memset(s->key.input, 0x11, 32);
	memset(s->key.output, 0x22, 32);
	memset(s->key.messages, 0x33, 32);
	ck_assert_ok(proof_commit(s->key.input, slice_text(INPUT), s->leaf->input));
	ck_assert_ok(proof_commit(s->key.output, slice_text(OUTPUT), s->leaf->output));
	ck_assert_ok(proof_commit(s->key.messages, slice_text(MESSAGES), s->leaf->messages));
	proof_keys_write(&s->key, &s->keys);
	ck_assert_ok(proof_measurement(s->leaf, s->measurement));
	s->expect = (struct proof_expect){ .ca = buf_slice(&s->appliance.ca),
					   .measurement = s->measurement,
					   .origin = APPLIANCE_ORIGIN,
					   .partition = "0123456789abcdef",
					   .nonce = s->leaf->nonce,
					   .keys = buf_slice(&s->keys),
					   .has_input = true,
					   .has_output = true,
					   .has_messages = true,
					   .input = slice_text(INPUT),
					   .output = slice_text(OUTPUT),
					   .messages = slice_text(MESSAGES) };
}

static inline void sample_free(struct sample *s)
{
	appliance_free(&s->appliance);
	free(s->leaf);
	free(s->tcb);
	buf_free(&s->leaf_raw);
	buf_free(&s->receipt);
	buf_free(&s->tcb_raw);
	buf_free(&s->tcb_receipt);
	buf_free(&s->proof);
	buf_free(&s->keys);
}

#endif

/* appliance.h - an appliance in memory, for tests of evidence: its CA, one attestation key, one log.
 *
 * The keys are OpenSSL's and sign through the same callback as an HSM's.
 */
#ifndef TESTBED_UNIT_APPLIANCE_H
#define TESTBED_UNIT_APPLIANCE_H

#include <stdlib.h>
#include <string.h>

#include "audit/certificate.h"
#include "audit/compact.h"
#include "audit/cose.h"
#include "audit/ecdsa.h"
#include "audit/note.h"
#include "audit/openssl.h"
#include "audit/proof.h"
#include "audit/receipt.h"
#include "audit/tree.h"
#include "audit/vkey.h"

#define APPLIANCE_CA 0
#define APPLIANCE_KEY 1
#define APPLIANCE_KEYS 2
#define APPLIANCE_NAME "assay:appliance:test"
#define APPLIANCE_ORIGIN "assay.example/test/bank-a/1"
#define APPLIANCE_TIME INT64_C(1764000000) /* November 2025 */

struct appliance {
	EVP_PKEY *keys[APPLIANCE_KEYS];
	struct buf ca, certificate;
	EVP_PKEY *ed25519; /* for checkpoints, made on first use */
	struct audit_signer signer;
	struct audit_key key;
	struct tree tree;
};

/* What cannot fail in a test but by a bug ends the test. */
static inline void appliance_must(enum err e)
{
	if (e) {
		(void)fprintf(stderr, "%s: %s\n", err_name(e), err_reason());
		abort();
	}
}

static inline enum err appliance_sign(void *context, unsigned long handle,
				      const uint8_t digest[SHA256_SIZE], struct buf *signature)
{
	struct appliance *a = context;
	uint8_t der[ECDSA_DER_MAX], raw[ECDSA_RAW];
	size_t n = sizeof der;
	EVP_PKEY_CTX *c = EVP_PKEY_CTX_new(a->keys[handle], NULL);
	bool signed_it = c && EVP_PKEY_sign_init(c) == 1 &&
			 EVP_PKEY_sign(c, der, &n, digest, SHA256_SIZE) == 1;
	enum err e;

	EVP_PKEY_CTX_free(c);
	if (!signed_it)
		return failed(ERR_CRYPTO, "no signature");
	if ((e = ecdsa_from_der(slice_of(der, n), raw)))
		return e;
	buf_put(signature, raw, sizeof raw);
	return buf_check(signature);
}

static inline void appliance_point(const struct appliance *a, int key,
				   uint8_t point[CERTIFICATE_POINT])
{
	uint8_t *encoded = NULL;

	if (EVP_PKEY_get1_encoded_public_key(a->keys[key], &encoded) != CERTIFICATE_POINT)
		abort();
	memcpy(point, encoded, CERTIFICATE_POINT);
	OPENSSL_free(encoded);
}

/* @origin: the log that the attestation key may sign for. */
static inline void appliance_init_for(struct appliance *a, const char *origin)
{
	memset(a, 0, sizeof *a);
	a->signer = (struct audit_signer){ .context = a, .sign = appliance_sign };
	for (int i = 0; i < APPLIANCE_KEYS; i++)
		a->keys[i] = EVP_EC_gen("P-256");
	struct certificate_spec spec = { .ca = true,
					 .name = "Assay test CA",
					 .not_before = APPLIANCE_TIME - 1000,
					 .not_after = APPLIANCE_TIME + 1000000000 };
	appliance_point(a, APPLIANCE_CA, spec.point);
	appliance_must(certificate_make(&spec, &a->signer, APPLIANCE_CA, &a->ca));
	spec.ca = false;
	spec.name = "Assay test attestation key";
	spec.origin = origin;
	spec.issuer = buf_slice(&a->ca);
	appliance_point(a, APPLIANCE_KEY, spec.point);
	appliance_must(certificate_make(&spec, &a->signer, APPLIANCE_CA, &a->certificate));
	a->key = (struct audit_key){ .handle = APPLIANCE_KEY,
				     .alg = COSE_ES256,
				     .certificate = buf_slice(&a->certificate),
				     .chain = buf_slice(&a->ca) };
}

static inline void appliance_init(struct appliance *a)
{
	appliance_init_for(a, APPLIANCE_ORIGIN);
}

static inline void appliance_free(struct appliance *a)
{
	for (int i = 0; i < APPLIANCE_KEYS; i++)
		EVP_PKEY_free(a->keys[i]);
	EVP_PKEY_free(a->ed25519);
	buf_free(&a->ca);
	buf_free(&a->certificate);
	tree_free(&a->tree);
}

/* Leaves that are only there to make the tree grow. */
static inline void appliance_grow(struct appliance *a, uint64_t leaves)
{
	for (uint64_t i = 0; i < leaves; i++) {
		uint8_t raw[8], hash[SHA256_SIZE];

		set_u64(raw, a->tree.size);
		leaf_hash(SLICE(raw), hash);
		appliance_must(tree_append(&a->tree, hash));
	}
}

/* The head of the whole tree under @origin, and a receipt for one leaf of it. */
static inline void appliance_receipt(struct appliance *a, const char *origin, uint64_t index,
				     struct buf *out)
{
	CLEANUP(receipt_head) struct receipt_head head = RECEIPT_HEAD_INIT;
	CLEANUP(buf) struct buf signature = BUF_INIT;
	uint8_t digest[SHA256_SIZE];
	struct tree_path path;
	tree_hash root;

	appliance_must(tree_root(&a->tree, a->tree.size, root));
	appliance_must(tree_inclusion(&a->tree, index, a->tree.size, &path));
	appliance_must(receipt_head_prepare(&head, &a->key, APPLIANCE_NAME, origin, a->tree.size,
					    root, APPLIANCE_TIME, digest));
	appliance_must(appliance_sign(a, APPLIANCE_KEY, digest, &signature));
	appliance_must(receipt_head_sign(&head, buf_slice(&signature)));
	appliance_must(receipt_write(&head, &a->key, index, path.hash, path.n, out));
}

static inline void appliance_note(struct appliance *a, const char *origin, struct buf *out)
{
	CLEANUP(buf) struct buf text = BUF_INIT;
	CLEANUP(buf) struct buf signature = BUF_INIT;
	uint8_t digest[SHA256_SIZE], id[NOTE_KEY_ID];
	tree_hash root;

	appliance_must(tree_root(&a->tree, a->tree.size, root));
	appliance_must(note_prepare(origin, a->tree.size, root, &text, digest));
	appliance_must(appliance_sign(a, APPLIANCE_KEY, digest, &signature));
	appliance_must(note_key_id(buf_slice(&a->certificate), id));
	appliance_must(note_write(buf_slice(&text), origin, id, buf_slice(&signature), out));
}

/* The log's Ed25519 key under @origin; then its line for the checkpoint in @note. */
static inline void appliance_ed25519(struct appliance *a, const char *origin, struct vkey *out)
{
	uint8_t public_key[VKEY_ED25519_SIZE];
	size_t n = sizeof public_key;

	if (!a->ed25519)
		a->ed25519 = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
	if (EVP_PKEY_get_raw_public_key(a->ed25519, public_key, &n) != 1)
		abort();
	appliance_must(vkey_make(slice_text(origin), VKEY_ED25519, SLICE(public_key), out));
}

static inline void appliance_ed25519_line(struct appliance *a, const char *origin, struct buf *note)
{
	uint8_t signature[64];
	size_t n = sizeof signature;
	EVP_MD_CTX *c = EVP_MD_CTX_new();
	struct note read;
	struct vkey key;

	appliance_ed25519(a, origin, &key);
	appliance_must(note_read(buf_slice(note), &read));
	if (EVP_DigestSignInit(c, NULL, NULL, NULL, a->ed25519) != 1 ||
	    EVP_DigestSign(c, signature, &n, read.text.p, read.text.left) != 1)
		abort();
	EVP_MD_CTX_free(c);
	appliance_must(note_put_line(slice_text(origin), key.id, SLICE(signature), note));
}

static inline void appliance_compact(struct appliance *a, struct slice leaf, struct buf *out)
{
	CLEANUP(compact_draft) struct compact_draft draft = COMPACT_DRAFT_INIT;
	CLEANUP(buf) struct buf signature = BUF_INIT;
	uint8_t digest[SHA256_SIZE];

	appliance_must(compact_prepare(&draft, &a->key, leaf, digest));
	appliance_must(appliance_sign(a, APPLIANCE_KEY, digest, &signature));
	appliance_must(compact_write(&draft, buf_slice(&signature), out));
}

/* A leaf with every claim in it: an execution, all bytes counting up so that none is alike. */
static inline struct leaf *appliance_leaf(void)
{
	static uint8_t counting[128], approved[2 * 34];
	struct leaf *leaf = calloc(1, sizeof *leaf);

	for (size_t i = 0; i < sizeof counting; i++)
		counting[i] = (uint8_t)i;
	*leaf = (struct leaf){
		.type = LEAF_EXECUTION,
		.issuer = slice_text("bank-a"),
		.subject = slice_text("screen"),
		.time = APPLIANCE_TIME,
		.nonce = slice_of(counting, 32),
		.ueid = slice_of("\x01"
				 "0123456789abcdef",
				 17),
		.hwmodel = slice_text("virtual machine"),
		.hwversion = slice_text("1.0"),
		.has_uptime = true,
		.uptime = 4711,
		.dbgstat = LEAF_DEBUG_DISABLED,
		.profile = slice_text(LEAF_PROFILE_ES256),
		.has_hsm = true,
		.hsm = { slice_text("SoftHSM project"), slice_text("SoftHSM v2"),
			 slice_text("0123456789abcdef"), slice_text("2.6"), 1069 },
		.has_bootcount = true,
		.bootcount = 7,
		.bootseed = slice_of(counting, 32),
		.swname = slice_text("Payment screening \xc2\xa7 25h"),
		.swversion = slice_text("1.2.3"),
		.components = { { .name = slice_text("image"), .authorities = SLICE(approved) },
				{ .name = slice_text("profile"), .version = slice_text("2") } },
		.components_n = 2,
		.origin = slice_text(APPLIANCE_ORIGIN),
		.has_input = true,
		.has_output = true,
		.has_messages = true,
		.has_status = true,
		.has_times = true,
		.start_us = (uint64_t)APPLIANCE_TIME * 1000000,
		.end_us = (uint64_t)APPLIANCE_TIME * 1000000 + 1500,
		.time_source = 0,
		.time_error_us = 0,
		.has_caller = true,
		.role = LEAF_ROLE_USER,
		.pseudonym = slice_text("clerk 9"),
		.has_tcb = true,
		.partition_serial = slice_text("0123456789abcdef"),
		.partition_label = slice_text("bank-a"),
		.has_policy = true,
		.has_epoch = true,
		.epoch = 3,
		.request = slice_of(counting + 64, 16),
		.has_confinement = true,
		.absent_steps = slice_text("mdwe landlock_scope"),
		.start_kind = 1,
		.launched_us = 250,
		.has_roleproof = true,
		.roleproof = LEAF_PROOF_ROLE_KEY,
		.has_frontend = true,
		.reason = slice_text("executed"),
	};
	memcpy(leaf->cti, counting + 1, sizeof leaf->cti);
	for (int i = 0; i < 2; i++) {
		memcpy(approved + 34 * i, "\x58\x20", 2);
		memcpy(approved + 34 * i + 2, counting + 10 + i, 32);
	}
	memcpy(leaf->components[0].sha256, counting + 2, 32);
	memcpy(leaf->components[1].sha256, counting + 3, 32);
	memcpy(leaf->input, counting + 4, 32);
	memcpy(leaf->output, counting + 5, 32);
	memcpy(leaf->messages, counting + 6, 32);
	memcpy(leaf->tcb, counting + 7, 32);
	memcpy(leaf->policy, counting + 8, 32);
	memcpy(leaf->frontend, counting + 9, 32);
	return leaf;
}

#endif

/* sample.c - evidence of an appliance in memory, for tools that know nothing of Assay:
 *
 *   sample DIRECTORY SIZE INDEX
 *
 * writes proof.cbor, compact.cbor, checkpoint, certificate.der, vkey (of the checkpoint's Ed25519
 * line), ca.pem, keys.cbor, leaf.json and entries (the log's leaves, each after its length in 2 bytes) for leaf INDEX in a tree of SIZE.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "audit/leaf_text.h"
#include "config/base/io.h"
#include "testbed/unit/appliance.h"

#define INPUT "<Document>pain.001</Document>"
#define OUTPUT "accepted\n"

static void save(int dir, const char *name, const struct buf *contents)
{
	appliance_must(buf_check(contents));
	appliance_must(io_replace_file(dir, name, 0644, buf_slice(contents)));
}

/* The proof's leaf; and for the rest of the log, leaves that differ in index and type. */
static void make_leaf(uint64_t pos, uint64_t index, struct buf *raw, struct proof_keys *keys)
{
	struct leaf *leaf = appliance_leaf();

	leaf->pos = pos;
	memset(keys, 0x42, sizeof *keys);
	if (pos != index)
		leaf->type = LEAF_AUTHORIZATION;
	appliance_must(proof_commit(keys->input, slice_text(INPUT), leaf->input));
	appliance_must(proof_commit(keys->output, slice_text(OUTPUT), leaf->output));
	appliance_must(proof_commit(keys->messages, slice_of("", 0), leaf->messages));
	appliance_must(leaf_encode(leaf, raw));
	free(leaf);
}

static void make_log(struct appliance *a, uint64_t size, uint64_t index, struct buf *raw,
		     struct proof_keys *keys, struct buf *entries)
{
	for (uint64_t i = 0; i < size; i++) {
		CLEANUP(buf) struct buf one = BUF_INIT;
		uint8_t hash[SHA256_SIZE];

		make_leaf(i, index, &one, keys);
		leaf_hash(buf_slice(&one), hash);
		appliance_must(tree_append(&a->tree, hash));
		buf_put_u16(entries, (uint16_t)one.len);
		buf_put_slice(entries, buf_slice(&one));
		if (i == index)
			buf_put_slice(raw, buf_slice(&one));
	}
}

static void save_proof(struct appliance *a, int dir, uint64_t index, struct slice raw)
{
	CLEANUP(buf) struct buf receipt = BUF_INIT;
	CLEANUP(buf) struct buf proof = BUF_INIT;
	CLEANUP(buf) struct buf compact = BUF_INIT;

	appliance_receipt(a, APPLIANCE_ORIGIN, index, &receipt);
	proof_write(&(struct proof_parts){ .leaf = raw, .receipt = buf_slice(&receipt) }, &proof);
	save(dir, "proof.cbor", &proof);
	appliance_compact(a, raw, &compact);
	save(dir, "compact.cbor", &compact);
}

static void save_texts(struct appliance *a, int dir, struct slice raw,
		       const struct proof_keys *keys)
{
	CLEANUP(buf) struct buf note = BUF_INIT;
	CLEANUP(buf) struct buf pem = BUF_INIT;
	CLEANUP(buf) struct buf json = BUF_INIT;
	CLEANUP(buf) struct buf keys_file = BUF_INIT;
	CLEANUP(buf) struct buf vkey = BUF_INIT;
	struct vkey key;
	struct leaf *leaf = calloc(1, sizeof *leaf);

	appliance_note(a, APPLIANCE_ORIGIN, &note);
	appliance_ed25519_line(a, APPLIANCE_ORIGIN, &note);
	save(dir, "checkpoint", &note);
	appliance_ed25519(a, APPLIANCE_ORIGIN, &key);
	vkey_write(&key, &vkey);
	save(dir, "vkey", &vkey);
	certificate_put_pem(buf_slice(&a->ca), &pem);
	save(dir, "ca.pem", &pem);
	save(dir, "certificate.der", &a->certificate);
	proof_keys_write(keys, &keys_file);
	save(dir, "keys.cbor", &keys_file);
	appliance_must(leaf_decode(raw, leaf));
	leaf_json(leaf, &json);
	save(dir, "leaf.json", &json);
	free(leaf);
}

int main(int argc, char **argv)
{
	CLEANUP(buf) struct buf raw = BUF_INIT;
	CLEANUP(buf) struct buf entries = BUF_INIT;
	CLEANUP(fd) int dir = -1;
	struct proof_keys keys;
	struct appliance a;

	if (argc != 4) {
		(void)fprintf(stderr, "usage: %s DIRECTORY SIZE INDEX\n", argv[0]);
		return 2;
	}
	uint64_t size = strtoull(argv[2], NULL, 10), index = strtoull(argv[3], NULL, 10);
	appliance_must(io_open_dir(AT_FDCWD, argv[1], true, &dir));
	appliance_init(&a);
	make_log(&a, size, index, &raw, &keys, &entries);
	save(dir, "entries", &entries);
	save_proof(&a, dir, index, buf_slice(&raw));
	save_texts(&a, dir, buf_slice(&raw), &keys);
	appliance_free(&a);
	return 0;
}

/* seeds FOLDER - writes the seeds of evidence's fuzzers by our own writers, below FOLDER, and on standard
 * output authority.h. To be run again when a format changes: all of it is new then, since the keys that
 * signed are gone with the process. Time stamps are openssl's (testbed/e2e/timestamp_test.sh). */
#include <stdio.h>
#include <sys/stat.h>

#include "audit/library/assay-verify.h"
#include "config/base/io.h"
#include "testbed/unit/appliance.h"

static const char *folder;

static void seed(const char *fuzzer, const char *name, struct slice bytes)
{
	char path[512];

	(void)snprintf(path, sizeof path, "%s/%s", folder, fuzzer);
	(void)mkdir(path, 0777);
	(void)snprintf(path, sizeof path, "%s/%s/%s", folder, fuzzer, name);
	FILE *f = fopen(path, "we");
	if (!f || fwrite(bytes.p, 1, bytes.left, f) != bytes.left || fclose(f) != 0)
		abort();
}

static void print_authority(struct slice ca)
{
	printf("/* authority.h - a CA whose key is gone; seeds.c wrote it, and evidence that it "
	       "signed. */\n"
	       "#ifndef TESTBED_FUZZ_AUTHORITY_H\n#define TESTBED_FUZZ_AUTHORITY_H\n\n"
	       "#include <stdint.h>\n\n"
	       "#define AUTHORITY_TIME INT64_C(%lld)\n"
	       "/* The id of the one execution. */\n"
	       "#define AUTHORITY_RECORD "
	       "\"\\1\\2\\3\\4\\5\\6\\7\\10\\11\\12\\13\\14\\15\\16\\17\\20\"\n\n"
	       "static const uint8_t authority[] = {",
	       (long long)APPLIANCE_TIME);
	for (size_t i = 0; i < ca.left; i++)
		printf("%s0x%02x,", i % 12 ? " " : "\n\t", ca.p[i]);
	printf("\n};\n\n#endif\n");
}

static void put_piece(struct buf *out, struct slice piece)
{
	buf_put_u16(out, (uint16_t)piece.left);
	buf_put_slice(out, piece);
}

/* As library_fuzz.c takes them. */
static void seed_library(const char *name, uint8_t flags, const struct slice pieces[10])
{
	CLEANUP(buf) struct buf all = BUF_INIT;

	buf_put_u8(&all, flags);
	for (size_t i = 0; i < 10; i++)
		put_piece(&all, pieces[i]);
	seed("library", name, buf_slice(&all));
}

static void append(struct appliance *a, struct slice raw)
{
	uint8_t hash[SHA256_SIZE];

	leaf_hash(raw, hash);
	appliance_must(tree_append(&a->tree, hash));
}

/* A record, and the TCB record that it names, in one tree. */
struct evidence {
	struct buf leaf, tcb, receipt, tcb_receipt, proof, keys, result, compact;
};

static void make_records(struct appliance *a, struct evidence *v)
{
	struct leaf *leaf = appliance_leaf(), *tcb = appliance_leaf();
	static const struct proof_keys keys = { { 1 }, { 2 }, { 3 } };

	tcb->type = LEAF_TCB;
	tcb->pos = a->tree.size;
	appliance_must(leaf_encode(tcb, &v->tcb));
	append(a, buf_slice(&v->tcb));
	appliance_must(leaf_components_digest(tcb, leaf->tcb));
	appliance_must(proof_commit(keys.input, slice_text("in"), leaf->input));
	appliance_must(proof_commit(keys.output, slice_text("out"), leaf->output));
	appliance_must(proof_commit(keys.messages, slice_text("err"), leaf->messages));
	proof_keys_write(&keys, &v->keys);
	leaf->pos = a->tree.size;
	appliance_must(leaf_encode(leaf, &v->leaf));
	append(a, buf_slice(&v->leaf));
	appliance_grow(a, 5);
	appliance_receipt(a, APPLIANCE_ORIGIN, tcb->pos, &v->tcb_receipt);
	appliance_receipt(a, APPLIANCE_ORIGIN, leaf->pos, &v->receipt);
	appliance_compact(a, buf_slice(&v->leaf), &v->compact);
	free(leaf);
	free(tcb);
}

static void make_files(struct evidence *v)
{
	proof_write(&(struct proof_parts){ buf_slice(&v->leaf), buf_slice(&v->receipt),
					   buf_slice(&v->tcb), buf_slice(&v->tcb_receipt) },
		    &v->proof);
	proof_result_write(buf_slice(&v->proof), slice_text("out"), slice_text("err"),
			   buf_slice(&v->keys), &v->result);
}

#define POLICY                                                                                 \
	"origin: " APPLIANCE_ORIGIN "\napplication: { ids: [screen], least_version: '1.2' }\n" \
	"caller: { roles: [user] }\nconfinement: { launcher: privileged, starts: [reused] }\n" \
	"fresh: { nonce: required, age_seconds: 60 }\nplatform: { parts: "                     \
	"['image=0203040506070809000102030405060708090001020304050607080900010203'] }\n"

static void seed_all(struct appliance *a, const struct evidence *v)
{
	const struct slice none = { 0 }, in = slice_text("in"), out = slice_text("out");
	CLEANUP(buf) struct buf stamped = BUF_INIT;

	seed("proof", "proof", buf_slice(&v->proof));
	seed("proof", "result", buf_slice(&v->result));
	seed("proof", "keys", buf_slice(&v->keys));
	seed("receipt", "plain", buf_slice(&v->receipt));
	appliance_must(receipt_stamp(buf_slice(&v->receipt), slice_text("stamp"), &stamped));
	seed("receipt", "stamped", buf_slice(&stamped));
	seed("compact", "execution", buf_slice(&v->compact));
	seed("cbor", "leaf", buf_slice(&v->leaf));
	seed("cbor", "proof", buf_slice(&v->proof));
	seed("cbor", "receipt", buf_slice(&v->receipt));
	seed_library("proof", 0, (struct slice[10]){ buf_slice(&v->proof) });
	seed_library("proof-payloads", 0,
		     (struct slice[10]){ buf_slice(&v->proof), none, none, none, none,
					 buf_slice(&v->keys), none, in, out, slice_text("err") });
	seed_library(
		"result-policy", ASSAY_ALLOW_FAILURE,
		(struct slice[10]){ buf_slice(&v->result), none, none, none, slice_text(POLICY) });
	seed_library(
		"compact", 0,
		(struct slice[10]){ buf_slice(&v->compact), none, buf_slice(&a->certificate) });
	seed_library("stamped", 0,
		     (struct slice[10]){ buf_slice(&v->proof), none, none, buf_slice(&a->ca) });
}

/* Another appliance's: nothing of it may pass for this one's. */
static void seed_certificates(void)
{
	CLEANUP(buf) struct buf chain = BUF_INIT;
	CLEANUP(buf) struct buf pem = BUF_INIT;
	struct appliance other;

	appliance_init(&other);
	seed("certificate", "ca.der", buf_slice(&other.ca));
	seed("certificate", "key.der", buf_slice(&other.certificate));
	buf_put_slice(&chain, buf_slice(&other.certificate));
	buf_put_slice(&chain, buf_slice(&other.ca));
	seed("certificate", "chain", buf_slice(&chain));
	certificate_put_pem(buf_slice(&other.certificate), &pem);
	seed("certificate", "key.pem", buf_slice(&pem));
	appliance_free(&other);
}

int main(int argc, char **argv)
{
	struct appliance a;
	struct evidence v = { 0 };

	if (argc != 2)
		return 64;
	folder = argv[1];
	appliance_init(&a);
	appliance_grow(&a, 1);
	make_records(&a, &v);
	make_files(&v);
	seed_all(&a, &v);
	seed_certificates();
	print_authority(buf_slice(&a.ca));
	appliance_free(&a);
	struct buf *all[] = { &v.leaf,  &v.tcb,  &v.receipt, &v.tcb_receipt,
			      &v.proof, &v.keys, &v.result,  &v.compact };
	for (size_t i = 0; i < sizeof all / sizeof *all; i++)
		buf_free(all[i]);
	return 0;
}

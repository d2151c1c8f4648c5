/* log.c - a log on disk, of a tree with so many records, for tools that know nothing of Assay:
 *
 *   log DIRECTORY RECORDS
 *
 * DIRECTORY/vkey is the tree's Ed25519 key, as a verifier key of C2SP signed notes.
 */
#include <stdlib.h>

#include "audit/vkey.h"
#include "testbed/unit/signer.h"

#define ORIGIN "assay.example/interop/1"

#define AT_ONCE 256

static void write_some(struct audit_tree *tree, uint64_t n)
{
	struct audit_ticket *tickets[AT_ONCE];
	struct leaf *leaf = malloc(sizeof *leaf);

	for (uint64_t i = 0; i < n; i++) {
		signer_leaf(leaf, "for others to check");
		MUST_DO(audit_begin(tree, leaf, &tickets[i]));
	}
	for (uint64_t i = 0; i < n; i++) {
		CLEANUP(buf) struct buf receipt = BUF_INIT;

		MUST_DO(audit_finish(tickets[i], &receipt));
		audit_ticket_free(tickets[i]);
	}
	free(leaf);
}

static void open_tree(struct signer *signer, struct audit *audit, struct audit_tree **tree)
{
	struct leaf *genesis = malloc(sizeof *genesis);
	struct audit_key key = signer_key(signer, ORIGIN);

	key.ed25519 = signer_ed25519(signer, 0, ORIGIN);
	signer_leaf(genesis, "genesis");
	genesis->type = LEAF_OPEN;
	MUST_DO(audit_tree(audit, ORIGIN, &key, genesis, tree));
	free(genesis);
}

static void write_vkey(const struct signer *signer, const char *directory)
{
	CLEANUP(fd) int folder = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	CLEANUP(buf) struct buf text = BUF_INIT;
	struct vkey key;

	MUST_DO(vkey_of_certificate(buf_slice(&signer->ed25519_certificates[0]), ORIGIN, &key));
	vkey_write(&key, &text);
	MUST_DO(io_replace_file(folder, "vkey", 0644, buf_slice(&text)));
}

int main(int argc, char **argv)
{
	struct audit_recovery recovery;
	struct audit_tree *tree;
	struct signer signer;
	struct audit *audit;

	if (argc != 3) {
		(void)fprintf(stderr, "usage: %s DIRECTORY RECORDS\n", argv[0]);
		return 2;
	}
	uint64_t records = strtoull(argv[2], NULL, 10);
	signer_start(&signer, NULL);
	MUST_DO(signer_open(&signer, argv[1], 0, &recovery, &audit));
	open_tree(&signer, audit, &tree);
	write_vkey(&signer, argv[1]);
	for (uint64_t n = records - 1; n; n -= n < AT_ONCE ? n : AT_ONCE)
		write_some(tree, n < AT_ONCE ? n : AT_ONCE);
	audit_close(audit);
	signer_end(&signer);
	return 0;
}

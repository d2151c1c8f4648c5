/* log.c - a log on disk, of a tree with so many records, for tools that know nothing of Assay:
 *
 *   log DIRECTORY RECORDS
 */
#include <stdlib.h>

#include "testbed/unit/signer.h"

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
	MUST_DO(signer_tree(&signer, audit, "assay.example/interop/1", &tree));
	for (uint64_t n = records - 1; n; n -= n < AT_ONCE ? n : AT_ONCE)
		write_some(tree, n < AT_ONCE ? n : AT_ONCE);
	audit_close(audit);
	signer_end(&signer);
	return 0;
}

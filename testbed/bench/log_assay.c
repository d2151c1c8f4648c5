/* log_assay - the log of audit/: a record is durable, its tree's head signed, and its receipt there.
 * Producers share out the partitions. The signer is OpenSSL, in memory. */
#include <stdio.h>

#include "audit/audit.h"
#include "testbed/bench/measure.h"
#include "testbed/bench/producers.h"
#include "testbed/unit/signer.h"

static struct signer signer;
static struct audit *audit;
static struct audit_tree *trees[PARTITIONS_MAX];
static struct buf certificates[PARTITIONS_MAX];
static unsigned trees_n;
static char folder[300];

struct mine {
	struct audit_tree *tree;
	struct leaf leaf;
	struct buf receipt;
};

static void open_tree(unsigned i)
{
	struct leaf *genesis = malloc(sizeof *genesis);
	char origin[80], name[16];

	snprintf(origin, sizeof origin, "assay.example/bench/%u/1", i);
	snprintf(name, sizeof name, "%u", i);
	signer_certificate(&signer, name, origin, &certificates[i]);
	struct audit_key key = { .handle = SIGNER_KEY,
				 .alg = COSE_ES256,
				 .certificate = buf_slice(&certificates[i]),
				 .chain = buf_slice(&signer.ca) };
	signer_leaf(genesis, "genesis");
	genesis->type = LEAF_OPEN;
	MUST_DO(audit_tree(audit, origin, &key, genesis, &trees[i]));
	free(genesis);
}

static void open_log(const char *where, unsigned producers, unsigned partitions)
{
	struct audit_recovery recovery;

	(void)producers;
	snprintf(folder, sizeof folder, "%s/log", where);
	signer_start(&signer, NULL);
	MUST_DO(signer_open(&signer, folder, 0, &recovery, &audit));
	for (trees_n = 0; trees_n < partitions; trees_n++)
		open_tree(trees_n);
}

static void *enter(unsigned producer)
{
	struct mine *mine = calloc(1, sizeof *mine);

	record_leaf(&mine->leaf, record_bytes());
	mine->tree = trees[producer % trees_n];
	return mine;
}

static void append(void *context, struct slice record)
{
	CLEANUP(audit_ticket) struct audit_ticket *ticket = NULL;
	struct mine *mine = context;

	(void)record;
	buf_reset(&mine->receipt);
	MUST_DO(audit_begin(mine->tree, &mine->leaf, &ticket));
	MUST_DO(audit_finish(ticket, &mine->receipt));
}

static void leave(void *context)
{
	struct mine *mine = context;

	buf_free(&mine->receipt);
	free(mine);
}

static void close_log(void)
{
	struct audit_counts counts;

	audit_counts(audit, &counts);
	(void)fprintf(stderr, "%llu records, %llu batches, %llu syncs, %llu signatures\n",
		      (unsigned long long)counts.records, (unsigned long long)counts.batches,
		      (unsigned long long)counts.syncs, (unsigned long long)counts.signatures);
	audit_close(audit);
	for (unsigned i = 0; i < trees_n; i++)
		buf_free(&certificates[i]);
	signer_end(&signer);
	signer_remove(folder);
}

const struct store store = { open_log, enter, leave, append, close_log };

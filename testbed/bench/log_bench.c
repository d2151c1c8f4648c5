/* log_bench THREADS SECONDS DIR: records a second that so many producers get durable, signed and
 * with a receipt, on the disk of DIR; the signer is OpenSSL in memory. Prints one number. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "testbed/unit/signer.h"

#define ORIGIN "assay.example/bench/bank-a/1"
#define TEXT 250

static struct audit_tree *tree;
static uint64_t deadline_ms;
static atomic_ulong done;

/* About the size of an execution's leaf. */
static void fill(struct leaf *leaf, const char *text)
{
	signer_leaf(leaf, text);
	leaf->has_input = leaf->has_output = leaf->has_messages = leaf->has_tcb = true;
	leaf->has_policy = leaf->has_frontend = true;
	leaf->hwmodel = leaf->swname = leaf->pseudonym =
		slice_text("thirty bytes of text in a claim");
	leaf->components_n = 2;
	leaf->components[0].name = slice_text("image");
	leaf->components[1].name = slice_text("profile");
}

static void *produce(void *unused)
{
	CLEANUP(buf) struct buf receipt = BUF_INIT;
	struct leaf *leaf = malloc(sizeof *leaf);
	char text[TEXT + 1];

	memset(text, 'x', TEXT);
	text[TEXT] = 0;
	fill(leaf, text);
	while (io_monotonic_ms() < deadline_ms) {
		CLEANUP(audit_ticket) struct audit_ticket *ticket = NULL;

		buf_reset(&receipt);
		MUST_DO(audit_begin(tree, leaf, &ticket));
		MUST_DO(audit_finish(ticket, &receipt));
		atomic_fetch_add(&done, 1);
	}
	free(leaf);
	return unused;
}

static double run(const char *folder, int threads, int seconds)
{
	struct audit_recovery recovery;
	struct audit_counts counts;
	struct signer signer;
	struct audit *audit;
	pthread_t *t = calloc((size_t)threads, sizeof *t);

	signer_start(&signer, NULL);
	MUST_DO(signer_open(&signer, folder, 0, &recovery, &audit));
	MUST_DO(signer_tree(&signer, audit, ORIGIN, &tree));
	uint64_t began = io_monotonic_ms();
	deadline_ms = began + (uint64_t)seconds * 1000;
	for (int i = 0; i < threads; i++)
		if (pthread_create(&t[i], NULL, produce, NULL))
			abort();
	for (int i = 0; i < threads; i++)
		pthread_join(t[i], NULL);
	double took = (double)(io_monotonic_ms() - began) / 1000;
	audit_counts(audit, &counts);
	fprintf(stderr, "%llu records, %llu batches, %llu syncs, %llu signatures\n",
		(unsigned long long)counts.records, (unsigned long long)counts.batches,
		(unsigned long long)counts.syncs, (unsigned long long)counts.signatures);
	audit_close(audit);
	signer_end(&signer);
	free(t);
	return (double)atomic_load(&done) / took;
}

int main(int argc, char **argv)
{
	char folder[300];

	if (argc != 4 || atoi(argv[1]) < 1 || atoi(argv[2]) < 1) {
		fprintf(stderr, "usage: log_bench THREADS SECONDS DIR\n");
		return 2;
	}
	snprintf(folder, sizeof folder, "%s/log_bench.%ld", argv[3], (long)getpid());
	printf("%.0f\n", run(folder, atoi(argv[1]), atoi(argv[2])));
	signer_remove(folder);
	return 0;
}

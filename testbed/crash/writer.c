/* writer LOG KEYS THREADS: appends records to three trees of the log until it is killed, and prints
 * "origin index hash" for each record that was released to it, one write for each line. */
#include <pthread.h>

#include "testbed/unit/signer.h"

#define SEGMENT ((uint64_t)1 << 20)

static const char *const origins[] = { "assay.example/crash/appliance/1",
				       "assay.example/crash/bank-a/1",
				       "assay.example/crash/bank-b/1" };
#define TREES (sizeof origins / sizeof *origins)

static struct audit_tree *trees[TREES];

static void say(const char *origin, uint64_t index, struct slice raw)
{
	CLEANUP(buf) struct buf line = BUF_INIT;
	uint8_t hash[SHA256_SIZE];

	leaf_hash(raw, hash);
	buf_printf(&line, "%s %llu ", origin, (unsigned long long)index);
	buf_put_hex(&line, SLICE(hash));
	buf_put_text(&line, "\n");
	MUST_DO(io_write_all(STDOUT_FILENO, buf_slice(&line)));
}

static void *produce(void *argument)
{
	struct leaf *leaf = malloc(sizeof *leaf);

	for (size_t i = (size_t)argument;; i++) {
		CLEANUP(buf) struct buf receipt = BUF_INIT;
		CLEANUP(audit_ticket) struct audit_ticket *ticket = NULL;

		signer_leaf(leaf, "will it last?");
		MUST_DO(audit_begin(trees[i % TREES], leaf, &ticket));
		MUST_DO(audit_finish(ticket, &receipt));
		say(origins[i % TREES], leaf->pos, audit_ticket_leaf(ticket));
	}
	return NULL;
}

int main(int argc, char **argv)
{
	struct audit_recovery recovery;
	struct signer signer;
	struct audit *audit;
	pthread_t t;

	if (argc != 4)
		return 2;
	signer_start(&signer, argv[2]);
	MUST_DO(signer_open(&signer, argv[1], SEGMENT, &recovery, &audit));
	for (size_t i = 0; i < TREES; i++)
		MUST_DO(signer_tree(&signer, audit, origins[i], &trees[i]));
	for (int i = 0; i < atoi(argv[3]); i++)
		if (pthread_create(&t, NULL, produce, (void *)(size_t)i))
			return 2;
	for (;;)
		pause();
}

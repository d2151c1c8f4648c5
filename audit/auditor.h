/* auditor.h - checks a log on disk from the outside: no HSM, no daemon, read-only.
 *
 * Reads the write-ahead log (frames, CRC, chain), rebuilds every tree, and checks every signed head
 * and checkpoint against the trees' certificates and the appliance's CA. The frames' HMAC needs the
 * token and is not checked here, so whoever can write the files can add records behind the last
 * signed head: those are UNSIGNED. Works on a live log, to its last commit, where a few records may
 * wait for their head; a log that nobody writes has none such but after a crash.
 * Keeps nothing between calls: any thread, but a report belongs to one.
 */
#ifndef AUDIT_AUDITOR_H
#define AUDIT_AUDITOR_H

#include "audit/leaf.h"

#define AUDITOR_ORIGIN 256

struct auditor_tree {
	char origin[AUDITOR_ORIGIN];
	uint64_t size, signed_size; /* leaves found; size of the largest signed head */
	uint8_t root[SHA256_SIZE];
};

struct auditor_report {
	struct auditor_tree *trees;
	size_t trees_n;
	uint64_t records, batches, heads;
	uint64_t torn_bytes; /* after the last valid batch: a crash's tail, no error */
	bool live;           /* somebody had the log open */
};

/* Called for every record in order of commit; the leaf points into @raw. An error ends the walk. */
typedef enum err auditor_visit(void *context, const char *origin, uint64_t index, struct slice raw,
			       const struct leaf *leaf);

/* @ca: DER. @visit may be NULL. ERR_MISMATCH or ERR_CRYPTO with the reason when anything was
 * removed, changed, reordered, or signed by a stranger. */
MUST enum err auditor_verify(const char *path, struct slice ca, auditor_visit *visit, void *context,
			     struct auditor_report *report);
/* What only a live log may have: ERR_CRYPTO when records of a tree of two or more are UNSIGNED. */
MUST enum err auditor_settled(const struct auditor_report *report);
void auditor_report_free(struct auditor_report *report);

#endif
